"""Decoding speed side by side, the same weights in all: beam 5 on Multi30k's test_2016, text in, text out, sentences/s.

    python benchmarks/decoding.py --data DIRECTORY_OF_MULTI30K

Trains a 3+3-layer Headway model once (kept in the work directory; `--model RUN` takes another one), writes it as a Hugging
Face Marian checkpoint and as a CTranslate2 model, checks that all three give the same probabilities to the same sentences,
then lets them translate in turns, several rounds. Prints every figure with its spread, the ratios and each BLEU.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from corpus import Corpus, data_directory, describe, prepare
from measure import busy_seconds, end_on_sigterm, spread, table
from peers import HERE, SIZES, THREADS, Places, environment, headway_training
from training import machine

SIZE = SIZES["base3"]
CHECKED_PAIRS = 32


@dataclass(frozen=True)
class Engine:
    label: str
    environment: str | None  # of the peers; None: Headway's own
    script: str
    modes: dict[str, str]  # what each mode is, in words
    packages: tuple[str, ...]


ENGINES = {
    "headway": Engine(
        "Headway",
        None,
        "headway_decode.py",
        {
            "batch-int8": "batch 64, 2 workers × 1 thread, int8",
            "one-worker-int8": "batch 64, 1 worker × 2 threads, int8",
            "batch": "batch 64, 2 workers × 1 thread, as it comes",
            "batch-fp32": "batch 64, 2 workers × 1 thread, fp32",
            "single-int8": "one at a time, 2 threads, int8",
            "single": "one at a time, 2 threads, as it comes",
        },
        ("headway", "torch"),
    ),
    "huggingface": Engine(
        "HF generate fp32",
        "huggingface",
        "huggingface_decode.py",
        {"batch": "batch 64, file order", "sorted": "batch 64, sorted by length", "single": "one at a time"},
        ("transformers", "torch"),
    ),
    "ctranslate2": Engine(
        "CTranslate2 int8",
        "huggingface",
        "ctranslate2_decode.py",
        {
            "batch": "batch 64, 1 worker × 2 threads",
            "workers": "batch 64, 2 workers × 1 thread",
            "single": "one at a time, 2 threads",
            "single-1-thread": "one at a time, 1 thread",
        },
        ("ctranslate2",),
    ),
}
# (our mode, their engine, their mode, the ratio that is asked for)
COMPARISONS = [
    ("batch-int8", "huggingface", "batch", 5.0),
    ("batch", "huggingface", "batch", None),
    ("batch-int8", "huggingface", "sorted", None),
    ("one-worker-int8", "ctranslate2", "batch", 1.0),
    ("batch-int8", "ctranslate2", "workers", 1.0),
    ("batch-int8", "ctranslate2", "batch", None),
    ("batch", "ctranslate2", "batch", None),
    ("single-int8", "ctranslate2", "single", 1.0),
    ("single-int8", "ctranslate2", "single-1-thread", None),
]
Speeds = dict[tuple[str, str], list[float]]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=data_directory, required=True, help="directory with train.en, train.de, val.*, test_2016_flickr.*"
    )
    parser.add_argument("--peers", type=Path, default=Path(".peers"), help="the peers' environments (setup_peers.sh)")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=1000, help="of the test set")
    parser.add_argument("--single", type=int, default=100, help="sentences for the one-at-a-time modes")
    parser.add_argument("--updates", type=int, default=600, help="how long the model is trained, if there is none yet")
    parser.add_argument("--model", type=Path, help="a run or model directory instead: post-norm, with the benchmark's tokenizer")
    return parser.parse_args()


def trained_model(corpus: Corpus, places: Places, updates: int) -> Path:
    """The run directory of the model; trains it, or goes on training it, if it is not ready."""
    name = f"decoding-{updates}"
    every = max(1, updates // 3)
    command = headway_training.prepare(
        SIZE, corpus, places, name=name, norm_place="post", updates=updates, validate_every=every, keep=True
    )
    trained = command.directory / "trained"
    if not trained.exists():
        print(f"training the model ({updates} updates; kept in {command.directory}) …", flush=True)
        subprocess.run(command.argv, cwd=command.directory, env=environment("own"), check=True)
        trained.touch()
    return command.directory / "run"


def export(model: Path, corpus: Corpus, places: Places, directory: Path) -> dict[str, Path]:
    """Where each engine finds the weights."""
    python = places.program("huggingface", "python")
    marian, ct2 = directory / "marian", directory / "ctranslate2"
    for path in (marian, ct2):
        shutil.rmtree(path, ignore_errors=True)
    paths = ["--model", str(model), "--tokenizer", str(corpus.tokenizer), "--out", str(marian)]
    run([sys.executable, str(HERE / "headway_export.py"), *paths], directory / "export.log")
    run([python, str(HERE / "ctranslate2_export.py"), "--model", str(marian), "--out", str(ct2)], directory / "export.log")
    return {"headway": model, "huggingface": marian, "ctranslate2": ct2}


def run(argv: list[str], log: Path) -> None:
    with log.open("wb") as out:
        done = subprocess.run(argv, env=environment("own") | {"CT2_VERBOSE": "1"}, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} failed; its output ends with\n{log.read_text('utf-8', errors='replace')[-2000:]}")


def one_turn(name: str, model: Path, corpus: Corpus, places: Places, directory: Path, options: argparse.Namespace) -> dict:
    """Runs one engine in all its modes; returns its result.json."""
    engine = ENGINES[name]
    python = sys.executable if engine.environment is None else places.program(engine.environment, "python")
    argv = [python, str(HERE / engine.script), "--model", str(model), "--tokenizer", str(corpus.tokenizer)]
    argv += ["--sentences", str(directory / "sentences.txt"), "--pairs", str(directory / "pairs.json")]
    argv += ["--out", str(directory / name), "--single", str(options.single), "--modes", *engine.modes]
    busy, before, start = busy_seconds(), resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run(argv, directory / f"{name}.log")
    after, elapsed = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    ours = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    others = max(0.0, (busy_seconds() - busy - ours) / elapsed / (os.cpu_count() or 1))
    result = json.loads((directory / name / "result.json").read_text("utf-8")) | {"others": others}
    found = ", ".join(f"{mode} {timed['sentences'] / timed['seconds']:.1f}" for mode, timed in result["modes"].items())
    disturbed = f"  OTHERS USED {others:.0%} OF THE CPUS" if others > 0.05 else ""
    print(f"  {engine.label:18} sentences/s: {found}{disturbed}", flush=True)
    return result


def check_scores(results: dict[str, list[dict]]) -> float:
    """The largest difference of a sentence's log-probability between any two engines, all in fp32."""
    scores = [found[0]["scores"] for found in results.values()]
    return max(max(column) - min(column) for column in zip(*scores, strict=True))


def bleu(hypotheses: Path, references: list[str]) -> float:
    from sacrebleu.metrics import BLEU

    lines = hypotheses.read_text("utf-8").split("\n")[:-1]
    return BLEU().corpus_score(lines, [references[: len(lines)]]).score


def agreement(directory: Path, name: str, mode: str) -> float:
    """Share of the translations that are, letter by letter, those of Hugging Face."""
    files = [directory / "huggingface" / "batch.txt", directory / name / f"{mode}.txt"]
    pairs = list(zip(*(file.read_text("utf-8").split("\n")[:-1] for file in files), strict=False))
    return sum(theirs == ours for theirs, ours in pairs) / len(pairs)


def report(results: dict[str, list[dict]], directory: Path, references: list[str]) -> dict[str, object]:
    speeds: Speeds = {
        (name, mode): [found["modes"][mode]["sentences"] / found["modes"][mode]["seconds"] for found in turns]
        for name, turns in results.items()
        for mode in ENGINES[name].modes
    }
    rows, scores = [], {}
    for (name, mode), values in speeds.items():
        scores[f"{name} {mode}"] = bleu(directory / name / f"{mode}.txt", references)
        count = results[name][0]["modes"][mode]["sentences"]
        words = [ENGINES[name].label, ENGINES[name].modes[mode], spread(values), f"{scores[f'{name} {mode}']:.2f}"]
        same = f"{agreement(directory, name, mode):.0%}" if "huggingface" in results else ""
        rows.append([*words, f"{count:,}", same])
    head = ["engine", "how", "sentences/s, median (range)", "BLEU (13a)", "of sentences", "same text as HF"]
    print("\n" + table(head, rows))
    ratios, lines = {}, []
    for ours, name, mode, wanted in COMPARISONS:
        if ("headway", ours) in speeds and (name, mode) in speeds:
            found = [mine / other for mine, other in zip(speeds["headway", ours], speeds[name, mode], strict=True)]
            ratios[f"{ours} / {name} {mode}"] = found
            asked = "" if wanted is None else f"{wanted}× {'met' if statistics.median(found) >= wanted else 'NOT MET'}"
            label = f"{ENGINES[name].label}, {ENGINES[name].modes[mode]}"
            lines.append([f"Headway, {ENGINES['headway'].modes[ours]}", label, spread(found), asked])
    print("\n" + table(["ours", "theirs", "ratio, median (range)", "asked for"], lines))
    return {"speeds": {" ".join(key): values for key, values in speeds.items()}, "bleu": scores, "ratios": ratios}


def versions(places: Places, names: list[str]) -> str:
    code = "import importlib.metadata as m, sys; print(', '.join(f'{p} {m.version(p)}' for p in sys.argv[1:]))"
    lines = []
    for name in names:
        engine = ENGINES[name]
        python = sys.executable if engine.environment is None else places.program(engine.environment, "python")
        found = subprocess.run([python, "-c", code, *engine.packages], capture_output=True, text=True, check=True).stdout
        lines.append(f"{engine.label}: {found.strip()}")
    return "\n".join(lines)


def main() -> None:
    options = parse()
    end_on_sigterm()
    corpus = prepare(options.data, options.work.resolve())
    places = Places(options.peers.absolute(), options.work.resolve())
    directory = places.work / "decoding"
    directory.mkdir(parents=True, exist_ok=True)
    sides = {language: corpus.raw_text("test", language).read_text("utf-8").split("\n") for language in ("en", "de")}
    (directory / "sentences.txt").write_text("".join(line + "\n" for line in sides["en"][: options.sentences]), "utf-8")
    pieces = [corpus.pieces("test", language).read_text("utf-8").split("\n")[:CHECKED_PAIRS] for language in ("en", "de")]
    pairs = [[source.split(), target.split()] for source, target in zip(*pieces, strict=True)]
    (directory / "pairs.json").write_text(json.dumps(pairs), "utf-8")
    facts = machine()
    print(json.dumps(facts["machine"]), json.dumps(describe(corpus)), versions(places, options.engines), sep="\n")
    print(f"threads: {THREADS}; beam 5, length penalty 1.0; allocator: as each comes (Headway keeps freed memory)\n")
    model = options.model.resolve() if options.model else trained_model(corpus, places, options.updates)
    models = export(model, corpus, places, directory)
    results: dict[str, list[dict]] = {name: [] for name in options.engines}
    for turn in range(options.rounds):
        names = options.engines[turn % len(options.engines) :] + options.engines[: turn % len(options.engines)]
        for name in names:
            results[name].append(one_turn(name, models[name], corpus, places, directory, options))
    difference = check_scores(results)
    print(f"\nlog-probabilities of {len(pairs)} sentences differ by at most {difference:.5f} between the engines in fp32")
    if difference > 0.05:
        raise SystemExit("the engines do not hold the same weights: the figures above say nothing")
    record = {"machine": facts, "others": {name: [found["others"] for found in turns] for name, turns in results.items()}}
    record |= report(results, directory, sides["de"])
    destination = options.work / "decoding.json"
    destination.write_text(json.dumps(record, indent=1), "utf-8")
    print(f"\nwritten: {destination}")


if __name__ == "__main__":
    main()
