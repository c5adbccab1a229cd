"""A small language model beside nanoGPT's: Tiny Shakespeare by characters, 4 layers of width 128, 64 characters, batches of 12.

    python benchmarks/language_model.py --data DIRECTORY_OF_TINYSHAKESPEARE --nanogpt CLONE_OF_NANOGPT

Both train with their own command, from the raw text to the last validation, in turns; the wall-clock time of the whole command
is what counts. nanoGPT (github: karpathy/nanoGPT) gets the options that its README gives for a CPU, on this Python and torch;
Headway trains examples/shakespeare.yaml. DIRECTORY holds train.txt and val.txt, nanoGPT's cut of the text.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from measure import spread, table

ROOT = Path(__file__).resolve().parent.parent
CPU_OPTIONS = [  # of nanoGPT's README
    "--device=cpu", "--compile=False", "--eval_iters=20", "--log_interval=10", "--block_size=64", "--batch_size=12",
    "--n_layer=4", "--n_head=4", "--n_embd=128", "--max_iters=2000", "--lr_decay_iters=2000", "--dropout=0.0",
]  # fmt: skip


def nanogpt(clone: Path, data: Path, work: Path) -> tuple[float, float]:
    """(seconds, validation loss) of nanoGPT's own train.py."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(clone, work, ignore=shutil.ignore_patterns(".git"))
    (work / "requests.py").write_text("")  # prepare.py would fetch the text with it, were it not here
    folder = work / "data" / "shakespeare_char"
    (folder / "input.txt").write_text((data / "train.txt").read_text("utf-8") + (data / "val.txt").read_text("utf-8"), "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(work)}
    subprocess.run([sys.executable, str(folder / "prepare.py")], env=environment, check=True, stdout=subprocess.DEVNULL)
    start = time.perf_counter()
    argv = [sys.executable, "train.py", "config/train_shakespeare_char.py", *CPU_OPTIONS]
    shown = subprocess.run(argv, cwd=work, env=environment, check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - start
    return seconds, float(re.findall(r"step 2000: .*val loss ([\d.]+)", shown)[-1])


def headway(data: Path, work: Path, overrides: list[str]) -> tuple[float, float]:
    """(seconds, validation loss) of `headway train`, tokenizer and cache made anew."""
    shutil.rmtree(work, ignore_errors=True)
    corpora = [f"data.{name}.source={data / file}" for name, file in (("train", "train.txt"), ("validation", "val.txt"))]
    example = str(ROOT / "examples" / "shakespeare.yaml")
    argv = [sys.executable, "-m", "headway", "train", example, f"run_directory={work / 'run'}"]
    start = time.perf_counter()
    subprocess.run([*argv, *corpora, *overrides], check=True, capture_output=True)
    seconds = time.perf_counter() - start
    lines = [json.loads(line) for line in (work / "run" / "metrics.jsonl").read_text("utf-8").splitlines()]
    return seconds, [line["validation_loss"] for line in lines if "validation_loss" in line][-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="directory with train.txt and val.txt")
    parser.add_argument("--nanogpt", type=Path, required=True, help="a clone of karpathy/nanoGPT")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks/language-model"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings of Headway's run")
    options = parser.parse_args()
    work, data = options.work.resolve(), options.data.resolve()
    found: dict[str, list[tuple[float, float]]] = {"nanoGPT": [], "Headway": []}
    for number in range(options.rounds):
        turns = list(found) if number % 2 == 0 else list(reversed(found))
        for name in turns:
            if name == "nanoGPT":
                result = nanogpt(options.nanogpt, data, work / "nanogpt")
            else:
                result = headway(data, work / "headway", options.overrides)
            found[name].append(result)
            print(f"  {name:8} {result[0]:6.1f} s   validation loss {result[1]:.4f}", flush=True)
    rows = [[name, spread([s for s, _ in runs]), spread([loss for _, loss in runs])] for name, runs in found.items()]
    print(table(["", "seconds", "validation loss"], rows))
    ratios = [ours[0] / theirs[0] for ours, theirs in zip(found["Headway"], found["nanoGPT"], strict=True)]
    print(f"Headway's time is {statistics.median(ratios):.2f} of nanoGPT's ({min(ratios):.2f}–{max(ratios):.2f})")


if __name__ == "__main__":
    main()
