"""OpenNMT-py 3.0.4 through `onmt_train`."""

from __future__ import annotations

import re

from corpus import Corpus
from peers import Places, Reading, Run, Size, dimensions, fill

ENVIRONMENT = "opennmt"
PACKAGE = "OpenNMT-py"
LINE = re.compile(r"Step\s+(\d+)/\s*\d+;.*?bsz:\s*\d+/\s*(\d+)/\s*\d+;\s*\d+/\s*(\d+) tok/s")


def prepare(size: Size, corpus: Corpus, places: Places) -> Run:
    directory = places.directory(f"opennmt-{size.name}")
    config = fill(
        "opennmt.yaml",
        directory / "config.yaml",
        train_source=corpus.pieces("train", "en"),
        train_target=corpus.pieces("train", "de"),
        vocabulary=corpus.vocabulary,
        run=directory,
        workers=0,
        **dimensions(size),
    )
    argv = [places.program(ENVIRONMENT, "onmt_train"), "-config", str(config)]
    return Run(argv, directory, directory / "output.log")


def read(text: str) -> list[Reading]:
    return [Reading(int(match[1]), float(match[3]), int(match[2])) for match in LINE.finditer(text)]
