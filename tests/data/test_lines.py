"""Lines and files: RELIABILITY D1, D2 and catalogue 31–33, 36–44, 46, 50–53."""

from __future__ import annotations

import gzip
import logging
import lzma
import os
import socket
import subprocess
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.data.files import BLOCK_BYTES, fingerprint, read_blocks
from headway.data.lines import MAX_LINE_BYTES, STANDARD_INPUT, count_lines, read_lines, split_lines
from headway.errors import DataError

SEPARATORS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"  # all that str.splitlines() splits on


def naive(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line[:-1] if line.endswith("\r") else line for line in lines]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refusal(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        list(read_lines(path))
    return caught.value


@settings(max_examples=500)
@given(
    st.text(st.sampled_from(SEPARATORS + "abé漢😀") | st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.integers(1, 7),
)
def test_any_text_cut_anywhere_splits_on_line_feed_alone(text: str, step: int) -> None:
    text = "x\n" + text.lstrip("\ufeff")
    data = text.encode()
    blocks = [data[at : at + step] for at in range(0, len(data), step)]
    assert [line for lines in split_lines(blocks, "f") for line in lines] == naive(text)


def test_ten_thousand_lines_with_every_separator_keep_their_places(tmp_path: Path) -> None:
    lines = [f"{i} a{SEPARATORS[1:][i % 9]}b {i * 7919}" for i in range(10_000)]
    for end, last in [("\n", "\n"), ("\r\n", "\r\n"), ("\n", "")]:
        path = write(tmp_path / "lines.txt", (end.join(lines) + last).encode())
        assert list(read_lines(path)) == lines
        assert count_lines(path) == 10_000


def test_lines_across_blocks(tmp_path: Path) -> None:
    lines = [f"{i}é" * (i % 300) for i in range(30_000)]
    path = write(tmp_path / "big.txt", "\n".join(lines).encode())
    assert path.stat().st_size > 5 * BLOCK_BYTES
    assert list(read_lines(path)) == lines


@pytest.mark.parametrize("pack", ["gzip", "xz", "zstd"])
def test_packed_files_are_told_by_content_and_may_have_members(tmp_path: Path, pack: str) -> None:
    zstandard = pytest.importorskip("zstandard")
    compress = {"gzip": gzip.compress, "xz": lzma.compress, "zstd": lambda data: zstandard.ZstdCompressor().compress(data)}[pack]
    lines = [f"line {i} é" for i in range(20_000)]
    data = ("\n".join(lines) + "\n").encode()
    half = len(data) // 2 + 1
    path = write(tmp_path / "named.txt", compress(data[:half]) + compress(data[half:]))
    assert list(read_lines(path)) == lines
    assert count_lines(path) == len(lines)
    if pack == "xz":
        assert list(read_lines(write(path, path.read_bytes() + b"\0\0\0\0"))) == lines


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_packed_files_cut_short_or_damaged_are_refused(tmp_path: Path, suffix: str) -> None:
    zstandard = pytest.importorskip("zstandard")
    data = os.urandom(3000).hex().encode() + b"\n"
    whole = {
        ".gz": gzip.compress(data),
        ".xz": lzma.compress(data),
        ".zst": zstandard.ZstdCompressor(write_checksum=True).compress(data),
    }[suffix]
    for cut in {0, 1, 3, 7, 12, len(whole) // 2, len(whole) - 5, len(whole) - 1}:
        error = refusal(write(tmp_path / f"cut{suffix}", whole[:cut]))
        assert any(word in str(error) for word in ("truncated", "damaged", "does not begin", "is empty")), (cut, error)
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 64
    assert "cut" in str(refusal(write(tmp_path / f"cut{suffix}", bytes(broken))))


@pytest.mark.parametrize("pack", ["gzip", "xz", "zstd"])
def test_bombs_are_refused_at_the_ratio_cap(tmp_path: Path, pack: str) -> None:
    zstandard = pytest.importorskip("zstandard")
    data = b"boom\n" * (20 << 20)
    if pack == "gzip":
        packed = gzip.compress(data, 9)
    elif pack == "xz":
        packed = lzma.compress(data[: 80 << 20], preset=0)
    else:
        packed = zstandard.ZstdCompressor(level=1).compress(data)
    error = refusal(write(tmp_path / "bomb.txt", packed))
    assert "250 times" in str(error)


BAD_BYTES = {
    "latin-1": (b"ok\n" * 6 + b"caf\xe9 au lait\n", ":7:4", "'é'", "iconv -f CP1252"),
    "latin-1 at the end": (b"ok\ncaf\xe9", ":2:4", "0xE9", "iconv"),
    "windows dash": (b"a\nb \x96 c\n", ":2:3", "'–'", "iconv"),
    "lone continuation": (b"abc\x80\n", ":1:4", "0x80", "iconv"),
    "overlong slash": (b"a\xc0\xaf\n", ":1:2", "overlong", "convert"),
    "overlong three": (b"\xe0\x80\xaf\n", ":1:1", "overlong", "convert"),
    "overlong nul": (b"x\n\xc0\x80\n", ":2:1", "overlong", "convert"),
    "surrogate": (b"hi \xed\xa0\x80\n", ":1:4", "surrogate", "CESU-8"),
    "cesu pair": (b"\xed\xa0\xbd\xed\xb8\x80\n", ":1:1", "surrogate", "CESU-8"),
    "beyond unicode": (b"\xf5\x80\x80\x80\n", ":1:1", "0xF5", "iconv"),
    "0xff": ("é\n".encode() * 3 + b"\xc3\xa9\xff\n", ":4:3", "0xFF", "iconv"),
    "cut character": (b"a\n\xe6\xbc\n", ":2:1", "0xE6", "iconv"),
    "cut at the end": (b"a\n\xf0\x9f\x98", ":2:1", "0xF0", "iconv"),
    "gbk": ("中文".encode("gbk") + b"\n", ":1:1", "0xD6", "iconv"),
    "shift-jis": ("a\n日本".encode("shift-jis"), ":2:1", "0x93", "iconv"),
    "nul": (b"one\ntwo\0three\n", ":2:4", "NUL", "tr -d"),
    "nul first": (b"\0, and then more text", ":1:1", "NUL", "tr -d"),
    "utf-16 with mark": ("hello\n".encode("utf-16"), ".txt:", "UTF-16", "iconv -f UTF-16"),
    "utf-16 be with mark": (b"\xfe\xff" + "hello\n".encode("utf-16-be"), ".txt:", "UTF-16", "iconv -f UTF-16"),
    "utf-16 without mark": ("hello world\n".encode("utf-16-le"), ".txt:", "UTF-16", "iconv -f UTF-16"),
    "utf-32": ("hello\n".encode("utf-32"), ".txt:", "UTF-32", "iconv -f UTF-32"),
    "old mac": (b"one\rtwo\rthree\r", ".txt:", "carriage returns alone", "tr '\\r' '\\n'"),
    "gzip twice": (gzip.compress(gzip.compress(b"text")), ".txt", "is packed with gzip", "gzip -dc < "),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid x\n", ".txt:", "git-LFS pointer", "git lfs pull"),
    "zip": (b"PK\x03\x04....", ".txt:", "zip", "unzip"),
    "bzip2": (b"BZh91AY&SY", ".txt:", "bzip2", "bunzip2"),
}


@pytest.mark.parametrize("kind", BAD_BYTES)
def test_bad_bytes_are_named_with_place_and_remedy(tmp_path: Path, kind: str) -> None:
    content, place, problem, remedy = BAD_BYTES[kind]
    error = refusal(write(tmp_path / "bad.txt", content))
    assert place in str(error)
    assert problem in error.problem
    assert remedy in (error.remedy or "")
    assert error.exit_code == 3


@pytest.mark.parametrize(
    ("content", "problem", "remedy"),
    [
        ("a\n".encode("utf-16"), "UTF-16", "… | iconv -f UTF-16 -t UTF-8 | headway …"),
        (b"M\xfcller\n", "0xFC", "… | iconv -f CP1252 -t UTF-8 | headway …"),
        (b"a\0b\n", "NUL", "… | tr -d '\\0' | headway …"),
        (b"a\rb\rc", "carriage returns", "… | tr '\\r' '\\n' | headway …"),
        (gzip.compress(b"text", mtime=0), "is packed with gzip", "… | gzip -dc | headway …"),
        (lzma.compress(b"text"), "is packed with xz", "… | xz -dc | headway …"),
    ],
)
def test_advice_for_standard_input_names_no_file(content: bytes, problem: str, remedy: str) -> None:
    with pytest.raises(DataError) as caught:
        list(split_lines([content], STANDARD_INPUT))
    assert problem in caught.value.problem
    assert (caught.value.remedy or "").endswith(remedy)


def test_a_command_that_is_offered_works_for_any_name(tmp_path: Path) -> None:
    path = write(tmp_path / "it's a file.txt", "one\n".encode("utf-16"))
    command = (refusal(path).remedy or "").removeprefix("convert it: ").replace("NEW_FILE", "new.txt")
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert (tmp_path / "new.txt").read_text() == "one\n"


def test_a_bad_byte_deep_in_a_large_file_is_located_exactly(tmp_path: Path) -> None:
    lines = [b"some words on a line"] * 200_000
    lines[150_000] = "größer ".encode() + b"\xfc"
    error = refusal(write(tmp_path / "deep.txt", b"\n".join(lines)))
    assert error.where is not None
    assert error.where.endswith(":150001:10")


def test_a_short_first_line_is_given_before_the_next_is_there() -> None:
    def typed() -> Iterator[bytes]:
        yield b"Hi\n"
        raise AssertionError("asked for more before answering")

    assert next(split_lines(typed(), "standard input")) == ["Hi"]


def test_byte_order_mark_is_removed_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "headway"):
        assert list(read_lines(write(tmp_path / "bom.txt", b"\xef\xbb\xbfone\n\xef\xbb\xbftwo"))) == ["one", "\ufefftwo"]
    assert "byte-order mark" in caplog.text
    assert list(read_lines(write(tmp_path / "only.txt", b"\xef\xbb\xbf"))) == []


def test_blank_and_empty_files(tmp_path: Path) -> None:
    assert list(read_lines(write(tmp_path / "a", b""))) == []
    assert list(read_lines(write(tmp_path / "a", b"\n\n\n"))) == ["", "", ""]
    assert list(read_lines(write(tmp_path / "a", b"\n"))) == [""]
    assert list(read_lines(write(tmp_path / "a", "\u200b\u202e\ne".encode() + b"\xcc\x81" * 500))) == [
        "\u200b\u202e",
        "e" + "\u0301" * 500,
    ]


@pytest.mark.parametrize("before", [0, 3, 70_000])
def test_over_long_lines_are_refused_with_their_number(tmp_path: Path, before: int) -> None:
    path = tmp_path / "long.txt"
    error = refusal(write(path, b"short line\n" * before + b"x" * (10 << 20) + b"\nrest\n"))
    assert error.where == f"{path}:{before + 1}"
    assert "longer than" in error.problem
    assert "break it into shorter lines" in (error.remedy or "")


def test_the_limit_of_a_line_is_exact(tmp_path: Path) -> None:
    for start in (b"", b"ab\n", b"y" * 500_000 + b"\n"):
        path = write(tmp_path / "x", start + b"x" * MAX_LINE_BYTES + b"\nz")
        assert [len(line) for line in read_lines(path)][-2:] == [MAX_LINE_BYTES, 1]
        assert "longer" in refusal(write(path, start + b"x" * (MAX_LINE_BYTES + 1) + b"\nz")).problem
        assert "longer" in refusal(write(path, start + b"x" * (MAX_LINE_BYTES + 1))).problem


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(tmp_path)  # the path of a socket must be short
        server.bind("socket")
        for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero"), tmp_path / "loop", tmp_path / "socket"):
            start = time.monotonic()
            assert "not a regular file" in str(refusal(path))
            assert time.monotonic() - start < 1


def test_missing_files_name_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "train.en", b"x\n")
    assert str(tmp_path / "train.en") in str(refusal(tmp_path / "trian.en"))
    assert "does not exist either" in str(refusal(tmp_path / "no" / "train.en"))
    (tmp_path / "link").symlink_to("nowhere")
    assert "link to nowhere" in str(refusal(tmp_path / "link"))
    assert "no path may hold" in str(refusal(Path("a\0b")))
    assert "too long" in str(refusal(tmp_path / ("x" * 300)))
    assert "no such file" in str(refusal(tmp_path / "train.en" / "below"))


def test_home_variables_spaces_and_odd_names_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CORPUS", str(tmp_path))
    for name in ("a b.txt", "größe.txt", "new\nline.txt", "$CORPUS"):
        write(tmp_path / name, b"x\n")
        assert list(read_lines(f"~/{name}" if name != "$CORPUS" else tmp_path / name)) == ["x"]
    assert list(read_lines("$CORPUS/a b.txt")) == ["x"]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "grows.txt", b"line\n" * 500_000)
    blocks = read_blocks(path)
    next(blocks)
    with path.open("ab") as more:
        more.write(b"more\n")
    with pytest.raises(DataError, match="changed while it was read"):
        list(blocks)


def test_fingerprint_is_of_content_and_order(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1", b"a\n"), write(tmp_path / "2", b"b\n")
    copy = write(tmp_path / "copy", b"a\n")
    assert fingerprint([one, two]) == fingerprint([copy, two]) != fingerprint([two, one])
    assert fingerprint([write(one, b"a\nb\n"), write(two, b"")]) != fingerprint([copy, write(tmp_path / "3", b"b\n")])
    with pytest.raises(DataError, match="no such file"):
        fingerprint([tmp_path / "none"])


def test_memory_is_constant(tmp_path: Path) -> None:
    path = write(tmp_path / "large.txt", b"some words on a line of text\n" * 1_000_000)
    tracemalloc.start()
    assert sum(1 for _ in read_lines(path)) == 1_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20
