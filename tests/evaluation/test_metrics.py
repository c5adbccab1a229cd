"""The scores equal sacreBLEU's to 1e-9 with the same signature, over whole corpora, sentences and choices of sentences."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF, TER

from headway.errors import DataError
from headway.evaluation import formulas, metrics
from headway.evaluation.intervals import bootstrap_interval
from headway.evaluation.metrics import Measurement

GERMAN = ["der", "die", "das", "ein", "eine", "Mann", "Frau", "Hund", "läuft", "spielt", "über", "im", "Park", "rot"]
WORDS = [*GERMAN, ",", ".", "!", "3.5", "Straßen-Café", "我", "们", "'n", "\u2028", "\x85", "\xa0", "é"]

OURS: dict[str, tuple[Callable[[list[str], list[str]], Measurement], Callable[[], object]]] = {
    "bleu": (metrics.bleu, BLEU),
    "bleu-zh": (lambda h, r: metrics.bleu(h, r, language="zh-Hant"), lambda: BLEU(tokenize="zh")),
    "bleu-char": (lambda h, r: metrics.bleu(h, r, language="ja"), lambda: BLEU(tokenize="char")),
    "bleu-intl": (lambda h, r: metrics.bleu(h, r, tokenize="intl"), lambda: BLEU(tokenize="intl")),
    "paper": (metrics.tokenised_lowercased_bleu, lambda: BLEU(tokenize="none", lowercase=True, force=True)),
    "chrf": (metrics.chrf, CHRF),
    "ter": (metrics.ter, TER),
    "ter-zh": (lambda h, r: metrics.ter(h, r, language="zh"), lambda: TER(normalized=True, asian_support=True)),
}


def random_corpus(source: random.Random, longest: int = 12, lines: int = 8) -> tuple[list[str], list[str]]:
    """References of random words (some empty), and hypotheses: edited copies, shuffles, cuts, empties, strangers."""
    references, hypotheses = [], []
    for _ in range(source.randint(1, lines)):
        words = source.choices(WORDS, k=source.choice([0, 1, 2, 3, source.randint(0, longest)]))
        other = list(words)
        for _ in range(source.randint(0, 3)):
            move = source.randrange(5)
            if move == 0 and other:
                other[source.randrange(len(other))] = source.choice(WORDS)
            elif move == 1 and other:
                del other[source.randrange(len(other)) :]
            elif move == 2:
                source.shuffle(other)
            elif move == 3:
                other.insert(source.randint(0, len(other)), source.choice(WORDS))
            else:
                other = source.choice([other, [], source.choices(WORDS, k=source.randint(1, longest))])
        references.append(source.choice([" ", "  "]).join(words))
        hypotheses.append(source.choice([" ".join(other), "".join(other), " ".join(other).upper()]))
    return hypotheses, references


def check_parity(name: str, seed: int) -> float:
    ours, theirs = OURS[name]
    hypotheses, references = random_corpus(random.Random(seed))
    measured, peer = ours(hypotheses, references), theirs()
    expected = peer.corpus_score(hypotheses, [references]).score
    assert measured.score == pytest.approx(expected, abs=1e-9), (hypotheses, references)
    assert measured.signature == str(peer.get_signature())
    return expected


@pytest.mark.parametrize("name", OURS)
def test_equal_to_sacrebleu_on_1000_random_corpora(name: str) -> None:
    scores = [check_parity(name, seed) for seed in range(1000)]
    assert len({round(score, 3) for score in scores}) > 200  # the corpora differ, so the comparison says something
    assert min(scores) < 1
    assert max(scores) > 60


@pytest.mark.parametrize(
    ("name", "target", "planted"),
    [
        ("bleu", "bleu", lambda sums: formulas.bleu(sums, effective_order=True)),  # sentence rules on a corpus
        ("bleu", "bleu", lambda sums: formulas.bleu(np.concatenate([sums[..., 1:2], sums[..., 1:]], -1))),  # no brevity
        ("chrf", "chrf", lambda sums: formulas.chrf(sums * ([2, 1, 1] * 6))),  # precision halved
        ("ter", "ter", lambda sums: 100.0 * sums[..., 0] / np.maximum(sums[..., 1], 1)),  # empty references
    ],
)
def test_the_parity_test_catches_planted_bugs(name: str, target: str, planted: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(formulas.FORMULAS, target, planted)
    with pytest.raises(AssertionError):
        all(check_parity(name, seed) >= 0 for seed in range(200))


@pytest.mark.parametrize(("name", "sentence_metric"), [("bleu", BLEU(effective_order=True)), ("chrf", CHRF()), ("ter", TER())])
def test_sentence_scores_equal_sacrebleu(name: str, sentence_metric: object) -> None:
    for seed in range(30):
        hypotheses, references = random_corpus(random.Random(seed))
        ours = OURS[name][0](hypotheses, references).sentence_scores()
        expected = [sentence_metric.sentence_score(h, [r]).score for h, r in zip(hypotheses, references, strict=True)]
        np.testing.assert_allclose(ours, expected, atol=1e-9)


def test_the_score_over_a_choice_is_the_score_of_that_corpus() -> None:
    hypotheses, references = random_corpus(random.Random(7), lines=40)
    chosen = [0, 0, len(hypotheses) - 1, len(hypotheses) // 2]
    for measured in metrics.corpus_scores(hypotheses, references).values():
        again = OURS[measured.name][0]([hypotheses[i] for i in chosen], [references[i] for i in chosen])
        assert measured.over(chosen) == pytest.approx(again.score, abs=1e-9)


def test_a_fixed_corpus_keeps_its_score_and_signature() -> None:
    """Guards against a change in sacreBLEU itself; the version is the only part of the signature that may move."""
    hypotheses = ["Der Hund läuft schnell über die Wiese .", "Eine Frau liest ein Buch im Park."]
    references = ["Der Hund rennt schnell über die Wiese.", "Eine Frau liest im Park ein Buch."]
    found = metrics.corpus_scores(hypotheses, references)
    assert {name: round(measured.score, 4) for name, measured in found.items()} == {"bleu": 44.7712, "chrf": 76.4367, "ter": 50.0}
    assert [measured.signature.rsplit("|", 1)[0] for measured in found.values()] == [
        "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp",
        "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no",
        "nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no",
    ]
    assert [measured.higher_is_better for measured in found.values()] == [True, True, False]


def test_the_papers_bleu_is_labelled_as_such() -> None:
    measured = metrics.tokenised_lowercased_bleu(["EIN Hund ."], ["ein hund ."])
    assert measured.score == 0.0
    assert measured.sentence_scores()[0] == pytest.approx(100)
    assert "tokenised, lower-cased, for comparison with papers" in measured.label
    assert "case:lc" in measured.signature
    assert "tok:none" in measured.signature


@pytest.mark.parametrize("function", [metrics.bleu, metrics.chrf, metrics.ter, metrics.tokenised_lowercased_bleu])
def test_a_count_mismatch_is_always_refused(function: Callable[[list[str], list[str]], Measurement]) -> None:
    for hypotheses, references in [(["a"] * 3, ["a"] * 4), (["a"] * 4, ["a"] * 3), ([], ["a"]), (["a"], [])]:
        with pytest.raises(DataError, match=f"{len(hypotheses)} hypotheses but {len(references)} references"):
            function(hypotheses, references)


def test_nothing_to_score_and_what_is_not_text_are_refused() -> None:
    with pytest.raises(DataError, match="no sentences to score"):
        metrics.bleu([], [])
    with pytest.raises(DataError, match="hypothesis 2 is NoneType"):
        metrics.chrf(["a", None], ["a", "b"])  # type: ignore[list-item]
    with pytest.raises(DataError, match="a single text"):
        metrics.ter("ab", "ab")


def test_the_tokeniser_follows_the_language() -> None:
    chosen = {code: metrics.bleu_tokenizer(code) for code in ("de", "zh", "zh-CN", "ZH_Hant", "cmn", "ja", "th", "ko", "en-GB")}
    assert list(chosen.values()) == ["13a", "zh", "zh", "zh", "zh", "char", "char", "13a", "13a"]


def test_tokenised_hypotheses_are_flagged_from_five_in_a_hundred() -> None:
    good = ["Ein Hund läuft.", "Il dit : « Bonjour ! »", "Er zahlt 3.50 €...", "warte ..."]
    lines = good * 24
    assert metrics.look_at(lines + ["Ein Hund ."] * 4, lines + ["x"] * 4).warnings() == []
    found = metrics.look_at(lines[:95] + ["Ein Hund , der läuft ."] * 5, ["x"] * 100)
    assert found.tokenised == 5
    assert "5 of 100 hypotheses look tokenised" in found.warnings()[0]
    assert metrics.look_at(["Ein Hund ."], ["Ein Hund ."]).warnings()[0].count("and so do the references") == 1


def test_pieces_and_empty_hypotheses_are_counted() -> None:
    found = metrics.look_at(["▁Ein ▁Hund", "Stra@@ ße", "", " \u2028", "gut"], ["a", "b", "c", "d", "e"])
    assert (found.sentences, found.empty, found.subwords) == (5, 2, 2)
    assert [warning.split(" hypotheses")[0] for warning in found.warnings()] == ["2 of 5", "2 of 5"]
    assert metrics.look_at(["das Zeichen ▁"], ["das Zeichen ▁"]).subwords == 0


def test_perplexity() -> None:
    assert metrics.perplexity(-math.log(0.25) * 7, 7) == pytest.approx(4.0)
    assert metrics.perplexity(1e9, 1) == math.inf
    with pytest.raises(DataError, match="0 tokens"):
        metrics.perplexity(0.0, 0)


@pytest.mark.parametrize("name", ["bleu", "chrf", "ter"])
def test_a_thousand_resamples_of_a_thousand_sentences_take_far_less_than_two_seconds(name: str) -> None:
    source = random.Random(3)
    references = [" ".join(source.choices(WORDS, k=12)) for _ in range(1000)]
    hypotheses = [reference.replace("der", "die") for reference in references]
    measured = OURS[name][0](hypotheses, references)
    start = time.perf_counter()
    bootstrap_interval(measured.statistics, measured.score_function, samples=1000)
    assert time.perf_counter() - start < 1.0
