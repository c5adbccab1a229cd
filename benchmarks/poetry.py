"""What a language model of Tang poems has learned of their form: how many of the poems that it writes are regular.

    python benchmarks/poetry.py runs/tang_poetry --data DIRECTORY_OF_TANG_POETRY --poems 500 --page docs/tang_poems.md

A poem is regular if its clauses, parted by punctuation and line breaks, all have five characters or all have seven, and are
even in number. Beside that stand how many of the real test poems are regular, and how many written clauses stand letter by
letter in the training poems, for a model could keep the form by reciting. The page shows the first poems, whatever they are.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path

import headway
from headway.evaluation.intervals import bootstrap_interval
from headway.evaluation.label_scores import measurement_of

SHOWN = 12
_BETWEEN_CLAUSES = re.compile(r"[^\u3400-\u9fff\U00020000-\U0003ffff]+")


def clauses(poem: str) -> list[str]:
    return [clause for clause in _BETWEEN_CLAUSES.split(poem) if clause]


def is_regular(poem: str) -> bool:
    """Whether all clauses have five characters, or all have seven, and there are pairs of them."""
    lengths = [len(clause) for clause in clauses(poem)]
    return bool(lengths) and len(set(lengths)) == 1 and lengths[0] in (5, 7) and len(lengths) % 2 == 0


def share_regular(poems: Sequence[str]) -> str:
    """The share in per cent with its 95 % interval."""
    import numpy as np

    found = measurement_of("regular", "regular", "share of poems", np.array([[is_regular(poem), 1] for poem in poems]), "share")
    interval = bootstrap_interval(found.statistics, found.score_function)
    return f"{found.score:.1f} % ({interval.low:.1f}–{interval.high:.1f}) of {len(poems):,}"


def read_poems(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def page(poems: Sequence[str], figures: dict[str, str], command: str) -> str:
    """The figures and the first poems, as Markdown."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in figures.items())
    shown = "\n\n".join(f"{number}. " + "  \n   ".join(poem.split("\n")) for number, poem in enumerate(poems[:SHOWN], 1))
    return f"""\
# Poems that a small model wrote

No person wrote these lines and none chose them: they are the first {SHOWN} of the sample that the command below draws.

    {command}

| | |
|---|---|
{rows}

{shown}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run of examples/tang_poetry.yaml")
    parser.add_argument("--data", type=Path, required=True, help="the directory with train.jsonl.gz and test.jsonl.gz")
    parser.add_argument("--poems", type=int, default=500)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page", type=Path, help="a Markdown file for the figures and the first poems")
    arguments = parser.parse_args()
    model = headway.load(arguments.run, method="sample", temperature=arguments.temperature, seed=arguments.seed)
    start = time.perf_counter()
    poems = model.predict([""] * arguments.poems)
    seconds = time.perf_counter() - start
    known = {clause for poem in read_poems(arguments.data / "train.jsonl.gz") for clause in clauses(poem)}
    written = [clause for poem in poems for clause in clauses(poem)]
    recited = sum(clause in known for clause in written)
    figures = {
        f"regular poems, temperature {arguments.temperature:g}, seed {arguments.seed}": share_regular(poems),
        "regular among the real test poems": share_regular(read_poems(arguments.data / "test.jsonl.gz")),
        "clauses that stand in the training poems": f"{100 * recited / max(len(written), 1):.1f} % of {len(written):,}",
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    print(f"{arguments.poems / seconds:.1f} poems/s")
    if arguments.page:
        options = f"--poems {arguments.poems} --temperature {arguments.temperature:g} --seed {arguments.seed}"
        command = f"python benchmarks/poetry.py {arguments.run} --data data/tang_poetry {options}"
        arguments.page.write_text(page(poems, figures, command), encoding="utf-8")


if __name__ == "__main__":
    main()
