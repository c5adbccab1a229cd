"""The nearest training examples: a text that was learned from is its own neighbour, and all are compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_subjects import TEXTS

from headway.explain import neighbours
from headway.explain.neighbours import _nearest, nearest_examples
from headway.explain.subjects import subject_of
from headway.explain.write import write_explanation
from headway.model_dir import load_model

RunOf = Callable[[str], Path]


def test_the_nearest_are_those_with_the_largest_products(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(1)
    vectors = draw.standard_normal((1000, 8)).astype(np.float16)
    asked = draw.standard_normal(8).astype(np.float32)
    products = vectors.astype(np.float32) @ asked
    expected = [(int(row), pytest.approx(float(products[row]))) for row in np.argsort(-products)[:7]]
    for block in (7, 256, 5000):
        monkeypatch.setattr(neighbours, "BLOCK", block)
        assert _nearest(vectors, asked, 7) == expected
    assert len(_nearest(vectors[:3], asked, 7)) == 3


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_of_the_training_set_is_its_own_neighbour(run_of: RunOf, kind: str) -> None:
    loaded = load_model(run_of(kind))
    config = loaded.config
    (part,) = config.data.parts("train")
    preparation = neighbours.TASKS[config.task].preparation
    data = neighbours.in_scheme(config.data, loaded.tokenizers.labels)
    example = list(preparation.read(part, data))[3]
    text = example.source.replace("\n", "\t") if kind == "question_answering" else example.source
    decoding = {"maximum_length": 1} if kind == "language_model" else {}
    found = nearest_examples(loaded, subject_of(loaded, text, decoding))
    first = found.of_text[0]
    assert len(found.of_text) == 5
    assert [one.similarity for one in found.of_text] == sorted((one.similarity for one in found.of_text), reverse=True)
    if kind not in ("language_model", "dialogue"):  # documents and conversations are told in other forms
        assert first.source == example.source
        assert first.similarity == pytest.approx(1, abs=1e-2)
    assert len({(one.place, one.source) for one in found.of_text}) > 1
    assert bool(found.of_answer) == (kind in ("translation", "summarisation", "dialogue"))


def test_vectors_are_made_once_for_a_model_and_its_data(run_of: RunOf, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_model(run_of("classification"))
    subject = subject_of(loaded, TEXTS["classification"], {})
    first = nearest_examples(loaded, subject)
    made: list[object] = []
    monkeypatch.setattr(neighbours, "_made", lambda *given: made.append(given))
    assert nearest_examples(loaded, subject) == first
    assert made == []
    folder = neighbours.run_of(loaded.directory) / "explain"
    (folder / "neighbours.json").write_text(json.dumps({"model": "another"}))
    monkeypatch.undo()
    assert nearest_examples(loaded, subject) == first
    (folder / "neighbours.text.npy").write_bytes(b"damaged")
    assert nearest_examples(loaded, subject) == first


def test_neighbours_stand_on_the_page_and_in_the_json(run_of: RunOf, tmp_path: Path) -> None:
    for name in ("explanation.html", "explanation.json"):
        write_explanation(
            str(run_of("translation")), TEXTS["translation"], tmp_path / name, {}, (None, None), neighbours=True, name="run"
        )
    found = json.loads((tmp_path / "explanation.json").read_text("utf-8"))["neighbours"]
    page = (tmp_path / "explanation.html").read_text("utf-8")
    assert found["of_text"][0]["place"] in page
    assert "To the answer" in page
