"""An evaluation as a web page that stands alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from headway.evaluation import records
from headway.evaluation.outcome_record import AnswerRecord, OutcomeRecord, TableRecord, Wrong, load_outcome
from headway.evaluation.records import EvaluationRecord, ScoreRecord, SentenceRecord
from headway.pages.document import facts as facts_table
from headway.pages.document import page, table, text

SHOWN_ANSWERS = 10


def write_page(run: Path, name: str = "test") -> Path:
    """Writes RUN/evaluation/<name>.html from the saved evaluation; returns its path. Raises DataError, ResourceError."""
    title = f"Evaluation of {run}"
    if records.kind_of(run, name) == "outcome":
        record, _, answers = load_outcome(run, name)
        content = outcome_page(record, answers, title)
    else:
        content = translation_page(*records.load(run, name), title)
    path = records.record_path(run, name).with_suffix(".html")
    records.write_whole(path, content)
    return path


def translation_page(record: EvaluationRecord, sentences: Sequence[SentenceRecord], title: str) -> str:
    """The evaluation of a translator: scores, scores by length, the worst and the best sentences."""
    figures = {"Loss (nats per token)": record.loss, "Perplexity": record.perplexity}
    facts = {name: str(value) for name, value in record.decoding.items() if value is not None}
    if seconds := record.seconds.get("translate"):
        facts["speed"] = f"{record.sentences / seconds:.1f} sentences/s, the loading of the weights included"
    return _page(
        title,
        f"{record.split} set, {record.sentences:,} sentences, {record.source_language} → {record.target_language}",
        record,
        [
            _scores_part(record.scores, record.bootstrap, {name: f"{x:.4f}" for name, x in figures.items() if x is not None}),
            _lengths_part(record),
            _sentences_part("Worst sentences by chrF", [sentences[place] for place in record.worst], record),
            _sentences_part("Best sentences by chrF", [sentences[place] for place in record.best], record),
        ],
        facts,
    )


def outcome_page(record: OutcomeRecord, answers: Sequence[AnswerRecord], title: str) -> str:
    """The evaluation of any other task: scores beside those of simple methods, figures of parts, answers."""
    return _page(
        title,
        f"{record.split} set, {record.examples:,} examples, {record.task.replace('_', ' ')}",
        record,
        [
            _scores_part(record.scores, record.bootstrap, {}, record.baselines),
            *map(_table_part, record.tables),
            _wrong_part(record.wrong),
            _answers_part(answers[:: max(1, len(answers) // SHOWN_ANSWERS)][:SHOWN_ANSWERS]),
        ],
        {},
    )


def _page(
    title: str, heading: str, record: EvaluationRecord | OutcomeRecord, parts: Sequence[str], facts: Mapping[str, str]
) -> str:
    return page(title, heading, [*parts, _made_part(record, facts)], warnings=record.warnings)


def _scores_part(
    scores: Mapping[str, ScoreRecord],
    bootstrap: Mapping[str, float],
    figures: Mapping[str, str],
    baselines: Mapping[str, Mapping[str, ScoreRecord]] | None = None,
) -> str:
    interval, others = f"{100 * bootstrap['confidence']:g} % interval", baselines or {}
    columns = "".join(f'<th class="number">{text(name)}' for name in others)
    head = f"<tr><th>score<th class=number>value<th class=number>{interval}{columns}<th>signature</tr>"
    rows = []
    for name, score in scores.items():
        beside = "".join(
            f'<td class="number soft">{found[name].shown_with_interval() if name in found else "–"}' for found in others.values()
        )
        value, low, high = map(score.shown, (score.score, score.low, score.high))
        rows.append(
            f"<tr><td>{text(score.label)}<td class=number><b>{value}</b>"
            f"<td class=number>{low} – {high}{beside}<td><code>{text(score.signature)}</code></tr>"
        )
    rows += [
        f"<tr><td>{text(name)}<td class=number>{text(value)}<td>{'<td>' * len(others)}<td></tr>"
        for name, value in figures.items()
    ]
    body = f'<div class="wide"><table>{head}\n' + "\n".join(rows) + "\n</table></div>"
    return f'<h2>Scores</h2>\n{body}\n<p class="soft">{text(records.drawn_how(bootstrap))}</p>'


def _table_part(figures: TableRecord) -> str:
    return f"<h2>{text(figures.title[:1].upper() + figures.title[1:])}</h2>\n{table(figures.head, figures.rows)}"


def _lengths_part(record: EvaluationRecord) -> str:
    names = [name for name in record.scores if name != "paper_bleu"]
    columns = "".join(f"<th class=number>{text(record.scores[name].label)}" for name in names)
    head = f"<tr><th class=number>words<th class=number>sentences{columns}<th class=number>length ratio<th>chrF</tr>"
    rows = []
    for group in record.by_length:
        scores = "".join(f"<td class=number>{group.scores[name]:.1f}" for name in names)
        chrf = min(max(group.scores["chrf"], 0.0), 100.0)
        rectangle = f'<rect width="{2 * chrf:.1f}" height="12"/>'
        bar = f'<svg width="200" height="12" role="img" aria-label="chrF {chrf:.1f}">{rectangle}</svg>'
        rows.append(
            f"<tr><td class=number>{text(group.words)}<td class=number>{group.sentences:,}{scores}"
            f"<td class=number>{group.length_ratio:.2f}×<td>{bar}</tr>"
        )
    title = "<h2>Scores by length of the reference</h2>"
    return f'{title}\n<div class="wide"><table>{head}\n' + "\n".join(rows) + "\n</table></div>"


def _made_part(record: EvaluationRecord | OutcomeRecord, facts: Mapping[str, str]) -> str:
    """What it takes to do it again."""
    facts = {
        **facts,
        **{f"{name}, version": version for name, version in record.versions.items()},
        **{f"fingerprint, {name}": digest[:16] for name, digest in record.fingerprints.items()},
    }
    return f"<h2>How it was made</h2>\n{facts_table(facts)}"


def _wrong_part(wrong: Sequence[Wrong]) -> str:
    articles = [
        f'<article><p class="soft">line {one.line}</p><dl><dt>source<dd dir="auto">{text(one.source)}'
        f"<dt>problem<dd>{text(one.problem)}</dl></article>"
        for one in wrong
    ]
    return "\n".join(["<h2>Some of what was wrong</h2>", *articles]) if articles else ""


def _answers_part(answers: Sequence[AnswerRecord]) -> str:
    """Answers as they come, whatever they are worth."""
    articles = [
        f'<article><p class="soft">{text(one.place)}</p><dl><dt>source<dd dir="auto">{text(one.source)}'
        f'<dt>wanted<dd dir="auto">{_or_empty(one.reference)}<dt>got<dd dir="auto">{_or_empty(one.answer)}</dl></article>'
        for one in answers
    ]
    return "\n".join(["<h2>Answers from all over the set</h2>", *articles]) if articles else ""


def _or_empty(raw: str) -> str:
    return text(raw) or "<i>(empty)</i>"


def _sentences_part(title: str, sentences: Sequence[SentenceRecord], record: EvaluationRecord) -> str:
    if not sentences:
        return ""
    source, target = text(record.source_language), text(record.target_language)
    articles = [
        f'<article><p class="soft">{text(sentence.place)}: '
        f"chrF {sentence.chrf:.1f}, BLEU {sentence.bleu:.1f}, TER {sentence.ter:.1f}</p>"
        f'<dl><dt>source<dd dir="auto" lang="{source}">{text(sentence.source)}'
        f'<dt>wanted<dd dir="auto" lang="{target}">{text(sentence.reference)}'
        f'<dt>got<dd dir="auto" lang="{target}">{_or_empty(sentence.hypothesis)}</dl></article>'
        for sentence in sentences
    ]
    return f"<h2>{title}</h2>\n" + "\n".join(articles)
