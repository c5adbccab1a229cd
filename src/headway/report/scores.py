"""The scores of an evaluation with their intervals, beside those of simple methods."""

from __future__ import annotations

from collections.abc import Mapping

from headway.evaluation.outcome_record import OutcomeRecord
from headway.evaluation.records import EvaluationRecord, ScoreRecord, drawn_how
from headway.pages.document import text


def scores_part(record: EvaluationRecord | OutcomeRecord) -> str:
    """A table with a line for each score."""
    others: Mapping[str, Mapping[str, ScoreRecord]] = {} if isinstance(record, EvaluationRecord) else record.baselines
    interval = f"{100 * record.bootstrap['confidence']:g} % interval"
    columns = "".join(f'<th class="number">{text(name)}' for name in others)
    head = f"<tr><th>score<th class=number>value<th class=number>{interval}{columns}<th>signature</tr>"
    rows = []
    for name, score in record.scores.items():
        beside = "".join(
            f'<td class="number soft">{found[name].shown_with_interval() if name in found else "–"}' for found in others.values()
        )
        value, low, high = map(score.shown, (score.score, score.low, score.high))
        rows.append(
            f"<tr><td>{text(score.label)}<td class=number><b>{value}</b>"
            f"<td class=number>{low} – {high}{beside}<td><code>{text(score.signature)}</code></tr>"
        )
    if isinstance(record, EvaluationRecord):
        figures = {"loss (nats a token)": record.loss, "perplexity": record.perplexity}
        rows += [
            f"<tr><td>{name}<td class=number>{value:.4f}<td><td></tr>" for name, value in figures.items() if value is not None
        ]
    return (
        f'<div class="wide"><table>{head}\n'
        + "\n".join(rows)
        + f"\n</table></div>\n<p class=soft>{text(drawn_how(record.bootstrap, record.format_version))}</p>"
    )
