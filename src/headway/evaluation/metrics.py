"""Scores of translations: BLEU, chrF and TER of sacreBLEU, and perplexity, as pure functions on lists.

In go hypotheses and references, line by line; out comes a `Measurement`: the score, sacreBLEU's signature, and the statistics
of each sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from headway.errors import DataError
from headway.evaluation.formulas import FORMULAS, FORMULAS_OF_ONE, DrawFunction, ScoreFunction, score_of
from headway.languages import CHINESE, WITHOUT_SPACES, base_language, writes_spaces

References: TypeAlias = Sequence[str] | Sequence[Sequence[str]]  # one of each sentence, or several
Statistics = np.ndarray  # [N, K]: N examples, K figures whose sums the score is computed from
BleuTokenizer = Literal["13a", "zh", "char", "intl", "none"]

PAPER_LABEL = "BLEU (tokenised, lower-cased, for comparison with papers)"
SUSPICIOUS_SHARE = 0.05


@dataclass(frozen=True)
class Measurement:
    """One score of one list of answers, with all that is needed to compute it again on other choices of examples."""

    name: str  # the key in files: bleu, chrf, accuracy
    label: str  # what people read
    signature: str
    statistics: Statistics
    formula: str  # the key in FORMULAS
    higher_is_better: bool = True

    @property
    def score(self) -> float:
        return score_of(self.score_function, self.statistics)

    @property
    def score_function(self) -> ScoreFunction | DrawFunction:
        return FORMULAS[self.formula]

    def sentence_scores(self) -> np.ndarray:
        """The score of each example alone, float64 [N]."""
        return FORMULAS_OF_ONE[self.formula](self.statistics)

    def over(self, indices: Sequence[int] | np.ndarray) -> float:
        """The score over a choice of examples."""
        return score_of(self.score_function, self.statistics[np.asarray(indices, dtype=np.int64)])


def bleu_tokenizer(language: str) -> BleuTokenizer:
    """sacreBLEU's tokeniser for a target language: zh for Chinese, char where no spaces are written, else 13a."""
    base = base_language(language)
    return "zh" if base in CHINESE else "char" if base in WITHOUT_SPACES else "13a"


def check_pairs(hypotheses: Sequence[str], references: References) -> None:
    """Raises DataError unless there is one hypothesis, a text, for each reference or list of such, and at least one of them."""
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
    for name, texts in (("hypothesis", [[one] for one in hypotheses]), ("reference", each_list(references))):
        for number, some in enumerate(texts, start=1):
            if not some:
                raise DataError(f"sentence {number} has no reference", remedy="leave it out, or give it one")
            for text in some:
                if not isinstance(text, str):
                    raise DataError(f"{name} {number} is {type(text).__name__}, not text")


def each_list(references: References) -> list[list[str]]:
    """The references of each sentence, of which each is right."""
    return [list(one) if isinstance(one, list | tuple) else [cast(str, one)] for one in references]


def bleu(
    hypotheses: Sequence[str], references: References, *, language: str = "en", tokenize: BleuTokenizer | None = None
) -> Measurement:
    """Detokenised, cased BLEU, sacreBLEU's definition. Raises DataError for unequal counts."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize=tokenize or bleu_tokenizer(language), force=True)  # force: `look_at` warns at 5 %, not at 100 lines
    return measured_by("bleu", "BLEU", metric, hypotheses, references, "bleu")


def chrf(hypotheses: Sequence[str], references: References) -> Measurement:
    """chrF2, sacreBLEU's definition. Raises DataError for unequal counts."""
    from sacrebleu.metrics.chrf import CHRF

    return measured_by("chrf", "chrF2", CHRF(), hypotheses, references, "chrf")


def ter(hypotheses: Sequence[str], references: Sequence[str], *, language: str = "en") -> Measurement:
    """TER, sacreBLEU's definition; lower is better. For Chinese and Japanese of characters, not words (asian:yes)."""
    from sacrebleu.metrics.ter import TER

    characters = not writes_spaces(language)
    metric = TER(normalized=characters, asian_support=characters)
    return measured_by("ter", "TER", metric, hypotheses, references, "ter", higher_is_better=False)


def tokenised_lowercased_bleu(hypotheses: Sequence[str], references: Sequence[str]) -> Measurement:
    """BLEU as older papers report it, of text that is Moses-tokenised on both sides already; lower-cased here.

    Such figures depend on the tokeniser and are higher than detokenised ones; they are for comparison with papers only.
    """
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize="none", lowercase=True, force=True)
    return measured_by("paper_bleu", PAPER_LABEL, metric, hypotheses, references, "bleu")


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


def measured_by(
    name: str,
    label: str,
    metric: Any,
    hypotheses: Sequence[str],
    references: References,
    formula: str,
    higher_is_better: bool = True,
) -> Measurement:
    """A score by a metric of sacreBLEU. Raises DataError as `check_pairs` does."""
    check_pairs(hypotheses, references)
    streams = [list(stream) for stream in zip_longest(*each_list(references))]  # None where a sentence has fewer
    # sacreBLEU's own pass over the text; its public call would throw the sentences' statistics away
    statistics = np.array(metric._extract_corpus_statistics(list(hypotheses), streams), dtype=np.int64)
    return Measurement(name, label, str(metric.get_signature()), statistics, formula, higher_is_better)
