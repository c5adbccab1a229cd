"""The pre-flight check: faults that are planted are found and named, and good data passes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from made_corpus import Corpora
from rich.console import Console

from headway.config import CorpusConfig
from headway.data import check as check_module
from headway.data.check import CheckReport, Finding, check
from headway.data.tokenizer import UNK_ID, Tokenizers


@pytest.fixture
def corpora(tmp_path: Path) -> Corpora:
    return Corpora(tmp_path)


class WordTokens:
    """A tokenizer of one token a word; words with a digit are unknown."""

    vocabulary_size = 9000
    digest = "words"

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        return [[UNK_ID if any(map(str.isdigit, word)) else 5 for word in text.split()] for text in texts]


WORDS = cast(Tokenizers, type("Pair", (), {"source": WordTokens(), "target": WordTokens()}))


def quick(corpora: Corpora) -> CheckReport:
    return check(corpora.write(), quick=True)


def only(report: CheckReport, name: str) -> Finding:
    """The one finding of a check, where nothing else was found but notes."""
    found = [finding for finding in report.findings if finding.check == name]
    assert len(found) == 1, report.findings
    assert all(finding.level == "note" for finding in report.findings if finding.check != name), report.findings
    return found[0]


def shown(report: CheckReport, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    report.print(console)
    return cast(io.StringIO, console.file).getvalue()


# Good data ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_clean_data_passes_every_check(tmp_path: Path, seed: int) -> None:
    report = check(Corpora(tmp_path, seed=seed + 10).write(), tokenizers=WORDS)
    assert report.ok
    assert report.findings == ()
    assert len(report.passed) == 10
    assert [(figures.name, figures.pairs, figures.used) for figures in report.corpora] == [
        ("train", 3000, 3000),
        ("validation", 300, 300),
        ("test", 300, 300),
    ]


def test_the_report_is_short_and_complete(corpora: Corpora) -> None:
    corpora.pairs["train"][7] = ("", "x")
    report = check(corpora.write(), tokenizers=WORDS)
    text = shown(report)
    assert len(text.splitlines()) < 20
    assert max(map(len, text.splitlines())) <= 100
    for expected in ("train", "3,000", "xa tokens", "empty source", "train.source:8", "Training may start."):
        assert expected in text
    assert str(corpora.folder) in text.splitlines()[1]  # said once, and left out of the places
    assert text.count(str(corpora.folder)) == 1


def test_the_report_is_json_and_frozen(corpora: Corpora) -> None:
    report = quick(corpora)
    body = json.loads(json.dumps(report.as_json()))
    assert body["ok"] is True
    assert body["quick"] is True
    assert body["corpora"][0] | {"files": []} == body["corpora"][0] | {"files": [], "name": "train", "pairs": 3000, "used": 3000}
    with pytest.raises(FrozenInstanceError):
        report.quick = False  # type: ignore[misc]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_what_stands_in_names_is_never_markup(corpora: Corpora, width: int) -> None:
    corpora.folder = corpora.folder / "[red]odd[/red] [x"
    corpora.folder.mkdir(parents=True)
    report = replace(quick(corpora), languages=("[bold]", "[/]"))
    finding = Finding("warn", "x", "train", "[red]problem[/red]", ("a[0]:1", "[/bold]:2"), "[b]mend")
    text = shown(replace(report, findings=(finding,)), width)
    assert "[red]problem[/red]" in text
    assert "[/bold]:2" in text


def test_the_report_is_printed_where_a_console_is_given(corpora: Corpora) -> None:
    console = Console(file=io.StringIO(), width=100)
    check(corpora.write(), console, quick=True)
    assert "Training may start." in cast(io.StringIO, console.file).getvalue()


def test_one_pair_is_a_corpus(tmp_path: Path) -> None:
    assert check(Corpora(tmp_path, train=1, held_out=1).write(), tokenizers=WORDS).ok


def test_without_test_set(corpora: Corpora) -> None:
    config = corpora.write()
    config = config.model_copy(update={"data": config.data.model_copy(update={"test": None})})
    assert [figures.name for figures in check(config, quick=True).corpora] == ["train", "validation"]


# Files that cannot be read --------------------------------------------------------------------------------------------------


def _write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


UNREADABLE: list[tuple[str, Callable[[Path], None], str]] = [
    ("missing", lambda folder: (folder / "train.target").unlink(), "no such file"),
    (
        "empty",
        lambda folder: [(folder / f"train.{side}").write_bytes(b"") for side in ("source", "target")] and None,
        "no sentence pairs",
    ),
    ("unequal", _write("train.target", b"one\ntwo\n"), "3,000 lines but"),
    ("latin-1", _write("train.source", b"a\n" * 6 + b"f\xfcnf\n" + b"b\n" * 2993), "0xFC"),
    ("nul", _write("train.source", b"a\n" * 6 + b"f\0nf\n" + b"b\n" * 2993), "NUL"),
    ("utf-16", _write("train.source", "a\n".encode("utf-16") * 3000), "UTF-16"),
]


@pytest.mark.parametrize(("name", "damage", "problem"), UNREADABLE, ids=[row[0] for row in UNREADABLE])
def test_a_file_that_cannot_be_read_is_told_and_the_others_are_checked(
    corpora: Corpora, name: str, damage: Callable[[Path], None], problem: str
) -> None:
    corpora.pairs["test"][4] = ("", "")
    config = corpora.write()
    damage(corpora.folder)
    for report in (check(config, quick=True), check(config, tokenizers=WORDS)):
        assert not report.ok
        stop = next(finding for finding in report.findings if finding.level == "stop")
        assert (stop.check, stop.corpus) == ("reading", "train")
        assert problem in stop.problem
        assert stop.places[0].startswith(str(corpora.folder / "train."))
        assert any(finding.corpus == "test" for finding in report.findings)
        assert "Training cannot start" in shown(report)
        assert report.passed == ()  # what could not be read to its end is not without fault
        assert "no fault" not in shown(report)


def test_nothing_that_can_be_read(tmp_path: Path) -> None:
    nowhere = CorpusConfig(path=None, source=str(tmp_path / "a"), target=str(tmp_path / "b"))
    config = Corpora(tmp_path, 10, 10).write()
    data = config.data.model_copy(update={"train": nowhere, "validation": nowhere, "test": nowhere})
    report = check(config.model_copy(update={"data": data}), quick=True)
    assert not report.ok
    assert report.passed == ()
    assert "3 problems to mend" in shown(report)


# Faults in the text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "column"),
    [
        ("Ein \x1bSatz.", "control characters", 5),
        ("Größe\x85 ist.", "control characters", 8),
        ("Das \x0b\x1c.", "control characters", 5),
        ("Das h\ufffdtte.", "replacement characters", 6),
        ("Das fÃ¼nfte.", "doubly encoded text", 6),
        ("Er sagte â€žja.", "doubly encoded text", 10),
        ("Za" + "\u0335" * 400 + "lgo", "stacked marks", 3),
    ],
)
def test_faulty_characters_are_named_with_line_and_column(corpora: Corpora, text: str, name: str, column: int) -> None:
    corpora.pairs["train"][11] = (corpora.pairs["train"][11][0], text)
    finding = only(quick(corpora), "encoding")
    assert (finding.level, finding.corpus, finding.count) == ("warn", "train", 1)
    assert name in finding.problem
    assert finding.places == (f"{corpora.folder / 'train.target'}:12:{column}",)


@pytest.mark.parametrize(
    ("text"), ["Ein\u2028Satz\u00a0hier.", "नमस्ते दुनिया", "👩‍👩‍👧‍👦 Familie 🇩🇪", "می‌خواهم", "Ầm ĩ quá Ä ö", "a\tb"]
)
def test_ordinary_characters_are_no_fault(corpora: Corpora, text: str) -> None:
    corpora.pairs["train"][11] = (corpora.pairs["train"][11][0], text)
    assert not [finding for finding in quick(corpora).findings if finding.check == "encoding"]


@pytest.mark.parametrize(("normalization", "level"), [("none", "warn"), ("nfc", "note")])
def test_two_forms_of_the_same_letter_are_told(corpora: Corpora, normalization: str, level: str) -> None:
    for row in range(5):
        corpora.pairs["train"][row] = (corpora.pairs["train"][row][0], corpora.pairs["train"][row][1] + " scho\u0308n")
    corpora.pairs["train"][9] = ("kase", "schön kase")
    corpora.settings = {"tokenizer": {"normalization": normalization}}
    finding = next(finding for finding in quick(corpora).findings if finding.check == "encoding")
    assert (finding.level, finding.count) == (level, 5)


# Pairs ----------------------------------------------------------------------------------------------------------------------


def test_what_would_be_dropped_is_labelled(corpora: Corpora) -> None:
    train = corpora.pairs["train"]
    train[3], train[5], train[8] = ("", "x"), (train[5][0], " \u200b"), ("zo " * 300, "ra " * 290)
    report = check(corpora.write(), tokenizers=WORDS)
    told = {finding.problem: finding.places for finding in report.findings if finding.check == "empty or too long"}
    assert told == {
        "1 pair would be dropped: empty source": (f"{corpora.folder / 'train.source'}:4",),
        "1 pair would be dropped: empty target": (f"{corpora.folder / 'train.target'}:6",),
        "1 pair would be dropped: too long": (f"{corpora.folder / 'train.source'}:9",),
    }
    assert report.corpora[0].used == 2997
    assert report.ok


@pytest.mark.parametrize(("accepted", "ok"), [(0.009, False), (0.01, True)])
def test_too_many_dropped_pairs_stop(corpora: Corpora, accepted: float, ok: bool) -> None:
    for row in range(30):
        corpora.pairs["train"][row] = ("", "x")
    corpora.settings = {"data": {"accept_dropped": accepted}}
    report = quick(corpora)
    assert report.ok == ok
    assert only(report, "empty or too long").count == 30


def test_all_too_long_stops(corpora: Corpora) -> None:
    corpora.settings = {"data": {"max_length": 2, "accept_dropped": 0.01}}
    report = check(corpora.write(), tokenizers=WORDS)
    assert not report.ok
    assert report.corpora[0].used == 0


def test_what_is_cut_is_not_dropped(corpora: Corpora) -> None:
    corpora.settings = {"data": {"max_length": 2, "accept_dropped": 0.0, "too_long": "cut"}}
    report = check(corpora.write(), tokenizers=WORDS)
    assert report.ok
    assert report.corpora[0].used == 3000
    corpora.pairs["train"][7] = ("a word", " ")
    assert not check(corpora.write(), tokenizers=WORDS).ok


def test_only_blank_lines_stop(corpora: Corpora) -> None:
    corpora.pairs["train"] = [(" ", "")] * 50
    corpora.settings = {"data": {"accept_dropped": 0.01}}
    assert not quick(corpora).ok


def test_duplicates_are_counted_and_placed(corpora: Corpora) -> None:
    train = corpora.pairs["train"]
    train[100] = train[200] = train[7]
    finding = only(quick(corpora), "duplicates")
    assert (finding.level, finding.count) == ("note", 2)
    assert finding.places == (f"{corpora.folder / 'train.source'}:101 = 8", f"{corpora.folder / 'train.source'}:201 = 101")
    train[1000:1500] = train[:500]
    assert only(quick(corpora), "duplicates").level == "warn"


def test_pairs_of_unlike_lengths_are_named_worst_first(corpora: Corpora) -> None:
    train = corpora.pairs["train"]
    train[50] = (train[50][0], train[50][1] * 5)
    train[60] = (train[60][0], train[60][1] * 9)
    finding = only(quick(corpora), "length ratios")
    assert (finding.level, finding.count) == ("note", 2)
    assert finding.places == tuple(f"{corpora.folder / 'train.source'}:{line}" for line in (61, 51))


def test_copied_sources_are_told(corpora: Corpora) -> None:
    train = corpora.pairs["train"]
    for row in range(0, 3000, 50):
        train[row] = (train[row][0], train[row][0])
    finding = only(quick(corpora), "copied sources")
    assert (finding.level, finding.count) == ("warn", 60)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_shifted_target_is_told_with_its_first_line(corpora: Corpora, share: float) -> None:
    train = corpora.pairs["train"]
    at = int(share * len(train))
    targets = [pair[1] for pair in train]
    broken = [*targets[:at], *targets[at + 1 :], "made."]
    corpora.pairs["train"] = list(zip([pair[0] for pair in train], broken, strict=True))
    report = quick(corpora)
    finding = only(report, "alignment")
    line = int(finding.places[1].rsplit(":", 1)[1])
    assert abs(line - at - 1) <= 3
    assert "to the end" in finding.problem
    assert report.ok == (share > 0.9)


def test_pairs_at_random_are_doubted(corpora: Corpora) -> None:
    train = corpora.pairs["train"]
    order = np.random.default_rng(1).permutation(len(train))
    corpora.pairs["train"] = [(train[row][0], train[other][1]) for row, other in enumerate(order)]
    assert "no more than lines paired at random" in only(quick(corpora), "alignment").problem


def test_swapped_pairs_are_named(corpora: Corpora) -> None:
    train = corpora.pairs["train"]
    rows = list(range(40, 3000, 100))
    for row in rows:
        train[row] = train[row][::-1]
    finding = only(quick(corpora), "languages")
    assert finding.count == len(rows)
    assert finding.places[0].endswith("train.source:41")


def test_a_swapped_validation_set_is_told(corpora: Corpora) -> None:
    corpora.pairs["validation"] = [pair[::-1] for pair in corpora.pairs["validation"]]
    finding = only(quick(corpora), "languages")
    assert (finding.level, finding.corpus) == ("warn", "validation")


ENGLISH = "the man is in the house and the dog was with it on a day that {} was for the best"
GERMAN = "der Mann ist in dem Haus und der Hund war mit ihm an einem Tag der für {} nicht das Beste war"
CHINESE = "這個人在房子裡，那隻狗和他在一起，那一天是{}最好的"


@pytest.mark.parametrize(("languages", "texts"), [(("en", "de"), (ENGLISH, GERMAN)), (("zh-Hant", "en_GB"), (CHINESE, ENGLISH))])
@pytest.mark.parametrize("swapped", [False, True])
def test_languages_that_are_swapped_in_the_configuration_are_told(
    tmp_path: Path, languages: tuple[str, str], texts: tuple[str, str], swapped: bool
) -> None:
    corpora = Corpora(tmp_path, 300, 50)
    for name, pairs in corpora.pairs.items():
        corpora.pairs[name] = [(texts[0].format(one), texts[1].format(other)) for one, other in pairs]
    source, target = languages[::-1] if swapped else languages
    corpora.settings = {"data": {"source_language": source, "target_language": target}}
    told = [finding.corpus for finding in quick(corpora).findings if finding.check == "languages"]
    assert told == (["train", "validation", "test"] if swapped else [])


# Overlap --------------------------------------------------------------------------------------------------------------------


def test_overlap_is_told_with_both_places(corpora: Corpora) -> None:
    pairs = corpora.pairs
    pairs["train"][70] = pairs["test"][8]
    pairs["train"][71] = (pairs["test"][9][0].upper(), pairs["test"][9][1])
    pairs["validation"][3] = pairs["test"][30]
    report = quick(corpora)
    told = {finding.corpus: finding for finding in report.findings if finding.check == "overlap"}
    assert set(told) == {"train ↔ test", "validation ↔ test"}
    assert (told["train ↔ test"].count, told["train ↔ test"].level) == (2, "warn")
    assert "1 of them but for case" in told["train ↔ test"].problem
    folder = corpora.folder
    assert told["train ↔ test"].places[0] == f"{folder / 'test.source'}:9 = {folder / 'train.source'}:71"
    assert told["validation ↔ test"].places == (f"{folder / 'test.source'}:31 = {folder / 'validation.source'}:4",)


def test_pairs_a_word_apart_are_found_by_the_whole_check(corpora: Corpora) -> None:
    source, target = corpora.pairs["validation"][8]
    corpora.pairs["train"][70] = (f"{source[:-1]} neu.", target)
    assert "one word apart" in only(check(corpora.write(), tokenizers=WORDS), "overlap").problem
    assert "one side" in only(quick(corpora), "overlap").problem


def test_training_on_the_test_set_stops(corpora: Corpora) -> None:
    config = corpora.write()
    config = config.model_copy(update={"data": config.data.model_copy(update={"test": config.data.train})})
    report = check(config, quick=True)
    assert not report.ok
    assert only(report, "overlap").count == 3000


# Vocabulary -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "level"), [(0, None), (30, "note"), (250, "warn")])
def test_unknown_tokens_are_told(corpora: Corpora, rows: int, level: str | None) -> None:
    test = corpora.pairs["test"]
    for row in range(rows):
        test[row] = (f"{test[row][0]} 7 8 9", f"{test[row][1]} 1 2 3")
    report = check(corpora.write(), tokenizers=WORDS)
    found = [finding for finding in report.findings if finding.check == "vocabulary"]
    assert [finding.level for finding in found] == ([level] if level else [])
    if level:
        assert "train does not have: 1 2 3 7 8 9" in found[0].problem
        assert report.corpora[2].unknown_share == pytest.approx(rows * 6 / (rows * 6 + 2 * 300 * 12), rel=0.1)


def test_a_batch_that_is_smaller_than_a_sentence_is_told(corpora: Corpora) -> None:
    corpora.settings = {"training": {"batch_tokens": 12}}
    finding = only(check(corpora.write(), tokenizers=WORDS), "vocabulary")
    assert "training.batch_tokens=12 holds not even the longest sentence of 19 tokens" in finding.problem


def test_a_vocabulary_that_the_data_does_not_yield_is_told(corpora: Corpora) -> None:
    corpora.settings = {"tokenizer": {"vocabulary_size": 50_000}}
    assert "only 9,000 pieces" in only(check(corpora.write(), tokenizers=WORDS), "vocabulary").problem


# Size -----------------------------------------------------------------------------------------------------------------------


def test_the_quick_check_looks_at_the_first_pairs(corpora: Corpora, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "QUICK_PAIRS", 1000)
    corpora.pairs["train"][2000] = ("", "x")
    report = quick(corpora)
    assert (report.corpora[0].pairs, report.corpora[0].checked) == (3000, 1000)
    assert not [finding for finding in report.findings if finding.check == "empty or too long"]
    assert "first 1,000 pairs" in shown(report)


def test_a_table_is_checked_like_two_files(corpora: Corpora) -> None:
    config = corpora.write()
    rows = "".join(f"{source}\t{target}\n" for source, target in corpora.pairs["train"][:500])
    table = corpora.folder / "train.tsv"
    table.write_text(f"{rows}ein \x07 Ton\tx\n", encoding="utf-8")
    train = CorpusConfig(path=str(table), source=0, target=1)
    report = check(config.model_copy(update={"data": config.data.model_copy(update={"train": train})}), quick=True)
    assert report.corpora[0].pairs == 501
    assert only(report, "encoding").places == (f"{table}:501",)
