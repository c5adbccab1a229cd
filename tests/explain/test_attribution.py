"""Shares of an answer: they add up, they are what their definitions say, and marks have none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_subjects import TEXTS

from headway.explain.attribution import METHODS, attribute, average_word, narrowed, without_words
from headway.explain.subject import Subject
from headway.explain.subjects import subject_of

RunOf = Callable[[str], Path]
KINDS = ["translation", "language_model", "classification", "classification_number", "tagging", "sentence_embedding"]


def asked(run_of: RunOf, kind: str) -> Subject:
    return subject_of(run_of(kind), TEXTS[kind], {"minimum_length": 3})


def chosen(subject: Subject) -> list[int]:
    return [number for number, output in enumerate(subject.outputs) if not output.given][:3]


@pytest.mark.parametrize("kind", [*KINDS, "classification_several", "pair_classification", "question_answering"])
def test_integrated_gradients_add_up_to_within_one_per_cent(run_of: RunOf, kind: str) -> None:
    subject = asked(run_of, kind)
    found = attribute(subject, "integrated_gradients", chosen(subject))
    assert found.errors.max() <= 0.01
    assert found.values.any()


@pytest.mark.parametrize("kind", KINDS)
def test_totals_are_the_same_for_all_methods_and_of_the_whole_answer(run_of: RunOf, kind: str) -> None:
    subject = asked(run_of, kind)
    outputs = chosen(subject)
    with torch.no_grad():
        full, bare = (subject.scores(*given)[0, outputs] for given in (subject.ids(), without_words(subject)))
    for method in METHODS:
        np.testing.assert_allclose(attribute(subject, method, outputs).totals, (full - bare).numpy(), atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_marks_and_what_was_not_yet_said_have_no_share(run_of: RunOf, kind: str, method: str) -> None:
    subject = asked(run_of, kind)
    outputs = chosen(subject)
    found = attribute(subject, method, outputs)  # type: ignore[arg-type]
    sides = [side for side in (subject.source, subject.target) if side]
    marks = np.concatenate([side.marks for side in sides])
    np.testing.assert_allclose(found.values[:, marks], 0, atol=1e-7)
    if subject.target is not None:
        first = len(subject.source) if subject.source else 0
        for row, output in enumerate(outputs):
            place = subject.outputs[output].place
            assert place is not None
            np.testing.assert_allclose(found.values[row, first + place + 1 :], 0, atol=1e-6)


def test_occlusion_is_what_the_score_loses(run_of: RunOf) -> None:
    subject = subject_of(run_of("translation"), TEXTS["translation"], {"minimum_length": 3})
    found = attribute(subject, "occlusion", [1])
    (source, target), assume = subject.vectors(), average_word(subject.model.source_embedding.tokens.weight.detach())
    hidden = source.clone()
    hidden[0, 2] = assume
    with torch.no_grad():
        lost = subject.scores(source, target)[0, 1] - subject.scores(hidden, target)[0, 1]
    assert found.values[0, 2] == pytest.approx(float(lost), abs=1e-5)


def test_gradient_x_input_is_the_slope_times_the_way(run_of: RunOf) -> None:
    """Against a difference quotient."""
    subject = asked(run_of, "classification")
    found = attribute(subject, "gradient_x_input", [0])
    (full, _), (bare, _) = subject.vectors(), without_words(subject)
    step = 3e-3
    for place in range(len(found.values[0])):
        way = torch.zeros_like(full)
        way[0, place] = step * (full - bare)[0, place]
        with torch.no_grad():
            after, before = (float(subject.scores(full + sign * way, None)[0, 0]) for sign in (1, -1))
        assert found.values[0, place] == pytest.approx((after - before) / (2 * step), rel=0.03, abs=1e-3)


def test_a_narrowed_subject_scores_its_output_as_the_whole_does(run_of: RunOf) -> None:
    for kind in KINDS:
        subject = asked(run_of, kind)
        with torch.no_grad():
            whole = subject.scores(*subject.ids())[0]
            for output in chosen(subject):
                one = narrowed(subject, output)
                assert float(one.scores(*one.ids())[0, 0]) == pytest.approx(float(whole[output]), abs=1e-5)


def test_the_average_word_has_the_mean_direction_and_length() -> None:
    weight = torch.randn(50, 8) + 1
    found = average_word(weight)
    words = weight[4:]
    assert float(found.norm()) == pytest.approx(float(words.norm(dim=1).mean()), rel=1e-5)
    assert float(torch.cosine_similarity(found, words.mean(0), dim=0)) == pytest.approx(1.0, abs=1e-5)
