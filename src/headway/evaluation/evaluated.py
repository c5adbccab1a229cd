"""An evaluation read back: what a run has answered, measured so that it can be scored again on any choice of examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headway.evaluation import records
from headway.evaluation.formulas import NONE, DrawFunction
from headway.evaluation.metrics import Measurement, corpus_scores, tokenised_lowercased_bleu
from headway.evaluation.outcome_record import AnswerRecord, OutcomeRecord, PassageRecord, load_outcome
from headway.evaluation.records import EvaluationRecord, SentenceRecord

OF_KINDS = ["precision", "recall", "F1"]  # the columns of a table that has a row for each label
OF_ONE_EXAMPLE = (
    "chrf", "cider", "rougel", "f1", "micro_f1", "accuracy", "accuracy@1", "wer", "exact", "mae",
)  # scores that tell something of one example, the best first  # fmt: skip


@dataclass(frozen=True)
class Evaluated:
    """What one run has got and answered."""

    task: str
    name: str  # split, and direction of a translator
    record: EvaluationRecord | OutcomeRecord
    measurements: dict[str, Measurement]
    answers: list[AnswerRecord]
    passages: list[PassageRecord]
    paper_references: list[str | None]

    @property
    def data(self) -> str:
        """Fingerprint of the files."""
        return self.record.fingerprints.get("data", "")

    @property
    def tokenizer(self) -> str:
        """Fingerprint of that of the targets; empty in older evaluations."""
        return self.record.fingerprints.get("tokenizer", "")

    @property
    def noise(self) -> str:
        """Fingerprint of the settings by which text was damaged, where it was."""
        return self.record.fingerprints.get("noise", "")

    @property
    def bootstrap(self) -> tuple[int, float, int]:
        """Samples, confidence and seed of its intervals."""
        drawn = self.record.bootstrap
        return int(drawn["samples"]), float(drawn["confidence"]), int(drawn["seed"])

    def of_one_example(self) -> Measurement | None:
        """The score that says how good the answer to one example is; None where no score does."""
        return next((self.measurements[name] for name in OF_ONE_EXAMPLE if name in self.measurements), None)


def kinds_of(record: EvaluationRecord | OutcomeRecord) -> list[str]:
    """The labels or kinds that macro-averaged scores number, in the order of their numbers; none where there are no such."""
    tables = record.tables if isinstance(record, OutcomeRecord) else []
    return next(([row[0] for row in one.rows] for one in tables if one.head[1:4] == OF_KINDS), [])


def on_common_kinds(first: Evaluated, second: Evaluated, name: str) -> tuple[Measurement, Measurement]:
    """A macro-averaged score of two runs which number their labels differently, by the numbers of all labels of both."""
    kinds = [kinds_of(one.record) for one in (first, second)]
    number_of = {kind: number for number, kind in enumerate(sorted({*kinds[0], *kinds[1]}))}
    one, other = (
        renumbered(evaluated.measurements[name], np.array([number_of[kind] for kind in some], dtype=np.int64), len(number_of))
        for evaluated, some in zip((first, second), kinds, strict=True)
    )
    return one, other


def renumbered(measured: Measurement, numbers: np.ndarray, count: int) -> Measurement:
    """With `numbers[n]` in place of the label n, of `count` labels: of decisions [N, M] or sums [N, 3 L]."""
    old = measured.statistics.astype(np.int64)
    if isinstance(measured.score_function, DrawFunction):
        new = np.full_like(old, NONE)
        new[old >= 0] = 3 * numbers[old[old >= 0] // 3] + old[old >= 0] % 3
    else:
        new = np.zeros((len(old), 3, max(1, count)), dtype=np.int64)
        new[:, :, numbers] = old.reshape(len(old), 3, -1)[:, :, : len(numbers)]
    return replace(measured, statistics=new.reshape(len(old), -1))


def load_evaluated(run: Path, split: str) -> list[Evaluated]:
    """The evaluation of a run on a set, of a translator in each direction. Raises as `records.load` does."""
    if records.kind_of(run, split) == "outcome":
        record, measurements, answers, passages = load_outcome(run, split)
        return [Evaluated(record.task, f"{split} set", record, measurements, answers, passages, [])]
    return [_translated(*evaluation) for evaluation in records.load_all(run, split)]


def _translated(record: EvaluationRecord, sentences: Sequence[SentenceRecord]) -> Evaluated:
    """Scored again from the text, so that all runs are measured by the same program."""
    hypotheses, references = [one.hypothesis for one in sentences], [one.reference for one in sentences]
    measured = corpus_scores(hypotheses, references, language=record.target_language, tokenize=record.bleu_tokenize)
    papers = [(one.paper_hypothesis, one.paper_reference) for one in sentences]
    pairs = [(hypothesis, reference) for hypothesis, reference in papers if hypothesis is not None and reference is not None]
    if len(pairs) == len(sentences):
        measured["paper_bleu"] = tokenised_lowercased_bleu([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    answers = [
        AnswerRecord(
            line=one.line,
            file=one.file,
            source=one.source,
            reference=one.reference,
            answer=one.hypothesis,
            log_probability=one.log_probability,
        )
        for one in sentences
    ]
    name = f"{record.split} set, {record.source_language} → {record.target_language}"
    return Evaluated("translation", name, record, measured, answers, [], [reference for _, reference in papers])
