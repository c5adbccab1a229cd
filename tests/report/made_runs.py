"""Runs as training and evaluation leave them, with made-up figures: no model is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headway.config import Config, dump_config
from headway.evaluation import records
from headway.evaluation.label_scores import one_label_scores
from headway.evaluation.metrics import Measurement
from headway.evaluation.outcome_record import AnswerRecord, Outcome, OutcomeRecord, PassageRecord, TableRecord, save_outcome
from headway.evaluation.request import with_interval
from headway.report.page import write_report

LABELS = ("calm", "angry")


def made_run(run: Path, task: str = "translation", **data: Any) -> Config:
    """The configuration and the history of a run, whose data is in `run`/data."""
    corpora = data or {split: {"source": str(run / "data" / f"{split}.en"), "target": str(run / "data" / f"{split}.de")}
                       for split in ("train", "validation")}  # fmt: skip
    config = Config.model_validate(
        {"run_directory": str(run), "task": task, "data": corpora, "evaluation": {"bootstrap_samples": 100}}
    )
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    lines: list[Mapping[str, Any]] = []
    for update in range(10, 101, 10):
        lines.append(
            {"update": update, "loss": 7.0 / update, "learning_rate": 1e-3, "gradient_norm": 0.5, "tokens": 1000,
             "tokens_per_second": 500.0, "epoch": 0, "time": 1000.0 + update}
        )  # fmt: skip
        if update % 50 == 0:
            lines.append(
                {"update": update, "validation_loss": 9.0 / update, "validation_bleu": update / 3, "time": 1000.5 + update}
            )
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return config


def write_pairs(run: Path, split: str, sources: Sequence[str], targets: Sequence[str]) -> None:
    (run / "data").mkdir(parents=True, exist_ok=True)
    for language, lines in (("en", sources), ("de", targets)):
        (run / "data" / f"{split}.{language}").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def save_made_outcome(
    run: Path,
    config: Config,
    measurements: dict[str, Measurement],
    answers: Sequence[AnswerRecord] = (),
    tables: Sequence[TableRecord] = (),
    passages: Sequence[PassageRecord] = (),
) -> None:
    """An evaluation of anything but a translator."""
    record = OutcomeRecord(
        task=config.task, split="test", examples=len(answers) or len(passages),
        scores={name: with_interval(one, config) for name, one in measurements.items()},
        baselines={}, tables=list(tables), wrong=[], bootstrap={"samples": 100, "confidence": 0.95, "seed": 1},
        warnings=["few texts"], fingerprints={"data": "abc"}, seconds={"answer": 61.0}, versions={"python": "3"},
    )  # fmt: skip
    records.prepare(run)
    outcome = Outcome(measurements, answers=list(answers), passages=list(passages), tables=list(tables))
    save_outcome(run, record, outcome)


def made_classifier(run: Path, texts: Sequence[str], probabilities: Sequence[float], right: Sequence[bool]) -> Path:
    """A classifier whose every third text is angry, evaluated, and the report of it."""
    table = {"path": str(run / "data.tsv"), "source": "text", "target": "label"}
    config = made_run(run, "classification", train=table, validation=table)
    gold = np.arange(len(texts)) % 3 == 0
    chosen = np.where(np.array(right), gold, ~gold)
    rows = [
        f"{text}\t{LABELS[int(label)]}\n"
        for text, label in zip(("a calm day", "an angry cry", "so calm"), (0, 1, 0), strict=True)
    ]
    (run / "data.tsv").write_text("text\tlabel\n" + "".join(rows), encoding="utf-8")
    measured = one_label_scores(chosen.astype(int), gold.astype(int), np.array(probabilities))
    answers = [
        AnswerRecord(
            line=line, source=text, reference=LABELS[int(wanted)], answer=LABELS[int(got)], probability=probability
        )
        for line, (text, wanted, got, probability) in enumerate(zip(texts, gold, chosen, probabilities, strict=True), 1)
    ]  # fmt: skip
    counts = [[int(((gold == i) & (chosen == j)).sum()) for j in range(2)] for i in range(2)]
    tables = [
        TableRecord(title="each label (95 % interval)", head=["label", "precision", "recall", "F1", "texts"],
                    rows=[[name, "", "", "", ""] for name in LABELS]),
        TableRecord(title="label (rows) against answer (columns)", head=["", *LABELS],
                    rows=[[name, *map(str, row)] for name, row in zip(LABELS, counts, strict=True)]),
    ]  # fmt: skip
    save_made_outcome(run, config, measured, answers, tables)
    return write_report(run)
