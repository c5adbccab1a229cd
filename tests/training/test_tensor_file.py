from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headway.errors import ModelError
from headway.training import tensor_file
from headway.training.tensor_file import describe_stranger, parse_tensors, tensor_bytes, tensor_chunks

TYPES = [*tensor_file._NAMES]


def as_bytes(tensors: dict[str, Tensor]) -> bytes:
    data = b"".join(bytes(chunk) for chunk in tensor_chunks(tensors))
    assert len(data) == tensor_bytes(tensors)
    return data


def parse(data: bytes) -> dict[str, Tensor]:
    buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
    return parse_tensors(buffer, "x.safetensors")


def some_tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {str(dtype): torch.randint(0, 2, (3, 5), generator=generator).to(dtype) for dtype in TYPES}


def from_header(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(start: int = 0, end: int = 4, **changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [1], "data_offsets": [start, end], **changes}


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(
        st.text(max_size=20).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(TYPES), st.lists(st.integers(0, 4), max_size=4)),
        max_size=6,
    )
)
def test_the_library_reads_what_we_write_and_we_read_what_it_writes(shapes: dict[str, tuple[torch.dtype, list[int]]]) -> None:
    shapes = {name: shape for name, shape in shapes.items() if name.isascii() or name.isprintable()}
    tensors = {name: (torch.rand(shape) * 9).to(dtype) for name, (dtype, shape) in shapes.items()}
    data = as_bytes(tensors)
    for found in (safetensors.torch.load(data), parse(data), parse(safetensors.torch.save(tensors))):
        assert found.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
            assert torch.equal(found[name], tensor)


def test_large_tensors_are_written_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_file, "CHUNK_BYTES", 64)
    tensors = {"a": torch.arange(100), "b": torch.arange(3), "c": torch.arange(40.0)}
    assert max(len(chunk) for chunk in tensor_chunks({**tensors, "header": torch.zeros(0)})) < 500
    assert all(torch.equal(parse(as_bytes(tensors))[name], tensor) for name, tensor in tensors.items())


def test_reading_copies_nothing() -> None:
    data = torch.frombuffer(bytearray(as_bytes(some_tensors())), dtype=torch.uint8)
    found = parse_tensors(data, "x")
    assert {tensor.untyped_storage().data_ptr() for tensor in found.values()} == {data.untyped_storage().data_ptr()}


def test_every_truncation_is_refused() -> None:
    data = as_bytes(some_tensors())
    for length in range(len(data)):
        with pytest.raises(ModelError, match=r"x\.safetensors: is (cut off|empty)|has .* header|all zeros"):
            parse(data[:length])
    with pytest.raises(ModelError, match="bytes too many"):
        parse(data + b"\0")


def test_no_bit_of_the_header_brings_anything_but_a_typed_error_or_whole_tensors() -> None:
    data = as_bytes({"weight": torch.arange(6.0).view(2, 3), "step": torch.tensor(3)})
    header = 8 + int.from_bytes(data[:8], "little")
    refused = 0
    for bit in range(8 * header):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = parse(bytes(changed))
        except ModelError:
            refused += 1
        else:  # another name, type or shape of as many bytes: the digest beside sees these
            assert sum(tensor.numel() * tensor.element_size() for tensor in found.values()) == len(data) - header
    assert refused > 4 * header


HOSTILE = {
    "length of 2^63": (from_header({}, length=1 << 63), "claims"),
    "length of 100 MB": (from_header({"a": entry()}, b"1234", length=100 << 20), "claims"),
    "length beyond the file": (from_header({"a": entry()}, b"1234", length=4000), "cut off"),
    "no JSON": (from_header(b"{]"), "no JSON"),
    "no UTF-8": (from_header(b'{"\xff": 1}'), "no JSON"),
    "deep": (from_header(b"[" * 200_000), "no JSON"),
    "long number": (from_header(b'{"a": ' + b"9" * 5000 + b"}"), "no JSON"),
    "list": (from_header([]), "no JSON object"),
    "twice": (from_header(b'{"a": %b, "a": %b}' % ((json.dumps(entry()).encode(),) * 2), b"1234"), "stands twice"),
    "hole": (from_header({"a": entry(), "b": entry(8, 12)}, bytes(12)), "hole"),
    "hole at the start": (from_header({"a": entry(4, 8)}, bytes(8)), "hole"),
    "overlap": (from_header({"a": entry(), "b": entry(2, 6)}, bytes(6)), "overlap"),
    "same bytes": (from_header({"a": entry(), "b": entry()}, bytes(4)), "overlap"),
    "wrong bytes": (from_header({"a": entry(dtype="F64")}, bytes(4)), "its shape needs 8"),
    "unknown type": (from_header({"a": entry(dtype="F4")}, bytes(4)), "wrong header entry"),
    "negative offset": (from_header({"a": entry(-4, 0)}, bytes(4)), "wrong header entry"),
    "backward": (from_header({"a": entry(4, 0)}, bytes(4)), "its shape needs"),
    "negative size": (from_header({"a": entry(shape=[-1])}, bytes(4)), "wrong header entry"),
    "fraction": (from_header({"a": entry(shape=[1.0])}, bytes(4)), "wrong header entry"),
    "true": (from_header({"a": entry(shape=[True])}, bytes(4)), "wrong header entry"),
    "overflow": (from_header({"a": entry(shape=[1 << 40, 1 << 40])}, bytes(4)), "impossible shape"),
    "overflow of nothing": (from_header({"a": entry(0, 0, shape=[0, 1 << 61])}), "impossible shape"),
    "many dimensions": (from_header({"a": entry(shape=[1] * 100)}, bytes(4)), "impossible shape"),
    "strange field": (from_header({"a": entry(code="import os")}, bytes(4)), "wrong header entry"),
    "text for an entry": (from_header({"a": "b"}), "wrong header entry"),
    "beyond the end": (from_header({"a": entry(0, 4)}, bytes(2)), "cut off"),
    "only a length": (bytes(8), "all zeros"),
    "numpy": (b"\x93NUMPY" + bytes(100), "NumPy"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
    "gguf": (b"GGUF" + bytes(100), "GGUF"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "gzip"),
    "bzip2": (b"BZh9" + bytes(100), "bzip2"),
    "zip": (b"PK\x03\x04" + bytes(100), "zip archive"),
    "pickle": (b"\x80\x04\x95" + bytes(100), "pickle"),
    "page": (b"  <html><body>Not found</body></html>", "web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 12\n", "Git LFS pointer"),
    "a million tensors": (
        from_header(
            b"{" + b",".join(b'"%07d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % i for i in range(1_000_000)) + b"}"
        ),
        "claims",
    ),
}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused(kind: str) -> None:
    data, reason = HOSTILE[kind]
    with pytest.raises(ModelError, match=reason) as error:
        parse(data)
    assert error.value.where == "x.safetensors"
    assert len(str(error.value)) < 400


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes_bring_a_typed_error(data: bytes) -> None:
    with pytest.raises(ModelError):
        parse(data)


_GOOD = as_bytes({"a": torch.arange(4.0), "b": torch.arange(3, dtype=torch.int8)})


@settings(deadline=None, max_examples=500)
@given(st.lists(st.tuples(st.integers(0, len(_GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_any_mutant_brings_a_typed_error_or_as_many_bytes(changes: list[tuple[int, int]]) -> None:
    data = bytearray(_GOOD)
    for place, value in changes:
        data[place] = value
    try:
        found = parse(bytes(data))
    except ModelError:
        return
    header = 8 + int.from_bytes(data[:8], "little")
    assert sum(tensor.numel() * tensor.element_size() for tensor in found.values()) == len(data) - header


def test_nothing_is_imported_or_opened_while_parsing_hostile_files() -> None:
    seen: list[str] = []
    watching = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event.split(".")[0] in ("import", "exec", "compile", "open", "subprocess", "socket", "os", "pickle"):
            seen.append(event)

    parse_or_not(from_header(b"{]"))  # what is loaded at first use is loaded now
    sys.addaudithook(hook)
    for data, _ in HOSTILE.values():
        parse_or_not(data)
    watching = False
    assert seen == []


def parse_or_not(data: bytes) -> None:
    with contextlib.suppress(ModelError):
        parse(data)


def test_a_good_file_is_no_stranger() -> None:
    assert describe_stranger(_GOOD[:512]) is None
    length_that_looks_like_a_pickle = from_header(b"{" + b" " * (0x280 - 2) + b"}")
    assert length_that_looks_like_a_pickle[:2] == b"\x80\x02"
    assert parse(length_that_looks_like_a_pickle) == {}
