"""Reads a YAML file and dotted overrides into plain values, with the place of every key; writes YAML back.

In: text that nobody has checked. Out: a `Document`. Nothing is ever constructed from tags, anchors are refused, and size,
depth and number of values are bounded.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from headway.errors import UsageError

MAX_CONFIG_BYTES = 1 << 20
MAX_CONFIG_DEPTH = 32
MAX_CONFIG_NODES = 20_000
COMMAND_LINE = "command line"

Key = tuple[str | int, ...]


@dataclass
class Document:
    """Plain values, where each key stands, and the mistakes that reading alone could see."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def place(self, key: Key) -> str:
        """Where `key` stands, or the nearest section around it."""
        return next((self.places[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.places), self.name)


def short(value: Any) -> str:
    """A value as it is shown in a message: one line, bounded."""
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def resolve(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2: `no` is text, `1e-4` a number, only true and false are booleans."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text[0] in "tT"
    try:
        if re.fullmatch(r"[-+]?[0-9]+", text):
            return int(text)
        if match := re.fullmatch(r"0(o[0-7]+|x[0-9a-fA-F]+)", text):
            return int(text, 8 if match[1][0] == "o" else 16)
        if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text):
            return float(text)
    except ValueError:  # more digits than Python converts
        return text
    if re.fullmatch(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", text):
        return float(text.replace(".", ""))
    return text


class _Reader:
    """Turns the events of a YAML parser into values. Iterates; recursion is bounded by MAX_CONFIG_DEPTH."""

    def __init__(self, text: str, name: str) -> None:
        self.document = Document(name)
        # The events carry no constructors; the C parser is only faster.
        self.events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.nodes = 0

    def next(self) -> yaml.Event:
        event = next(self.events)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self.refusal(event, "anchors (&) and aliases (*) are not allowed", "write the value out where it is needed")
        if tag := getattr(event, "tag", None):
            raise self.refusal(event, f"the tag {short(tag)} is not allowed", "write plain values; quote what must be text")
        self.nodes += 1
        if self.nodes > MAX_CONFIG_NODES:
            raise self.refusal(event, f"more than {MAX_CONFIG_NODES} values", "put data into data files")
        return event

    def refusal(self, event: yaml.Event, problem: str, remedy: str) -> UsageError:
        return UsageError(problem, where=self.line(event), remedy=remedy)

    def line(self, event: yaml.Event) -> str:
        mark = event.start_mark
        return f"{self.document.name}:{mark.line + 1}" if mark else self.document.name

    def read(self) -> Document:
        self.next()  # stream start
        event = self.next()
        if isinstance(event, yaml.StreamEndEvent):
            return self.document
        event = self.next()  # after the document start
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and not event.value:
            return self.document
        if not isinstance(event, yaml.MappingStartEvent):
            raise self.refusal(
                event, "the file holds no `key: value` lines", "begin with one such as `run_directory: runs/first`"
            )
        self.document.values = self.mapping((), 1)
        self.next()  # document end
        if not isinstance(event := self.next(), yaml.StreamEndEvent):
            raise self.refusal(event, "a second document (---) follows", "keep one document in a file")
        return self.document

    def value(self, event: yaml.Event, key: Key, depth: int) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return resolve(event.value) if event.implicit[0] else event.value
        if depth >= MAX_CONFIG_DEPTH:
            raise self.refusal(event, f"nested deeper than {MAX_CONFIG_DEPTH} levels", "look for a stray bracket")
        return self.mapping(key, depth + 1) if isinstance(event, yaml.MappingStartEvent) else self.sequence(key, depth + 1)

    def sequence(self, key: Key, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            self.document.places[*key, len(items)] = self.line(event)
            items.append(self.value(event, (*key, len(items)), depth))
        return items

    def mapping(self, key: Key, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self.refusal(event, "a key must be a plain word", "look for a stray bracket or question mark")
            path, here = (*key, event.value), self.line(event)
            if event.value in values:
                got = self.value(self.next(), (*path, "second"), depth)
                first = self.document.places[path].rpartition(":")[2]
                self.document.mistakes.append(
                    f"{here}: {dotted(path)}: given twice, first at line {first} — keep one"
                    f" (got {short(values[event.value])} and {short(got)})"
                )
                continue
            self.document.places[path] = here
            values[event.value] = self.value(self.next(), path, depth)
        return values


def parse_yaml(text: str, name: str) -> Document:
    """Values and places of one YAML text; UsageError with the line where it is no YAML that we accept."""
    try:
        return _Reader(text, name).read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        tab = "\t" in text.split("\n")[mark.line] if mark and mark.line < text.count("\n") + 1 else False
        remedy = (
            "indent with spaces, not tabs" if tab else "look at colons, brackets, quotes and indentation here and one line above"
        )
        raise UsageError(f"not valid YAML: {error.problem or error.context}", where=where, remedy=remedy) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 1
        raise UsageError(f"the control character {short(error.character)} is not allowed", where=f"{name}:{line}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"not valid YAML: {short(str(error))}", where=name) from None


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a small UTF-8 file (BOM accepted); UsageError where it is missing, too big or not text."""
    name = os.fspath(path)
    try:
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            inside = os.path.join(name, "config.yaml")
            raise UsageError("is a directory", where=name, remedy=f"name a file in it, such as {inside}")
        if not stat.S_ISREG(mode):
            raise UsageError("is not a regular file", where=name, remedy="give the path of a YAML file")
        with open(name, "rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError:
        raise UsageError("no such file", where=name, remedy=_nearest_files(name)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"cannot be read: {reason}", where=short(name)) from None
    if len(raw) > MAX_CONFIG_BYTES:
        raise UsageError(
            f"is larger than {MAX_CONFIG_BYTES >> 20} MB",
            where=name,
            remedy="is this a data file?",
        )
    return _decode(raw, name)


def _decode(raw: bytes, name: str) -> str:
    convert = "save it as UTF-8"
    if raw[:4] in (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"):
        raise UsageError("is UTF-32", where=name, remedy=convert)
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or (raw[:64].count(0) >= len(raw[:64]) // 3 > 0):
        raise UsageError("is UTF-16", where=name, remedy=convert)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        raise UsageError(f"byte 0x{raw[error.start]:02x} is not UTF-8", where=f"{name}:{line}:{column}", remedy=convert) from None


def _nearest_files(name: str) -> str:
    if name == "-":
        return "a configuration is not read from standard input; save it as a file"
    if "=" in name:
        return "the YAML file comes first, then the settings that win over it"
    folder, wanted = os.path.split(name)
    folder = folder or "."
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for _, entry in zip(range(10_000), entries, strict=False)]
    except OSError:
        return f"the directory {folder!r} does not exist either" if folder != "." else "check the path"
    near = difflib.get_close_matches(wanted, names, 3, 0.5)
    near = near or sorted(n for n in names if n.endswith((".yaml", ".yml")))[:3]
    found = " or ".join(os.path.join(folder, n) if folder != "." else n for n in near)
    return f"did you mean {found}?" if near else "write one with `headway init`"


def read_document(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Document:
    """One file and the overrides upon it."""
    document = parse_yaml(read_text(path), os.fspath(path))
    if not document.values and not document.mistakes:
        raise UsageError("holds no settings", where=document.name, remedy="`headway init` writes one to start from")
    for override in overrides:
        _override(document, override)
    return document


def _override(document: Document, override: str) -> None:
    """Sets one `section.key=value`; its value is read like a plain value in the file, lists and quotes included."""

    def wrong(text: str) -> None:
        document.mistakes.append(f"{COMMAND_LINE}: {text}")

    name, equals, text = override.partition("=")
    path: Key = tuple(name.strip().removeprefix("--").split("."))
    if not equals or not all(re.fullmatch(r"\w+", str(part)) for part in path):
        return wrong(f"{short(override)} is not a setting — write it as section.key=value, such as model.width=256")
    try:
        text.encode()
        value = _override_value(text)
    except UnicodeEncodeError:
        return wrong(f"{dotted(path)}: the value is not UTF-8 (got {short(text)})")
    except UsageError as error:
        return wrong(f"{dotted(path)}: {error.problem} (got {short(text)})")
    section = document.values
    for depth, part in enumerate(path[:-1], 1):
        if section.get(str(part)) is None:
            section[str(part)] = {}
            document.places[path[:depth]] = COMMAND_LINE
        section = section[str(part)]
        if isinstance(section, list):
            return wrong(f"{dotted(path)}: {part!r} is a list — give all of it: {dotted(path[:depth])}=[{{…}}, {{…}}]")
        if not isinstance(section, dict):
            return wrong(f"{dotted(path)}: {part!r} is not a section (got {short(section)})")
    section[str(path[-1])] = value
    for stale in [key for key in document.places if key[: len(path)] == path]:
        del document.places[stale]
    document.places[path] = COMMAND_LINE


def _override_value(text: str) -> Any:
    if text[:1] in tuple("[{\"'"):
        return parse_yaml("value: " + text, COMMAND_LINE).values["value"]
    return resolve(text)  # all of it: a `#` or `: ` in a path is part of the path


def dotted(path: Key) -> str:
    """('data', 'preprocessing', 0) → data.preprocessing[0]; strange keys escaped and cut, for a message."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_plain(part)}" for part in path).removeprefix(".")


def parts_of_key(name: str) -> Key:
    """data.train[1].source → ('data', 'train', 1, 'source')"""
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"\w+", name))


def _plain(part: str) -> str:
    text = part if part.isprintable() else repr(part)[1:-1]
    return text if len(text) <= 60 else f"{text[:57]}…"


def dump_yaml(values: dict[str, Any]) -> str:
    """YAML that `parse_yaml` reads back equal: every text that would be taken for something else is quoted."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20)


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text_node(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    plain = resolve(text) == text and text.isprintable()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text_node)
_Dumper.add_representer(list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True))
