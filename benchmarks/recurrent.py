"""Three claims made for the Transformer, measured against an LSTM encoder–decoder with attention of equal size, in one run.

    python benchmarks/recurrent.py speed recall multi30k --data DIRECTORY_OF_MULTI30K --out docs/recurrent

speed: training tokens/s as sequences grow. recall: exact recall at growing distances. multi30k: BLEU after equal time.
The LSTM is lstm.py's; everything around it is Headway's own, for both: batches, loss, `train_step`, decoding, BLEU.

Every figure goes into OUT.json as soon as it is measured, and what is there is not measured again: a run that was stopped goes
on, and seeds, lengths or rounds can be added later. Then the plot OUT.png is drawn and the tables are put into OUT.md, between
its two marks (recurrent_page.py); without parts only that is done.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import recurrent_page
import recurrent_recall as task
from corpus import data_directory
from headway.data.batches import Batch
from headway.errors import HeadwayError
from headway.training.loop import train_step
from headway.training.parallel import available_cores, keep_freed_memory
from headway.training.state import TrainState
from machine import describe
from measure import busy_seconds, end_on_sigterm
from recurrent_learning import LSTM, Budget, build, configuration, learn, start
from recurrent_multi30k import multi30k

POSITIONS = ("sinusoidal", "relative", "rotary")
VOCABULARY = 5000  # of the made sentences that speed is measured on
RECALL_RATES = {LSTM: 0.002, "transformer": 0.001}  # the best of short trials (docs/recurrent.md)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="of speed, recall, multi30k")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/recurrent/figures"), help="path without suffix")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks/recurrent"), help="for the Transformer's own runs")
    parser.add_argument("--data", type=data_directory, help="directory with Multi30k's raw text; multi30k needs it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of recall and multi30k")
    parser.add_argument("--preset", default="tiny", help="size of the Transformer")
    parser.add_argument(
        "--positions", nargs="*", choices=POSITIONS, default=["sinusoidal", "relative"], help="of speed and recall"
    )
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    speed = parser.add_argument_group("speed")
    speed.add_argument("--lengths", type=int, nargs="+", default=[16, 32, 64, 128, 256, 512, 1024])
    speed.add_argument("--tokens", type=int, default=4096, help="of each side of a batch")
    speed.add_argument("--rounds", type=int, default=5)
    speed.add_argument("--seconds", type=float, default=5.0, help="measured in each turn, at least 3 updates")
    memory = parser.add_argument_group("recall")
    memory.add_argument("--distances", type=int, nargs="+", default=[16, 32, 64, 128, 256, 512, 1024], help="learned and asked")
    memory.add_argument("--beyond", type=int, nargs="*", default=[2048], help="distances that are asked but not learned")
    memory.add_argument("--places", nargs="+", choices=["source", "target"], default=["source", "target"])
    memory.add_argument("--updates", type=int, default=2000, help="that each learns from")
    memory.add_argument("--recall-tokens", type=int, default=2048, help="of an update; at least 4 texts")
    memory.add_argument("--recall-minutes", type=float, help="train each so long, in place of --updates")
    memory.add_argument("--items", type=int, default=1000, help="questions at each distance")
    translation = parser.add_argument_group("multi30k")
    translation.add_argument("--minutes", type=float, default=20.0, help="of learning, for each system and seed")
    translation.add_argument("--trial-minutes", type=float, default=4.0, help="of each setting that the LSTM may choose from")
    options = parser.parse_args()
    if strange := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(strange))}; there are {', '.join(PARTS)}")
    if "multi30k" in options.parts and options.data is None:
        parser.error("multi30k needs --data")
    return options


class Figures:
    """What was measured so far, in a JSON file: a part has one machine, one set of settings, and figures by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def once(self, part: str, name: str, settings: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The figure of this name, measured unless it is there. Ends the program where the part is of other settings."""
        ours = json.loads(json.dumps({"settings": settings, "machine": describe()}))
        found = self.parts.setdefault(part, ours | {"figures": {}})
        for key, value in ours.items():
            if found[key] != value:
                sys.exit(
                    f"{self.path} has {part} with other {key}: {found[key]}, not {value}\n  → take another --out, or remove it"
                )
        if name in found["figures"]:
            print(f"{part} {name}: measured before", flush=True)
            return found["figures"][name]
        print(f"{part} {name} …", flush=True)
        others_before, start = busy_seconds() - _own_seconds(), time.perf_counter()
        result = measure()
        others = (busy_seconds() - _own_seconds() - others_before) / (time.perf_counter() - start) / (os.cpu_count() or 1)
        found["figures"][name] = {
            "day": str(date.today()),
            "others": round(max(0.0, others), 3),
            **json.loads(json.dumps(result)),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_suffix(".tmp")
        aside.write_text(json.dumps(self.parts, indent=1) + "\n", "utf-8")
        aside.replace(self.path)
        return found["figures"][name]


def _own_seconds() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


# --- speed -------------------------------------------------------------------------------------------------------


def speed(options: argparse.Namespace, figures: Figures) -> None:
    """Target tokens/s of whole updates; the systems take turns, so that a ratio is of the same half minute."""
    config = configuration(options, training__optimizer="adamw", training__learning_rate=1e-4, model__dropout=0.1)
    systems = [*options.positions, LSTM]
    settings = {"preset": options.preset, "systems": systems, "tokens": options.tokens, "seconds": options.seconds}
    settings |= {"threads": options.threads, "device": options.device}
    states = {system: start(build(system, config, VOCABULARY), config) for system in systems}
    for length, turn in itertools.product(options.lengths, range(options.rounds)):
        order = systems[turn % len(systems) :] + systems[: turn % len(systems)]

        def measure(length: int = length, order: list[str] = order) -> dict[str, Any]:
            rates = {system: tokens_per_second(states[system], length, options) for system in order}
            return {"rates": rates, "parameters": {name: state.model.parameter_count() for name, state in states.items()}}

        rates = figures.once("speed", f"{length} {turn}", settings, measure)["rates"]
        print("  " + ", ".join(f"{system} {rate:,.0f}" for system, rate in rates.items()), flush=True)


def tokens_per_second(state: TrainState, length: int, options: argparse.Namespace) -> float:
    """By the median update after a warm one, of sentences made of random pieces, all of one length."""
    rows = max(1, options.tokens // length)
    ids = torch.from_numpy(np.random.default_rng(1).integers(4, VOCABULARY, size=(2, rows, length)))
    batch = Batch(ids[0], torch.ones_like(ids[0], dtype=torch.bool), ids[1], ids[1], torch.arange(rows))
    times: list[float] = []
    while len(times) < 4 or sum(times[1:]) < options.seconds:
        begun = time.perf_counter()
        train_step(state, [batch])
        times.append(time.perf_counter() - begun)
    return batch.tokens / statistics.median(times[1:])


# --- recall ------------------------------------------------------------------------------------------------------


def recall(options: argparse.Namespace, figures: Figures) -> None:
    """Every system, place and seed: an equal number of updates, or equal time, then questions at each distance."""
    minutes = options.recall_minutes
    budget = Budget(seconds=60 * minutes) if minutes else Budget(updates=options.updates)
    settings = {
        name: getattr(options, name) for name in ("preset", "distances", "beyond", "items", "recall_tokens", "threads", "device")
    }
    settings |= {"budget": asdict(budget), "pairs": task.PAIRS, "rates": RECALL_RATES}
    for seed, place, system in itertools.product(options.seeds, options.places, [*options.positions, LSTM]):
        measure = partial(recall_one, options, system, place, seed, budget)
        found = figures.once("recall", f"{place} {system} {seed}", settings, measure)
        shown = ", ".join(f"{distance}: {100 * right / options.items:.1f}" for distance, right in found["right"].items())
        print(f"  {found['updates']} updates, {found['seconds']:.0f} s; % right at {shown}", flush=True)


def recall_one(options: argparse.Namespace, system: str, place: task.Place, seed: int, budget: Budget) -> dict[str, Any]:
    config = configuration(
        options,
        model__dropout=0,
        training__seed=seed,
        training__updates=budget.updates or 10**9,
        training__warmup_updates=min(100, (budget.updates or 1000) // 10),
        training__optimizer="adamw",
        training__learning_rate=RECALL_RATES.get(system, RECALL_RATES["transformer"]),
        training__label_smoothing=0,
        training__averaging="none",
    )
    state = start(build(system, config, task.VOCABULARY), config)
    chance = np.random.default_rng(seed)

    def texts(distance: int, tokens: int) -> int:
        return max(4, tokens // task.length(distance))

    def batches() -> Iterator[Batch]:
        while True:
            distance = int(chance.choice(options.distances))
            yield task.questions(distance, texts(distance, options.recall_tokens), place, chance, task.PAIRS)

    seconds = learn(state, batches(), budget, lambda seconds: print(f"  {seconds:.0f} s", flush=True))
    state.model.eval()
    right = {}
    for distance in [*options.distances, *options.beyond]:
        test, left, right[distance] = np.random.default_rng([distance, 12345]), options.items, 0
        while left:
            batch = task.questions(distance, min(left, texts(distance, 16_384)), place, test)
            right[distance] += task.right_answers(state.model, batch.to(state.world.device))
            left -= len(batch.indices)
    return {"right": right, "updates": state.update, "seconds": seconds, "parameters": state.model.parameter_count()}


PARTS = {"speed": speed, "recall": recall, "multi30k": multi30k}


def main() -> None:
    options = parse()
    end_on_sigterm()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    figures = Figures(options.out.with_suffix(".json"))
    try:
        for part in options.parts:
            PARTS[part](options, figures)
    except HeadwayError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    recurrent_page.write(figures.parts, options.out)


if __name__ == "__main__":
    main()
