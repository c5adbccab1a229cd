"""What the decoding scripts share: their options, and the timing of each way to translate. Needs no package."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

Translate = Callable[[list[str]], list[str]]


def options(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--sentences", type=Path, required=True, help="raw text, a sentence a line")
    parser.add_argument("--pairs", type=Path, required=True, help="JSON: [source pieces, target pieces] to score, as a check")
    parser.add_argument("--out", type=Path, required=True, help="directory for the translations and result.json")
    parser.add_argument("--modes", nargs="*", default=[])
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--single", type=int, default=100, help="sentences that the one-at-a-time modes translate")
    return parser.parse_args()


def time_modes(asked: argparse.Namespace, modes: dict[str, Callable[[], Translate]]) -> dict[str, dict[str, float]]:
    """Loads, warms up and times each mode, text in, text out; writes `<mode>.txt`."""
    sentences = asked.sentences.read_text("utf-8").split("\n")[:-1]
    asked.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for mode in asked.modes:
        translate = modes[mode]()
        chosen = sentences[: asked.single] if mode.startswith("single") else sentences
        translate(chosen[: 4 * asked.batch if not mode.startswith("single") else 10])
        start = time.perf_counter()
        translations = translate(chosen)
        seconds = time.perf_counter() - start
        (asked.out / f"{mode}.txt").write_text("".join(line + "\n" for line in translations), "utf-8")
        results[mode] = {"sentences": len(chosen), "seconds": seconds}
        print(f"{mode}: {len(chosen) / seconds:.1f} sentences/s", flush=True)
    return results


def finish(asked: argparse.Namespace, results: dict[str, dict[str, float]], scores: list[float]) -> None:
    (asked.out / "result.json").write_text(json.dumps({"modes": results, "scores": scores}), "utf-8")


def batches(items: list, size: int) -> list[list]:
    return [items[start : start + size] for start in range(0, len(items), size)]
