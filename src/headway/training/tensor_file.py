"""Tensors as a safetensors file: chunks of bytes to write, and a buffer of bytes read back.

The format (an 8-byte header length, a JSON header, the tensors end to end) is written and read here and not by the
library so that bytes pass through memory once: what is hashed is what is written, and what was verified is what is used.
Nothing is ever unpickled. https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from headway.errors import ModelError, ResourceError
from headway.json_rules import refuse_duplicates

MAX_HEADER_BYTES = 8 << 20
MAX_ELEMENTS = 1 << 48
CHUNK_BYTES = 4 << 20

_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_TYPES = {name: dtype for dtype, name in _NAMES.items()}


def refuse_non_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise ResourceError naming the tensors that hold a NaN or an infinity."""
    bad = [name for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.numel() and not _finite(tensor)]
    if bad:
        shown = ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        raise ResourceError(
            f"not saved: NaN or infinite values in {shown}",
            remedy="resume from the last checkpoint with a lower learning_rate or clip_norm, or with precision=fp32",
        )


def _finite(tensor: Tensor) -> bool:
    low, high = torch.aminmax(tensor.detach())  # one pass, no mask; NaN comes through
    return math.isfinite(low.item()) and math.isfinite(high.item())


def tensor_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Size of the file that `tensor_chunks` makes."""
    return len(_header(tensors)) + sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def tensor_chunks(tensors: Mapping[str, Tensor]) -> Iterator[memoryview]:
    """The bytes of a safetensors file, in pieces of about CHUNK_BYTES; a GPU's tensors come over one at a time."""
    waiting = bytearray(_header(tensors))
    for name in _order(tensors):
        data = memoryview(tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        if len(waiting) + len(data) > CHUNK_BYTES:
            yield memoryview(waiting)
            waiting = bytearray()
        if len(data) > CHUNK_BYTES:
            yield from (data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES))
        else:
            waiting += data
    if waiting:
        yield memoryview(waiting)


def _order(tensors: Mapping[str, Tensor]) -> list[str]:
    """Widest elements first, so that each tensor is aligned to its element."""
    return sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))


def _header(tensors: Mapping[str, Tensor]) -> bytes:
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name in _order(tensors):
        tensor = tensors[name]
        end = start + tensor.numel() * tensor.element_size()
        entries[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-len(text) % 8)
    assert len(text) <= MAX_HEADER_BYTES, "more tensors than a file of ours may name"
    return len(text).to_bytes(8, "little") + text


def parse_tensors(buffer: Tensor, where: str) -> dict[str, Tensor]:
    """The tensors in the bytes of a safetensors file, as views of `buffer` (uint8, one dimension; copied only where unaligned).

    Raises:
        ModelError: anything but a whole, gapless safetensors file; says what it looks like instead.
    """
    size = buffer.numel()
    length = int.from_bytes(buffer[:8].numpy().tobytes(), "little")
    if size < 8 or length > MAX_HEADER_BYTES or 8 + length > size:
        strange = describe_stranger(buffer[:512].numpy().tobytes())
        if strange is None and size >= 8 and length > MAX_HEADER_BYTES:
            strange = f"no safetensors file of ours: its header claims {length:,} bytes, at most {MAX_HEADER_BYTES:,} are read"
        raise _damaged(where, f"is {strange}" if strange else f"is cut off after {size:,} bytes")
    try:
        header = json.loads(buffer[8 : 8 + length].numpy().tobytes().decode("utf-8"), object_pairs_hook=refuse_duplicates)
    except (ValueError, RecursionError) as error:
        strange = describe_stranger(buffer[:512].numpy().tobytes())
        problem = f"is {strange}" if strange else f"has a header that is no JSON ({str(error)[:80]})"
        raise _damaged(where, problem) from None
    if not isinstance(header, dict):
        raise _damaged(where, "has a header that is no JSON object")
    header.pop("__metadata__", None)
    return _tensors(buffer[8 + length :], header, where)


def _tensors(data: Tensor, header: dict[str, Any], where: str) -> dict[str, Tensor]:
    entries = [(name, *_entry(name, value, where)) for name, value in header.items()]
    entries.sort(key=lambda entry: entry[3:])
    place, found = 0, {}
    for name, dtype, shape, start, end in entries:
        if start != place:
            raise _damaged(where, f"has {'a hole' if start > place else 'an overlap'} before tensor {_short(name)}")
        if end > data.numel():
            raise _damaged(where, f"is cut off: tensor {_short(name)} ends {end - data.numel():,} bytes behind the end")
        piece = data[start:end]
        if piece.storage_offset() % dtype.itemsize:
            piece = piece.clone()
        found[name] = piece.view(dtype).reshape(shape)
        place = end
    if place != data.numel():
        raise _damaged(where, f"has {data.numel() - place:,} bytes too many at its end")
    return found


def _entry(name: str, value: Any, where: str) -> tuple[torch.dtype, list[int], int, int]:
    fields = value if isinstance(value, dict) else {}
    dtype = _TYPES.get(str(fields.get("dtype")))
    shape, offsets = _whole_numbers(fields.get("shape")), _whole_numbers(fields.get("data_offsets"))
    if dtype is None or shape is None or offsets is None or len(offsets) != 2 or fields.keys() != _FIELDS:
        raise _damaged(where, f"has a wrong header entry for tensor {_short(name)}")
    if math.prod(size for size in shape if size) > MAX_ELEMENTS or len(shape) > 64:
        raise _damaged(where, f"claims an impossible shape for tensor {_short(name)}")
    start, end = offsets
    needed = math.prod(shape) * dtype.itemsize
    if end - start != needed:
        raise _damaged(where, f"gives tensor {_short(name)} {end - start:,} bytes, but its shape needs {needed:,}")
    return dtype, shape, start, end


_FIELDS = {"dtype", "shape", "data_offsets"}


def _whole_numbers(value: Any) -> list[int] | None:
    """`value`, if it is a list of numbers that a size can be."""
    whole = isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 62 for item in value)
    return value if whole else None


def _short(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:57] + "...")


def describe_stranger(head: bytes) -> str | None:
    """What a file that is no safetensors file looks like, by its first bytes."""
    start = head.lstrip()[:64].lower()
    if not head:
        return "empty (0 bytes)"
    if not any(head):
        return "all zeros, as a power failure leaves it"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file itself (run `git lfs pull`)"
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page, not the file itself (the download went wrong)"
    if head.startswith(b"\x80") and head[1:2] in b"\x02\x03\x04\x05":
        return "a Python pickle, which is never opened because it can run code"
    kinds = {b"PK\x03\x04": "a zip archive (torch.save, .npz or .keras), which is never opened", b"\x89HDF": "an HDF5 file"}
    kinds |= {b"GGUF": "a GGUF file", b"\x93NUMPY": "a NumPy file", b"\x1f\x8b": "a gzip file", b"BZh": "a bzip2 file"}
    return next((kind for magic, kind in kinds.items() if head.startswith(magic)), None)


def _damaged(where: str, problem: str) -> ModelError:
    return ModelError(problem, where=where, remedy="restore the file from a copy, or use another checkpoint")
