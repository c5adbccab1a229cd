"""An evaluation as people read it in a terminal: scores with intervals, scores by length, the worst and the best sentences."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from headway.evaluation.records import DirectionsRecord, EvaluationRecord, SentenceRecord, drawn_how
from headway.visible import visible

SHOWN_CHARACTERS = 400
BAR_CELLS = 20


def print_summary(record: EvaluationRecord, sentences: Sequence[SentenceRecord], console: Console, title: str) -> None:
    """Prints everything; what comes from data is shown as text and never as markup or as control characters."""
    languages = f"{record.source_language} → {record.target_language}"
    console.print(Rule(Text(visible(title), style="bold")))
    console.print(Text(f"{record.split} set: {record.sentences:,} sentences, {languages}; {_decoding(record)}"))
    console.print(score_table(record))
    for score in record.scores.values():
        # soft_wrap: a signature that is copied must be in one piece
        console.print(Text(f"  {score.label}: {score.signature}", style="dim"), soft_wrap=True)
    console.print(Text(_loss(record)))
    for warning in record.warnings:
        console.print(Text(f"Warning: {warning}", style="yellow"), soft_wrap=True)
    if record.sentences > 1:
        console.print(length_table(record))
    for heading, places in (("Worst sentences by chrF", record.worst), ("Best sentences by chrF", record.best)):
        if places:
            console.print(Rule(Text(heading)))
            console.print(Group(*(sentence_view(sentences[place]) for place in places)))


def score_table(record: EvaluationRecord) -> Table:
    """Label, score and interval of each metric."""
    confidence = f"{100 * record.bootstrap['confidence']:g} % interval"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("score")
    table.add_column("", justify="right")
    table.add_column(confidence, justify="right")
    table.add_column("")
    for score in record.scores.values():
        better = "higher is better" if score.higher_is_better else "lower is better"
        interval = Text(f"{score.low:.2f} – {score.high:.2f}", style="cyan")
        table.add_row(Text(score.label), Text(f"{score.score:.2f}", style="bold"), interval, Text(better, style="dim"))
    table.caption = Text(drawn_how(record.bootstrap, record.format_version), style="dim")
    return table


def directions_table(each: Sequence[EvaluationRecord], whole: DirectionsRecord) -> Table:
    """BLEU and chrF of each direction with their intervals, and their means."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text("Every direction", style="bold"), title_justify="left")
    table.add_column("")
    for heading in ("sentences", *(each[0].scores[name].label for name in whole.mean)):
        table.add_column(heading, justify="right")
    for record in each:
        scores = [record.scores[name] for name in whole.mean]
        shown = [Text.assemble((f"{one.score:.2f}", "bold"), (f" ({one.low:.2f} – {one.high:.2f})", "cyan")) for one in scores]
        table.add_row(f"{record.source_language} → {record.target_language}", f"{record.sentences:,}", *shown)
    table.add_row("mean", "", *(f"{score:.2f}" for score in whole.mean.values()))
    return table


def length_table(record: EvaluationRecord) -> Table:
    """Scores of each group of lengths."""
    names = [name for name in record.scores if name != "paper_bleu"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text("Scores by length of the reference", style="bold"))
    table.add_column("words", justify="right")
    table.add_column("sentences", justify="right")
    for name in names:
        table.add_column(record.scores[name].label, justify="right")
    table.add_column("length", justify="right")
    table.add_column("chrF", no_wrap=True)
    for group in record.by_length:
        bar = "█" * round(BAR_CELLS * min(group.scores.get("chrf", 0.0), 100) / 100)
        scores = [f"{group.scores[name]:.1f}" for name in names]
        table.add_row(group.words, f"{group.sentences:,}", *scores, f"{group.length_ratio:.2f}×", Text(bar, style="cyan"))
    return table


def sentence_view(sentence: SentenceRecord) -> Padding:
    """Source, reference and output of one sentence, below each other."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", justify="right", width=6)
    grid.add_column(overflow="fold")
    chance = "" if sentence.log_probability is None else f", log-probability {sentence.log_probability:.1f}"
    scores = f"chrF {sentence.chrf:.1f}, BLEU {sentence.bleu:.1f}, TER {sentence.ter:.1f}{chance}"
    parts = {"source": sentence.source, "wanted": sentence.reference, "got": sentence.hypothesis}
    for name, text in parts.items():
        grid.add_row(Text(name), shown_text(text))
    grid.add_row(Text(""), Text(f"{visible(sentence.place)}: {scores}", style="dim"))
    return Padding(grid, (0, 0, 1, 0))


def shown_text(text: str) -> Text:
    """Text from data, safe for a terminal and not too long."""
    if not text.strip():
        return Text("(empty)", style="dim italic")
    return Text(visible(text[:SHOWN_CHARACTERS]) + (" …" if len(text) > SHOWN_CHARACTERS else ""))


def _decoding(record: EvaluationRecord) -> str:
    method = str(record.decoding.get("method", ""))
    how = f"beam {record.decoding.get('beam_size')}" if method == "beam" else method
    seconds = record.seconds.get("translate", 0.0)
    return f"{how}, {seconds:.1f} s ({record.sentences / seconds:,.1f} sentences/s)" if seconds else how


def _loss(record: EvaluationRecord) -> str:
    if record.loss is None:
        return "Loss and perplexity: not computed"
    perplexity = "more than a float holds" if record.perplexity is None else f"{record.perplexity:.3f}"
    return f"Loss {record.loss:.4f} nats per target token, perplexity {perplexity} ({record.loss_tokens:,} tokens)"
