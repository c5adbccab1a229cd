"""Ten million pairs: how long preparing them takes, and the largest memory that preparing and training on them needs.

    python benchmarks/large_corpus.py [--pairs 10000000] [--work runs/benchmarks] [training.…=… tokenizer.…=…]

The pairs are made: two sentences of the sample grammar in each, no two pairs alike. `headway train` does all the rest in one
process, with nothing kept from an earlier call: looks through the data, learns the tokenizer, tokenises into the
memory-mapped cache, plans the epoch, trains.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from headway.samples import SAMPLES

SENTENCES = 20_000
STRIDE = 263_167  # prime, so that walking by it through all (first, second) comes to each only once
LIMIT_MIB = 1.5 * 1024
LINES_AT_A_TIME = 100_000
CONFIG = """\
run_directory: {work}/large-corpus/run
data:
  source_language: en
  target_language: de
  train: {{source: {work}/large-corpus/train.en, target: {work}/large-corpus/train.de}}
  validation: {{source: {work}/large-corpus/validation.en, target: {work}/large-corpus/validation.de}}
tokenizer: {{vocabulary_size: 4000}}
model: {{preset: tiny}}
training: {{updates: {updates}, warmup_updates: 10, validate_every: {updates}, save_every: {updates}, tensorboard: false}}
"""


def places(pairs: int) -> Iterator[tuple[int, int]]:
    """(first, second) sentence of each pair, all different."""
    return (divmod(number * STRIDE % SENTENCES**2, SENTENCES) for number in range(pairs))


def write_corpus(directory: Path, pairs: int) -> None:
    files = SAMPLES["translation"].files("translation", 1, SENTENCES)
    for language in ("en", "de"):
        (directory / f"validation.{language}").write_text(files[f"validation.{language}"], "utf-8")
        sentences = files[f"train.{language}"].splitlines()
        wanted = places(pairs)
        with (directory / f"train.{language}").open("w", encoding="utf-8") as out:
            while some := list(islice(wanted, LINES_AT_A_TIME)):
                out.write("".join(f"{sentences[first]} {sentences[second]}\n" for first, second in some))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000_000)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("overrides", nargs="*", help="settings of the training, such as tokenizer.dropout=0.1")
    options = parser.parse_args()
    directory = options.work.resolve() / "large-corpus"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    print(f"writing {options.pairs:,} made pairs …", flush=True)
    write_corpus(directory, options.pairs)
    size = sum((directory / f"train.{language}").stat().st_size for language in ("en", "de"))
    config = directory / "config.yaml"
    config.write_text(CONFIG.format(work=options.work.resolve(), updates=options.updates), "utf-8")
    start = time.perf_counter()
    process = subprocess.Popen([str(Path(sys.executable).parent / "headway"), "train", str(config), *options.overrides])
    _, status, usage = os.wait4(process.pid, 0)
    peak = usage.ru_maxrss / 1024
    seconds = time.perf_counter() - start
    print(f"{options.pairs:,} pairs, {size / 1e9:.2f} GB of text, {options.updates} updates: {seconds:,.0f} s")
    print(f"largest resident memory {peak:,.0f} MiB: below {LIMIT_MIB:,.0f} MiB {'met' if peak < LIMIT_MIB else 'NOT MET'}")
    raise SystemExit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
