"""An answer told in words: true places, shares that sum to 1, and the figures that `explain` has."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headway.errors import UsageError
from headway.explain.attribution import attribute, finished
from headway.explain.explanation import Explanation, explain
from headway.explain.word_places import located
from headway.explain.words import explained_words
from headway.inference.loading import predictor_of
from headway.model_dir import LoadedModel, load_model

RunOf = Callable[[str], Path]
TEXTS = {
    "translation": "The  man saw a dog .",
    "summarisation": "The man saw a dog . The woman bought an apple .",
    "dialogue": "The man saw a dog .",
    "language_model": "The man saw the man ,",
    "classification": "The man saw a dog .",
    "classification_several": "The man saw a dog yesterday .",
    "classification_number": "The man saw a dog .",
    "pair_classification": "The man saw a dog .\tThe man saw an animal .",
    "tagging": "The man  saw a dog in Paris yesterday .",
    "question_answering": "Who saw the dog ?\tThe man saw the dog . The girl ate .",
}
WRITTEN = ("translation", "summarisation", "dialogue", "language_model")


def found_of(loaded: LoadedModel, text: str, **decoding: Any) -> tuple[Any, dict[str, Any]]:
    """What the model answers, and the explanation of it."""
    decoding = {"minimum_length": 4, "maximum_length": 12, **decoding} if loaded.config.task in WRITTEN else {}
    answer = next(iter(predictor_of(load_model(loaded.directory), precision="fp32", **decoding).answer_pieces([[text]])))[0]
    return answer, finished(explained_words(loaded, text, answer))


@pytest.mark.parametrize("kind", TEXTS)
def test_shares_sum_to_one_and_places_are_true(run_of: RunOf, kind: str) -> None:
    text = TEXTS[kind]
    answer, told = found_of(load_model(run_of(kind)), text)
    assert told["kind"] == ("attention" if kind in WRITTEN else "attribution")
    words = [word["text"] for word in told["source"]]
    assert "".join(words) == "".join(text.split())
    assert all(text[word["start"] : word["end"]] == word["text"] for word in told["source"])
    assert told["outputs"]
    for output in told["outputs"]:
        assert len(output["weights"]) == len(words)
        assert min(output["weights"]) >= 0
        assert sum(output["weights"]) == pytest.approx(1)
        if kind in WRITTEN:
            assert answer.text[output["start"] : output["end"]] == output["text"]
            assert kind != "language_model" or output["start"] >= len(text)
        if output["probability"] is not None:
            assert 0 < output["probability"] <= 1
            assert sum(other["probability"] for other in output["alternatives"]) <= 1


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_written_words_have_the_probabilities_of_explain(run_of: RunOf, kind: str, method: str) -> None:
    decoding = {"method": method, "minimum_length": 4, "maximum_length": 12}
    answer, told = found_of(load_model(run_of(kind)), TEXTS[kind], **decoding)
    whole = explain(run_of(kind), TEXTS[kind], decoding=decoding, methods=())
    assert whole.subject.answer == answer.text
    own = [sure.value for sure, output in zip(whole.sureness, whole.subject.outputs, strict=True) if not output.given]
    assert math.prod(output["probability"] for output in told["outputs"]) * own[-1] == pytest.approx(math.prod(own), rel=1e-4)
    said = " ".join(output["text"] for output in told["outputs"])
    assert said.replace(" ", "") in answer.text.replace(" ", "")
    first = whole.sureness[next(n for n, output in enumerate(whole.subject.outputs) if not output.given)]
    known = {choice.value for choice in first.likeliest}
    assert {round(other["probability"], 6) for other in told["outputs"][0]["alternatives"]} <= {round(p, 6) for p in known}


def test_the_word_that_is_looked_at_most_is_that_of_the_alignment(run_of: RunOf) -> None:
    _, told = found_of(load_model(run_of("translation")), TEXTS["translation"])
    decoding = {"minimum_length": 4, "maximum_length": 12}
    links = explain(run_of("translation"), TEXTS["translation"], decoding=decoding, methods=()).links
    assert [int(np.argmax(output["weights"])) for output in told["outputs"]] == [link.source for link in links]
    shares = [max(output["weights"]) for output in told["outputs"]]
    np.testing.assert_allclose(shares, [link.share for link in links], atol=1e-5)


def test_a_prompt_is_looked_at_by_what_goes_on_from_it(run_of: RunOf) -> None:
    text, decoding = TEXTS["language_model"], {"method": "greedy", "minimum_length": 4, "maximum_length": 4}
    answer, told = found_of(load_model(run_of("language_model")), text, **decoding)
    whole = explain(run_of("language_model"), text, decoding=decoding, methods=())
    read = answer.prompt_pieces  # at the last piece of the prompt the first word is said
    target = whole.subject.target
    assert target is not None
    row = np.mean([weights.mean(0)[read] for weights in whole.maps.values()], axis=0)[1 : read + 1]
    by_word = np.bincount(np.array(target.words[1 : read + 1]) - target.words[1], weights=row)
    said = [place for place in range(read + 1, len(target)) if target.words[place] == target.words[read + 1]]
    if len(said) == 1:
        np.testing.assert_allclose(told["outputs"][0]["weights"], by_word / by_word.sum(), atol=1e-5)
    assert len(told["source"]) == len(by_word)


def test_what_goes_on_from_a_cut_prompt_stands_behind_all_of_it(run_of: RunOf) -> None:
    text = "the man saw the man " * 60
    answer, told = found_of(load_model(run_of("language_model")), text.strip())
    assert len(told["source"]) < len(text.split())
    assert answer.text.startswith(text.strip())
    assert [output["start"] for output in told["outputs"] if output["start"] < len(text.strip())] == []


def occluded(whole: Explanation, subject_outputs: list[int]) -> np.ndarray:
    values = attribute(whole.subject, "occlusion", subject_outputs).values
    assert whole.subject.source is not None
    return values[:, ~np.array(whole.subject.source.marks)]


@pytest.mark.parametrize("kind", ["classification", "pair_classification", "classification_number"])
def test_a_label_is_due_to_what_occlusion_says(run_of: RunOf, kind: str) -> None:
    answer, told = found_of(load_model(run_of(kind)), TEXTS[kind])
    (output,) = told["outputs"]
    assert output["text"] == answer.text
    whole = explain(run_of(kind), TEXTS[kind], methods=())
    if kind != "classification_number":
        assert output["probability"] == pytest.approx(answer.score, abs=1e-5)
        known = sorted(answer.probabilities, reverse=True)[:5]
        told_too = [output["probability"], *(other["probability"] for other in output["alternatives"])]
        assert sorted(told_too, reverse=True) == pytest.approx(known, abs=1e-5)
    values_X = occluded(whole, [0])[0]
    assert sum(output["weights"]) == pytest.approx(1)
    kept = values_X.clip(min=0) if values_X.max() > 0 else np.abs(values_X)
    if len(kept) == len(told["source"]):  # each word is one piece
        np.testing.assert_allclose(output["weights"], kept / kept.sum(), atol=1e-5)


def test_each_tag_stands_at_its_word(run_of: RunOf) -> None:
    text = TEXTS["tagging"]
    answer, told = found_of(load_model(run_of("tagging")), text)
    assert [output["text"] for output in told["outputs"]] == list(answer.tags)
    assert [text[output["start"] : output["end"]] for output in told["outputs"]] == list(answer.words)
    assert [output["probability"] for output in told["outputs"]] == pytest.approx(answer.probabilities, abs=1e-5)


def test_a_span_stands_in_the_passage(run_of: RunOf) -> None:
    text = TEXTS["question_answering"]
    answer, told = found_of(load_model(run_of("question_answering")), text)
    (output,) = told["outputs"]
    assert " ".join(output["text"].split()) == answer.text
    if answer.text:
        assert output["start"] == text.index("\t") + 1 + answer.start
        assert text[output["start"] : output["end"]] == output["text"]
    whole = explain(run_of("question_answering"), text, methods=())
    assert output["probability"] == pytest.approx(math.prod(sure.value for sure in whole.sureness), rel=1e-4)


def test_of_a_word_that_is_too_long_to_be_read_there_is_nothing_to_tell(run_of: RunOf) -> None:
    _, told = found_of(load_model(run_of("tagging")), "x" * 600)
    assert (told["source"], told["outputs"]) == ([], [])


@pytest.mark.parametrize("kind", ["translation", "classification", "tagging"])
def test_of_a_blank_text_there_is_nothing_to_tell(run_of: RunOf, kind: str) -> None:
    _, told = found_of(load_model(run_of(kind)), " ")
    assert (told["source"], told["outputs"]) == ([], [])


def test_a_vector_has_no_words(run_of: RunOf) -> None:
    with pytest.raises(UsageError, match="no words"):
        found_of(load_model(run_of("sentence_embedding")), "The man")


def test_an_explanation_stops_for_others(run_of: RunOf) -> None:
    loaded = load_model(run_of("classification"))
    text = "The man saw a dog . " * 5
    answer = predictor_of(load_model(loaded.directory), precision="fp32").answer([text])[0]  # type: ignore[union-attr, arg-type]
    steps = explained_words(loaded, text, answer)
    assert sum(1 for _ in steps) > 2


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        (["a", "man"], "A  Man", ["A", "Man"]),
        (["straße", "ist"], "Straße IST", ["Straße", "IST"]),
        (["\u00e9t\u00e9", "."], "e\u0301te\u0301.", ["e\u0301te\u0301", "."]),
        (['"', "no", '"', "."], "\u201cno\u201d.", [None, "no", None, "."]),
        (["cat"], "x" * 60 + " cat", [None]),
        (["fi", "x"], "\ufb01 x", ["\ufb01", "x"]),
        (["the", "the"], "the the", ["the", "the"]),
        (["", "b"], "a b", [None, "b"]),
    ],
)
def test_words_are_found_in_the_text_that_they_were_made_from(words: list[str], text: str, expected: list[str | None]) -> None:
    spans = located(words, text)
    assert [None if span is None else text[span[0] : span[1]] for span in spans] == expected
    known = [span for span in spans if span is not None]
    assert known == sorted(known)
