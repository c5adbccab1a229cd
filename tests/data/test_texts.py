"""Plain text as documents: what one is, long ones in pieces, and rows that are the text."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from headway.config import Config, CorpusConfig, DataConfig, TokenizerConfig
from headway.data import texts
from headway.data.texts import EMPTY, Text, TextPreparation, read_texts
from headway.data.tokenizer import EOS_ID, Tokenizers, train_tokenizer
from headway.errors import DataError

PROSE = "First Citizen:\nBefore we proceed.\n\n\nAll:\nSpeak, speak.\n"


def corpus(tmp_path: Path, content: str, name: str = "a.txt") -> CorpusConfig:
    (tmp_path / name).write_text(content, encoding="utf-8")
    return CorpusConfig(source=str(tmp_path / name))


def test_a_file_is_a_document_line_breaks_and_all(tmp_path: Path) -> None:
    assert list(read_texts(corpus(tmp_path, PROSE), "file")) == [Text(PROSE, 1)]


def test_paragraphs_and_lines(tmp_path: Path) -> None:
    given = corpus(tmp_path, PROSE)
    found = list(read_texts(given, "paragraph"))
    assert found == [Text("First Citizen:\nBefore we proceed.", 1), Text("All:\nSpeak, speak.", 5)]
    assert [(text.source, text.line) for text in read_texts(given, "line")][:3] == [
        ("First Citizen:", 1), ("Before we proceed.", 2), ("", 3),
    ]  # fmt: skip


def test_a_row_of_a_table_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"t": "one\\ntwo"}\n{"t": "three"}\n', encoding="utf-8")
    table = CorpusConfig(path=str(tmp_path / "p.jsonl"), source="t")
    assert list(read_texts(table, "file")) == [Text("one\ntwo", 1), Text("three", 2)]


def test_the_turns_of_a_dialogue_are_the_lines_of_a_document(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"turns": ["Are you?", "I am."]}\n{"turns": []}\n', encoding="utf-8")
    table = CorpusConfig(path=str(tmp_path / "p.jsonl"), source="turns")
    assert list(read_texts(table, "file")) == [Text("Are you?\nI am.", 1), Text("", 2)]
    (tmp_path / "p.jsonl").write_text('{"turns": ["Are you?", 3]}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"p\.jsonl:1: 'turns\[1\]' is a number, not a text"):
        list(read_texts(table, "file"))


@pytest.mark.parametrize("documents", ["file", "paragraph"])
def test_a_long_document_comes_in_pieces_that_join_to_it(documents: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "PIECE_CHARACTERS", 10)
    lines = [f"line {number} of many" for number in range(9)]
    content = "\n".join(lines) + "\n"
    found = list(read_texts(corpus(tmp_path, content), documents))
    assert len(found) > 3
    assert "".join(text.source for text in found) == (content if documents == "file" else content[:-1])
    assert [text.ends for text in found] == [False] * (len(found) - 1) + [True]
    assert [content.split("\n")[text.line - 1] for text in found] == [text.source.split("\n")[0] for text in found]


def test_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no text"):
        list(read_texts(corpus(tmp_path, "\n\n"), "paragraph"))


def test_rows_are_documents_with_their_end(tmp_path: Path) -> None:
    given = corpus(tmp_path, PROSE)
    settings = TokenizerConfig(kind="character", blanks="all", minimum_frequency=1, normalization="none")
    tokenizer = train_tokenizer([PROSE], settings)
    data = DataConfig(train=given, validation=given)
    preparation = TextPreparation(Tokenizers(tokenizer, tokenizer), Config(run_directory="r", task="language_model", data=data))
    dropped: Counter[str] = Counter()
    examples = [Text("First ", 1, ends=False), Text("Citizen:\n", 1), Text(" \n", 2), Text("All", 3)]
    found = preparation.prepare(examples, dropped)
    assert found.lines == [1, 1, 3]
    assert dropped == {EMPTY: 1}
    assert [list(row) for row in found.rows[0]] == [[], [], []]
    assert [row[-1] == EOS_ID for row in found.rows[1]] == [False, True, True]
    whole = [token for row in found.rows[1] for token in row if token != EOS_ID]
    assert tokenizer.decode(whole) == "First Citizen:\nAll"
