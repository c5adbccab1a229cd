"""Text columns of a TSV, CSV, JSONL or Parquet table: path → (texts, line).

A column is named, or numbered from 0. A TSV or CSV has a header row when a column is named. TSV knows tabs and no quoting.
"""

from __future__ import annotations

import csv
import difflib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headway.data.files import open_regular, resolve
from headway.data.lines import MAX_LINE_BYTES, read_lines
from headway.errors import DataError, UsageError
from headway.json_rules import refuse_constants, refuse_duplicates

Columns = Sequence[str | int]
Row = tuple[tuple[str, ...], int]  # the texts of the columns, and the line

PARQUET_ROWS = 4096
WHOLE_OBJECT = "write one whole JSON object on each line"


def read_table(path: str | os.PathLike[str], columns: Columns, numbers: Columns = (), *, arrays: bool = False) -> Iterator[Row]:
    """Yield the texts of the columns, and of the columns `numbers`, and the line, from 1, on which the row begins.

    Args:
        numbers: columns that may hold numbers, true and false where the others hold texts alone.
        arrays: a field of JSONL may hold an array of texts, such as the turns of a dialogue: each is a line of one text.

    Raises:
        DataError: the file is damaged or a row does not hold these texts, with its line.
        UsageError: the suffix is unknown, a column does not fit the format, or the package for Parquet is missing.
    """
    name = str(resolve(path))
    reader = _READERS.get(ending(name))
    if reader is None:
        known = ", ".join(_READERS)
        raise UsageError(
            "is no kind of table that can be told by its name",
            where=name,
            remedy=f"known endings: {known} (also with .gz, .xz, .zst); for line files leave `path` out",
        )
    if arrays and reader is _read_jsonl:
        return _read_jsonl(name, columns, numbers, arrays=True)
    return reader(name, columns, numbers)


def ending(path: str | os.PathLike[str]) -> str:
    """What tells the kind of a file: ``train.jsonl.gz`` → .jsonl"""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in (".gz", ".xz", ".zst"):
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def column_names(path: str | os.PathLike[str]) -> list[str]:
    """The names of the columns of a table: the cells of its first row, the fields of its first object; none where it is empty.

    Raises as `read_table`.
    """
    name = str(resolve(path))
    match ending(name):
        case ".parquet":
            return _parquet_names(name)
        case ".csv":
            return next(_csv_rows(name), ([], 0))[0]
        case ".tsv":
            return next(read_lines(name), "").split("\t")
    nothing: tuple[Any, int] = ({}, 0)
    record = next(read_records(name), nothing)[0]
    if not isinstance(record, dict):
        raise DataError(f"holds {kind_of(record)}, not an object", where=f"{name}:1", remedy="write one object on each line")
    return list(record)


def _read_tsv(name: str, columns: Columns, numbers: Columns) -> Iterator[Row]:
    rows = ((line.split("\t"), number) for number, line in enumerate(read_lines(name), 1))
    return _pick(rows, name, (*columns, *numbers))


def _read_csv(name: str, columns: Columns, numbers: Columns) -> Iterator[Row]:
    return _pick(_csv_rows(name), name, (*columns, *numbers))


def _csv_rows(name: str) -> Iterator[tuple[list[str], int]]:
    csv.field_size_limit(MAX_LINE_BYTES)
    reader = csv.reader((line + "\n" for line in read_lines(name)), strict=True)
    begin = 1
    try:
        for cells in reader:
            yield cells, begin
            begin = reader.line_num + 1
    except csv.Error as error:
        problem, remedy = f"is broken: {error}", "close every quote, and write a quote within quotes twice"
        if "field limit" in str(error):
            problem = f"has a cell of more than {MAX_LINE_BYTES:,} characters"
            remedy = "close every quote; a text that is really so long is cut into several"
        elif "new-line character" in str(error):
            problem, remedy = "has a carriage return in a cell without quotes", "quote the cell, or put a blank in its place"
        raise DataError(f"the row that begins here {problem}", where=f"{name}:{begin}", remedy=remedy) from None


def _pick(rows: Iterator[tuple[list[str], int]], name: str, columns: Columns) -> Iterator[Row]:
    """The wanted cells of every row, all rows having as many cells as the first."""
    first = next(rows, None)
    if first is None:
        return
    width = len(first[0])
    named = any(isinstance(column, str) for column in columns)
    places = [_position(column, first[0], named, name) for column in columns]
    if not named:
        yield tuple(first[0][place] for place in places), first[1]
    for cells, line in rows:
        if len(cells) != width:
            what = "is blank" if not any(cells) else f"has {len(cells)} columns"
            remedy = "look for a stray or missing separator, or a line break within a text"
            raise DataError(f"the row {what}, but the first one has {width}", where=f"{name}:{line}", remedy=remedy)
        yield tuple(cells[place] for place in places), line


def _position(column: str | int, header: list[str], named: bool, name: str) -> int:
    if isinstance(column, int):
        if not 0 <= column < len(header):
            raise DataError(f"there is no column {column}", where=f"{name}:1", remedy=f"its columns are 0 to {len(header) - 1}")
        return column
    if header.count(column) > 1:
        raise DataError(f"two columns are called {column!r}", where=f"{name}:1", remedy="rename one, or give a number")
    if column not in header:
        raise DataError(f"there is no column {column!r}", where=f"{name}:1", remedy=_offer(column, header))
    return header.index(column)


def _offer(column: str, present: Sequence[str]) -> str:
    near = difflib.get_close_matches(column, present, n=1)
    shown = ", ".join(repr(other[:40]) for other in present[:12]) + (", …" if len(present) > 12 else "")
    return (f"did you mean {near[0]!r}? " if near else "") + f"columns: {shown}"


def _read_jsonl(name: str, columns: Columns, numbers: Columns, arrays: bool = False) -> Iterator[Row]:
    for record, number in read_records(name):
        where = f"{name}:{number}"
        values = [_field(record, column, name, number) for column in columns]
        text_of = _text_or_lines if arrays else checked_text
        texts = [text_of(value, column, where) for column, value in zip(columns, values, strict=True)]
        figures = [_figure(_field(record, column, name, number), column, where) for column in numbers]
        yield (*texts, *figures), number


def read_records(name: str) -> Iterator[tuple[Any, int]]:
    """Yield what each line of a JSONL file holds, and the line. Raises DataError as `decode_json`, and as `read_lines`."""
    for number, line in enumerate(read_lines(name), 1):
        where = f"{name}:{number}"
        if not line.strip():
            raise DataError("the line is blank", where=where, remedy=WHOLE_OBJECT)
        yield decode_json(line, where, WHOLE_OBJECT), number


def decode_json(text: str, where: str, remedy: str) -> Any:
    """One JSON value. Raises DataError where it is broken, nested too deeply, or a key of an object stands twice."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise DataError("is nested too deeply", where=where, remedy="give flat records") from None
    except json.JSONDecodeError as error:
        inside = f"line {error.lineno}, " if "\n" in text else ""  # else `where` tells the line
        raise DataError(f"is not valid JSON: {error.msg}, {inside}column {error.colno}", where=where, remedy=remedy) from None
    except ValueError as error:
        raise DataError(f"is not valid JSON: {error}", where=where, remedy=remedy) from None


_DECODER = json.JSONDecoder(object_pairs_hook=refuse_duplicates, parse_constant=refuse_constants)


def _field(record: Any, column: str | int, name: str, line: int) -> Any:
    where = f"{name}:{line}"
    wanted, container = ("array", list) if isinstance(column, int) else ("object", dict)
    if not isinstance(record, container):
        raise DataError(
            f"column {column!r} asks for a JSON {wanted}, but this line holds {kind_of(record)}",
            where=where,
            remedy="name columns of objects; number columns of arrays",
        )
    try:
        if isinstance(column, int) and column < 0:
            raise IndexError
        return record[column]  # type: ignore[index]
    except KeyError:
        raise DataError(f"the field {column!r} is missing", where=where, remedy=_offer(str(column), list(record))) from None
    except IndexError:
        raise DataError(f"the column {column} is missing", where=where, remedy=f"the array has {len(record)} values") from None


def _figure(value: Any, column: str | int, where: str) -> str:
    """A number, true or false as text; a text stays what it is."""
    if isinstance(value, list):
        remedy = "give one text; several labels stand in it with commas between them (data.labels: several)"
        raise DataError(f"{column!r} is an array", where=where, remedy=remedy)
    return json.dumps(value) if isinstance(value, int | float) else checked_text(value, column, where)


def checked_text(value: Any, column: str | int, where: str) -> str:
    """The same text. Raises DataError for what is none, or holds a NUL character or half of a surrogate pair."""
    if not isinstance(value, str):
        raise DataError(f"{column!r} is {kind_of(value)}, not a text", where=where, remedy="give a string, or drop the row")
    if value.isascii():
        if "\0" in value:
            raise DataError(f"{column!r} holds a NUL character", where=where, remedy="remove it")
        return value
    try:
        value.encode()
    except UnicodeEncodeError as error:
        escape = f"\\u{ord(value[error.start]):04x}"
        raise DataError(f"{column!r} holds {escape}, half of a surrogate pair", where=where, remedy="mend the row") from None
    if "\0" in value:
        raise DataError(f"{column!r} holds a NUL character", where=where, remedy="remove it")
    return value


def _text_or_lines(value: Any, column: str | int, where: str) -> str:
    """A text, or the texts of an array as its lines."""
    if not isinstance(value, list):
        return checked_text(value, column, where)
    return "\n".join(checked_text(one, f"{column}[{number}]", where) for number, one in enumerate(value))


def kind_of(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    kinds: dict[type, str] = {int: "a number", float: "a number", str: "a text", list: "an array", dict: "an object"}
    return kinds.get(type(value), type(value).__name__)


def _read_parquet(name: str, columns: Columns, numbers: Columns) -> Iterator[Row]:
    with _parquet(name) as table:
        chosen = [_parquet_column(table.schema_arrow, column, name, numbers) for column in (*columns, *numbers)]
        line = 1
        for batch in table.iter_batches(PARQUET_ROWS, columns=chosen, use_threads=False):
            texts = [_parquet_texts(batch.column(column), column, name, line) for column in chosen]
            yield from zip(zip(*texts, strict=True), range(line, line + batch.num_rows), strict=True)
            line += batch.num_rows


def _parquet_names(name: str) -> list[str]:
    with _parquet(name) as table:
        return list(table.schema_arrow.names)


@contextmanager
def _parquet(name: str) -> Iterator[Any]:
    """The open file; what goes wrong with it meanwhile is a DataError."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            "reading Parquet needs the package pyarrow", where=name, remedy='pip install "headway[tables]"'
        ) from None
    with open_regular(name) as raw:
        try:
            yield parquet.ParquetFile(raw, pre_buffer=False, buffer_size=1 << 20)  # else a whole column chunk is held
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"is damaged or no Parquet file: {error}", where=name, remedy="write the file again") from None


def _parquet_column(schema: Any, column: str | int, name: str, numbers: Columns) -> str:
    import pyarrow

    position = _position(column, schema.names, True, name)
    field = schema.field(position)
    kind = field.type.value_type if pyarrow.types.is_dictionary(field.type) else field.type
    is_number = pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) or pyarrow.types.is_boolean(kind)
    is_text = pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind) or pyarrow.types.is_string_view(kind)
    if not (is_text or (is_number and column in numbers)):
        raise DataError(f"the column {field.name!r} holds {field.type}, not texts", where=name, remedy="choose another column")
    if schema.names.count(field.name) > 1:
        raise DataError(f"two columns are called {field.name!r}", where=name, remedy="rename one of them")
    return str(field.name)


def _parquet_texts(array: Any, column: str, name: str, first: int) -> list[str]:
    import pyarrow
    from pyarrow import compute

    if pyarrow.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if array.null_count:
        row = first + array.is_null().index(True).as_py()
        raise DataError(f"{column!r} is null, not a text", where=f"{name}:{row}", remedy="drop the rows without a text")
    array = array.cast(pyarrow.large_string())  # numbers, true and false too
    lengths = compute.binary_length(array)
    if len(array) and compute.max(lengths).as_py() > MAX_LINE_BYTES:
        row = first + lengths.to_numpy().argmax()
        raise DataError(f"{column!r} is longer than {MAX_LINE_BYTES:,} bytes", where=f"{name}:{row}", remedy="drop or split it")
    try:
        texts: list[str] = array.to_pylist()
    except UnicodeDecodeError:
        raise DataError(f"{column!r} is not UTF-8", where=f"{name}:{first}", remedy="write the file again") from None
    for row, text in enumerate(texts, first):
        if "\0" in text:
            raise DataError(f"{column!r} holds a NUL character", where=f"{name}:{row}", remedy="remove it")
    return texts


_READERS: dict[str, Callable[[str, Columns, Columns], Iterator[Row]]] = {
    ".tsv": _read_tsv,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": _read_parquet,
}
TABLES = tuple(_READERS)  # the endings that are known
