"""Two evaluations compared (is the difference noise?), and one evaluation as a web page that stands alone.

Both read what `evaluate_run` saved; nothing is translated again, and the page asks for nothing from any network.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from rich import box
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from headway.errors import DataError
from headway.evaluation import records
from headway.evaluation.analysis import visible
from headway.evaluation.intervals import PairedDifference, paired_bootstrap
from headway.evaluation.metrics import BleuTokenizer, Measurement, corpus_scores, tokenised_lowercased_bleu
from headway.evaluation.records import Evaluation, EvaluationRecord, SentenceRecord
from headway.evaluation.summary import sentence_view

SHOWN_CHANGES = 3


@dataclass(frozen=True)
class MetricComparison:
    """One metric of both runs; the difference is B − A."""

    label: str
    signature: str
    higher_is_better: bool
    test: PairedDifference

    @property
    def better(self) -> str | None:
        """``A``, ``B``, or None for equal scores."""
        if self.test.difference == 0:
            return None
        return "B" if (self.test.difference > 0) == self.higher_is_better else "A"

    def verdict(self) -> str:
        """Whether the difference is noise, in plain words."""
        if self.better is None:
            return f"{self.label}: A and B score the same."
        floor = 2 / (self.test.samples + 1)
        chance = f"p ≤ {floor:.3f}" if self.test.p_value <= floor else f"p = {self.test.p_value:.3f}"
        lead = f"{self.label}: {self.better} is better by {abs(self.test.difference):.2f}; "
        if self.test.is_noise:
            return lead + f"this may well be noise ({chance}): other test sentences could turn it round."
        return lead + f"this is hardly noise ({chance})."


@dataclass(frozen=True)
class Comparison:
    """Run B against run A on the same sentences."""

    run_a: Path
    run_b: Path
    data: str  # split and direction
    sentences: int
    same_outputs: int
    metrics: dict[str, MetricComparison]


def compare_runs(
    a: Path, b: Path, *, split: str = "test", samples: int = 1000, confidence: float = 0.95, seed: int = 12345,
    console: Console | None = None,
) -> list[Comparison]:  # fmt: skip
    """Paired bootstrap over the saved outputs of two runs; prints scores, differences and whether they are noise.

    Where a run has several directions, each that both runs have is compared.

    Raises DataError where a run has not been evaluated or the runs were scored on different sentences.
    """
    found = []
    for first, second in _pairs_of(a, b, split):
        comparison = _compare((a, b), first, second, (samples, confidence, seed))
        print_comparison(comparison, first[1], second[1], console or Console())
        found.append(comparison)
    return found


def _pairs_of(a: Path, b: Path, split: str) -> list[tuple[Evaluation, Evaluation]]:
    """What is to be set against each other. Raises DataError where nothing is."""
    first, second = records.load_all(a, split), records.load_all(b, split)
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    ours, theirs = ({_direction(one[0]): one for one in several} for several in (first, second))
    both = [(one, theirs[direction]) for direction, one in ours.items() if direction in theirs]
    if not both:
        raise DataError(
            f"{a} was evaluated on {', '.join(ours)} and {b} on {', '.join(theirs)}",
            remedy="compare runs with a common direction",
        )
    return both


def _direction(record: EvaluationRecord) -> str:
    return f"{record.source_language} → {record.target_language}"


def _compare(runs: tuple[Path, Path], first: Evaluation, second: Evaluation, bootstrap: tuple[int, float, int]) -> Comparison:
    _check_same_sentences(*runs, first[1], second[1])
    measured_a, measured_b = _measure(*first), _measure(*second)
    if not _same_paper_references(first[1], second[1]):
        measured_a.pop("paper_bleu", None)
    compared = {
        name: MetricComparison(
            one.label,
            one.signature,
            one.higher_is_better,
            paired_bootstrap(measured_b[name].statistics, one.statistics, one.score_function, *bootstrap),
        )
        for name, one in measured_a.items()
        if name in measured_b
    }
    same = sum(one.hypothesis == other.hypothesis for one, other in zip(first[1], second[1], strict=True))
    return Comparison(*runs, f"{first[0].split} set, {_direction(first[0])}", len(first[1]), same, compared)


def _measure(record: EvaluationRecord, sentences: Sequence[SentenceRecord]) -> dict[str, Measurement]:
    """Scored again from the text, so that both sides are measured by the same program."""
    tokenize: BleuTokenizer = record.bleu_tokenize
    hypotheses, references = [one.hypothesis for one in sentences], [one.reference for one in sentences]
    measured = corpus_scores(hypotheses, references, language=record.target_language, tokenize=tokenize)
    papers = [(one.paper_hypothesis, one.paper_reference) for one in sentences]
    pairs = [(hypothesis, reference) for hypothesis, reference in papers if hypothesis is not None and reference is not None]
    if len(pairs) == len(sentences):
        measured["paper_bleu"] = tokenised_lowercased_bleu([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    return measured


def _check_same_sentences(a: Path, b: Path, first: Sequence[SentenceRecord], second: Sequence[SentenceRecord]) -> None:
    remedy = "evaluate both runs on the same test set"
    if len(first) != len(second):
        raise DataError(f"{a} was scored on {len(first)} sentences and {b} on {len(second)}", remedy=remedy)
    for number, (one, other) in enumerate(zip(first, second, strict=True), start=1):
        for what in ("reference", "source"):
            if getattr(one, what) != getattr(other, what):
                raise DataError(f"{a} and {b} have different {what}s, first at sentence {number}", remedy=remedy)


def _same_paper_references(first: Sequence[SentenceRecord], second: Sequence[SentenceRecord]) -> bool:
    """Runs with other preprocessing have other tokenised references; their scores must not be set against each other."""
    return all(one.paper_reference == other.paper_reference for one, other in zip(first, second, strict=True))


def print_comparison(
    comparison: Comparison, first: Sequence[SentenceRecord], second: Sequence[SentenceRecord], console: Console
) -> None:
    """The comparison as people read it."""
    console.print(Rule(Text("A against B", style="bold")))
    for name, run in (("A", comparison.run_a), ("B", comparison.run_b)):
        console.print(Text(f"{name} = {visible(str(run))}"), soft_wrap=True)
    agreement = f"{comparison.same_outputs:,} of {comparison.sentences:,} outputs are the same"
    console.print(Text(f"{comparison.data}; {agreement}"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("score", "A", "B", "B − A", "interval", "p"):
        table.add_column(heading, justify="left" if heading == "score" else "right")
    for metric in comparison.metrics.values():
        test = metric.test
        score_a, score_b = f"{test.score_b:.2f}", f"{test.score_a:.2f}"  # the test is B − A: its own first side is B
        style = "dim" if test.is_noise else "green" if metric.better == "B" else "red"
        interval = f"{test.low:+.2f} … {test.high:+.2f}"
        change = Text(f"{test.difference:+.2f}", style=style)
        table.add_row(Text(metric.label), score_a, score_b, change, interval, f"{test.p_value:.3f}")
    console.print(table)
    for metric in comparison.metrics.values():
        console.print(Text(metric.verdict(), style="bold"), soft_wrap=True)
    test = next(iter(comparison.metrics.values())).test
    console.print(
        Text(
            f"Paired bootstrap (Koehn 2004), {test.samples:,} samples, seed {test.seed}, {100 * test.confidence:g} % intervals."
            " It weighs the choice of test sentences, not the luck of a training seed: for a claim about a method, train several"
            " seeds.",
            style="dim",
        )
    )
    _print_changes(first, second, console)


def _print_changes(first: Sequence[SentenceRecord], second: Sequence[SentenceRecord], console: Console) -> None:
    """The sentences in which the runs differ most, each way."""
    gains = [other.chrf - one.chrf for one, other in zip(first, second, strict=True)]
    order = sorted(range(len(gains)), key=lambda index: (-gains[index], index))
    better_b = [index for index in order if gains[index] > 0][:SHOWN_CHANGES]
    better_a = [index for index in reversed(order) if gains[index] < 0][:SHOWN_CHANGES]
    for heading, places in (("B better than A, by chrF", better_b), ("A better than B, by chrF", better_a)):
        if places:
            console.print(Rule(Text(heading)))
        for place in places:
            console.print(sentence_view(first[place], name="A"))
            console.print(sentence_view(second[place], name="B", only_output=True))


# --- the page ----------------------------------------------------------------------------------------------------

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1c1e; --paper: #fff; --soft: #5c6670; --line: #d8dde2; --bar: #2b6cb0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ea; --paper: #16181b; --soft: #9aa4ae; --line: #343a40; --bar: #63a4ec; }
}
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
body { color: var(--ink); background: var(--paper); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
.number { text-align: right; white-space: nowrap; }
.soft, th { color: var(--soft); font-weight: normal; font-size: .9rem; }
code { overflow-wrap: anywhere; font-size: .85rem; }
article { border: 1px solid var(--line); border-radius: .5rem; margin: .8rem 0; padding: .6rem 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .8rem; margin: 0; } dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; } .warning { border-left: .25rem solid #c77700; padding-left: .8rem; }
svg rect { fill: var(--bar); }
"""


def write_page(run: Path, name: str = "test") -> Path:
    """Writes RUN/evaluation/<name>.html from the saved evaluation; returns its path. Raises DataError, ResourceError."""
    record, sentences = records.load(run, name)
    path = records.record_path(run, name).with_suffix(".html")
    records.write_whole(path, page(record, sentences, title=f"Evaluation of {run}"))
    return path


def page(record: EvaluationRecord, sentences: Sequence[SentenceRecord], title: str) -> str:
    """The evaluation as one HTML document: no script, no request, and all text from data escaped."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    warnings = "".join(f'<p class="warning">{_text(warning)}</p>' for warning in record.warnings)
    heading = f"{record.split} set, {record.sentences:,} sentences, {record.source_language} → {record.target_language}"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="referrer" content="no-referrer">',
            f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            f'<h1>{_text(title)}</h1>\n<p class="soft">{_text(heading)}</p>',
            warnings,
            _scores_part(record),
            _lengths_part(record),
            _sentences_part("Worst sentences by chrF", [sentences[place] for place in record.worst], record),
            _sentences_part("Best sentences by chrF", [sentences[place] for place in record.best], record),
            _made_part(record),
            "</body>\n</html>\n",
        ]
    )


def _text(text: str) -> str:
    return escape(visible(text), quote=True)


def _scores_part(record: EvaluationRecord) -> str:
    interval = f"{100 * record.bootstrap['confidence']:g} % interval"
    head = f"<tr><th>score<th class=number>value<th class=number>{interval}<th>signature</tr>"
    rows = [
        f"<tr><td>{_text(score.label)}<td class=number><b>{score.score:.2f}</b>"
        f"<td class=number>{score.low:.2f} – {score.high:.2f}<td><code>{_text(score.signature)}</code></tr>"
        for score in record.scores.values()
    ]
    if record.loss is not None:
        rows.append(f"<tr><td>Loss (nats per token)<td class=number>{record.loss:.4f}<td><td></tr>")
    if record.perplexity is not None:
        rows.append(f"<tr><td>Perplexity<td class=number>{record.perplexity:.3f}<td><td></tr>")
    return f'<h2>Scores</h2>\n<div class="wide"><table>{head}\n' + "\n".join(rows) + "\n</table></div>"


def _lengths_part(record: EvaluationRecord) -> str:
    names = [name for name in record.scores if name != "paper_bleu"]
    columns = "".join(f"<th class=number>{_text(record.scores[name].label)}" for name in names)
    head = f"<tr><th class=number>words<th class=number>sentences{columns}<th class=number>length ratio<th>chrF</tr>"
    rows = []
    for group in record.by_length:
        scores = "".join(f"<td class=number>{group.scores[name]:.1f}" for name in names)
        chrf = min(max(group.scores["chrf"], 0.0), 100.0)
        rectangle = f'<rect width="{2 * chrf:.1f}" height="12"/>'
        bar = f'<svg width="200" height="12" role="img" aria-label="chrF {chrf:.1f}">{rectangle}</svg>'
        rows.append(
            f"<tr><td class=number>{_text(group.words)}<td class=number>{group.sentences:,}{scores}"
            f"<td class=number>{group.length_ratio:.2f}×<td>{bar}</tr>"
        )
    title = "<h2>Scores by length of the reference</h2>"
    return f'{title}\n<div class="wide"><table>{head}\n' + "\n".join(rows) + "\n</table></div>"


def _made_part(record: EvaluationRecord) -> str:
    """What it takes to do it again."""
    facts = {name: str(value) for name, value in record.decoding.items() if value is not None}
    facts |= {f"{name}, version": version for name, version in record.versions.items()}
    facts |= {f"fingerprint, {name}": digest[:16] for name, digest in record.fingerprints.items()}
    if seconds := record.seconds.get("translate"):
        facts["speed"] = f"{record.sentences / seconds:.1f} sentences/s, the loading of the weights included"
    rows = [f"<tr><td>{_text(name)}<td><code>{_text(value)}</code></tr>" for name, value in facts.items()]
    return '<h2>How it was made</h2>\n<div class="wide"><table>\n' + "\n".join(rows) + "\n</table></div>"


def _sentences_part(title: str, sentences: Sequence[SentenceRecord], record: EvaluationRecord) -> str:
    if not sentences:
        return ""
    source, target = _text(record.source_language), _text(record.target_language)
    articles = [
        f'<article><p class="soft">{_text(sentence.place)}: '
        f"chrF {sentence.chrf:.1f}, BLEU {sentence.bleu:.1f}, TER {sentence.ter:.1f}</p>"
        f'<dl><dt>source<dd dir="auto" lang="{source}">{_text(sentence.source)}'
        f'<dt>wanted<dd dir="auto" lang="{target}">{_text(sentence.reference)}'
        f'<dt>got<dd dir="auto" lang="{target}">{_text(sentence.hypothesis) or "<i>(empty)</i>"}</dl></article>'
        for sentence in sentences
    ]
    return f"<h2>{title}</h2>\n" + "\n".join(articles)
