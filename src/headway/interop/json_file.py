"""Reads JSON files of others, up to a size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headway.data.files import open_regular
from headway.data.tokenizer_layout import Json
from headway.errors import DataError, ModelError
from headway.json_rules import refuse_duplicates


def read_json(path: Path, most: int) -> Json:
    """An object. Raises ModelError."""
    found = read_json_value(path, most)
    if not isinstance(found, dict):
        raise ModelError("is no JSON object", where=str(path))
    return found


def read_json_value(path: Path, most: int) -> Any:
    """What a file of at most so many bytes holds. Raises ModelError."""
    try:
        with open_regular(path) as raw:
            data = raw.read(most + 1)
    except DataError as error:
        raise ModelError(error.problem, where=error.where, remedy="give a directory as Hugging Face saves it") from None
    if len(data) > most:
        raise ModelError(f"is larger than {most >> 20} MiB", where=str(path))
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=refuse_duplicates)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"is no JSON ({str(error)[:80]})", where=str(path)) from None


def read_if_there(path: Path) -> Json:
    """The same of a small file, or nothing where there is none."""
    return read_json(path, 1 << 20) if path.is_file() else {}
