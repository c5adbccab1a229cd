"""Hugging Face Marian under `Seq2SeqTrainer` with its defaults (`huggingface_train.py`)."""

from __future__ import annotations

import re

from corpus import Corpus
from peers import HERE, Places, Reading, Run, Size

ENVIRONMENT = "huggingface"
PACKAGE = "transformers"
LINE = re.compile(r"^update (\d+) tokens (\d+) seconds ([\d.]+)$", re.MULTILINE)


def prepare(size: Size, corpus: Corpus, places: Places, *, grouped: bool = False) -> Run:
    directory = places.directory(f"huggingface-{size.name}" + ("-grouped" if grouped else ""))
    script = HERE / "huggingface_train.py"
    argv = [places.program(ENVIRONMENT, "python"), str(script), "--corpus", str(corpus.directory), "--run", str(directory)]
    argv += ["--layers", str(size.layers), "--width", str(size.width), "--heads", str(size.heads)]
    argv += ["--feed-forward", str(size.feed_forward), "--sentences", str(corpus.sentences_per_batch)]
    return Run(argv + (["--group-by-length"] if grouped else []), directory, directory / "output.log")


def read(text: str) -> list[Reading]:
    return [Reading(int(match[1]), int(match[2]) / float(match[3]), int(match[2])) for match in LINE.finditer(text)]
