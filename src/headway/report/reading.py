"""Examples to read: the worst, the best and the most uncertain, and a table of all of them to search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headway.evaluation.analysis import worst_and_best
from headway.evaluation.evaluated import Evaluated
from headway.evaluation.metrics import Measurement
from headway.pages.charts import number
from headway.pages.document import data_block, text
from headway.report.examples import Example
from headway.report.explained import Explanations
from headway.report.thumbnails import Thumbnails
from headway.report.training_text import WRITTEN
from headway.visible import visible

MOST_EXAMPLES = 1000  # in the table
MOST_LABELS = 60  # that the table can be filtered by
SHOWN = 5  # of the worst, of the best, of the most uncertain
MOST_CHARACTERS = 2000  # of a text


def chosen(evaluated: Evaluated, examples: Sequence[Example]) -> dict[str, list[Example]]:
    """The worst, the best and the most uncertain, by what they are called; none where no score tells."""
    quality = _quality(evaluated)
    if quality is None:
        return {}
    lengths = [len(one.sides[-2:][0][1]) for one in examples]  # of what was wanted: where there is more of it, more is told
    worst, best = worst_and_best(quality, lengths, SHOWN, confidence=[one.confidence or 0.0 for one in examples])
    known = [place for place, one in enumerate(examples) if one.confidence is not None]
    uncertain = sorted(known, key=lambda place: (examples[place].confidence, place))[:SHOWN]
    found = {f"The worst, by {quality.label}": worst, f"The best, by {quality.label}": best, "The most uncertain": uncertain}
    return {title: [examples[place] for place in places] for title, places in found.items() if places}


def chosen_part(evaluated: Evaluated, examples: Sequence[Example], explanations: Explanations, thumbnails: Thumbnails) -> str:
    """Those that are chosen, each with its explanation, or the command that makes it."""
    quality = _quality(evaluated)
    return "\n".join(
        f"<h3>{text(title)}</h3>\n" + "\n".join(_article(one, quality, explanations, thumbnails) for one in some)
        for title, some in chosen(evaluated, examples).items()
        if quality is not None
    )


def _quality(evaluated: Evaluated) -> Measurement | None:
    return evaluated.of_one_example() if evaluated.answers else evaluated.measurements.get("loss")


def _article(one: Example, quality: Measurement, explanations: Explanations, thumbnails: Thumbnails) -> str:
    figures = [f"{quality.label} {number(one.score)}"] if one.score is not None else []
    figures += [f"confidence {one.confidence:.3f}"] if one.confidence is not None else []
    sides = "".join(
        f'<dt>{name}<dd dir="auto" lang="{text(language)}">{_lines(raw) or "<i>(empty)</i>"}' for name, raw, language in one.sides
    )
    if link := explanations.link(one):
        way = f'<p><a href="{text(link)}">why: the explanation of {text(one.place)}</a></p>'
    else:
        command = one.command(explanations.run)
        way = f'<p class="command"><code>{text(command)}</code></p>' if command else ""
    heading = text(f"{one.place}: {', '.join([*figures, *one.marks])}")
    picture = f'<img class=thumbnail alt="" src="{shown}">' if (shown := thumbnails.of(one.asked)) else ""
    return f'<article>{picture}<p class="soft">{heading}</p><dl>{sides}</dl>{way}</article>'


def _lines(raw: str) -> str:
    """As HTML."""
    return "\n".join(map(text, _shown(raw).split("\n"))) if raw.strip() else ""


def _shown(raw: str) -> str:
    """Not too long, line breaks as such, and other control characters as their codes."""
    short = raw[:MOST_CHARACTERS] + (" …" if len(raw) > MOST_CHARACTERS else "")
    return "\n".join(map(visible, short.expandtabs(4).split("\n")))


def table_part(tables: Sequence[tuple[Evaluated, Sequence[Example], Explanations]], thumbnails: Thumbnails) -> str:
    """At most `MOST_EXAMPLES`, which examples.js draws, searches, filters and sorts."""
    every = [(evaluated, one, explanations) for evaluated, examples, explanations in tables for one in examples]
    if not every:
        return ""
    step = -(-len(every) // MOST_EXAMPLES)
    some, first = every[::step], every[0][0]
    note = f"{len(some):,} of {len(every):,} examples, one in {step}" if step > 1 else f"All {len(every):,} examples"
    if compares := first.task in WRITTEN:
        note += "; words of an answer that are not wanted, and wanted ones that it lacks, are underlined"
    quality = _quality(first)
    labels = sorted({one.reference for one in first.answers}) if "classification" in first.task else []
    block = {
        "score": quality.label if quality else "",
        "compares": compares,
        "judged": bool(first.answers) and not compares and quality is not None and quality.formula in ("share", "f1"),
        "labels": labels if len(labels) <= MOST_LABELS else [],
        "rows": [_row(one, evaluated.name if len(tables) > 1 else "", known, thumbnails) for evaluated, one, known in some],
    }
    return f'<p class=soft>{note}.</p><div id="examples"></div>{data_block("examples-data", block)}'


def _row(one: Example, name: str, explanations: Explanations, thumbnails: Thumbnails) -> dict[str, Any]:
    """As examples.js reads it.

    Args:
        name: of its evaluation, where there are several.
    """
    return {
        "place": f"{name}, {one.place}" if name else one.place,
        "sides": [[side, _shown(raw), language] for side, raw, language in one.sides],
        "score": round(one.score, 4) if one.score is not None else None,
        "confidence": round(one.confidence, 4) if one.confidence is not None else None,
        "marks": one.marks,
        "command": one.command(explanations.run),
        "explanation": explanations.link(one),
        **({"picture": shown} if (shown := thumbnails.of(one.asked)) else {}),
    }
