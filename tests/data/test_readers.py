"""Pairs from line files and tables: RELIABILITY D1 and catalogue B 32, 34, 54–56."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.config import CorpusConfig
from headway.data.alignment import drift_guess
from headway.data.readers import Pair, RatedPair, corpus_files, count, read_pairs, read_rated
from headway.errors import DataError, UsageError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r"), max_size=20)


def table(path: Path, content: bytes | str, source: str | int = "en", target: str | int = "de") -> CorpusConfig:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return CorpusConfig(path=str(path), source=source, target=target)


def refusal(corpus: CorpusConfig) -> DataError:
    with pytest.raises(DataError) as caught:
        list(read_pairs(corpus))
    return caught.value


def line_files(folder: Path, source: list[str], target: list[str]) -> CorpusConfig:
    (folder / "a.en").write_text("".join(f"{line}\n" for line in source), encoding="utf-8", newline="")
    (folder / "a.de").write_text("".join(f"{line}\n" for line in target), encoding="utf-8", newline="")
    return CorpusConfig(path=None, source=str(folder / "a.en"), target=str(folder / "a.de"))


def sentences(number: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Made-up translations: lengths in proportion with the scatter of real ones."""
    rng = random.Random(seed)
    source = [rng.randint(20, 120) for _ in range(number)]
    target = [max(1, round(1.15 * length + rng.gauss(0, 2.5 * length**0.5))) for length in source]
    return ["x" * n for n in source], ["y" * n for n in target]


def test_line_files_are_read_in_step(tmp_path: Path) -> None:
    corpus = line_files(tmp_path, ["a\u2028b", "", "c"], ["A\x85B", "D", ""])
    assert list(read_pairs(corpus)) == [Pair("a\u2028b", "A\x85B", 1), Pair("", "D", 2), Pair("c", "", 3)]
    assert count(corpus) == 3
    assert corpus_files(corpus) == [tmp_path / "a.en", tmp_path / "a.de"]


def test_line_ends_of_one_side_do_not_matter(tmp_path: Path) -> None:
    corpus = line_files(tmp_path, ["a", "b"], [])
    (tmp_path / "a.de").write_bytes(b"A\r\nB")
    assert list(read_pairs(corpus)) == [("a", "A", 1), ("b", "B", 2)]


@pytest.mark.parametrize("lost", [[500], [50], [1900], [300, 1200], [700, 701, 702], list(range(900, 960))])
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_planted_deletion_is_found(tmp_path: Path, lost: list[int], side: str) -> None:
    source, target = sentences(2000)
    damaged = source if side == "source" else target
    damaged[:] = [line for number, line in enumerate(damaged, 1) if number not in lost]
    corpus = line_files(tmp_path, source, target)
    error = refusal(corpus)
    assert "2,000" in error.problem
    assert f"{2000 - len(lost):,}" in error.problem
    name, _, line = (error.where or "").rpartition(":")
    assert name == (corpus.source if side == "source" else corpus.target)
    assert abs(int(line) - lost[0]) <= (8 if len(lost) < 9 else 100)
    with pytest.raises(DataError, match="2,000"):
        count(corpus)


def test_a_file_that_is_cut_off_is_called_so(tmp_path: Path) -> None:
    source, target = sentences(2000)
    for kept in (1999, 1500, 1):
        error = refusal(line_files(tmp_path, source, target[:kept]))
        assert "cut off" in (error.remedy or "")
        assert f"{kept:,}" in error.problem


def test_an_empty_file_is_called_so(tmp_path: Path) -> None:
    for lines in ((["a", "b"], []), ([], ["a", "b"])):
        corpus = line_files(tmp_path, *lines)
        names = [str(corpus.source), str(corpus.target)]
        empty, other = names if not lines[0] else names[::-1]
        error = refusal(corpus)
        assert (error.problem, error.where) == ("is empty", empty)
        assert f"the translation of line n of {other}, which has 2" in (error.remedy or "")
        with pytest.raises(DataError, match="is empty"):
            count(corpus)


def test_the_guess_holds_across_chunks_and_lopsided_blocks() -> None:
    source, target = sentences(100_000, seed=3)
    del target[70_000]
    blocks = [target[at : at + 997] for at in range(0, len(target), 997)]
    guess = drift_guess([source], blocks, len(source), len(target))
    assert guess is not None
    assert abs(guess - 70_001) <= 8


def test_no_pairs_is_an_error_that_names_the_files(tmp_path: Path) -> None:
    assert "no sentence pairs" in refusal(line_files(tmp_path, [], [])).problem
    assert "holds no examples" in refusal(table(tmp_path / "a.tsv", "en\tde\n")).problem
    assert "holds no examples" in refusal(table(tmp_path / "a.csv", "")).problem


def test_a_missing_second_file_is_found_first(tmp_path: Path) -> None:
    corpus = line_files(tmp_path, ["a"], ["b"]).model_copy(update={"target": str(tmp_path / "a.dd")})
    assert "a.de" in (refusal(corpus).remedy or "")
    with pytest.raises(DataError, match="no such file"):
        corpus_files(corpus)


def test_columns_by_name_and_number(tmp_path: Path) -> None:
    content = 'id\ten\tde\n1\t"a\tA"\n2\tb\tB\n'
    assert list(read_pairs(table(tmp_path / "t.tsv", content))) == [('"a', 'A"', 2), ("b", "B", 3)]
    assert next(read_pairs(table(tmp_path / "t.tsv", content, 1, 2))) == ("en", "de", 1)
    assert next(read_pairs(table(tmp_path / "t.tsv", content, "de", 0))) == ('A"', "1", 2)
    assert count(table(tmp_path / "t.tsv", content)) == 2
    packed = table(tmp_path / "t.TSV.gz", gzip.compress(content.encode()))
    assert list(read_pairs(packed))[1] == ("b", "B", 3)
    assert corpus_files(packed) == [tmp_path / "t.TSV.gz"]


def test_wrong_columns_are_named(tmp_path: Path) -> None:
    rows = ["a\tb"] * 811 + ["a\tb\tc"] + ["a\tb"]
    error = refusal(table(tmp_path / "t.tsv", "\n".join(rows), 0, 1))
    assert error.where == f"{tmp_path / 't.tsv'}:812"
    assert "has 3 columns, but the first one has 2" in error.problem
    assert "is blank" in refusal(table(tmp_path / "t.tsv", "a\tb\n\na\tb\n", 0, 1)).problem
    assert "did you mean 'en'" in (refusal(table(tmp_path / "t.tsv", "en\tde\nx\ty\n", "enn")).remedy or "")
    assert "columns are 0 to 1" in (refusal(table(tmp_path / "t.tsv", "en\tde\n", 0, 2)).remedy or "")
    assert "two columns" in refusal(table(tmp_path / "t.tsv", "en\ten\tde\n")).problem
    with pytest.raises(UsageError, match="known endings"):
        list(read_pairs(table(tmp_path / "t.xlsx", "en\tde\n")))


@settings(max_examples=200)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_tsv_and_jsonl_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    folder = tmp_path_factory.mktemp("t")
    flat = [(one.replace("\t", " "), other.replace("\t", " ")) for one, other in rows]
    corpus = table(folder / "a.tsv", "en\tde\n" + "".join(f"{one}\t{other}\n" for one, other in flat))
    assert list(read_pairs(corpus)) == [(*row, line) for line, row in enumerate(flat, 2)]
    for ascii_only in (True, False):
        lines = [json.dumps({"en": one, "x": [1.5, None], "de": other}, ensure_ascii=ascii_only) for one, other in rows]
        corpus = table(folder / "a.jsonl", "\n".join(lines))
        assert list(read_pairs(corpus)) == [(*row, line) for line, row in enumerate(rows, 1)]


@settings(max_examples=200)
@given(st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3).map("\n".join)), min_size=1, max_size=5))
def test_csv_round_trip_with_line_breaks_and_quotes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    rows = [(one + '"a", b', other) for one, other in rows]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("en", "de"), *rows])
    corpus = table(tmp_path_factory.mktemp("t") / "a.csv", out.getvalue())
    pairs = list(read_pairs(corpus))
    assert [(source, target) for source, target, _ in pairs] == rows
    starts = [2]
    for _, target in rows[:-1]:
        starts.append(starts[-1] + 1 + target.count("\n"))
    assert [pair.line for pair in pairs] == starts


def test_broken_csv_is_located(tmp_path: Path) -> None:
    assert (refusal(table(tmp_path / "c.csv", 'en,de\na,b\nc,"d\ne,f\n')).where or "").endswith("c.csv:3")
    assert (refusal(table(tmp_path / "c.csv", 'en,de\na,b\nc,"d"x\n')).where or "").endswith("c.csv:3")
    assert "a cell of more than" in refusal(table(tmp_path / "c.csv", 'en,de\n"a,b\n' + "x,y\n" * 500_000)).problem
    assert "a carriage return" in refusal(table(tmp_path / "c.csv", "en,de\na\rc,b\n")).problem
    long = "x" * 200_000
    assert next(iter(read_pairs(table(tmp_path / "c.csv", f"en,de\n{long},b\n")))).source == long


JSON_FAULTS = {
    "broken": ('{"en": "a", "de"', "not valid JSON"),
    "NaN": ('{"en": "a", "de": "b", "x": NaN}', "NaN"),
    "infinity": ('{"en": "a", "de": "b", "x": -Infinity}', "Infinity"),
    "duplicate key": ('{"en": "a", "de": "b", "en": "c"}', "'en' stands twice"),
    "missing field": ('{"en": "a", "dee": "b"}', "'de' is missing"),
    "null": ('{"en": "a", "de": null}', "'de' is null"),
    "number": ('{"en": 5, "de": "b"}', "'en' is a number"),
    "true": ('{"en": true, "de": "b"}', "'en' is true"),
    "list": ('{"en": ["a"], "de": "b"}', "'en' is an array"),
    "array": ('["a", "b"]', "holds an array"),
    "text": ('"ab"', "holds a text"),
    "two documents": ('{"en": "a", "de": "b"} {}', "not valid JSON"),
    "blank": ("", "blank"),
    "surrogate": ('{"en": "a\\ud800", "de": "b"}', "surrogate"),
    "nul": ('{"en": "a\\u0000", "de": "b"}', "NUL"),
    "nul beside é": ('{"en": "é\\u0000", "de": "b"}', "NUL"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "huge number": ('{"en": "a", "de": "b", "n": ' + "9" * 5000 + "}", "not valid JSON"),
}


@pytest.mark.parametrize("fault", JSON_FAULTS)
def test_json_faults_are_located(tmp_path: Path, fault: str) -> None:
    line, problem = JSON_FAULTS[fault]
    good = '{"en": "a", "de": "b"}\n'
    error = refusal(table(tmp_path / "j.jsonl", good * 8 + line + "\n" + good))
    assert error.where == f"{tmp_path / 'j.jsonl'}:9"
    assert problem in error.problem


def test_json_arrays_are_numbered(tmp_path: Path) -> None:
    assert list(read_pairs(table(tmp_path / "j.ndjson", '["a", "b"]\n["c", "d"]', 1, 0))) == [("b", "a", 1), ("d", "c", 2)]
    assert "column 2 is missing" in refusal(table(tmp_path / "j.ndjson", '["a", "b"]', 0, 2)).problem


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def corpus(columns: dict[str, object], source: str | int = "en", target: str | int = "de") -> CorpusConfig:
        parquet.write_table(pa.table(columns), tmp_path / "p.parquet", row_group_size=3000)
        return CorpusConfig(path=str(tmp_path / "p.parquet"), source=source, target=target)

    english, german = [f"a{i}\u2028" for i in range(10_000)], [f"b{i}" for i in range(10_000)]
    rows = {"id": list(range(10_000)), "de": german, "en": english}
    expected = [(one, other, line) for line, (one, other) in enumerate(zip(english, german, strict=True), 1)]
    assert list(read_pairs(corpus(rows))) == expected
    assert list(read_pairs(corpus(rows, 2, 1))) == expected
    assert (
        list(read_pairs(corpus({**rows, "en": pa.array(english).dictionary_encode(), "de": pa.array(german, pa.large_string())})))
        == expected
    )
    german[7999] = None  # type: ignore[call-overload]
    error = refusal(corpus({**rows, "de": german}))
    assert error.where == f"{tmp_path / 'p.parquet'}:8000"
    assert "'de' is null" in error.problem
    assert "int64, not texts" in refusal(corpus(rows, "id")).problem
    assert "no column 'fr'" in refusal(corpus(rows, "fr")).problem
    assert "longer than" in refusal(corpus({"en": ["a", "x" * (1 << 21)], "de": ["a", "b"]})).problem
    assert "NUL" in refusal(corpus({"en": ["a", "x\0"], "de": ["a", "b"]})).problem
    assert (refusal(corpus({"en": ["a", "x\0"], "de": ["a", "b"]})).where or "").endswith(":2")
    whole = (tmp_path / "p.parquet").read_bytes()
    for cut in (0, 4, len(whole) // 2, len(whole) - 1):
        (tmp_path / "p.parquet").write_bytes(whole[:cut])
        assert "damaged" in refusal(CorpusConfig(path=str(tmp_path / "p.parquet"), source="en", target="de")).problem


def test_missing_packages_are_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zst").write_bytes(b"\x28\xb5\x2f\xfd....")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "b.zst").write_bytes(b"\x28\xb5\x2f\xfd....")
    with pytest.raises(UsageError, match=r"headway\[zstd\]"):
        list(read_pairs(CorpusConfig(path=None, source=str(tmp_path / "a.zst"), target=str(tmp_path / "b.zst"))))
    with pytest.raises(UsageError, match=r"headway\[tables\]"):
        list(read_pairs(table(tmp_path / "p.parquet", b"PAR1")))


# ---- rated pairs ---------------------------------------------------------------------------------------------------


def rated(path: Path, content: str, rating: str | int = "score") -> CorpusConfig:
    return table(path, content).model_copy(update={"rating": rating})


def test_ratings_are_numbers_or_texts_of_numbers(tmp_path: Path) -> None:
    expected = [RatedPair("a", "A", 2, 4.0), RatedPair("b", "B", 3, -0.5)]
    assert list(read_rated(rated(tmp_path / "a.tsv", "en\tde\tscore\na\tA\t4\nb\tB\t-0.5\n"))) == expected
    assert list(read_rated(rated(tmp_path / "a.csv", "en,score,de\na,4,A\nb,-0.5,B\n"))) == expected
    lines = '{"en": "x", "de": "X", "score": 1e2}\n{"en": "a", "de": "A", "score": 4}\n{"en": "b", "de": "B", "score": "-0.5"}\n'
    assert list(read_rated(rated(tmp_path / "a.jsonl", lines))) == [RatedPair("x", "X", 1, 100.0), *expected]


def test_ratings_of_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    for name, scores in (("floats", [4.25, 0.1]), ("ints", [3, 5]), ("texts", ["1", "2.5"])):
        parquet.write_table(pa.table({"en": ["a", "b"], "de": ["A", "B"], "score": scores}), tmp_path / f"{name}.parquet")
        corpus = CorpusConfig(path=str(tmp_path / f"{name}.parquet"), source="en", target="de", rating="score")
        assert [pair.rating for pair in read_rated(corpus)] == [float(score) for score in scores]
    numbers = CorpusConfig(path=str(tmp_path / "floats.parquet"), source="score", target="de")
    assert "holds double, not texts" in refusal(numbers).problem


@pytest.mark.parametrize("text", ["", "good", "nan", "inf", "1e999"])
def test_what_is_no_rating_is_named(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.tsv:3: .* is no number"):
        list(read_rated(rated(tmp_path / "a.tsv", f"en\tde\tscore\na\tA\t4\nb\tB\t{text}\n")))


@pytest.mark.parametrize(("value", "problem"), [("true", "'true' is no number"), ("null", "'score' is "), ("[1]", "'score' is ")])
def test_json_that_is_no_rating_is_named(value: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"a\.jsonl:1: {problem}"):
        list(read_rated(rated(tmp_path / "a.jsonl", f'{{"en": "a", "de": "A", "score": {value}}}\n')))


def test_a_table_without_rated_pairs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no examples"):
        list(read_rated(rated(tmp_path / "a.tsv", "en\tde\tscore\n")))
