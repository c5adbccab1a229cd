"""JoeyNMT 2.3.0 through `python -m joeynmt train`."""

from __future__ import annotations

import re

from corpus import Corpus
from peers import Places, Reading, Run, Size, dimensions, fill

ENVIRONMENT = "joeynmt"
PACKAGE = "joeynmt"
LINE = re.compile(r"Step:\s*(\d+),.*?Tokens per Sec:\s*([\d.]+)")


def prepare(size: Size, corpus: Corpus, places: Places) -> Run:
    directory = places.directory(f"joeynmt-{size.name}")
    config = fill(
        "joeynmt.yaml",
        directory / "config.yaml",
        data=corpus.directory,
        vocabulary=corpus.vocabulary,
        run=directory,
        **dimensions(size),
    )
    argv = [places.program(ENVIRONMENT, "python"), "-m", "joeynmt", "train", str(config), "--skip-test"]
    return Run(argv, directory, directory / "output.log")


def read(text: str) -> list[Reading]:
    return [Reading(int(match[1]), float(match[2])) for match in LINE.finditer(text)]
