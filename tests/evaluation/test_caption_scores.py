"""Scores of captions against plain references written from the papers, against sacreBLEU, and worked out by hand."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from headway.errors import DataError
from headway.evaluation.caption_scores import caption_scores, caption_words, cider, rouge_l
from headway.evaluation.formulas import bounds
from headway.evaluation.intervals import score_interval

WORDS = ["a", "the", "man", "woman", "dog", "cat", "runs", "sits", "jumps", "on", "in", "red", "blue", "grass", "snow", "park"]
Texts = list[str]


def made(seed: int, pictures: int, most: int = 5) -> tuple[Texts, list[Texts]]:
    """Captions of made pictures, each the variations of one sentence; some captions are empty, some of another world."""
    chance = random.Random(seed)

    def varied(base: Texts) -> str:
        some = list(base)
        for _ in range(chance.randint(0, 4)):
            place = chance.randrange(len(some))
            some[place : place + chance.randint(0, 1)] = chance.choices(WORDS, k=chance.randint(0 if len(some) > 1 else 1, 2))
        return " ".join(some)

    hypotheses, references = [], []
    for _ in range(pictures):
        base = chance.choices(WORDS, k=chance.randint(1, 12))
        references.append([varied(base) for _ in range(chance.randint(1, most))])
        other = " ".join(chance.choices(WORDS, k=chance.randint(0, 18)))
        hypotheses.append(chance.choice([varied(base), varied(base), references[-1][0], other, ""]))
    return hypotheses, references


# ---- CIDEr -----------------------------------------------------------------------------------------------------------


def cider_of_the_paper(hypotheses: Texts, references: list[Texts]) -> list[float]:
    """CIDEr-D of each picture by the equations of Vedantam et al. 2015, with dense vectors over all n-grams.

    h_k are counts, as in the authors' program: the shares of equation 2 would let the clipping depend on the length.
    """

    def counts(text: str, n: int) -> Counter[str]:
        words = text.split()
        return Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))

    totals = np.zeros(len(hypotheses))
    for n in (1, 2, 3, 4):
        everything = [*hypotheses, *(text for some in references for text in some)]
        vocabulary = sorted(set().union(*(counts(text, n) for text in everything)))
        held_by = [sum(any(gram in counts(text, n) for text in some) for some in references) for gram in vocabulary]
        idf = np.array([math.log(len(references) / max(1, pictures)) for pictures in held_by])
        for picture, (hypothesis, some) in enumerate(zip(hypotheses, references, strict=True)):
            found = np.array([counts(hypothesis, n)[gram] for gram in vocabulary]) * idf
            for text in some:
                wanted = np.array([counts(text, n)[gram] for gram in vocabulary]) * idf
                below = np.linalg.norm(found) * np.linalg.norm(wanted)
                gap = len(hypothesis.split()) - len(text.split())
                penalty = math.exp(-(gap**2) / (2 * 6.0**2))
                totals[picture] += penalty * (np.minimum(found, wanted) @ wanted / below if below else 0.0) / len(some)
    return [10 * total / 4 for total in totals]


@pytest.mark.parametrize("seed", range(12))
def test_cider_is_that_of_the_paper(seed: int) -> None:
    hypotheses, references = made(seed, 2 + 2 * seed)
    found = cider(hypotheses, references)
    expected = cider_of_the_paper(hypotheses, references)
    np.testing.assert_allclose(found.sentence_scores() / 100, expected, atol=1e-9)
    assert found.score / 100 == pytest.approx(np.mean(expected), abs=1e-9)
    assert found.score > 0


def test_cider_by_hand() -> None:
    found = cider(["a b", "c"], [["a b"], ["c d"]]).sentence_scores()
    # The first agrees in words and pairs, and has no longer n-grams; of the second one word of two is right, and one is missing.
    assert found == pytest.approx([100 * 10 * 2 / 4, 100 * 10 / 4 / math.sqrt(2) * math.exp(-1 / 72)])
    # A word said four times where it is wanted once: 1 · 1 of 4 · 1, and three words too many.
    assert cider(["a a a a", "c"], [["a"], ["c"]]).sentence_scores()[0] == pytest.approx(1000 / 4 / 4 * math.exp(-9 / 72))
    # What every picture has says nothing; several references count for their mean.
    assert cider(["the", "the"], [["the"], ["the"]]).score == 0
    assert cider(["a", "b"], [["a", "x"], ["b", "b"]]).sentence_scores() == pytest.approx([125, 250])


def test_perfect_captions_reach_the_end_of_the_scale_and_are_no_surer_than_a_share() -> None:
    texts = [f"p{number} q{number} r{number} s{number}" for number in range(50)]
    found = cider(texts, [[text] for text in texts])
    interval = score_interval(found.statistics, found.formula)
    assert found.score == pytest.approx(1000)
    assert bounds("cider") == (0, 1000)
    assert 900 < interval.low < 960
    assert interval.high == found.score
    nothing = score_interval(cider([""] * 50, [[text] for text in texts]).statistics, "cider")
    assert (nothing.low, nothing.score) == (0, 0)
    assert 40 < nothing.high < 100


# ---- BLEU, ROUGE-L, exact match ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_bleu_is_that_of_sacrebleu_with_as_many_references_as_there_are(seed: int) -> None:
    hypotheses, references = made(seed, 30)
    scores = caption_scores(hypotheses, references)
    streams = [[some[place] if place < len(some) else None for some in references] for place in range(5)]
    for order in range(1, 5):
        metric = BLEU(tokenize="none", lowercase=True, smooth_method="none", force=True, max_ngram_order=order)
        expected = metric.corpus_score(hypotheses, streams).score
        assert scores[f"bleu{order}"].score == pytest.approx(expected, abs=1e-9)
        some = [0, 3, 3, 29]
        again = caption_scores([hypotheses[i] for i in some], [references[i] for i in some])[f"bleu{order}"]
        assert scores[f"bleu{order}"].over(some) == pytest.approx(again.score)
    assert scores["bleu1"].score > scores["bleu4"].score


def test_bleu_by_hand() -> None:
    scores = caption_scores(["A dog runs."], [["a cat runs fast", "The dog runs"]])
    assert [scores[f"bleu{order}"].score for order in (1, 2)] == pytest.approx([100, 100 * math.sqrt(1 / 2)])
    assert scores["bleu3"].score == scores["bleu4"].score == 0  # no smoothing
    short = caption_scores(["a dog"], [["a dog runs fast"]])["bleu1"]
    assert short.score == pytest.approx(100 * math.exp(1 - 4 / 2))
    assert scores["bleu4"].signature.startswith("nrefs:2|case:lc|eff:no|tok:none|smooth:none|version:")
    assert scores["bleu4"].signature.endswith("|PTB-like words, lower-cased, no punctuation")


def test_rouge_by_hand() -> None:
    def f(precision: float, recall: float) -> float:
        return (1 + 1.44) * precision * recall / (recall + 1.44 * precision)

    assert rouge_l(["a", "b", "c", "d"], [["a", "x", "c"]]) == pytest.approx(f(2 / 4, 2 / 3))
    # The best precision and the best recall may come from two references.
    assert rouge_l(["a", "b", "c", "d"], [["a", "b", "c", "x", "y", "z", "w", "v"], ["d"]]) == pytest.approx(f(3 / 4, 1))
    assert rouge_l([], [["a"]]) == rouge_l(["a"], [["b"]]) == rouge_l(["a"], [[]]) == 0
    assert rouge_l([], [["a"], []]) == 1


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_rouge_counts_the_longest_common_subsequence(found: Texts, wanted: Texts) -> None:
    def longest(first: Texts, second: Texts) -> int:
        if not first or not second:
            return 0
        if first[0] == second[0]:
            return 1 + longest(first[1:], second[1:])
        return max(longest(first[1:], second), longest(first, second[1:]))

    if found and wanted:
        common = longest(found, wanted)
        precision, recall = common / len(found), common / len(wanted)
        expected = 2.44 * precision * recall / (recall + 1.44 * precision) if common else 0.0
        assert rouge_l(found, [wanted]) == pytest.approx(expected)


def test_exact_match_folds_case_and_blanks_alone() -> None:
    found = caption_scores(["A  dog ", "a dog", "a dog."], [["a DOG", "x"], ["x", "a\tdog"], ["a dog"]])["exact"]
    assert found.sentence_scores().tolist() == [100, 100, 0]


def test_a_single_reference_may_stand_without_a_list() -> None:
    once, again = caption_scores(["a dog", "x"], ["a dog", "y"]), caption_scores(["a dog", "x"], [["a dog"], ["y"]])
    assert {name: one.score for name, one in once.items()} == {name: one.score for name, one in again.items()}
    assert once["exact"].score == 50


# ---- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("The man's dog doesn't bark; it can't!", "en", "the man 's dog does n't bark it ca n't"),
        ("The man 's dog does n't bark , it ca n't .", "en", "the man 's dog does n't bark it ca n't"),
        ("A T-shirt (red) -- and a “blue” hat…", "en", "a t-shirt red and a blue hat"),
        ("They’ll run 3.5 miles, they cannot stop", "en", "they 'll run 3.5 miles they can not stop"),
        ("L'homme aujourd'hui, ça va ?", "fr", "l'homme aujourd'hui ça va"),
        ("एक कुत्ता दौड़ रहा है।", "hi", "एक कुत्ता दौड़ रहा है"),
        ("一只狗，在草地上。", "zh", "一 只 狗 在 草 地 上"),
        ("犬が 走る。", "ja", "犬 が 走 る"),
        ("ที่", "th", "ท ี ่"),
        ("...", "en", ""),
    ],
)
def test_words_of_captions(text: str, language: str, words: str) -> None:
    assert caption_words(text, language) == words.split()


@given(st.text(), st.sampled_from(["en", "de", "zh"]))
def test_words_are_lower_case_without_blanks_and_found_again(text: str, language: str) -> None:
    words = caption_words(text, language)
    assert all(word and not any(letter.isspace() for letter in word) for word in words)
    scores = caption_scores([text, "another"], [[text], ["nothing"]], language=language)
    assert scores["exact"].sentence_scores()[0] == 100
    assert scores["rougel"].sentence_scores()[0] == pytest.approx(100)


def test_characters_are_words_where_no_spaces_are_written() -> None:
    scores = caption_scores(["我愛你"], [["我愛他"]], language="zh-Hant")
    assert scores["bleu1"].score == pytest.approx(100 * 2 / 3)
    assert scores["bleu1"].signature.endswith("|characters, lower-cased, no punctuation")
    assert scores["rougel"].score == pytest.approx(100 * 2 / 3)


# ---- all of them -------------------------------------------------------------------------------------------------------


def test_what_cannot_be_scored_is_said() -> None:
    with pytest.raises(DataError, match="sentence 2 has no reference"):
        caption_scores(["a", "b"], [["a"], []])
    with pytest.raises(DataError, match="1 hypotheses but 2 references; sentence 2 has no partner"):
        caption_scores(["a"], [["a"], ["b"]])
    with pytest.raises(DataError, match="no sentences to score"):
        cider([], [])
    with pytest.raises(DataError, match="reference 1 is int, not text"):
        cider(["a"], [["a", 3]])  # type: ignore[list-item]


def test_the_order_of_references_and_pictures_is_no_matter() -> None:
    hypotheses, references = made(5, 40)
    order = random.Random(1).sample(range(40), 40)
    once = caption_scores(hypotheses, references)
    again = caption_scores([hypotheses[i] for i in order], [references[i][::-1] for i in order])
    assert list(once) == ["cider", "bleu1", "bleu2", "bleu3", "bleu4", "rougel", "exact"]
    for name, measured in once.items():
        assert again[name].score == pytest.approx(measured.score), name
        assert measured.higher_is_better


@pytest.mark.parametrize("name", ["cider", "bleu4", "rougel"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(name: str) -> None:
    population = caption_scores(*made(3, 3000))[name]
    chance, held = np.random.default_rng(1), 0
    for trial in range(150):
        drawn = population.statistics[chance.integers(0, 3000, 150)]
        found = score_interval(drawn, population.formula, samples=300, seed=trial)
        assert found.low <= found.score <= found.high
        held += found.low <= population.score <= found.high
    assert 0.88 <= held / 150 <= 0.99
