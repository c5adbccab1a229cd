"""What the finders found, as pages that stand alone."""

from __future__ import annotations

from pathlib import Path

from headway.evaluation.records import write_whole
from headway.pages.charts import Series, line_chart
from headway.pages.document import page, table, text
from headway.tuning.batch_size import LargestBatch, Tried
from headway.tuning.range_test import RangeTest

HEAD = ("batch_tokens", "memory, MiB", "seconds an update", "target tokens/s", "")


def write_range_test(found: RangeTest, path: Path, run: str) -> Path:
    """The loss at each rate; returns the path. Raises ResourceError."""
    low, high = found.space
    told = f"Suggested: learning_rate: {found.suggested:g}. For a search: learning_rate: {{log: [{low:g}, {high:g}]}}"
    at = min(range(len(found.rates)), key=lambda place: abs(found.rates[place] - found.suggested))
    series = [
        Series("each update", found.rates, found.losses, joined=False),
        Series("smoothed", found.rates, found.smoothed),
        Series("suggested", [found.rates[at]], [found.smoothed[at]]),
    ]
    chart = line_chart("Loss as the rate rises", series, "learning rate", "nats of a target", log_x=True)
    why = "The rate rises by the same factor at each update. Suggested is where the smoothed loss falls fastest (Smith 2017)."
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [f"<p>{text(told)}</p>", chart, f"<p class=soft>{why}</p>"]
    write_whole(path, page(f"Learning rate of {run}", f"{len(found.rates)} updates", parts))
    return path


def write_largest_batch(found: LargestBatch, path: Path, run: str) -> Path:
    """What each size took; returns the path. Raises ResourceError."""
    fitting = [one for one in found.tried if one.fits]
    told = f"Largest that fits: batch_tokens: {found.best.batch_tokens}; {found.reason}."
    sizes = [float(one.batch_tokens) for one in fitting]
    charts = [
        line_chart("Memory", [Series("peak", sizes, [one.peak / 2**20 for one in fitting])], "batch_tokens", "MiB", points=True),
        line_chart(
            "Speed", [Series("speed", sizes, [one.tokens / one.seconds for one in fitting])], "batch_tokens", "target tokens/s",
            points=True,
        ),
    ]  # fmt: skip
    parts = [f"<p>{text(told)}</p>", table(HEAD, [row(one) for one in found.tried], texts=0), *charts]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page(f"Batches of {run}", "the longest rows of the corpus, two updates each", parts))
    return path


def row(one: Tried) -> tuple[str, ...]:
    """Of a table of sizes."""
    if not one.fits:
        return f"{one.batch_tokens:,}", f"{one.peak / 2**20:,.0f}" if one.peak else "–", "", "", "does not fit"
    return f"{one.batch_tokens:,}", f"{one.peak / 2**20:,.0f}", f"{one.seconds:.2f}", f"{one.tokens / one.seconds:,.0f}", ""
