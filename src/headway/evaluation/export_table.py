"""What an export's comparison tells, for people."""

from __future__ import annotations

from pathlib import Path

from headway.evaluation.distributions import wilson
from headway.evaluation.export_parity import Asked, Parity
from headway.inference.engines import read_parity
from headway.interop.exported import read_exported

MIB = 1 << 20


def exported_table(directory: Path) -> str:
    """What a directory that was written for another engine holds, and how it compared. Raises ModelError."""
    exported = read_exported(directory)
    size = sum(file.stat().st_size for file in directory.iterdir() if file.is_file())
    source, target = exported.tokenizers.source.vocabulary_size, exported.tokenizers.target.vocabulary_size
    rows = [
        ("written for", exported.engine),
        ("quantization", exported.quantization or "none"),
        ("task", exported.config.task),
        ("vocabulary", f"{source:,}" if source == target else f"{source:,} read, {target:,} written"),
        ("files, MiB", f"{size / MIB:,.1f}"),
        ("made from", exported.fingerprint[:16] or "not known"),
        ("compared", _compared(directory)),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}   {value}" for name, value in rows)


def _compared(directory: Path) -> str:
    told = read_parity(directory)
    if told is None:
        return "no: headway export does so where lines are at hand"
    verdict = {True: "passed", False: "NOT THE SAME MODEL", None: "not judged"}[told.get("passed")]
    return f"{verdict}: {100 * told['identical']:.1f} % of {told['lines']:,} lines alike"


def export_table(parity: Parity) -> str:
    """A table as text: both models on the same lines, and whether they are the same."""
    rows = [("", "Headway", "exported")]
    for name, show in (
        (parity.score_label, _score),
        ("lines a second", lambda one: f"{len(one.answers) / max(one.seconds, 1e-9):,.1f}"),
        ("seconds until ready", lambda one: f"{one.load_seconds:.1f}"),
        ("memory, MiB", lambda one: f"{one.peak / MIB:,.0f}"),
        ("files, MiB", lambda one: f"{one.size / MIB:,.1f}"),
    ):
        if name:
            rows.append((name, show(parity.own), show(parity.theirs)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"  {a:<{widths[0]}}   {b:>{widths[1]}}   {c:>{widths[2]}}" for a, b, c in rows]
    return "\n".join([_verdict(parity), *lines])


def _verdict(parity: Parity) -> str:
    low, high = wilson(parity.identical, parity.lines, 0.95)
    same = round(parity.identical * parity.lines)
    what = "vectors that point the same way" if parity.worst_cosine is not None else "greedy outputs that are the same"
    found = f"{what}: {same:,} of {parity.lines:,} ({100 * low:.1f}–{100 * high:.1f} %)"
    if parity.worst_cosine is not None:
        found += f", the least cosine {parity.worst_cosine:.6f}"
    if parity.passed is None:
        return f"{found}; whether that is as good nothing tells: there is no score of such answers"
    return found if parity.passed else f"NOT THE SAME MODEL: {found}; the directory is marked so"


def _score(one: Asked) -> str:
    return "" if one.score is None else f"{one.score.score:.2f} ({one.score.low:.2f}–{one.score.high:.2f})"
