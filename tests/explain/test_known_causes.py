"""What is found where the truth is known: the word that decides a label, and the words that belong together."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gold_alignment import gold_links

from headway.cli import main
from headway.data.pairs import PairPreparation
from headway.data.readers import Pair
from headway.data.tokenizer import EOS_ID
from headway.explain.alignment import alignment, words_of
from headway.explain.attention import attention_maps
from headway.explain.attribution import METHODS, attribute
from headway.explain.sides import END, read_side
from headway.explain.subject import Output, Subject
from headway.explain.subjects import subject_of
from headway.model_dir import load_model
from headway.samples.lexicon import NUMBERS

SENTENCES = 200
NUMBER_WORDS = {words[0] for words in NUMBERS.values()}


@pytest.fixture
def learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A sample that was learned with the configuration that comes with it."""
    monkeypatch.chdir(tmp_path)

    def learn(kind: str) -> Path:
        assert main(["sample", kind, "made"]) == 0
        assert main(["train", "made/config.yaml", "run_directory=run"]) == 0
        return tmp_path / "run"

    return learn


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_word_that_decides_ranks_first(learned: Callable[[str], Path], record_property: Callable[..., None]) -> None:
    """The number of a sentence is one word of it."""
    run = learned("classification_number")
    lines = re.findall(r'"text": "([^"]*)"', Path("made/test.jsonl").read_text("utf-8"))[:SENTENCES]
    assert len(lines) == SENTENCES
    first = dict.fromkeys(METHODS, 0)
    errors = []
    loaded = load_model(run)
    for line in lines:
        subject = subject_of(loaded, line, {})
        assert subject.source is not None
        cause = next(number for number, word in enumerate(words_of(subject.source)) if word.lower() in NUMBER_WORDS)
        for method in METHODS:
            found = attribute(subject, method, [0])
            by_word = np.zeros(max(subject.source.words) + 1)
            np.add.at(by_word, subject.source.words, found.values[0])
            first[method] += int(np.abs(by_word).argmax()) == cause
            errors += found.errors.tolist() if method == "integrated_gradients" else []
    shares = {method: count / SENTENCES for method, count in first.items()}
    record_property("ranked first", shares)
    record_property("largest completeness error", max(errors))
    print(shares, "completeness error, largest:", max(errors))
    assert shares["integrated_gradients"] >= 0.95
    assert max(errors) <= 0.01


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_words_that_belong_together_are_linked(learned: Callable[[str], Path], record_property: Callable[..., None]) -> None:
    """Alignment error rate (Och & Ney 2003) over the words whose translation is certain, of translations that are given."""
    loaded = load_model(learned("translation"))
    sides = [Path(f"made/test.{language}").read_text("utf-8").splitlines()[:SENTENCES] for language in ("en", "de")]
    preparation = PairPreparation(loaded.tokenizers, loaded.config)
    wrong = certain = 0
    for line, (english, german) in enumerate(zip(*sides, strict=True), 1):
        rows = preparation.rows_of_all([Pair(english, german, line)])
        source = read_side(loaded.tokenizers.source, list(rows.source_rows[0]))
        target = read_side(loaded.tokenizers.target, list(rows.target_rows[0]), start=True)
        said = zip([*target.pieces[1:], END], [*target.ids[1:], EOS_ID], strict=True)
        outputs = [Output(piece, number, place, None) for place, (piece, number) in enumerate(said)]
        subject = Subject("translation", loaded.model.eval(), english, german, source, target, outputs, loaded.model.logits, str)
        with torch.no_grad():
            links = {link.target: link.source for link in alignment(attention_maps(subject), source, target)}
        truth = gold_links(words_of(source), words_of(target)[1:])
        certain += len(truth)
        wrong += sum(links.get(word) != other for word, other in truth.items())
    rate = wrong / certain
    record_property("alignment error rate", rate)
    print("alignment error rate", rate, "of", certain)
    assert certain > 2 * SENTENCES
    assert rate <= 0.10
