"""A vocabulary that grows: what was there stays, what comes is what continued BPE would have learned, no text is lost."""

from __future__ import annotations

import itertools
import json
import logging
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tokenizer import ANY_TEXT, LINES, settings_of
from tokenizers import Tokenizer as Backend

from headway.config import TokenizerConfig
from headway.data.tokenizer import SPECIAL_TOKENS, UNK_ID, Tokenizer, train_tokenizer
from headway.data.tokenizer_extension import continued_merges, cuts_of_new_pieces, extend, extends
from headway.errors import UsageError

DOMAIN = [
    f"{what} {drug} {how}"
    for what in ("Der Patient erhielt", "Patientinnen bekamen", "患者接受", "The patient was given")
    for drug in ("Acetylsalicylsäure", "Paracetamol", "Øxytetracyclin")
    for how in ("intravenös", "oral", "täglich", "twice daily")
]
EXTENDED = ("bpe", "bpe-fallback", "bpe-level", "word", "character")
ROOM = 40


@pytest.fixture(scope="module")
def both() -> dict[str, tuple[Tokenizer, Tokenizer]]:
    """Kind → a tokenizer and the same one extended."""
    learned = {kind: train_tokenizer(LINES, settings_of(kind)) for kind in EXTENDED}
    return {kind: (old, extend(old, DOMAIN, ROOM, 2)) for kind, old in learned.items()}


@pytest.mark.parametrize("kind", EXTENDED)
def test_old_pieces_keep_their_numbers_and_the_file_is_a_plain_one(
    kind: str, both: dict[str, tuple[Tokenizer, Tokenizer]], tmp_path: Path
) -> None:
    old, new = both[kind]
    assert new.vocabulary[: old.vocabulary_size] == old.vocabulary
    assert new.pieces(range(4)) == list(SPECIAL_TOKENS)
    assert old.vocabulary_size < new.vocabulary_size <= old.vocabulary_size + ROOM
    assert len(set(new.vocabulary)) == new.vocabulary_size
    new.save(tmp_path / "tokenizer.json")
    assert Tokenizer.load(tmp_path / "tokenizer.json").digest == new.digest
    theirs = Backend.from_file(str(tmp_path / "tokenizer.json"))
    theirs.encode_special_tokens = True  # `</s>` in a line is text
    for text in (*DOMAIN, *LINES):
        assert theirs.encode(text, add_special_tokens=False).ids == new.encode(text)


@pytest.mark.parametrize("kind", EXTENDED)
def test_it_takes_fewer_tokens_or_knows_more(kind: str, both: dict[str, tuple[Tokenizer, Tokenizer]]) -> None:
    old, new = both[kind]
    before, after = (list(itertools.chain(*one.encode_many(DOMAIN))) for one in (old, new))
    if kind.startswith("bpe"):
        assert len(after) < 0.7 * len(before)
    else:
        assert after.count(UNK_ID) < before.count(UNK_ID)
    if kind != "word":
        assert UNK_ID not in after
        assert [new.decode(ids) for ids in new.encode_many(DOMAIN)] == [new.normalize(text) for text in DOMAIN]


@settings(max_examples=200, deadline=None)
@given(text=ANY_TEXT | st.lists(st.sampled_from([*DOMAIN, *LINES]), max_size=2).map(" ".join), kind=st.sampled_from(EXTENDED))
def test_text_comes_back_as_before(both: dict[str, tuple[Tokenizer, Tokenizer]], text: str, kind: str) -> None:
    old, new = both[kind]
    ids = new.encode(text)
    if UNK_ID not in ids:
        assert new.decode(ids) == old.normalize(text)
    assert ids.count(UNK_ID) <= old.encode(text).count(UNK_ID)
    assert len(ids) <= len(old.encode(text))
    if kind == "bpe-level":
        assert new.decode(ids) == text


@pytest.mark.parametrize("kind", ["bpe", "bpe-fallback", "bpe-level"])
def test_each_new_piece_is_made_of_old_ones(kind: str, both: dict[str, tuple[Tokenizer, Tokenizer]]) -> None:
    old, new = both[kind]
    pieces, cuts = new.vocabulary[old.vocabulary_size :], cuts_of_new_pieces(new, old)
    assert len(pieces) == len(cuts)
    joined = ["".join(old.pieces(cut)) for cut in cuts]
    whole = [(piece, text) for piece, text in zip(pieces, joined, strict=True) if len(piece) > 1]
    assert whole
    assert all(piece == text for piece, text in whole if "<" not in text)
    if kind == "bpe":  # characters were unknown
        assert {tuple(cut) for piece, cut in zip(pieces, cuts, strict=True) if len(piece) == 1} == {(UNK_ID,)}


# ---- continued BPE -------------------------------------------------------------------------------------------------


def slowly_continued(runs: Counter[tuple[str, ...]], known: set[str], room: int, least: int) -> list[tuple[str, str]]:
    """Algorithm 1 of Sennrich et al. 2016, counting everything anew at each step."""
    rows, merges = dict(runs), []
    while len(merges) < room:
        pairs: Counter[tuple[str, str]] = Counter()
        for row, count in rows.items():
            for pair in itertools.pairwise(row):
                pairs[pair] += count
        open_ = [(-count, pair) for pair, count in pairs.items() if count >= least and pair[0] + pair[1] not in known]
        if not open_:
            break
        pair = min(open_)[1]
        known.add(pair[0] + pair[1])
        merges.append(pair)
        again: dict[tuple[str, ...], int] = {}
        for row, count in rows.items():
            done: list[str] = []
            for piece in row:
                if done and (done[-1], piece) == pair:
                    done[-1] += piece + "\0"  # not to be merged again with what follows
                else:
                    done.append(piece)
            merged = tuple(piece.rstrip("\0") for piece in done)
            again[merged] = again.get(merged, 0) + count
        rows = again
    return merges


ROWS = st.dictionaries(st.lists(st.sampled_from("abc"), min_size=1, max_size=9).map(tuple), st.integers(1, 5), max_size=8)


@settings(max_examples=300, deadline=None)
@given(rows=ROWS, least=st.integers(1, 4), known=st.sets(st.sampled_from(["ab", "bc", "aab"])))
def test_merges_are_those_of_the_plain_algorithm(rows: dict[tuple[str, ...], int], least: int, known: set[str]) -> None:
    there = {"a", "b", "c", *known}
    assert continued_merges(rows, there, 6, least) == slowly_continued(Counter(rows), set(there), 6, least)


def test_the_new_tokenizer_cuts_as_it_has_learned(caplog: pytest.LogCaptureFixture) -> None:
    old = train_tokenizer(LINES, settings_of("bpe"))
    with caplog.at_level(logging.INFO, "headway"):
        new = extend(old, DOMAIN, ROOM, 2)
    tokens = [sum(map(len, one.encode_many(DOMAIN))) for one in (old, new)]
    assert f"{ROOM} pieces added to the {old.vocabulary_size}" in caplog.text
    assert f"takes {tokens[1]:,} tokens instead of {tokens[0]:,}" in caplog.text
    merges = new.content["model"]["merges"]
    assert merges[: len(old.content["model"]["merges"])] == old.content["model"]["merges"]
    unchanged = [text for text in LINES if new.encode(text) == old.encode(text)]
    assert len(unchanged) > len(LINES) / 2


def test_the_same_text_gives_the_same_pieces_and_none_gives_none(caplog: pytest.LogCaptureFixture) -> None:
    old = train_tokenizer(LINES, settings_of("bpe"))
    assert extend(old, DOMAIN, ROOM, 2).digest == extend(old, DOMAIN, ROOM, 2).digest
    assert extend(old, [""], ROOM, 2).digest == old.digest
    assert "no more than 0 new pieces of the 40 asked" in caplog.text


@pytest.mark.parametrize("kind", ["unigram", "wordpiece"])
def test_kinds_whose_old_cuts_would_change_are_refused(kind: str) -> None:
    old = train_tokenizer(LINES, settings_of(kind))
    with pytest.raises(UsageError, match=rf"of kind {kind}, to which no pieces can be added.*\n  → .*tokenizer.kind=bpe"):
        extend(old, DOMAIN, ROOM, 2)


def test_bpe_that_marks_the_ends_of_words_is_refused() -> None:
    content = json.loads(json.dumps(train_tokenizer(LINES, settings_of("bpe")).content))
    content["model"]["end_of_word_suffix"] = "</w>"
    with pytest.raises(UsageError, match="of kind bpe with </w>"):
        extend(Tokenizer(content), DOMAIN, ROOM, 2)


# ---- which tokenizer extends which ---------------------------------------------------------------------------------


def test_only_the_same_or_an_extended_tokenizer_extends(both: dict[str, tuple[Tokenizer, Tokenizer]]) -> None:
    for old, new in both.values():
        assert extends(new, old)
        assert extends(old, old)
        assert not extends(old, new)
    old, new = both["bpe"]
    assert not extends(new, train_tokenizer(LINES[::2], settings_of("bpe")))
    assert not extends(new, train_tokenizer(LINES, TokenizerConfig(vocabulary_size=250, normalization="nfkc")))
    content = json.loads(json.dumps(new.content))
    content["model"]["merges"][0], content["model"]["merges"][1] = content["model"]["merges"][1], content["model"]["merges"][0]
    assert not extends(Tokenizer(content), old)


def test_tokens_outside_of_the_model_keep_their_numbers(tmp_path: Path) -> None:
    """Tokenizers of others may have added tokens behind their vocabulary."""
    content = json.loads(json.dumps(train_tokenizer(LINES, settings_of("bpe")).content))
    number = len(content["model"]["vocab"])
    content["added_tokens"].append(content["added_tokens"][0] | {"id": number, "content": "@@NAME@@", "special": False})
    old = Tokenizer(content)
    new = extend(old, DOMAIN, ROOM, 2)
    assert new.vocabulary[number] == old.vocabulary[number] == "@@NAME@@"
    assert new.vocabulary_size == number + 1 + ROOM
    new.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert again.vocabulary == new.vocabulary
    assert number in again.encode("A man sees @@NAME@@ here")
