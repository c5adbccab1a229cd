"""A run and one of its data sets in; scores with intervals, hypotheses and an error analysis out, printed and written to disk.

The text goes the way of `predict` and the loss is the function of training, so that training, evaluation and use agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console

from headway.config import Config, Direction, Split, TrainingConfig
from headway.data.preprocessing import Preprocessor
from headway.data.readers import Pair
from headway.errors import DataError
from headway.evaluation import records
from headway.evaluation.analysis import by_length, oddities, worst_and_best
from headway.evaluation.metrics import (
    Looks,
    Measurement,
    bleu_tokenizer,
    corpus_scores,
    look_at,
    perplexity,
    tokenised_lowercased_bleu,
)
from headway.evaluation.outcome import OutcomeResult, evaluate_outcome
from headway.evaluation.records import DirectionsRecord, EvaluationRecord, LengthRecord, SentenceRecord
from headway.evaluation.request import Request, finite, open_request, with_interval
from headway.evaluation.summary import directions_table, print_summary
from headway.languages import writes_spaces
from headway.tasks import TASKS

if TYPE_CHECKING:
    from headway.model_dir import LoadedModel

PIECE_LINES = 256


class Translated(NamedTuple):
    """An output: as people read it, as the model's preprocessed text, and its log-probability under the model."""

    text: str
    preprocessed: str
    log_probability: float | None
    source_cut: bool = False  # the source was longer than the model reads


Translate = Callable[[Sequence[str]], Iterator[Translated]]  # one output for each source, in order


@dataclass(frozen=True)
class Scores:
    """The scores of one list of hypotheses and what is odd about it."""

    measurements: dict[str, Measurement]
    looks: Looks

    def __getitem__(self, name: str) -> float:
        return self.measurements[name].score


class ReferenceLoss(NamedTuple):
    """Mean negative log-likelihood of a reference token, end-of-sentence included, in nats; `cut` pairs were too long for it."""

    loss: float | None
    tokens: int
    cut: int


@dataclass(frozen=True)
class EvaluationResult:
    """What was found, and where it was written."""

    record: EvaluationRecord
    sentences: list[SentenceRecord]
    files: list[Path]

    @property
    def scores(self) -> dict[str, float]:
        """bleu, chrf, ter and, where the language has one, paper_bleu."""
        return {name: score.score for name, score in self.record.scores.items()}


@dataclass(frozen=True)
class DirectionsResult:
    """What was found of each direction."""

    record: DirectionsRecord
    results: list[EvaluationResult]
    files: list[Path]

    @property
    def scores(self) -> dict[str, float]:
        """Means over the directions."""
        return self.record.mean


def score_translations(
    hypotheses: Sequence[str],
    references: Sequence[str],
    config: Config,
    *,
    names: Sequence[str] = ("bleu", "chrf"),
    paper_texts: tuple[Sequence[str], Sequence[str]] | None = None,
) -> Scores:
    """Scores detokenised text against raw references; with `paper_texts` (both sides tokenised) also the BLEU of papers.

    Raises DataError where the counts differ or there is nothing to score.
    """
    tokenize = config.evaluation.bleu_tokenize
    measured = corpus_scores(hypotheses, references, language=config.data.target_language, tokenize=tokenize, names=names)
    if paper_texts is not None:
        measured["paper_bleu"] = tokenised_lowercased_bleu(*paper_texts)
    return Scores(measured, look_at(hypotheses, references))


def paper_texts(
    hypotheses: Sequence[str], outputs: Sequence[str], references: Sequence[str], config: Config
) -> tuple[list[str], list[str]] | None:
    """Tokenised hypotheses and references for comparison with papers, or None where the language or the machine has no Moses.

    Where the run's own preprocessing tokenises, these are the model's outputs before undoing it and the references after
    the same steps; else both sides are lower-cased, punctuation-normalised and tokenised here.
    """
    language = config.data.target_language
    if "moses_tokenize" in config.data.preprocessing:
        steps = Preprocessor(config.data.preprocessing, language)
        return list(outputs), [steps.apply(reference) for reference in references]
    if not writes_spaces(language) or find_spec("sacremoses") is None:
        return None
    steps = Preprocessor(("lowercase", "moses_punctuation", "moses_tokenize"), language)
    return [steps.apply(hypothesis) for hypothesis in hypotheses], [steps.apply(reference) for reference in references]


def evaluate_run(
    run: Path, overrides: Sequence[str] = (), console: Console | None = None, split: Split = "test"
) -> EvaluationResult | DirectionsResult | OutcomeResult:
    """Answers and scores one of the run's data sets, writes RUN/evaluation/<split>.* and prints a summary.

    Of a model of several directions each is evaluated by itself and written to <split>.<source>.<target>.*.

    Args:
        run: a run directory or a model directory.
        overrides: dotted settings such as ``decoding.beam_size=1`` or ``data.test.source=other.en``.
        console: where the summary goes; standard output by default. Progress goes to standard error.

    Raises:
        UsageError: an override that a trained model does not leave open, or a split that is not configured.
        DataError, ModelError, ResourceError: the data, the model or the disk.
    """
    request = open_request(run, overrides, split)
    output = console or Console()
    if request.config.task != "translation":
        return evaluate_outcome(request, output)
    requests = request.by_direction()
    if len(requests) == 1 and len(request.loaded.config.data.directions) == 1:
        return _evaluate(requests[0], output, split)
    names = {one.parts[0].direction: ".".join((split, *one.parts[0].direction)) for one in requests}
    results = [_evaluate(one, output, name) for one, name in zip(requests, names.values(), strict=True)]
    each = [result.scores for result in results]
    record = DirectionsRecord(
        split=split,
        directions={str(direction): name for direction, name in names.items()},
        mean={name: fmean(scores[name] for scores in each) for name in ("bleu", "chrf")},
    )
    path = records.record_path(run, split)
    records.write_record(path, record)
    output.print(directions_table([result.record for result in results], record))
    output.print(f"Written: {path}", soft_wrap=True, markup=False, highlight=False)
    return DirectionsResult(record, results, [*(file for result in results for file in result.files), path])


def _evaluate(request: Request, output: Console, name: str) -> EvaluationResult:
    """Of the examples of one direction."""
    loaded, config, pairs, clock = request.loaded, request.config, request.examples, request.clock
    with clock.measure("load"):
        translate = open_translator(loaded, config)
    with clock.measure("translate"):
        translated = _translate_all(translate, [pair.source for pair in pairs])
    with clock.measure("loss"):
        loss = reference_loss(loaded, pairs, request.parts[0].direction)
    with clock.measure("score"):
        record, sentences = analyse(pairs, translated, loss, config, request.split)
    made_of = request.made_of()
    merged = {"fingerprints": record.fingerprints | made_of["fingerprints"], "warnings": made_of["warnings"] + record.warnings}
    record, sentences = record.model_copy(update=made_of | merged), request.placed(sentences)
    files = records.save(request.run, record, sentences, name)
    print_summary(record, sentences, output, title=f"Evaluation of {request.run}")
    output.print(f"Written: {', '.join(str(file) for file in files)}", soft_wrap=True, markup=False, highlight=False)
    return EvaluationResult(record, sentences, files)


def open_translator(loaded: LoadedModel, config: Config) -> Translate:
    """The predictor of `headway predict`, with the decoding options of the evaluation."""
    from headway.inference.predictor import Predictor

    predictor = Predictor(loaded.directory, **config.decoding.model_dump())
    predictor = predictor.towards(config.data.target_language, config.data.source_language)

    def translate(sources: Sequence[str]) -> Iterator[Translated]:
        # smaller pieces than `predict` takes, so that progress moves; what a line gives does not depend on its piece
        for found in predictor.translate_detailed(sources, piece_lines=PIECE_LINES):
            yield Translated(found.text, found.preprocessed, found.log_probability, found.cut)

    return translate


def reference_loss(loaded: LoadedModel, pairs: Sequence[Pair], direction: Direction) -> ReferenceLoss:
    """The loss of the references under the model, by the function that training validates with."""
    from headway.training.parallel import choose_device
    from headway.training.validation import negative_log_likelihood

    config = loaded.config.in_direction(direction)
    preparation = TASKS[config.task].preparation(loaded.tokenizers, config)
    rows = preparation.rows_of_all(pairs)
    loaded.model.to(choose_device(TrainingConfig()))  # that of this machine, whatever it was trained on
    found = negative_log_likelihood(loaded.model, rows, preparation, config)
    return ReferenceLoss(finite(found.nats / max(found.tokens, 1)), found.tokens, rows.cut)


def analyse(
    pairs: Sequence[Pair], translated: Sequence[Translated], loss: ReferenceLoss, config: Config, split: str
) -> tuple[EvaluationRecord, list[SentenceRecord]]:
    """Scores, intervals and error analysis of outputs; a pure function. Raises DataError where the counts differ."""
    sources, references = [pair.source for pair in pairs], [pair.target for pair in pairs]
    hypotheses = [output.text for output in translated]
    papers = paper_texts(hypotheses, [output.preprocessed for output in translated], references, config)
    found = score_translations(hypotheses, references, config, names=("bleu", "chrf", "ter"), paper_texts=papers)
    measured = found.measurements
    words = measured["bleu"].statistics[:, 1]
    worst, best = worst_and_best(measured["chrf"], words)
    odd = oddities(sources, hypotheses, references)
    settings, data = config.evaluation, config.data
    nats = loss.loss * loss.tokens if loss.loss is not None else math.inf
    surprise = perplexity(nats, loss.tokens) if loss.tokens else math.inf
    cut = sum(output.source_cut for output in translated)
    record = EvaluationRecord(
        split=split,
        sentences=len(pairs),
        source_language=data.source_language,
        target_language=data.target_language,
        bleu_tokenize=settings.bleu_tokenize or bleu_tokenizer(data.target_language),
        scores={name: with_interval(measurement, config) for name, measurement in measured.items()},
        bootstrap={"samples": settings.bootstrap_samples, "confidence": settings.confidence, "seed": settings.seed},
        loss=loss.loss,
        perplexity=surprise if math.isfinite(surprise) else None,
        loss_tokens=loss.tokens,
        by_length=[
            LengthRecord(words=group.name, sentences=group.sentences, scores=group.scores, length_ratio=group.length_ratio)
            for group in by_length(measured)
        ],
        worst=worst,
        best=best,
        counts={
            **vars(odd),
            "tokenised_looking": found.looks.tokenised,
            "with_subword_marks": found.looks.subwords,
            "cut_sources": cut,
            "cut_in_loss": loss.cut,
        },
        warnings=[*found.looks.warnings(), *odd.warnings(len(pairs)), *_cut_warnings(cut, loss.cut, data.max_length)],
        decoding=config.decoding.model_dump(mode="json"),
        fingerprints={
            "sources": records.text_digest(sources),
            "references": records.text_digest(references),
            "hypotheses": records.text_digest(hypotheses),
        },
    )
    return record, _sentences(pairs, translated, measured, papers)


def _cut_warnings(sources: int, pairs: int, max_length: int) -> list[str]:
    found = []
    if sources:
        found.append(f"{sources} sources were longer than the model reads; what it did not read is not in its translation")
    if pairs:
        found.append(f"{pairs} pairs are longer than {max_length} tokens; the loss counts their beginnings only")
    return found


def _sentences(
    pairs: Sequence[Pair],
    translated: Sequence[Translated],
    measured: Mapping[str, Measurement],
    papers: tuple[Sequence[str], Sequence[str]] | None,
) -> list[SentenceRecord]:
    alone = {name: measured[name].sentence_scores().tolist() for name in ("bleu", "chrf", "ter")}
    words = measured["bleu"].statistics[:, 1].tolist()
    return [
        SentenceRecord(
            line=pair.line,
            source=pair.source,
            reference=pair.target,
            hypothesis=output.text,
            words=words[index],
            bleu=alone["bleu"][index],
            chrf=alone["chrf"][index],
            ter=alone["ter"][index],
            log_probability=finite(output.log_probability),
            paper_hypothesis=papers[0][index] if papers else None,
            paper_reference=papers[1][index] if papers else None,
        )
        for index, (pair, output) in enumerate(zip(pairs, translated, strict=True))
    ]


def _translate_all(translate: Translate, sources: Sequence[str]) -> list[Translated]:
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        outputs = list(progress.track(translate(sources), total=len(sources), description="Translating"))
    if len(outputs) != len(sources):
        raise DataError(f"{len(sources)} sources gave {len(outputs)} translations", remedy="this is a defect; please report it")
    return outputs
