"""Retrieval against a slow search, Spearman's ρ against SciPy, and what each resample of the bootstrap gives."""

from __future__ import annotations

import numpy as np
import pytest

from headway.config import Config
from headway.evaluation import embedding_scores
from headway.evaluation.embedding_scores import rating_scores, retrieval_scores, retrieve, retrieve_both
from headway.evaluation.formulas import spearman
from headway.evaluation.request import with_interval

WORDS = "abcdefg"


def made_pairs(rng: np.random.Generator, count: int) -> tuple[list[str], list[str]]:
    """Pairs of few different texts, so that some stand on both sides and many several times."""
    texts = [[str(rng.choice(list(WORDS))) + side * int(rng.random() < 0.7) for _ in range(count)] for side in "st"]
    return texts[0], texts[1]


def vectors_of(texts: list[str], rng: np.random.Generator) -> np.ndarray:
    """A vector of unit length for each text, the same for the same."""
    known = {text: rng.normal(size=4) for text in sorted(set(texts))}
    return np.array([known[text] / np.linalg.norm(known[text]) for text in texts])


def slowly_ahead(asked: list[str], answers: list[str], queries: np.ndarray, candidates: np.ndarray, row: int) -> int:
    """Different wrong texts that are at least as near as the nearest right one, the query itself not counted."""
    right = {answer for question, answer in zip(asked, answers, strict=True) if question == asked[row]}
    cosines = {text: float(queries[row] @ candidates[answers.index(text)]) for text in answers}
    best = max(cosines[text] for text in right)
    return sum(cosine >= best for text, cosine in cosines.items() if text not in right and text != asked[row])


@pytest.mark.parametrize("chunk", [1, 40, 1 << 22])
def test_retrieval_is_that_of_a_slow_search(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_scores, "CHUNK_ELEMENTS", chunk)
    rng = np.random.default_rng(3)
    asked, answers = made_pairs(rng, 30)
    vectors = vectors_of(asked + answers, rng)
    queries, candidates = vectors[:30], vectors[30:]
    found = retrieve(queries, candidates, asked, answers)
    slow = [slowly_ahead(asked, answers, queries, candidates, row) for row in range(30)]
    assert found.ahead.tolist() == slow
    assert len(set(slow)) > 3
    assert found.candidates == len(set(answers))
    for row, nearest in enumerate(found.nearest.tolist()):
        right = {answer for question, answer in zip(asked, answers, strict=True) if question == asked[row]}
        assert (answers[nearest] in right) == (slow[row] == 0)


def test_what_cannot_be_told_apart_is_not_found() -> None:
    same, lost = np.ones((6, 1)), np.full((6, 1), np.nan)
    texts = [[f"{side}{row}" for row in range(6)] for side in "st"]
    for vectors in (same, 0 * same, lost):
        assert retrieval_scores(retrieve_both([vectors, vectors], texts))["accuracy@1"].score == 0
    assert retrieve(same, same, texts[0], ["one"] * 6).ahead.tolist() == [0] * 6


def test_sparse_vectors_give_the_same() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(4)
    dense = rng.normal(size=(2, 20, 8)) * (rng.random((2, 20, 8)) < 0.4)
    texts = [[f"{side}{row}" for row in range(20)] for side in "st"]
    expected = retrieve(dense[0], dense[1], *texts)
    found = retrieve(sparse.csr_matrix(dense[0]), sparse.csr_matrix(dense[1]), *texts)
    assert found.ahead.tolist() == expected.ahead.tolist()


def test_accuracies_of_both_directions_and_chance() -> None:
    queries = np.eye(8)
    candidates = np.eye(8)[[1, 0, 2, 3, 4, 5, 6, 7]] + 0.1 * np.eye(8)  # the first two are swapped, the right ones come second
    texts = [[f"{side}{row}" for row in range(8)] for side in "st"]
    found = retrieve_both([queries, candidates], texts)
    scores = retrieval_scores(found)
    assert [one.score for one in scores.values()] == pytest.approx([75, 75, 100, 75, 100])
    chance = retrieval_scores(found, by_chance=True)
    assert chance["accuracy@1"].score == pytest.approx(100 / 8)
    assert chance["target_to_source@5"].score == pytest.approx(100 * 5 / 8)
    assert scores["accuracy@1"].statistics.tolist() == [[0, 2], [0, 2], *[[2, 2]] * 6]


def test_chance_of_several_right_ones_is_what_drawing_gives() -> None:
    rng = np.random.default_rng(5)
    asked, answers = ["q"] * 3 + list("rstuv"), list("abcdefgh")
    found = retrieve(np.zeros((8, 1)), np.zeros((8, 1)), asked, answers)
    drawn = np.mean([(rng.permutation(8)[:2] < 3).any() for _ in range(20_000)])
    assert found.by_chance(2)[0] == pytest.approx(drawn, abs=0.015)
    assert found.by_chance(50).tolist() == [1.0] * 8


# ---- ratings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", [False, True])
def test_spearman_is_that_of_scipy_on_every_resample(ties: bool) -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(6)
    ratings = rng.normal(size=60)
    cosines = ratings + rng.normal(size=60)
    if ties:
        cosines, ratings = cosines.round(0), ratings.round(0)
    measured = rating_scores(cosines, ratings)["spearman"]
    assert measured.score == pytest.approx(stats.spearmanr(cosines, ratings).statistic, abs=1e-12)
    drawn = rng.integers(0, 60, size=(25, 60))
    weights = np.stack([np.bincount(rows, minlength=60) for rows in drawn]).astype(np.float64)
    expected = [stats.spearmanr(cosines[rows], ratings[rows]).statistic for rows in drawn]
    assert spearman(np.stack((cosines, ratings), 1), weights) == pytest.approx(expected, abs=1e-12)


def test_the_interval_of_a_rank_correlation_is_drawn_from_whole_resamples() -> None:
    rng = np.random.default_rng(7)
    ratings = rng.normal(size=200)
    measured = rating_scores(ratings + rng.normal(size=200), ratings)["spearman"]
    corpus = {"source": "a", "target": "b"}
    values = {"run_directory": "r", "data": {"train": corpus, "validation": corpus}, "evaluation": {"bootstrap_samples": 500}}
    found = with_interval(measured, Config.model_validate(values))
    assert found.low < found.score < found.high
    spread = (found.high - found.low) / 2 / 1.96
    assert spread == pytest.approx((1 - found.score**2) / np.sqrt(200), rel=0.35)  # of Pearson's r, which is near
    assert rating_scores(np.ones(5), np.arange(5.0))["spearman"].score == 0
