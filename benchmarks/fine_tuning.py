"""Speed of fine-tuning side by side: examples per second of Headway and of Hugging Face's Trainer, the same model and data.

    headway import DIRECTORY models/minilm
    python benchmarks/fine_tuning.py --theirs DIRECTORY --ours models/minilm \
        --data data/sst2/train.tsv --validation data/sst2/dev.tsv

Both learn a classifier from the same pre-trained encoder in the same precision, in turns, several rounds; the first seconds of
each are not counted. A batch of the Trainer has as many texts as one of Headway has on average. Prints every figure with its
spread and the ratios within a round; writes the same as `fine_tuning.json` into the work directory.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from measure import Measured, Patience, end_on_sigterm, measure, spread
from peers import THREADS, Run, environment
from peers.headway_training import read as read_headway
from peers.huggingface import read as read_trainer

HERE = Path(__file__).parent
BATCH_TOKENS = 1024
CONFIG = """\
run_directory: {run}
task: classification
data:
  train: {{path: {data}, source: 0, target: 1}}
  validation: {{path: {validation}, source: 0, target: 1}}
model: {{start_from: {ours}, dropout: 0.1}}
training:
  updates: 1000000
  batch_tokens: {tokens}
  learning_rate: 0.0001
  precision: {precision}
  threads: {threads}
  log_every: 10
  validate_every: 1000000
  save_every: 1000000
"""


@dataclass(frozen=True)
class System:
    label: str
    precision: str
    grouped: bool | None  # of the trainer: batches of similar length; None: Headway


SYSTEMS = [
    System(label, precision, grouped)
    for precision in ("fp32", "bf16")
    for label, grouped in (("Headway", None), ("Trainer", False), ("Trainer, batches of similar length", True))
]


def prepared(system: System, options: argparse.Namespace, directory: Path, sentences: int) -> Run:
    directory.mkdir(parents=True, exist_ok=True)
    if system.grouped is None:
        config = directory / "config.yaml"
        told = {
            "run": directory / "run",
            "data": options.data,
            "validation": options.validation,
            "ours": options.ours,
            "precision": system.precision,
        }
        config.write_text(CONFIG.format(tokens=BATCH_TOKENS, threads=THREADS, **told), encoding="utf-8")
        argv = [str(Path(sys.executable).parent / "headway"), "train", str(config)]
        return Run(argv, directory, directory / "run" / "metrics.jsonl")
    argv = [str(options.peers / "huggingface" / "bin" / "python"), str(HERE / "peers" / "huggingface_fine_tune.py")]
    argv += ["--model", str(options.theirs), "--data", str(options.data), "--run", str(directory / "run")]
    argv += ["--sentences", str(sentences), *(["--bf16"] if system.precision == "bf16" else [])]
    argv += ["--group-by-length"] if system.grouped else []
    return Run(argv, directory, directory / "output.log")


def average_texts(log: Path) -> int:
    """Texts of an update of Headway's, from its log."""
    readings = read_headway(log.read_text("utf-8"))
    texts = [reading.tokens for reading in readings if reading.tokens]
    return round(sum(texts) / readings[-1].update)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--theirs", type=lambda text: Path(text).resolve(), required=True, help="a directory of Hugging Face")
    parser.add_argument("--ours", type=lambda text: Path(text).resolve(), required=True, help="what `headway import` made of it")
    parser.add_argument("--data", type=lambda text: Path(text).resolve(), required=True, help="a text, a tab and a label a line")
    parser.add_argument("--validation", type=lambda text: Path(text).resolve(), required=True, help="other texts of this form")
    parser.add_argument("--peers", type=lambda text: Path(text).resolve(), default=HERE.parent / ".peers")
    parser.add_argument("--work", type=lambda text: Path(text).resolve(), default=Path("runs/benchmarks/fine_tuning").resolve())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0, help="that are measured of each run")
    options = parser.parse_args()
    end_on_sigterm()
    patience, found = Patience(warm_up=10, seconds=options.seconds), {}
    sentences = 0
    for number in range(options.rounds):
        for system in SYSTEMS:
            directory = options.work / f"{number}-{SYSTEMS.index(system)}"
            run = prepared(system, options, directory, sentences)
            read = read_headway if system.grouped is None else read_trainer
            measured = measure(run, read, environment("own"), patience)
            if not sentences:
                sentences = average_texts(run.log)
                print(f"{sentences} texts a batch on average; {THREADS} threads", flush=True)
            found.setdefault(system, []).append(measured)
            print(
                f"round {number + 1}: {system.label}, {system.precision}: {measured.tokens_per_second:.1f} examples/s", flush=True
            )
            if measured.others > 0.05:
                print(f"  other programs took {100 * measured.others:.0f} % of the CPUs: worth nothing", flush=True)
    report(found)
    content = [{**asdict(system), "rounds": [asdict(one) for one in some]} for system, some in found.items()]
    (options.work / "fine_tuning.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def report(found: dict[System, list[Measured]]) -> None:
    """Examples a second, and how many times as fast Headway is within each round."""
    for precision in ("fp32", "bf16"):
        ours = next(some for system, some in found.items() if system.grouped is None and system.precision == precision)
        for system, some in found.items():
            if system.precision == precision:
                ratios = [a.tokens_per_second / b.tokens_per_second for a, b in zip(ours, some, strict=True)]
                speeds = spread([one.tokens_per_second for one in some])
                print(f"{precision} {system.label}: {speeds} examples/s; Headway {spread(ratios)} times as fast")


if __name__ == "__main__":
    main()
