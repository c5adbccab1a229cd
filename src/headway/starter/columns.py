"""Which columns of a person's own table hold what a task reads: those that are named, or those that their names tell."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from headway.data.lines import read_lines
from headway.data.tables import column_names, ending
from headway.errors import DataError, UsageError

Column = str | int
_log = logging.getLogger(__name__)


def choose_columns(path: str, wanted: Sequence[tuple[str, ...]], given: Sequence[str] | None) -> list[Column]:
    """A column for each thing that is wanted.

    Args:
        wanted: of each, what it may be called, what it is first.
        given: names or numbers that a person gave.

    Raises UsageError where there are not as many, or where names do not tell; DataError where nothing can be read.
    """
    what = " and ".join(names[0] for names in wanted)
    if given is not None:
        if len(given) != len(wanted):
            problem = f"--columns names {len(given)} columns ({', '.join(given)}), and {len(wanted)} are read: {what}"
            raise UsageError(problem, remedy="give a name, or a number from 0, for each")
        return [int(name) if re.fullmatch("[0-9]+", name) else name for name in given]
    there = column_names(path)
    if not any(there):
        problem, remedy = "is empty, or its first line is: it names no columns", "see whether it was written or copied to its end"
        raise DataError(problem, where=path, remedy=remedy)
    found = [next((name for name in names if name in there), None) for names in wanted]
    if None not in found and len(set(found)) == len(found):
        return [name for name in found if name is not None]
    if ending(path) in (".tsv", ".csv") and len(there) == len(wanted) and not any(found):  # no names: it begins with an example
        if all(re.fullmatch(r"[\w-]+", cell) for cell in there):
            names = ",".join(there)
            _log.warning("%s:1: %s is taken for an example; if it names the columns: --columns %s", path, names, names)
        return list(range(len(wanted)))
    shown = ", ".join(repr(name[:40]) for name in there[:12]) + (", …" if len(there) > 12 else "")
    remedy = f"say it: --columns {','.join(names[0].upper() for names in wanted)} (names, or numbers from 0)"
    raise UsageError(f"its columns {shown} do not tell which one holds the {what}", where=path, remedy=remedy)


def choose_numbers(path: str, given: Sequence[str] | None) -> list[Column]:
    """The columns of words and tags of a CoNLL file: those given, else the first and the last. Raises UsageError, DataError."""
    if given is None:
        words = next((line for line in read_lines(path) if line.strip() and not line.startswith("-DOCSTART-")), "")
        return [0, max(len(words.split("\t") if "\t" in words else words.split()) - 1, 1)]
    if len(given) != 2 or not all(re.fullmatch("[0-9]+", number) for number in given):
        raise UsageError(f"--columns {','.join(given)}: tagging numbers two columns from 0", remedy="such as --columns 0,3")
    return [int(number) for number in given]
