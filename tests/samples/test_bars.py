"""`headway sample`, `train`, `evaluate`: each made task is learned near perfectly by the configuration that comes with it.

What is measured is exact: whole sentences, summaries, answers, labels; of a language model the whole rest of a document whose
first sentence is given, since it is certain. Pre-training has no answers of its own: there it is the share of hidden tokens that
are guessed right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import headway
from headway.cli import main
from headway.inference.labelling import BATCH_TOKENS
from headway.model_dir import load_model
from headway.samples import SAMPLES
from headway.training.validation import Validation

LEAST = 0.95
PRE_TRAINING = ("masked_language_model", "span_corruption", "denoising")


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def exact_share(name: str, run: Path) -> float:
    """The share of test examples that are answered exactly."""
    evaluation = run / "evaluation"
    if name == "language_model":
        documents = (Path("made") / "test.txt").read_text("utf-8").splitlines()
        written = headway.load(str(run)).predict([document.partition(".")[0] + "." for document in documents])
        return share(zip(written, documents, strict=True))
    if name in PRE_TRAINING:
        return guessed_share(run)
    if name == "translation":
        return share((one["hypothesis"], one["reference"]) for one in records(evaluation / "test.sentences.jsonl"))
    if name == "classification_number":
        answers = records(evaluation / "test.answers.jsonl")
        return share((str(round(float(one["answer"]))), one["reference"]) for one in answers)
    scores = json.loads((evaluation / "test.json").read_text("utf-8"))["scores"]
    if name == "sentence_embedding":  # the nearest text of the other language is the right one
        return float(scores["accuracy@1"]["score"]) / 100
    if "exact" in scores:  # labels in any order; answers by SQuAD's rules, none where there is none
        return float(scores["exact"]["score"]) / 100
    if name == "tagging":
        assert scores["f1"]["score"] / 100 >= LEAST
    return share((one["answer"], one["reference"]) for one in records(evaluation / "test.answers.jsonl"))


def share(pairs: Any) -> float:
    right = [one == other for one, other in pairs]
    return sum(right) / len(right)


@torch.no_grad()
def guessed_share(run: Path) -> float:
    """Of all hidden tokens of the validation set, those to which the model gives the highest probability."""
    loaded = load_model(str(run))
    validation, model = Validation.open(loaded.config, loaded.tokenizers), loaded.model.eval()
    updates = validation.preparation.updates(validation.rows, BATCH_TOKENS, 0, None)
    right = wanted = 0
    for index in range(len(updates)):
        batch = updates.batch(index)
        if model.decoder:
            hidden = model(batch.source_ids, batch.source_mask, batch.target_in)
        else:
            hidden = model.encode(batch.source_ids, batch.source_mask)
        guessed = (hidden.float() @ model.output_weight.float().T).argmax(-1)
        right += int((guessed == batch.target_out).sum())
        wanted += int((batch.target_out >= 0).sum())
    return right / wanted


@pytest.mark.slow
@pytest.mark.timeout(5400)
@pytest.mark.parametrize("name", SAMPLES)
def test_made_data_is_learned_near_perfectly(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sample", name, "made"]) == 0
    assert main(["train", "made/config.yaml", "training.tensorboard=false"]) == 0
    run = Path("runs/made")
    assert main(["evaluate", str(run)]) == 0
    assert exact_share(name, run) >= LEAST
