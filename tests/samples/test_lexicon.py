"""Every row of the lexicon is whole, so that no sentence can lack a form."""

from __future__ import annotations

import pytest

from headway.samples.lexicon import ADJECTIVES, NAMES, NOUNS, PLACES, PRONOUNS, TIMES, VEHICLES, VERBS, adjectives_for, nouns_with

# Characters that only simplified Chinese uses
SIMPLIFIED = set(
    "国学书车门马鸟鱼东见说话买卖读写谁这们个来时间长张双师医邻农汤听给讲问题红蓝绿云电灯钥伞画报纸贵轻聪饿条头旧们颗顶间"
)


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.english)
def test_noun_has_all_its_forms(noun):
    assert noun.gender in ("m", "f", "n")
    assert noun.german[0].isupper()
    assert noun.tags
    if "mass" in noun.tags:
        assert noun.german_plural == noun.classifier == "-"
    else:
        assert noun.german_plural[0].isupper()
        assert noun.english_plural != noun.english
        assert len(noun.classifier) == 1
    if "weak" in noun.tags:
        assert noun.gender == "m"
        assert noun.german_plural.endswith("n")


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: f"{verb.english}-{verb.german}")
def test_verb_has_all_its_forms(verb):
    assert verb.german.endswith("n")
    assert verb.english_ing.endswith("ing")
    assert (verb.prefix + "ge" in verb.german_participle) if verb.prefix else verb.german_participle.islower()
    assert nouns_with(verb.subjects)
    assert bool(verb.objects) == (verb.frame in ("accusative", "dative", "double", "put"))
    assert not verb.objects or nouns_with(verb.objects)
    for template in (verb.chinese, verb.chinese_past):
        assert ("{o}" in template) == bool(verb.objects)
        assert ("{i}" in template) == (verb.frame == "double")
        assert ("{p}" in template) == (verb.frame in ("goal", "put"))
    if "state" not in verb.flags:
        assert "了" in verb.chinese_past


def test_adjectives_and_places_meet_nouns_that_exist():
    assert all(adjective.tags and nouns_with(adjective.tags) for adjective in ADJECTIVES)
    assert all("place" in place.noun.tags or {"lie", "stand"} & place.tags for place in PLACES)
    assert {len(times) for times in TIMES.values()} == {6}
    assert len(VEHICLES) == 4
    # What is described, or made the head of a relative clause, must have something left to be said of it.
    assert all(len(adjectives_for(noun)) > 3 for noun in nouns_with(frozenset({"person", "animal", "thing"})))


def test_words_are_not_ambiguous():
    """One English word is one noun, and one Chinese word is one noun: a sentence must have one translation."""
    for words in ([noun.english for noun in NOUNS], [noun.chinese for noun in NOUNS], [noun.german for noun in NOUNS]):
        assert len(words) == len(set(words))
    assert len({name.chinese for name in NAMES + PRONOUNS}) == len(NAMES + PRONOUNS)


def test_chinese_is_traditional():
    text = "".join(noun.chinese + noun.classifier for noun in NOUNS)
    text += "".join(verb.chinese + verb.chinese_past + verb.chinese_passive for verb in VERBS)
    text += "".join(adjective.chinese + adjective.chinese_predicate for adjective in ADJECTIVES)
    text += "".join(place.chinese + place.chinese_goal for place in PLACES) + "".join(name.chinese for name in NAMES + PRONOUNS)
    assert not SIMPLIFIED & set(text)
