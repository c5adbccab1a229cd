"""What people ask of answers: how terms are found, what is refused and where, and what each kind of model does with it."""

from __future__ import annotations

import gc
import itertools
import json
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headway
from headway.cli import main
from headway.config import TokenizerConfig
from headway.data.preprocessing import Preprocessor
from headway.data.tokenizer import Tokenizers, train_tokenizer
from headway.data.words import folded, squeezed, whole_words
from headway.errors import DataError, UsageError
from headway.inference.conditions import Conditions
from headway.inference.demands import MOST_PHRASES
from headway.inference.forbidden import Forbidden
from headway.inference.wishes import Wish, WishReader, read_glossary, wish, wishes

RunOf = Callable[[str], Path]
LINES = ["Der Hund sieht US und uns.", "Rotwein und Wein, Kaffee!", "我们喜欢猫和小狗。我有三只猫。", "red wine, wine; AI us"] * 4
TEXTS = ["the red cat sees a dog .", "a small bird sings .", "", "two men", "the green house is old and the cat is young ."]


@pytest.fixture(scope="module")
def reader() -> WishReader:
    learned = train_tokenizer(LINES, TokenizerConfig(vocabulary_size=120, minimum_frequency=1))
    return WishReader(Tokenizers(learned, learned), Preprocessor([], "en"), Preprocessor([], "de"), 12)


@pytest.fixture(scope="module")
def composing() -> WishReader:
    """Of a tokenizer that knows numbers, and to which `²` is `2`."""
    settings = TokenizerConfig(vocabulary_size=120, minimum_frequency=1, normalization="nfkc")
    learned = train_tokenizer([*LINES, "Hund 0123456789"] * 4, settings)
    return WishReader(Tokenizers(learned, learned), Preprocessor([], "en"), Preprocessor([], "de"), 12)


def found(reader: WishReader, source: str, **glossary: str) -> list[str]:
    terms = tuple((term.replace("_", " "), translation) for term, translation in glossary.items())
    conditions = reader.conditions(Wish(terms), source)
    assert conditions is not None
    return [one.text for one in conditions.phrases]


def test_terms_are_whole_words_of_any_case_the_longest_first(reader: WishReader) -> None:
    assert found(reader, "Wine, red wine and winery.", wine="Wein", red_wine="Rotwein") == ["Wein", "Rotwein"]
    assert found(reader, "WINE wine", wine="Wein") == ["Wein", "Wein"]
    assert found(reader, "US us Us", US="uns") == ["uns"]  # it has capitals: as it is written
    assert found(reader, "US us", US="Hund", us="uns") == ["Hund", "uns"]
    assert found(reader, "red  wine, red", red_wine="Rotwein", red="Wein") == ["Rotwein", "Wein"]
    assert found(reader, "the winery", wine="Wein") == []
    assert found(reader, "red winery", red_wine="Rotwein", red="Wein") == ["Wein"]


def test_without_blanks_a_term_is_found_wherever_it_stands(reader: WishReader) -> None:
    assert found(reader, "我们喜欢猫和小狗。AI技术", 猫="Hund", 小狗="Wein", AI="US") == ["Hund", "Wein", "US"]


def test_a_phrase_is_cut_as_it_stands_in_a_text(reader: WishReader) -> None:
    conditions = reader.conditions(Wish((("cat", "猫"), ("dog", "Hund"))), "cat dog")
    assert conditions is not None
    cat, dog = conditions.phrases
    pieces = [[reader._target.vocabulary[one] for one in variant] for variant in cat.variants]
    assert ["▁", "猫"] in pieces or ["▁猫"] in pieces
    assert ["猫"] in pieces
    assert reader._target.decode(dog.variants[0]) == "Hund"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Wish((("dog", "☃"),)), "glossary: the translation of term 1 has characters"),
        (Wish((("dog", " "),)), "glossary: the translation of term 1 is blank"),
        (Wish((("cat", "Hund"), (" ", "Hund"))), "glossary: term 2 of the glossary is blank"),
        (
            Wish((("red wine", "Wein"), ("red  wine", "Hund"))),
            "glossary: term 2 of the glossary is to the model the same as one before it",
        ),
        (Wish((("dog", "der Hund"),), ("hund",)), "glossary: a translation of the glossary has a text that is forbidden"),
        (Wish((), (), "☃"), "prefixes: a prefix has characters"),
        (Wish((), (), "Der Hund " * 12), "prefixes: .* more than the 12"),
        (Wish((), ("hund",), "Der Hund"), "prefixes: a prefix has a text that is forbidden"),
        (Wish((), ("a", " ")), "forbidden: forbidden text 2 is blank"),
    ],
)
def test_what_cannot_be_written_is_refused(reader: WishReader, asked: Wish, told: str) -> None:
    with pytest.raises(UsageError, match=f"^{told}") as error:
        reader.conditions(asked, "the dog")
    assert error.value.remedy


def test_what_is_no_wish_is_refused() -> None:
    for given in ({"glossary": ["dog"]}, {"glossary": {"dog": 1}}, {"forbidden": "dog"}, {"forbidden": [1]}):
        with pytest.raises(UsageError, match=f"^{next(iter(given))}: is "):
            wish(**given)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^prefixes: 1 of them for 2 texts"):
        wishes(2, prefixes=["a"])
    with pytest.raises(UsageError, match=r"^prefixes: is one text"):
        wishes(2, prefixes="ab")
    assert not any(wishes(2, {}, [], ["", " "]))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("dog\tHund\ncat Katze\n", ":2: has 0 tabs, not one"),
        ("dog\tHund\tKöter\n", ":1: has 2 tabs, not one"),
        ("\n\t\ndog\t\n", ":3: the translation is missing"),
        ("\tHund\n", ":1: the term is missing"),
        ("dog\tHund\n\ndog\tKöter\n", ":3: 'dog' stands above with another translation"),
        ("\n", ": has no term"),
    ],
)
def test_mistakes_of_a_glossary_file_are_placed(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "terms.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_glossary(str(path))
    assert f"terms.tsv{told}" in str(error.value)
    assert error.value.remedy


def test_a_glossary_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "terms.tsv"
    path.write_text("dog\tHund\r\n\nred wine\t Rotwein \ndog\tHund\n", encoding="utf-8")
    assert read_glossary(str(path)) == {"dog": "Hund", "red wine": "Rotwein"}


def test_what_the_model_sees_as_the_same_is_the_same(composing: WishReader) -> None:
    asked = Wish((("hound", "Hund 2"), ("dog", "Hund  ²")))
    conditions = composing.conditions(asked, "dog hound dog")
    assert conditions is not None
    assert list(conditions.missed("Hund 2, Hund 2")) == ["Hund 2"]
    demand = conditions.demand(limit=40, eos_id=3, beams=1)
    assert demand is not None
    assert demand.states[0].missing == (3,)
    assert found(composing, "der Kaﬀee", Kaffee="Wein") == ["Wein"]
    assert found(composing, "der Kaffee", Kaﬀee="Wein") == ["Wein"]
    with pytest.raises(UsageError, match="a text that is forbidden"):
        composing.conditions(Wish((("dog", "Hund ²"),), ("Hund 2",)), "dog")


def test_few_lists_are_kept(reader: WishReader) -> None:
    def forbidden(text: str) -> weakref.ref[Forbidden]:
        conditions = reader.conditions(Wish(forbidden=(text,)), "dog")
        assert conditions is not None
        assert conditions.forbidden is not None
        return weakref.ref(conditions.forbidden)

    kept = [forbidden(text) for text in ("Hund", "Wein", "US", "uns", "und")]
    gc.collect()
    assert [one() is None for one in kept] == [True, False, False, False, False]


def test_phrases_beyond_the_most_are_told(composing: WishReader) -> None:
    terms = {chr(0x4E00 + number): f"Hund {number}" for number in range(MOST_PHRASES + 2)}
    conditions = composing.conditions(Wish(tuple(terms.items())), "".join([*terms, *terms]))
    assert conditions is not None
    demand = conditions.demand(limit=2000, eos_id=3, beams=1)
    assert demand is not None
    assert demand.states[0].missing == (2,) * MOST_PHRASES
    written = [text for text in terms.values() for _ in range(2)][: 2 * MOST_PHRASES]
    assert list(conditions.missed(", ".join(written))) == ["Hund 32", "Hund 32", "Hund 33", "Hund 33"]


# ---- models ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def translator(run_of: RunOf) -> Any:
    return headway.load(
        str(run_of("translation")), precision="fp32", method="beam", beam_size=3, maximum_length=14, minimum_length=4
    )


@pytest.fixture(scope="module")
def words(run_of: RunOf) -> list[str]:
    """Words that it has learned to write."""
    text = (run_of("translation").parent / "train.de").read_text(encoding="utf-8")
    return sorted({word for word in text.split() if word.isalpha() and len(word) > 2 and word.islower()})


def test_answers_have_what_is_demanded_and_others_stay_as_they_are(translator: Any, words: list[str]) -> None:
    free = translator.predict(TEXTS)
    found = translator.predict(TEXTS, glossary={"dog": words[0], "cat": f"{words[1]} {words[-1]}"})
    assert found[1:4] == free[1:4]
    assert [*whole_words(words[0], squeezed(found[0]))]
    assert all([*whole_words(f"{words[1]} {words[-1]}", squeezed(found[place]))] for place in (0, 4))


@pytest.mark.parametrize("method", ["beam", "greedy", "sample"])
def test_answers_have_nothing_forbidden(translator: Any, method: str) -> None:
    asked = translator.with_options(method=method)
    written = squeezed(" ".join(asked.predict(TEXTS)))
    barred = list(dict.fromkeys(folded(word) for word in re.findall(r"[^\W\d]+", written)))[:3]
    assert barred
    for text in asked.predict(TEXTS, forbidden=barred):
        assert [word for word in barred if [*whole_words(word, folded(squeezed(text)))]] == []


def test_answers_begin_as_they_are_told(translator: Any, words: list[str]) -> None:
    free = translator.predict(TEXTS)
    prefixes = [f"{words[-1]} {words[0]}", "", words[0], " ", words[1]]
    found = translator.predict(TEXTS, prefixes=prefixes)
    assert found[2] == ""  # a blank text has no answer
    assert [found[1], found[3]] == [free[1], free[3]]
    assert found[0].startswith(prefixes[0])
    assert found[4].startswith(prefixes[4])
    (begun,) = translator.with_options(method="greedy").predict(TEXTS[:1], prefixes=prefixes[:1])
    assert begun.startswith(prefixes[0])


def test_what_had_no_room_is_told(translator: Any, words: list[str], caplog: pytest.LogCaptureFixture) -> None:
    short = translator.with_options(maximum_length=1, minimum_length=0)
    asked = itertools.repeat(wish({"red": words[0], "cat": words[1], "dog": words[2]}))
    (answers,) = short.answer_pieces([TEXTS[:1]], asked)
    missed = short.details(answers[0])["missed"]
    assert len(missed) >= 2
    assert f"text 1: its answer has no room for {', '.join(missed)}" in caplog.text
    assert "missed" not in short.details(next(iter(short.answer_pieces([TEXTS[:1]])))[0])


def test_other_settings_read_no_wish_anew(run_of: RunOf) -> None:
    for task in ("translation", "language_model"):
        model: Any = headway.load(str(run_of(task)), precision="fp32")
        others = [model.with_options(maximum_length=length) for length in (8, 9)]
        readings = [other.read(["two men"], [wish(forbidden=["a", "men"])])[0].conditions for other in others]
        assert readings[0].forbidden is readings[1].forbidden
        assert readings[0].surfaces is readings[1].surfaces


def test_other_searches_cannot_have_a_glossary(translator: Any) -> None:
    with pytest.raises(UsageError, match="only beam search") as error:
        translator.with_options(method="greedy").predict(TEXTS, glossary={"dog": "x"})
    assert error.value.remedy == "add decoding.method=beam"


def test_a_language_model_is_told_only_what_is_forbidden(run_of: RunOf) -> None:
    writer: Any = headway.load(str(run_of("language_model")), precision="fp32", maximum_length=12, method="greedy")
    prompt = "the red cat"
    (free,) = writer.predict([prompt])
    barred = [folded(word) for word in free[len(prompt) :].split() if word.isalpha()][-2:]
    assert barred
    (text,) = writer.predict([prompt], forbidden=barred)
    assert text.startswith(prompt)
    assert [word for word in barred if [*whole_words(word, folded(squeezed(text)))]] == []
    for asked in ({"glossary": {"a": "b"}}, {"prefixes": ["a"]}):
        with pytest.raises(UsageError, match="a language model, which goes on from a text, cannot be asked this"):
            writer.predict([prompt], **asked)


def test_the_command_line_hands_it_on(translator: Any, words: list[str], run_of: RunOf, tmp_path: Path, capsys: Any) -> None:
    run = str(run_of("translation"))
    source, terms, barred = tmp_path / "in.txt", tmp_path / "terms.tsv", tmp_path / "barred.txt"
    source.write_text(TEXTS[0] + "\n" + TEXTS[3] + "\n")
    terms.write_text(f"dog\t{words[1]}\n")
    barred.write_text(f"{folded(words[2])}\n\n")
    given = ["--glossary", str(terms), "--forbid", str(barred), "--prefix", words[0]]
    settings = [
        "decoding.precision=fp32",
        "decoding.method=beam",
        "decoding.beam_size=3",
        "decoding.maximum_length=14",
        "decoding.minimum_length=4",
    ]
    assert main(["predict", run, str(source), "--details", *given, *settings]) == 0
    found = [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]
    asked = {"glossary": {"dog": words[1]}, "forbidden": [folded(words[2])], "prefixes": [words[0]] * 2}
    assert found == translator.predict([TEXTS[0], TEXTS[3]], **asked)
    assert main(["predict", str(run_of("classification")), str(source), *given[:2]]) == 2
    assert "--glossary: is for models that write texts" in capsys.readouterr().err


def test_what_is_missed_is_counted() -> None:
    from headway.data.surfaces import Surfaces
    from headway.inference.demands import Phrase

    own = Conditions(Surfaces([b""]), (), (Phrase("a b", ((1,),)), Phrase("a b", ((1,),)), Phrase("c", ((2,),))))
    assert list(own.missed("a  b, c")) == ["a b"]
    assert list(own.missed("a bc")) == ["a b", "a b", "c"]
