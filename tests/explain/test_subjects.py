"""What is explained is what the model answers: token for token, with the scores of the fast path, for every task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import headway
from headway.data.questions import Question, QuestionPreparation
from headway.errors import UsageError
from headway.explain.explanation import difference
from headway.explain.subjects import subject_of
from headway.inference.tagging import _allowed, best_path
from headway.model_dir import load_model

RunOf = Callable[[str], Path]
TEXTS = {
    "translation": "The man saw a dog .",
    "summarisation": "The man saw a dog . The woman bought an apple .",
    "dialogue": "The man saw a dog .",
    "language_model": "The man",
    "classification": "The man saw a dog .",
    "classification_several": "The man saw a dog yesterday .",
    "classification_number": "The man saw a dog .",
    "pair_classification": "The man saw a dog .\tThe man saw an animal .",
    "tagging": "The man saw a dog in Paris yesterday .",
    "question_answering": "Who saw the dog ?\tThe man saw the dog . The girl ate .",
    "sentence_embedding": "The man saw a dog .",
}
BEAM = {"method": "beam", "beam_size": 3}


@pytest.mark.parametrize("kind", TEXTS)
def test_the_explained_answer_is_that_of_predict(run_of: RunOf, kind: str) -> None:
    run, text = run_of(kind), TEXTS[kind]
    subject = subject_of(run, text, {})
    if kind == "sentence_embedding":
        vector = headway.load(run).embed([text])[0]
        with torch.no_grad():
            again = subject.model.encode(*_as_read(subject)).mean(1)[0].numpy()
        np.testing.assert_allclose(again / np.linalg.norm(again), vector, atol=1e-5)
    elif kind == "tagging":
        assert subject.answer == " ".join(line.replace("\t", "/") for line in headway.load(run).predict([text])[0].split("\n"))
    else:
        predicted = headway.load(run).predict([text])[0]
        assert subject.answer == (predicted or "(no answer)" if kind == "question_answering" else predicted)
    found = difference(subject)
    assert found is None or found <= 1e-5


def _as_read(subject):
    ids, _ = subject.ids()
    return ids, torch.ones_like(ids, dtype=torch.bool)


@pytest.mark.parametrize("kind", ["translation", "summarisation", "dialogue", "language_model"])
@pytest.mark.parametrize("decoding", [BEAM, {"method": "greedy"}, {"method": "sample", "seed": 3}])
def test_every_way_to_search_gives_the_same_tokens_and_scores(run_of: RunOf, kind: str, decoding: dict[str, object]) -> None:
    subject = subject_of(run_of(kind), TEXTS[kind], decoding)
    found = difference(subject)
    assert found is not None
    assert found <= 1e-5
    fast = next(iter(headway.load(run_of(kind), **decoding).answer_pieces([[TEXTS[kind]]])))[0]
    limit = len(subject.outputs)
    assert [output.choice for output in subject.outputs][: len(fast.ids)] == fast.ids[:limit]


def test_tags_are_the_best_allowed_path_of_the_explained_scores(run_of: RunOf) -> None:
    subject = subject_of(run_of("tagging"), TEXTS["tagging"], {})
    labels = load_model(run_of("tagging")).tokenizers.labels
    assert labels is not None
    with torch.no_grad():
        log_p = subject.logits(*subject.ids())[0].log_softmax(-1).double().numpy()
    assert best_path(log_p, *_allowed(labels)) == [output.choice for output in subject.outputs]


def test_an_answer_in_a_passage_has_the_score_of_the_reader(run_of: RunOf) -> None:
    run = run_of("question_answering")
    question, passage = TEXTS["question_answering"].split("\t")
    fast = headway.load(run).answer(question, passage)
    subject = subject_of(run, TEXTS["question_answering"], {})
    loaded = load_model(run)
    (window,) = QuestionPreparation(loaded.tokenizers, loaded.config).windows([Question(question, passage, (), 1)])
    with torch.no_grad():
        log_p = subject.logits(*subject.ids())[0].log_softmax(-1)
        said = float(subject.scores(*subject.ids())[0].sum())
    none = float(log_p[:, window.begins - 1].sum())
    assert said - none == pytest.approx(fast.score if fast.text else 0.0, abs=1e-5)


def test_a_masked_language_model_fills_its_gaps_as_a_forward_pass_does(run_of: RunOf) -> None:
    subject = subject_of(run_of("masked_language_model"), "The man saw a ___ in the ___ .", {})
    assert len(subject.outputs) == 2
    assert subject.source is not None
    assert [place for place, number in enumerate(subject.source.ids) if number >= 300] == [o.place for o in subject.outputs]
    with torch.no_grad():
        states = subject.model.encode(*_as_read(subject))
    for output in subject.outputs:
        logits = subject.model.logits(states[0, output.place])
        assert int(logits[: subject.model.output_weight.shape[0] - 1].argmax()) == output.choice


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("translation", " \n ", "nothing to explain"),
        ("classification", "\u200b\u00ad", "nothing to explain"),
        ("masked_language_model", "The man saw a dog . " * 100 + "___", "1 of its 1 gaps"),
        ("masked_language_model", "The man saw a dog .", "no gap"),
        ("question_answering", "Who saw the dog ?", "no tab between question and passage"),
        ("pair_classification", "The man saw a dog .", "no tab between its two texts"),
    ],
)
def test_a_text_that_is_not_in_the_form_of_the_task_is_refused(run_of: RunOf, kind: str, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        subject_of(run_of(kind), text, {})


def test_a_language_model_explains_as_much_as_it_reads_at_once(run_of: RunOf) -> None:
    run = run_of("language_model")
    longest = load_model(run).config.data.max_length
    subject = subject_of(run, "The man saw a dog . " * 3, {"method": "sample", "seed": 1, "minimum_length": longest - 2})
    assert subject.target is not None
    assert len(subject.target) <= longest
    assert len(subject.outputs) == len(subject.target)
    assert difference(subject) <= 1e-5
