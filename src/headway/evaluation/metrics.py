"""Scores of translations: BLEU, chrF and TER of sacreBLEU, and perplexity, as pure functions on lists.

In go hypotheses and references, line by line; out comes a `Measurement`: the score, sacreBLEU's signature, and the statistics
of each sentence, whose sum over any choice of sentences gives the score of that choice, so the bootstrap never reads text again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from headway.errors import DataError

Statistics = np.ndarray  # int64 [N, K]: N sentences, K sums that the score is computed from
ScoreFunction = Callable[[np.ndarray], np.ndarray]  # [..., K] → [...]
BleuTokenizer = Literal["13a", "zh", "char", "intl", "none"]

WITHOUT_SPACES = frozenset({"ja", "jpn", "th", "tha", "lo", "lao", "km", "khm", "my", "mya", "bo", "bod", "dz", "dzo"})
CHINESE = frozenset({"zh", "zho", "chi", "cmn", "yue", "wuu", "lzh", "nan", "hak"})
BLEU_ORDER, CHRF_ORDER, CHRF_BETA = 4, 6, 2
PAPER_LABEL = "BLEU (tokenised, lower-cased, for comparison with papers)"
SUSPICIOUS_SHARE = 0.05


@dataclass(frozen=True)
class Measurement:
    """One score of one list of translations, with all that is needed to compute it again on other choices of sentences."""

    name: str  # the key in files: bleu, chrf, ter, paper_bleu
    label: str  # what people read
    score: float
    signature: str
    higher_is_better: bool
    statistics: Statistics
    score_function: ScoreFunction
    sentence_function: ScoreFunction
    weighted_score: ScoreFunction | None = None  # [R, N], how often each sentence was drawn, → [R]: where no sum tells it

    def sentence_scores(self) -> np.ndarray:
        """The score of each sentence alone, float64 [N]; BLEU with effective order, as sacreBLEU advises for sentences."""
        return self.sentence_function(self.statistics)

    def over(self, indices: Sequence[int] | np.ndarray) -> float:
        """The score over a choice of sentences."""
        return float(self.score_function(self.statistics[np.asarray(indices, dtype=np.int64)].sum(axis=0)))


def base_language(language: str) -> str:
    """``zh-Hant``, ``zh_TW`` → ``zh``."""
    return re.split(r"[-_]", language.strip().lower(), maxsplit=1)[0]


def writes_spaces(language: str) -> bool:
    """Whether words of the language are set apart by spaces."""
    return base_language(language) not in WITHOUT_SPACES | CHINESE


def bleu_tokenizer(language: str) -> BleuTokenizer:
    """sacreBLEU's tokeniser for a target language: zh for Chinese, char where no spaces are written, else 13a."""
    base = base_language(language)
    return "zh" if base in CHINESE else "char" if base in WITHOUT_SPACES else "13a"


def check_pairs(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    """Raises DataError unless there is one hypothesis, a text, for each reference, and at least one of them."""
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise DataError("a single text was given where a list of texts is scored", remedy="put each sentence into a list")
    if len(hypotheses) != len(references):
        first = min(len(hypotheses), len(references)) + 1
        raise DataError(
            f"{len(hypotheses)} hypotheses but {len(references)} references; sentence {first} has no partner",
            remedy="score the same lines in the same order; nothing is cut to fit",
        )
    if not references:
        raise DataError("no sentences to score", remedy="give a test set with at least one pair")
    for name, texts in (("hypothesis", hypotheses), ("reference", references)):
        for number, text in enumerate(texts, start=1):
            if not isinstance(text, str):
                raise DataError(f"{name} {number} is {type(text).__name__}, not text")


def bleu_score(statistics: np.ndarray, effective_order: bool = False) -> np.ndarray:
    """BLEU (Papineni et al. 2002) with sacreBLEU's exponential smoothing. [..., 10] → [...] in 0–100.

    The ten sums: hypothesis length, reference length, matching n-grams of order 1–4, hypothesis n-grams of order 1–4.
    """
    sums = np.asarray(statistics, dtype=np.float64)
    hypothesis_length, reference_length = sums[..., 0], sums[..., 1]
    correct, total = sums[..., 2 : 2 + BLEU_ORDER], sums[..., 2 + BLEU_ORDER :]
    counted = total > 0
    # the k-th order without a match counts as 1 / 2^k of a match
    halvings = np.exp2(np.cumsum((correct == 0) & counted, axis=-1))
    precision = np.where(correct > 0, correct, 1.0 / halvings) / np.where(counted, total, 1.0) * 100.0
    orders = np.maximum(counted.sum(axis=-1), 1) if effective_order else np.float64(BLEU_ORDER)
    log_precision = np.where(counted, np.log(precision), 0.0).sum(axis=-1) / orders
    ratio = reference_length / np.maximum(hypothesis_length, 1.0)
    brevity = np.where(hypothesis_length < reference_length, np.exp(1.0 - np.maximum(ratio, 1.0)), 1.0)
    defined = (correct > 0).any(axis=-1) & (effective_order | counted.all(axis=-1))
    return np.where(defined, brevity * np.exp(log_precision), 0.0)


def chrf_score(statistics: np.ndarray) -> np.ndarray:
    """chrF2 (Popović 2015): F-score, recall weighing double, of character n-grams of order 1–6. [..., 18] → [...] in 0–100.

    For each order three sums: n-grams of the hypothesis, of the reference, and of both.
    """
    sums = np.asarray(statistics, dtype=np.float64)
    hypothesis, reference, match = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
    counted = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(counted.sum(axis=-1), 1)
    precision = np.where(counted, match / np.maximum(hypothesis, 1.0), 0.0).sum(axis=-1) / orders
    recall = np.where(counted, match / np.maximum(reference, 1.0), 0.0).sum(axis=-1) / orders
    weight = CHRF_BETA**2
    denominator = weight * precision + recall
    return np.where(denominator > 0, 100.0 * (1 + weight) * precision * recall / np.where(denominator > 0, denominator, 1.0), 0.0)


def ter_score(statistics: np.ndarray) -> np.ndarray:
    """TER (Snover et al. 2006): edits / reference words. [..., 2] → [...]; 0 is perfect, above 100 is possible."""
    sums = np.asarray(statistics, dtype=np.float64)
    edits, words = sums[..., 0], sums[..., 1]
    return np.where(words > 0, 100.0 * edits / np.maximum(words, 1.0), np.where(edits > 0, 100.0, 0.0))


def bleu(
    hypotheses: Sequence[str], references: Sequence[str], *, language: str = "en", tokenize: BleuTokenizer | None = None
) -> Measurement:
    """Detokenised, cased BLEU, sacreBLEU's definition. Raises DataError for unequal counts."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize=tokenize or bleu_tokenizer(language), force=True)  # force: `look_at` warns at 5 %, not at 100 lines
    return _measure("bleu", "BLEU", metric, hypotheses, references, bleu_score, partial(bleu_score, effective_order=True))


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> Measurement:
    """chrF2, sacreBLEU's definition. Raises DataError for unequal counts."""
    from sacrebleu.metrics.chrf import CHRF

    return _measure("chrf", "chrF2", CHRF(), hypotheses, references, chrf_score, chrf_score)


def ter(hypotheses: Sequence[str], references: Sequence[str], *, language: str = "en") -> Measurement:
    """TER, sacreBLEU's definition; lower is better. For Chinese and Japanese of characters, not words (asian:yes)."""
    from sacrebleu.metrics.ter import TER

    characters = not writes_spaces(language)
    metric = TER(normalized=characters, asian_support=characters)
    return _measure("ter", "TER", metric, hypotheses, references, ter_score, ter_score, higher_is_better=False)


def tokenised_lowercased_bleu(hypotheses: Sequence[str], references: Sequence[str]) -> Measurement:
    """BLEU as older papers report it, of text that is Moses-tokenised on both sides already; lower-cased here.

    Such figures depend on the tokeniser and are higher than detokenised ones; they are for comparison with papers only.
    """
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize="none", lowercase=True, force=True)
    return _measure(
        "paper_bleu", PAPER_LABEL, metric, hypotheses, references, bleu_score, partial(bleu_score, effective_order=True)
    )


def corpus_scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    language: str = "en",
    tokenize: BleuTokenizer | None = None,
    names: Iterable[str] = ("bleu", "chrf", "ter"),
) -> dict[str, Measurement]:
    """The named scores of detokenised text, in the order asked for."""
    metrics: dict[str, Callable[[], Measurement]] = {
        "bleu": lambda: bleu(hypotheses, references, language=language, tokenize=tokenize),
        "chrf": lambda: chrf(hypotheses, references),
        "ter": lambda: ter(hypotheses, references, language=language),
    }
    return {name: metrics[name]() for name in names}


def perplexity(negative_log_probability: float, tokens: int) -> float:
    """exp(−log p / tokens), natural logarithm; infinity where that overflows. Raises DataError for no tokens."""
    if tokens <= 0:
        raise DataError(
            f"the perplexity of {tokens} tokens is not defined", remedy="give a test set with at least one target token"
        )
    try:
        return math.exp(negative_log_probability / tokens)
    except OverflowError:
        return math.inf


@dataclass(frozen=True)
class Looks:
    """How many hypotheses look like something that BLEU must not be computed on."""

    sentences: int
    empty: int
    tokenised: int
    subwords: int
    tokenised_references: int

    def warnings(self) -> list[str]:
        """Sentences for a person; empty where all is well."""
        found = []
        written = max(self.sentences - self.empty, 1)
        if self.subwords >= SUSPICIOUS_SHARE * written and self.subwords:
            found.append(f"{self.subwords} of {self.sentences} hypotheses hold subword marks (@@, ▁): join the pieces first")
        if self.tokenised >= SUSPICIOUS_SHARE * written and self.tokenised:
            also = ", and so do the references" if self.tokenised_references >= SUSPICIOUS_SHARE * self.sentences else ""
            found.append(f"{self.tokenised} of {self.sentences} hypotheses look tokenised{also}: such a BLEU is not comparable")
        if self.empty:
            found.append(f"{self.empty} of {self.sentences} hypotheses are empty")
        return found


# a lone full stop or comma; « ; », « ! » and « ? » after a space are good French
_TOKENISED = re.compile(r"\s[.,](?:\s|$)|@-@|&(?:apos|quot|amp|#91|#93|#124);")
_SUBWORDS = re.compile(r"@@(?:\s|$)|▁")


def look_at(hypotheses: Sequence[str], references: Sequence[str]) -> Looks:
    """Counts empty, tokenised-looking and subword-looking lines. A subword mark that its own reference holds too is content."""
    pairs = list(zip(hypotheses, references, strict=True))
    return Looks(
        sentences=len(pairs),
        empty=sum(not hypothesis.strip() for hypothesis, _ in pairs),
        tokenised=sum(_TOKENISED.search(hypothesis) is not None for hypothesis, _ in pairs),
        subwords=sum(bool(_SUBWORDS.search(hypothesis)) and not _SUBWORDS.search(reference) for hypothesis, reference in pairs),
        tokenised_references=sum(_TOKENISED.search(reference) is not None for _, reference in pairs),
    )


def _measure(
    name: str,
    label: str,
    metric: Any,
    hypotheses: Sequence[str],
    references: Sequence[str],
    score_function: ScoreFunction,
    sentence_function: ScoreFunction,
    higher_is_better: bool = True,
) -> Measurement:
    check_pairs(hypotheses, references)
    # sacreBLEU's own pass over the text; its public call would throw the sentences' statistics away
    statistics = np.array(metric._extract_corpus_statistics(list(hypotheses), [list(references)]), dtype=np.int64)
    return Measurement(
        name=name,
        label=label,
        score=float(score_function(statistics.sum(axis=0))),
        signature=str(metric.get_signature()),
        higher_is_better=higher_is_better,
        statistics=statistics,
        score_function=score_function,
        sentence_function=sentence_function,
    )
