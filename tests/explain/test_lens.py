"""How sure the model was, and what each layer would have said."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_subjects import TEXTS

from headway.explain.lens import logit_lens, sureness
from headway.explain.subjects import subject_of

RunOf = Callable[[str], Path]


@pytest.mark.parametrize("kind", ["translation", "language_model", "classification", "classification_number", "tagging"])
def test_the_last_layer_says_the_answer(run_of: RunOf, kind: str) -> None:
    subject = subject_of(run_of(kind), TEXTS[kind], {})
    layers, sure = logit_lens(subject), sureness(subject)
    assert len(layers) == len(subject.model.decoder if subject.target else subject.model.encoder)
    assert all(len(layer) == len(subject.outputs) for layer in layers)
    for last, own in zip(layers[-1], sure, strict=True):
        assert last.value == pytest.approx(own.value, rel=1e-4)
        assert [one.text for one in last.likeliest[:1]] == [one.text for one in own.likeliest[:1]]


def test_sureness_is_probability_entropy_and_rank(run_of: RunOf) -> None:
    subject = subject_of(run_of("classification"), TEXTS["classification"], {})
    with torch.no_grad():
        p = subject.logits(*subject.ids())[0, 0].double().softmax(-1)
    for output, sure in zip(subject.outputs, sureness(subject), strict=True):
        assert sure.value == pytest.approx(float(p[output.choice]), rel=1e-5)
        assert sure.entropy == pytest.approx(-sum(float(x) * math.log2(float(x)) for x in p), rel=1e-5)
        assert sure.rank == 1 + int((p > p[output.choice]).sum())
        assert [one.value for one in sure.likeliest] == sorted((one.value for one in sure.likeliest), reverse=True)


def test_a_lens_of_an_earlier_layer_is_its_state_read_out(run_of: RunOf) -> None:
    subject = subject_of(run_of("translation"), TEXTS["translation"], {})
    model = subject.model
    with subject.layer_states() as states, torch.no_grad():
        subject.states(*subject.ids())
        expected = model.logits(model.decoder_norm(states[0]))[0].double().softmax(-1)
    for place, sure in enumerate(logit_lens(subject)[0]):
        assert sure.likeliest[0].value == pytest.approx(float(expected[place].max()), rel=1e-5)
