"""What simple methods reach on the same data: if a Transformer is not above them, it does not earn its keep.

Of labels: the commonest one, and logistic regression on TF-IDF weights of words and pairs of words (of characters where no
spaces are written), its strength chosen on the validation set. Of vectors: TF-IDF weights of runs of characters. Of captions and
short answers: the commonest one. All learn from the training texts alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from headway.config import OF_MEDIA, Config
from headway.data.labelled import Labelled
from headway.data.labels import Labels
from headway.data.readers import corpus_name
from headway.errors import DataError, UsageError
from headway.evaluation.metrics import Measurement
from headway.inference.labelling import MAIN_SCORE, gold_matrix, label_scores
from headway.languages import writes_spaces

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)  # inverse of the regularisation
CHANGED = "put the training file back as it was when the model was trained"


def label_baselines(
    train: Sequence[Labelled], validation: Sequence[Labelled], test: Sequence[Labelled], labels: Labels, config: Config
) -> dict[str, dict[str, Measurement]]:
    """Name of each baseline → its scores on `test`.

    Raises:
        UsageError: scikit-learn is missing. DataError: nothing can be learned from `train`, which has changed since training.
    """
    if labels.kind != "number" and (
        unknown := labels.with_others(example.labels for example in train).names[len(labels.names) :]
    ):
        problem = f"the training set has a label that the model does not know: {unknown[0][:40]!r}"
        raise DataError(problem, where=corpus_name(*config.data.parts("train")), remedy=CHANGED)
    always = {}
    if labels.kind == "one":
        constant = torch.zeros(len(test), labels.outputs)
        constant[:, 0] = 20.0  # the first label is the most frequent
        always = {f"always {labels.names[0]!r}": label_scores(constant, test, labels)}
    if config.task in OF_MEDIA:  # a path says nothing
        return always
    words = {"ngram_range": (1, 2), "token_pattern": r"\S+"}
    characters = {"ngram_range": (1, 3), "analyzer": "char"}
    vectorizer = _tf_idf(**(words if writes_spaces(config.data.source_language) else characters))
    try:
        train_texts = vectorizer.fit_transform([example.source for example in train])
        with _one_thread():
            fitted = [_fit(train_texts, train, labels, strength) for strength in STRENGTHS]
    except ValueError as error:  # of scikit-learn: no words, or a single class
        raise DataError(str(error), where=corpus_name(*config.data.parts("train")), remedy=CHANGED) from None
    main = MAIN_SCORE[labels.kind]

    def scores(model: Any, examples: Sequence[Labelled]) -> dict[str, Measurement]:
        found = _logits(model, vectorizer.transform([example.source for example in examples]), labels)
        return label_scores(found, examples, labels)

    best = max(fitted, key=lambda model: scores(model, validation)[main].score)
    name = "ridge regression" if labels.kind == "number" else "logistic regression"
    return {f"TF-IDF + {name}": scores(best, test)} | always


def commonest_text(texts: Iterable[str]) -> str:
    """What was written most often, but for case and blanks, as it was first written; of several the first. Nothing of none."""
    first: dict[str, str] = {}
    times: Counter[str] = Counter()
    for text in texts:
        plain = " ".join(text.split()).lower()
        first.setdefault(plain, text)
        times[plain] += 1
    return first[max(times, key=times.__getitem__)] if times else ""


def tf_idf_vectors(train: Iterable[str], *sides: Sequence[str]) -> list[Any]:
    """For each list of texts TF-IDF weights of runs of 1 to 4 characters, sparse rows of unit length, [N, features].

    Raises:
        UsageError: scikit-learn is missing.
    """
    vectorizer = _tf_idf(analyzer="char", ngram_range=(1, 4), dtype=np.float32).fit(train)
    return [vectorizer.transform(texts) for texts in sides]


def _tf_idf(**settings: Any) -> Any:
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        raise UsageError("baselines need the package scikit-learn", remedy='pip install "headway[metrics]"') from None
    return TfidfVectorizer(sublinear_tf=True, **settings)


def _one_thread() -> AbstractContextManager[Any]:
    """For steps as small as those of a linear model; more threads of a BLAS spin, beside other work several times longer."""
    from threadpoolctl import threadpool_limits  # scikit-learn brings it

    return threadpool_limits(1, user_api="blas")


def _fit(texts: Any, train: Sequence[Labelled], labels: Labels, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.multiclass import OneVsRestClassifier

    if labels.kind == "number":
        numbers = [(float(example.labels[0]) - labels.mean) / labels.deviation for example in train]
        return Ridge(alpha=1 / strength).fit(texts, numbers)
    logistic = LogisticRegression(C=strength, max_iter=1000)
    if labels.kind == "several":
        return OneVsRestClassifier(logistic).fit(texts, gold_matrix(train, labels).astype(int))
    return logistic.fit(texts, [labels.numbers[example.labels[0]] for example in train])


def _logits(model: Any, texts: Any, labels: Labels) -> torch.Tensor:
    """As the head of a Transformer gives them, [N, L]."""
    if labels.kind == "number":
        return torch.from_numpy(np.asarray(model.predict(texts), dtype=np.float32))[:, None]
    probability = np.asarray(model.predict_proba(texts), dtype=np.float64)
    if labels.kind == "several":
        probability = probability[:, -labels.outputs :]  # of a single label there are two columns: no and yes
        probability = probability.clip(1e-9, 1 - 1e-9)
        found = np.log(probability) - np.log1p(-probability)
        return torch.from_numpy(found).float()
    columns = np.full((len(probability), labels.outputs), 1e-9)
    columns[:, model.classes_] = probability.clip(min=1e-9)
    return torch.from_numpy(np.log(columns)).float()
