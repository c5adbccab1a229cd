"""An embedder and pairs it has not seen → how often the nearest text is the right one, and what simple methods reach.

Where the pairs are rated, not each is a match, so nothing is looked for: the cosines are held against the ratings.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from headway.config import TrainingConfig
from headway.data.pairs import SentencePreparation
from headway.data.preparation import read_all
from headway.data.readers import Pair, RatedPair, corpus_name
from headway.errors import DataError, HeadwayError
from headway.evaluation.baselines import tf_idf_vectors
from headway.evaluation.embedding_scores import Retrieval, rating_scores, retrieval_scores, retrieve_both
from headway.evaluation.labels import say_no_baseline
from headway.evaluation.metrics import Measurement
from headway.evaluation.outcome_record import AnswerRecord, Outcome, Wrong
from headway.evaluation.request import Request
from headway.inference.embedding import row_vectors
from headway.training.parallel import choose_device

TF_IDF = "TF-IDF of characters"


def embedding_outcome(request: Request) -> Outcome:
    """What the vectors of the pairs of a set are worth."""
    loaded, config = request.loaded, request.config
    preparation = SentencePreparation(loaded.tokenizers, config)
    rows = preparation.rows_of_all(request.examples)
    model = loaded.model.to(choose_device(TrainingConfig()))  # that of this machine, whatever it was trained on
    vectors = [row_vectors(model, side) for side in (rows.source_rows, rows.target_rows)]
    return _correlation(request, vectors) if isinstance(request.examples[0], RatedPair) else _retrieval(request, vectors)


def _retrieval(request: Request, vectors: list[Any]) -> Outcome:
    pairs: list[Pair] = request.examples
    texts = [pair.source for pair in pairs], [pair.target for pair in pairs]
    found = retrieve_both(vectors, texts)
    baselines = {}
    if (simple := _simple_vectors(request)) is not None:
        baselines[TF_IDF] = retrieval_scores(retrieve_both(simple, texts))
    baselines["chance"] = retrieval_scores(found, by_chance=True)
    return Outcome(
        measurements=retrieval_scores(found),
        answers=[
            AnswerRecord(line=pair.line, source=pair.source, reference=pair.target, answer=texts[1][row])
            for pair, row in zip(pairs, found[0].nearest.tolist(), strict=True)
        ],
        wrong=_farthest(pairs, found[0]),
        baselines=baselines,
    )


def _farthest(pairs: list[Pair], found: Retrieval) -> list[Wrong]:
    """Sources whose target is not the nearest, those first that have most other texts before it."""
    order = [row for row in np.argsort(-found.ahead, kind="stable").tolist() if found.ahead[row]]
    return [
        Wrong(
            line=pairs[row].line,
            source=pairs[row].source,
            problem=f"wanted {pairs[row].target}, nearest {pairs[found.nearest[row]].target}, {found.ahead[row]:,} before it",
        )
        for row in order
    ]


def _correlation(request: Request, vectors: list[Any]) -> Outcome:
    pairs: list[RatedPair] = request.examples
    ratings = np.array([pair.rating for pair in pairs], dtype=np.float64)
    if np.ptp(ratings) == 0:
        where = corpus_name(*request.config.data.parts(request.split))
        raise DataError(
            f"all ratings are the same ({ratings[0]:g})", where=where, remedy="is `rating` the column of the ratings?"
        )
    cosines = (vectors[0] * vectors[1]).sum(1)
    baselines: dict[str, dict[str, Measurement]] = {}
    if (simple := _simple_vectors(request)) is not None:
        baselines[TF_IDF] = rating_scores(np.asarray(simple[0].multiply(simple[1]).sum(1)).ravel(), ratings)
    return Outcome(
        measurements=rating_scores(cosines, ratings),
        answers=[
            AnswerRecord(line=pair.line, source=f"{pair.source}\t{pair.target}", reference=f"{rating:g}", answer=f"{cosine:.4f}")
            for pair, rating, cosine in zip(pairs, ratings, cosines, strict=True)
        ],
        baselines=baselines,
    )


def _simple_vectors(request: Request) -> list[Any] | None:
    """TF-IDF vectors of both sides, learned from the training pairs; where they cannot be had, that is said."""
    pairs = request.examples
    try:
        learned = read_all(SentencePreparation.read, request.config.data, "train")
        train = chain.from_iterable((pair.source, pair.target) for pair in learned)
        return tf_idf_vectors(train, [pair.source for pair in pairs], [pair.target for pair in pairs])
    except HeadwayError as error:
        say_no_baseline(error)
        return None
