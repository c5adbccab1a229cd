"""The cache of tokenised pairs: what it holds, when it is made anew, and what becomes of it when things go wrong."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.config import STACKS, Config, CorpusConfig, DataConfig
from headway.data import array_store, token_cache
from headway.data.array_store import ArrayWriter, DamagedError, open_arrays
from headway.data.labels import Labels
from headway.data.pairs import EMPTY_SOURCE, EMPTY_TARGET, TOO_LONG, PairPreparation, drop_reason
from headway.data.preprocessing import is_blank
from headway.data.token_cache import TokenCache, open_cache
from headway.data.tokenizer import Tokenizer, Tokenizers
from headway.errors import DataError, HeadwayError, ResourceError
from headway.tasks import TASKS


class CharacterTokens:
    """A tokenizer of one token for each character; sampling writes some of them twice."""

    def __init__(self, vocabulary_size: int = 60_000, digest: str = "characters") -> None:
        self.vocabulary_size, self.digest, self.dropout = vocabulary_size, digest, 0.3
        self.calls = 0

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        self.calls += 1
        return [[4 + ord(character) % (self.vocabulary_size - 4) for character in text.strip()] for text in texts]

    def sample_many(self, texts: Sequence[str], seed: int) -> list[list[int]]:
        chance = np.random.default_rng(seed)
        return [
            [token for token in row for _ in range(1 + int(chance.random() < self.dropout))] for row in self.encode_many(texts)
        ]


class Shelf:
    """A corpus in two files and everything to open its cache with."""

    def __init__(self, folder: Path, sources: list[str], targets: list[str], **data: Any) -> None:
        self.folder, self.tokenizer = folder, CharacterTokens()
        self.corpus = CorpusConfig(path=None, source=str(folder / "train.en"), target=str(folder / "train.de"))
        self.write(sources, targets)
        settings = {"accept_dropped": 1.0, "max_length": 50, **data}
        self.data = DataConfig(source_language="en", target_language="de", train=self.corpus, validation=self.corpus, **settings)

    def write(self, sources: list[str], targets: list[str]) -> None:
        for name, lines in (("train.en", sources), ("train.de", targets)):
            (self.folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def open(self, **options: Any) -> TokenCache:
        tokenizers = cast(Tokenizers, type("Pair", (), {"source": self.tokenizer, "target": self.tokenizer}))
        preparation = PairPreparation(tokenizers, Config(run_directory="run", data=self.data))
        return open_cache(self.folder / "cache", self.corpus, preparation, self.data, **options)

    def files(self, name: str) -> list[Path]:
        return sorted((self.folder / "cache").glob(f"*/*/{name}"))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path, [f"source {i}" for i in range(60)], [f"das Ziel {i}" for i in range(60)])


def rows_of(cache: TokenCache) -> list[tuple[list[int], list[int]]]:
    return [(cache.source(i).tolist(), cache.target(i).tolist()) for i in range(len(cache))]


def test_the_cache_holds_the_tokens_of_every_pair(shelf: Shelf) -> None:
    cache = shelf.open()
    assert len(cache) == cache.read == 60
    encode = CharacterTokens().encode_many
    assert rows_of(cache) == list(
        zip(encode([f"source {i}" for i in range(60)]), encode([f"das Ziel {i}" for i in range(60)]), strict=True)
    )
    assert cache.source_lengths.tolist() == [len(cache.source(i)) for i in range(60)]
    assert cache.target_lengths.tolist() == [len(cache.target(i)) for i in range(60)]
    assert cache.source_lengths.dtype == cache.target_lengths.dtype == np.int32
    assert cache.source(0).dtype == np.uint16
    assert [cache.line(0), cache.line(59)] == [1, 60]
    with pytest.raises(IndexError):
        cache.source(60)


def test_a_large_vocabulary_is_kept_in_32_bits(shelf: Shelf) -> None:
    shelf.tokenizer = CharacterTokens(vocabulary_size=1 << 21)
    shelf.write(["😀"], ["x"])
    cache = shelf.open()
    assert cache.source(0).dtype == np.uint32
    assert cache.source(0).tolist() == [4 + ord("😀")]


def test_it_is_made_once_and_found_again(shelf: Shelf) -> None:
    first = rows_of(shelf.open())
    calls = shelf.tokenizer.calls
    assert rows_of(shelf.open()) == first
    assert shelf.tokenizer.calls == calls


@pytest.mark.parametrize("change", ["corpus", "tokenizer", "preprocessing", "max_length", "language"])
def test_any_change_of_what_it_is_made_from_makes_it_anew(shelf: Shelf, change: str) -> None:
    shelf.open()
    updates: dict[str, dict[str, Any]] = {
        "preprocessing": {"preprocessing": ["lowercase"]},
        "max_length": {"max_length": 12},
        "language": {"target_language": "fr"},
    }
    if change == "corpus":
        shelf.write(["other"], ["anderes"])
    elif change == "tokenizer":
        shelf.tokenizer = CharacterTokens(digest="another")
    else:
        shelf.data = shelf.data.model_copy(update=updates[change])
    calls = shelf.tokenizer.calls
    shelf.open()
    assert shelf.tokenizer.calls > calls
    assert len(shelf.files("meta.json")) == 2


PLAIN_FILES = {"a.jsonl": '{"turns": ["a", "b", "c", "d"]}\n', "a.tsv": "ab\tcd\tef\tx\nab\tcd\tgh\ty\n", "a.txt": "a\n\nb\n"}
ROWS = [
    ("pair_classification", {"path": "a.tsv", "source": 0, "second": 1, "target": 3}, {"second": 2}, {}),
    ("classification", {"path": "a.tsv", "source": 0, "target": 3}, {"second": 1}, {"task": "pair_classification"}),
    ("classification", {"path": "a.tsv", "source": 0, "target": 3}, {}, {"labels": "several", "label_separator": "x"}),
    ("classification", {"path": "a.tsv", "source": 0, "target": 3}, {"source": 1}, {}),
    ("dialogue", {"path": "a.jsonl", "source": "turns"}, {}, {"history_turns": 1}),
    ("span_corruption", {"source": "a.txt"}, {}, {"documents": "line"}),
    ("span_corruption", {"source": "a.txt"}, {}, {"max_length": 1}),
]


@pytest.mark.parametrize(("task", "corpus", "other_corpus", "others"), ROWS)
def test_what_makes_other_rows_of_the_same_files_makes_another_cache(
    task: str, corpus: dict[str, Any], other_corpus: dict[str, Any], others: dict[str, Any], tmp_path: Path
) -> None:
    """Under the same tokenizer and labels, so that nothing else tells the caches apart."""
    for name, text in PLAIN_FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    where = "path" if "path" in corpus else "source"
    corpus = {**corpus, where: str(tmp_path / corpus[where])}

    def rows(task: str, part: dict[str, Any], data: dict[str, Any], cache: str) -> list[tuple[list[int], list[int]]]:
        layers = {f"{stack}_layers": int(stack in STACKS[task]) for stack in ("encoder", "decoder")}
        values = {"train": part, "validation": part, "history_turns": 6, "accept_dropped": 1.0, **data}
        config = Config.model_validate({"run_directory": "run", "task": task, "data": values, "model": layers})
        tokenizer, labels = cast(Tokenizer, CharacterTokens()), Labels(config.data.labels, ("x", "y"))
        preparation = TASKS[task].preparation(Tokenizers(tokenizer, tokenizer, labels), config)
        return rows_of(open_cache(tmp_path / cache, config.data.parts("train")[0], preparation, config.data))

    other = others.get("task", task), {**corpus, **other_corpus}, {key: others[key] for key in others if key != "task"}
    fresh = rows(*other, "fresh")
    assert rows(task, corpus, {}, "shared") != fresh
    assert rows(*other, "shared") == fresh


def test_preprocessing_is_applied(shelf: Shelf) -> None:
    shelf.data = shelf.data.model_copy(update={"preprocessing": ["lowercase"]})
    assert shelf.open().target(0).tolist() == CharacterTokens().encode_many(["das ziel 0"])[0]


def test_what_is_dropped_is_counted_by_reason(tmp_path: Path) -> None:
    sources = ["one", "", "three", " \u200b\ufeff ", "five", "x" * 51, "seven", ""]
    targets = ["eins", "zwei", "\t", "vier", "y" * 50, "sechs", "z" * 60, ""]
    cache = Shelf(tmp_path, sources, targets).open()
    assert cache.dropped == {EMPTY_SOURCE: 3, EMPTY_TARGET: 1, TOO_LONG: 2}
    assert cache.read == len(cache) + sum(cache.dropped.values()) == 8
    assert [cache.line(i) for i in range(len(cache))] == [1, 5]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=6), st.text(max_size=6), st.integers(0, 3), st.integers(0, 3))
def test_a_pair_is_kept_only_if_it_can_be_learned_from(source: str, target: str, source_tokens: int, target_tokens: int) -> None:
    reason = drop_reason(source, target, source_tokens, target_tokens, 2)
    usable = not is_blank(source) and not is_blank(target) and 0 < source_tokens <= 2 and 0 < target_tokens <= 2
    assert (reason is None) == usable


@pytest.mark.parametrize(
    ("text", "blank"), [("", True), (" \t\u3000\u2028\x85", True), ("\u200f\u200b", True), (".", False), ("🇩🇪", False)]
)
def test_what_counts_as_blank(text: str, blank: bool) -> None:
    assert is_blank(text) == blank


def test_too_many_dropped_pairs_stop_unless_accepted(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, ["x"] * 97 + [""] * 3, ["y"] * 100, accept_dropped=0.01)
    with pytest.raises(DataError, match=r"3 of 100 examples \(3\.0%\) would be dropped \(3 empty source\)"):
        shelf.open()
    with pytest.raises(DataError, match=r"data\.accept_dropped=0\.03"):  # found in the cache as well as when making it
        shelf.open()
    shelf.data = shelf.data.model_copy(update={"accept_dropped": 0.03})
    assert len(shelf.open()) == 97


@pytest.mark.parametrize(("source", "reason"), [("", "2 empty source"), ("x" * 51, "2 too long")])
def test_nothing_left_stops(tmp_path: Path, source: str, reason: str) -> None:
    with pytest.raises(DataError, match=f"none of its 2 examples can be used .{reason}"):
        Shelf(tmp_path, [source] * 2, ["y"] * 2).open()


# Views ---------------------------------------------------------------------------------------------------------------------


def test_views_hold_the_same_pairs_with_other_tokens(shelf: Shelf) -> None:
    shelf.write(["one", "", *[f"source {i}" for i in range(40)]], ["eins", "x", *[f"Ziel {i}" for i in range(40)]])
    plain, views = shelf.open(), [shelf.open(view=seed) for seed in (0, 1)]
    assert [view.view for view in views] == [0, 1]
    for view in views:
        assert len(view) == len(plain) == 41
        assert (view.read, view.dropped, view.fingerprint) == (plain.read, plain.dropped, plain.fingerprint)
        assert [view.line(i) for i in range(41)] == [plain.line(i) for i in range(41)]
        for i in range(41):
            kept = [token for place, token in enumerate(view.source(i)) if not place or token != view.source(i)[place - 1]]
            assert "".join(map(chr, kept)) == "".join(
                chr(token) for place, token in enumerate(plain.source(i)) if not place or token != plain.source(i)[place - 1]
            )
    assert rows_of(views[0]) != rows_of(views[1]) != rows_of(plain)


def test_a_view_is_a_pure_function_of_its_seed(shelf: Shelf, tmp_path: Path) -> None:
    first = rows_of(shelf.open(view=3))
    for folder in (tmp_path / "cache").glob("*/view-3-*"):
        for file in folder.iterdir():
            file.unlink()
    assert rows_of(shelf.open(view=3)) == first


def test_another_rate_makes_another_view(shelf: Shelf) -> None:
    first = rows_of(shelf.open(view=1))
    shelf.tokenizer.dropout = 0.9
    assert rows_of(shelf.open(view=1)) != first
    shelf.tokenizer.dropout = 0.3
    assert rows_of(shelf.open(view=1)) == first


def test_pieces_and_sides_are_sampled_by_chances_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_cache, "PIECE_EXAMPLES", 5)
    view = Shelf(tmp_path, ["abcdefghijklmnop"] * 10, ["abcdefghijklmnop"] * 10).open(view=1)
    assert len(view) == 10
    assert view.source(0).tolist() != view.source(5).tolist()
    assert view.source(0).tolist() != view.target(0).tolist()


def test_pieces_change_nothing_in_the_plain_tokens(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = rows_of(shelf.open())
    for limit, value in (("PIECE_EXAMPLES", 7), ("PIECE_CHARACTERS", 1)):
        monkeypatch.setattr(token_cache, limit, value)
        shelf.tokenizer.digest = limit
        assert rows_of(shelf.open()) == whole


def test_a_sampled_row_that_grew_too_long_falls_back(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, ["a" * 50] * 20, ["b" * 5] * 20)
    plain, view = shelf.open(), shelf.open(view=1)
    assert all(view.source(i).tolist() == plain.source(i).tolist() for i in range(20))
    assert any(view.target(i).tolist() != plain.target(i).tolist() for i in range(20))


# Damage --------------------------------------------------------------------------------------------------------------------


def mutations() -> list[tuple[str, Callable[[Path], None]]]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)

    return [
        ("flipped bit", flip),
        ("cut", lambda path: path.write_bytes(path.read_bytes()[:-1])),
        ("grown", lambda path: path.write_bytes(path.read_bytes() + b"\0")),
        ("empty", lambda path: path.write_bytes(b"")),
        ("missing", lambda path: path.unlink()),
        ("zeroed", lambda path: path.write_bytes(bytes(path.stat().st_size))),
    ]


@pytest.mark.parametrize("file", ["meta.json", "lines", "source.tokens", "source.ends", "target.tokens", "target.ends"])
@pytest.mark.parametrize(("name", "mutate"), mutations(), ids=[name for name, _ in mutations()])
def test_a_damaged_cache_is_made_anew_and_said(
    shelf: Shelf, file: str, name: str, mutate: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    rows = rows_of(shelf.open())
    mutate(shelf.files(file)[0])
    with caplog.at_level(logging.WARNING):
        assert rows_of(shelf.open()) == rows
    assert "damaged" in caplog.text
    caplog.clear()
    shelf.open()
    assert not caplog.text


def test_a_meta_file_that_lies_is_not_believed(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    shelf.open()
    path = shelf.files("meta.json")[0]
    written = json.loads(path.read_text())
    for lie in (
        {"facts": {**written["facts"], "dropped": {}}},
        {"arrays": {**written["arrays"], "../../evil": written["arrays"]["lines"]}},
        {"arrays": {**written["arrays"], "lines": {"dtype": "object", "length": 60, "sha256": "0"}}},
        {"sha256": None},
        {"facts": {}},
    ):
        body = {**written, **lie}
        if "sha256" not in lie and "dropped" not in lie.get("facts", {}):  # a consistent lie: the digest fits
            body["sha256"] = array_store._digest({"facts": body["facts"], "arrays": body["arrays"]})
        path.write_text(json.dumps(body))
        assert len(shelf.open()) == 60
        assert "damaged" in caplog.text
        caplog.clear()


any_json = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["facts", "arrays", "sha256", "x"]), inner),
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | any_json)
def test_any_meta_file_is_refused_in_words(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("meta")
    (folder / "meta.json").write_bytes(content)
    with pytest.raises(DamagedError):
        open_arrays(folder)


# Several processes, kills and full disks --------------------------------------------------------------------------------------


def _open_in_child(shelf: Shelf, start: Any, results: Any) -> None:
    start.wait()
    cache = shelf.open(view=1)
    results.put((shelf.tokenizer.calls, hashlib.sha256(repr(rows_of(cache)).encode()).hexdigest()))


def test_processes_that_start_at_once_share_one_making(shelf: Shelf) -> None:
    context = multiprocessing.get_context("fork")
    start, results = context.Event(), context.Queue()
    children = [context.Process(target=_open_in_child, args=(shelf, start, results)) for _ in range(4)]
    for child in children:
        child.start()
    start.set()
    found = [results.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    assert len({digest for _, digest in found}) == 1
    # One plain piece of two sides and one sampled piece of two sides, whoever makes which.
    assert sum(calls for calls, _ in found) == 4


def _slow_open(shelf: Shelf, began: Any) -> None:
    encode = shelf.tokenizer.encode_many

    def slow(texts: Sequence[str]) -> list[list[int]]:
        began.set()
        time.sleep(30)
        return encode(texts)

    shelf.tokenizer.encode_many = slow  # type: ignore[method-assign]
    shelf.open()


def test_a_killed_making_leaves_no_trace(shelf: Shelf) -> None:
    context = multiprocessing.get_context("fork")
    began = context.Event()
    child = context.Process(target=_slow_open, args=(shelf, began))
    child.start()
    assert began.wait(30)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    key = next(path for path in (shelf.folder / "cache").iterdir() if path.is_dir())
    assert [path.name for path in key.iterdir() if path.is_dir()] == [f".building-plain-with-text-{child.pid}"]
    assert len(shelf.open()) == 60
    assert [path.name for path in key.iterdir() if path.is_dir()] == ["plain-with-text"]


def test_a_making_of_another_kind_is_left_alone(shelf: Shelf) -> None:
    shelf.open()
    key = next(path for path in (shelf.folder / "cache").iterdir() if path.is_dir())
    others, own = key / ".building-plain-with-text-and-more-77", key / ".building-plain-with-text-77"
    others.mkdir()
    own.mkdir()
    with ArrayWriter(key / "plain-with-text", {"a": "uint8"}):
        assert others.exists()
        assert not own.exists()


def test_a_corpus_that_changes_while_it_is_read_is_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = shelf.tokenizer.encode_many

    def changing(texts: Sequence[str]) -> list[list[int]]:
        with open(str(shelf.corpus.target), "r+b") as file:
            file.write(b"W")
        return encode(texts)

    monkeypatch.setattr(shelf.tokenizer, "encode_many", changing)
    with pytest.raises(DataError, match="changed while it was tokenised"):
        shelf.open()
    assert not shelf.files("*")
    monkeypatch.undo()
    assert chr(shelf.open().target(0)[0] - 4) == "W"


def test_training_goes_on_only_with_the_same_data(shelf: Shelf) -> None:
    before = shelf.open().fingerprint
    assert len(shelf.open(view=1, expected_fingerprint=before)) == 60
    shelf.write(["other"] * 60, ["anderes"] * 60)
    with pytest.raises(DataError, match="the data has changed"):
        shelf.open(view=2, expected_fingerprint=before)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES])
def test_a_disk_that_fails_at_any_write_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Every file-system call of the writer fails once; each time the error is typed and the folder is whole or absent."""
    calls = {"left": 0}

    def failing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            calls["left"] -= 1
            if calls["left"] < 0:
                raise OSError(code, os.strerror(code))
            return real(*arguments, **options)

        return call

    for name in ("fsync", "rename"):
        monkeypatch.setattr(os, name, failing(getattr(os, name)))
    for point in range(12):
        folder = tmp_path / f"store-{point}"
        calls["left"] = point
        message = ""
        try:
            with ArrayWriter(folder, {"numbers": "int64", "names": "uint16"}) as writer:
                writer.append("numbers", np.arange(10))
                writer.publish({"point": point})
        except ResourceError as error:
            message = str(error)
        # Two arrays, meta.json, the folder aside, the rename, the parent: six calls can fail.
        assert (str(folder) in message) == (point < 6)
        assert ("bytes are needed in all" in message) == (point < 6 and code in (errno.ENOSPC, errno.EDQUOT))
        calls["left"] = 1000
        if folder.exists():
            assert open_arrays(folder)[1] == {"point": point}
        assert not list(tmp_path.glob(".building-*"))


def _fill(shelf: Shelf, limit: int, results: Any) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        results.put(len(shelf.open()))
    except HeadwayError as error:
        results.put((type(error).__name__, str(error)))


@pytest.mark.parametrize("limit", [0, 1, 100, 400, 5000])
def test_a_full_disk_is_named_with_the_bytes_that_are_needed(shelf: Shelf, limit: int) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_fill, args=(shelf, limit, results))
    child.start()
    found = results.get(timeout=60)
    child.join()
    if limit == 5000:
        assert found == 60
    else:
        kind, message = found
        assert kind == "ResourceError"
        assert "bytes are needed in all" in message
        assert str(shelf.folder / "cache") in message
        assert "are free" in message
        assert not shelf.files("meta.json")
    assert len(shelf.open()) == 60  # and with space it goes on


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written_is_named(shelf: Shelf) -> None:
    (shelf.folder / "cache").mkdir(mode=0o500)
    with pytest.raises(ResourceError, match="cannot be written"):
        shelf.open()


def test_a_file_in_the_place_of_the_folder_is_named(shelf: Shelf) -> None:
    (shelf.folder / "cache").write_text("I am a file")
    with pytest.raises(ResourceError, match="cannot be written"):
        shelf.open()


MEASURE = """
import resource, sys, tempfile
from pathlib import Path
from test_token_cache import Shelf
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
with tempfile.TemporaryDirectory() as folder:
    shelf = Shelf(Path(folder), ["x"], ["y"])
    shelf.open()
    for name in ("train.en", "train.de"):
        with open(Path(folder) / name, "w") as file:
            for number in range(150_000):
                file.write(f"line {number} of some forty characters in all\\n")
    before = peak()
    cache = shelf.open()
    built = peak()
    assert sum(len(cache.source(i)) + len(cache.target(i)) for i in range(0, len(cache), 3)) > 3_000_000
    print(built - before, peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_is_bounded_when_building_and_when_reading() -> None:
    result = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    built, read = map(float, result.stdout.split())
    assert built < 60, "MiB for pieces of 10,000 pairs, however many there are"
    assert read < 150, "MiB of mapped pages, given back in time"
