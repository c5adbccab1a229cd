"""`headway init`: the split leaks nothing, keeps pairs together and the configuration fits the size."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from headway.config import load_config
from headway.errors import DataError, UsageError
from headway.starter import Counts, advise, write_starter


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[str, str]:
    """500 pairs, each fifth source twice with another target, and some odd characters."""
    draw = random.Random(1)
    words = ["ab", "cd", "ef", "gh", "ij", "kl", "mn", "op", "qr"]
    sources = [" ".join(draw.choices(words, k=draw.randint(2, 9))) + f" {n // 2 if n % 5 == 0 else n}" for n in range(500)]
    sources[7] = "line\u2028separator \x85 and \x0b"
    paths = tmp_path / "own.en", tmp_path / "own.de"
    paths[0].write_text("\n".join(sources) + "\n", encoding="utf-8")
    paths[1].write_text("\n".join(f"ziel {n} {source}" for n, source in enumerate(sources)) + "\n", encoding="utf-8")
    return str(paths[0]), str(paths[1])


def lines(path: str | int) -> list[str]:
    return Path(str(path)).read_text("utf-8").split("\n")[:-1]


def test_the_split_loses_nothing_and_leaks_nothing(corpus: tuple[str, str], tmp_path: Path) -> None:
    config = load_config(write_starter(corpus, tmp_path / "mine"))
    assert config.data.test is not None
    parts = [config.data.train, config.data.validation, config.data.test]
    pairs = [list(zip(lines(part.source), lines(part.target), strict=True)) for part in parts]
    assert sorted(itertools.chain(*pairs)) == sorted(zip(lines(corpus[0]), lines(corpus[1]), strict=True))
    sources = [{" ".join(source.split()).lower() for source, _ in part} for part in pairs]
    assert not sources[0] & sources[1]
    assert not sources[0] & sources[2]
    assert not sources[1] & sources[2]
    assert 50 <= len(pairs[1]) <= 60
    assert 50 <= len(pairs[2]) <= 60


def test_the_same_files_are_split_the_same_way(corpus: tuple[str, str], tmp_path: Path) -> None:
    one, two = (load_config(write_starter(corpus, tmp_path / name)) for name in ("one", "two"))
    assert lines(one.data.validation.source) == lines(two.data.validation.source)


def test_own_validation_and_test_files_are_used(corpus: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("v.en", "v: #.de", "t.en", "t.de"):
        Path(name).write_text("a\n")
    config = load_config(write_starter(corpus, tmp_path / "mine", validation=("v.en", "v: #.de"), test=("t.en", "t.de")))
    assert config.data.train.source == corpus[0]
    assert config.data.validation.target == "v: #.de"
    assert config.data.test is not None
    assert config.data.test.source == "t.en"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["config.yaml"]


def test_languages_come_from_the_names_or_are_asked_for(corpus: tuple[str, str], tmp_path: Path) -> None:
    config = load_config(write_starter(corpus, tmp_path / "mine"))
    assert (config.data.source_language, config.data.target_language) == ("en", "de")
    plain = tmp_path / "a.txt"
    plain.write_text("x\n")
    with pytest.raises(UsageError, match=r"say it: --source-language"):
        write_starter((str(plain), corpus[1]), tmp_path / "other")
    with pytest.raises(UsageError, match="source and target are both 'de'"):
        write_starter((corpus[1], corpus[1]), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_language_without_spaces_gets_two_vocabularies(corpus: tuple[str, str], tmp_path: Path) -> None:
    config = load_config(write_starter(corpus, tmp_path / "mine", target_language="zh"))
    assert (config.tokenizer.joint, config.model.tied_embeddings) == (False, "decoder")


def test_norwegian_stays_norwegian(corpus: tuple[str, str], tmp_path: Path) -> None:
    assert load_config(write_starter(corpus, tmp_path / "mine", target_language="no")).data.target_language == "no"


def test_what_is_in_the_way_is_refused_and_left_alone(corpus: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="not a new or empty directory"):
        write_starter(corpus, tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
    few = tmp_path / "few.en"
    few.write_text("a\n" * 5)
    with pytest.raises(DataError, match="5 pairs with text; 20 are the least"):
        write_starter((str(few), str(few)), tmp_path / "new", target_language="de")
    with pytest.raises(DataError):
        write_starter((str(tmp_path / "missing.en"), corpus[1]), tmp_path / "new")
    with pytest.raises(UsageError):
        write_starter(("a\0.en", corpus[1]), tmp_path / "new")
    with pytest.raises(UsageError, match="'e n' is no language code"):
        write_starter(corpus, tmp_path / "new", source_language="e n")
    with pytest.raises(DataError, match="no such file"):
        write_starter(corpus, tmp_path / "new", validation=(corpus[0], str(tmp_path / "missing.de")))
    with pytest.raises(UsageError, match="two line files"):
        write_starter(corpus, tmp_path / "new", test=("", corpus[1]))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("text", "problem"), [("\n", "0 pairs with text"), ("\u200b\n", "0 pairs with text"), ("same\n", "only 1 different sentence")]
)
def test_blank_or_equal_lines_are_not_split(tmp_path: Path, text: str, problem: str) -> None:
    for name in ("a.en", "a.de"):
        (tmp_path / name).write_text(text * 100, encoding="utf-8")
    with pytest.raises(DataError, match=problem):
        write_starter((str(tmp_path / "a.en"), str(tmp_path / "a.de")), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_many_copies_leave_something_to_learn_from(tmp_path: Path) -> None:
    for name in ("a.en", "a.de"):
        (tmp_path / name).write_text("".join(f"line {n % 8}\n" for n in range(2000)), encoding="utf-8")
    config = load_config(write_starter((str(tmp_path / "a.en"), str(tmp_path / "a.de")), tmp_path / "new"))
    assert len(set(lines(config.data.train.source))) == 4


def test_a_name_with_a_newline_stays_a_name(corpus: tuple[str, str], tmp_path: Path) -> None:
    config = load_config(write_starter(corpus, tmp_path / "it's\nmodel: {width: 3}"))
    assert config.data.train.source == str(tmp_path / "it's\nmodel: {width: 3}" / "train.en")
    assert config.run_directory == "runs/mine"
    assert config.model.width == 128


@pytest.mark.parametrize("pairs", [20, 900, 6000, 29_000, 300_000, 5_000_000])
def test_advice_for_every_size_is_a_valid_configuration(pairs: int) -> None:
    advice = advise(Counts(pairs, 40, 12.0))
    assert 500 <= advice.updates <= 200_000
    assert advice.vocabulary <= max(200, pairs)


def test_fewer_pairs_ask_for_less_and_more_dropout() -> None:
    rows = [advise(Counts(pairs, 40, 12.0)) for pairs in (1000, 10_000, 50_000, 500_000, 5_000_000)]
    assert [row.vocabulary for row in rows] == [1000, 4000, 5000, 16_000, 32_000]
    assert [row.dropout for row in rows] == sorted((row.dropout for row in rows), reverse=True)
    assert [row.preset for row in rows] == ["tiny", "tiny", "tiny", "small", "base"]
