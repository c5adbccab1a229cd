"""Holds a `Document` against the schema and tells every mistake in it at once.

A mistake is one line: place (file and line, or the command line), key, what is wrong, the nearest valid key, the value.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterator
from types import NoneType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from headway.config_reader import COMMAND_LINE, Document, Key, dotted, parts_of_key, short
from headway.errors import UsageError

Schema = TypeVar("Schema", bound=BaseModel)

ONE, SEVERAL = "<one>", "<several>"  # kinds of a field that is a section or a list of them; pydantic takes them for keys

# Names that other toolkits use for our keys; difflib would not find them.
OTHER_NAMES = {
    "lr": "learning_rate", "steps": "updates", "max_steps": "updates", "batch_size": "batch_tokens", "warmup": "warmup_updates",
    "warmup_steps": "warmup_updates",
    "grad_clip": "clip_norm", "max_grad_norm": "clip_norm", "gradient_accumulation": "accumulation",
    "d_model": "width", "hidden_size": "width", "dim": "width", "num_heads": "heads", "n_heads": "heads", "nhead": "heads",
    "layers": "encoder_layers", "num_layers": "encoder_layers", "d_ff": "feed_forward_width", "ffn_dim": "feed_forward_width",
    "vocab_size": "vocabulary_size", "src": "source", "tgt": "target",
    "src_lang": "source_language", "tgt_lang": "target_language",
    "dev": "validation", "valid": "validation", "val": "validation", "beam": "beam_size", "num_beams": "beam_size",
    "output_dir": "run_directory", "model_dir": "run_directory", "eval_every": "validate_every",
    "r": "rank", "lora_alpha": "alpha", "target_modules": "on",
    "validate_bleu": "validate_score", "block_size": "max_length", "context_length": "max_length",
}  # fmt: skip

_NAMED = re.compile(r"([a-z_]+(?:\[\d+\])?(?:\.[a-z_]+(?:\[\d+\])?)*)=")  # the `key=` of a complaint about a combination


def validate(schema: type[Schema], document: Document, context: dict[str, Any] | None = None) -> Schema:
    """An instance of `schema`, or one UsageError that names every mistake of the document."""
    _fill_empty_sections(schema, document.values)
    mistakes = list(document.mistakes)
    result = None
    try:
        result = schema.model_validate(document.values, context=context)
    except ValidationError as error:
        mistakes += _explain(schema, document, error, context)
    if result is not None and not mistakes:
        return result
    mistakes = sorted(dict.fromkeys(mistakes), key=_reading_order)
    head = "" if len(mistakes) == 1 else f"{len(mistakes)} mistakes in the configuration:\n"
    raise UsageError(head + "\n".join(mistakes))


def mistakes_at(schema: type[BaseModel], document: Document, key: Key) -> list[str]:
    """What is wrong with the value of one key by itself, whatever other values would go with it."""
    found: dict[Key, list[ErrorDetails]] = {}
    try:
        schema.model_validate(document.values)
    except ValidationError as error:
        for detail in _details(error):
            part = _known_part(schema, detail["loc"], detail["type"])
            if part[: len(key)] == key:
                found.setdefault(part, []).append(detail)
    return [line for part, details in found.items() for line in _lines(schema, document, part, details)]


def _reading_order(mistake: str) -> tuple[bool, int]:
    line = re.match(r".*?:(\d+): ", mistake)
    return mistake.startswith(COMMAND_LINE), int(line[1]) if line else 0


def _fill_empty_sections(schema: type[BaseModel], values: dict[str, Any]) -> None:
    """`model:` with every line under it commented out is an empty section, not null."""
    for name, info in schema.model_fields.items():
        section = section_of(info.annotation)
        if section and name in values:
            if values[name] is None and NoneType not in get_args(info.annotation):
                values[name] = {}
            for value in values[name] if isinstance(values[name], list) else [values[name]]:
                if isinstance(value, dict):
                    _fill_empty_sections(section, value)


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section a field holds, also where it may be null or a list of such."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for option in get_args(annotation) if (found := section_of(option)) is not None), None)


def _explain(schema: type[Schema], document: Document, error: ValidationError, context: dict[str, Any] | None) -> list[str]:
    grouped: dict[Key, list[ErrorDetails]] = {}
    for detail in _details(error):
        grouped.setdefault(_known_part(schema, detail["loc"], detail["type"]), []).append(detail)
    mistakes = [line for key, details in grouped.items() for line in _lines(schema, document, key, details)]
    # A section with one bad value is never checked for impossible combinations: look again without the bad values.
    rest = copy.deepcopy(document.values)
    for key in grouped:
        _remove(rest, key)
    try:
        schema.model_validate(rest, context=context)
    except ValidationError as second:
        for detail in _details(second):
            if detail["type"] == "value_error" and detail["loc"] not in grouped:
                for line, keys in _combinations(document, detail["loc"], detail):
                    if not any(key[: len(bad)] == bad for key in keys for bad in grouped):
                        mistakes.append(line)
    return mistakes


def _details(error: ValidationError) -> list[ErrorDetails]:
    """What pydantic found, each at the place that the document has for it."""
    return [
        {**detail, "loc": tuple(part for part in detail["loc"] if part not in (ONE, SEVERAL))}
        for detail in error.errors(include_url=False)
    ]


def _known_part(schema: type[BaseModel], loc: Key, kind: str) -> Key:
    """`loc` without the names of union members that pydantic appends."""
    section: type[BaseModel] | None = schema
    for depth, part in enumerate(loc):
        if section is not None and isinstance(part, int):  # of a list of sections
            continue
        if section is None:
            return loc[: depth + 1] if isinstance(part, int) else loc[:depth]
        if part not in section.model_fields:
            return loc[: depth + 1] if kind == "extra_forbidden" else loc[:depth]
        section = section_of(section.model_fields[str(part)].annotation)
    return loc


def _remove(values: Any, key: Key) -> None:
    for part in key[:-1]:
        values = values.get(part) if isinstance(values, dict) else values[int(part)] if isinstance(values, list) else None
    if isinstance(values, dict) and key:
        values.pop(key[-1], None)


def _combinations(document: Document, loc: Key, detail: ErrorDetails) -> Iterator[tuple[str, list[Key]]]:
    """Each line of a section's complaint, with the keys that it names as `key=value`."""
    for text in str(detail["ctx"]["error"]).split("\n"):
        keys = [(*loc, *parts_of_key(name)) for name in _NAMED.findall(text)]
        place = next((document.places[key] for key in keys if key in document.places), document.place(keys[0] if keys else loc))
        full = _NAMED.sub(rf"{dotted(loc)}.\g<0>", text) if loc else text
        yield f"{place}: {full}", keys


def _lines(schema: type[BaseModel], document: Document, key: Key, details: list[ErrorDetails]) -> list[str]:
    first = details[0]
    if first["type"] == "value_error" and (not key or section_at(schema, key)):
        return [line for line, _ in _combinations(document, key, first)]
    if first["type"] == "missing" and isinstance(key[-1], int):
        return [f"{document.place(key)}: {dotted(key[:-1])}: holds too few values (got {key[-1]})"]
    if first["type"] == "missing":
        what = "this section" if section_at(schema, key) else "it"
        return [f"{document.place(key[:-1])}: {dotted(key)}: is missing — add {what}"]
    if first["type"] == "extra_forbidden":
        return [f"{document.place(key)}: {dotted(key)}: unknown key — {_suggestion(schema, key)} (got {short(first['input'])})"]
    if first["input"] is None:
        return [f"{document.place(key)}: {dotted(key)}: has no value — give it one"]
    wanted = " or ".join(dict.fromkeys(_wanted(detail) for detail in details))
    return [f"{document.place(key)}: {dotted(key)}: {wanted} (got {short(first['input'])})"]


def _wanted(detail: ErrorDetails) -> str:
    """What would have been right, in the words of a user."""
    context = detail.get("ctx", {})
    if detail["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        near = difflib.get_close_matches(str(detail["input"]).lower(), choices, 1, 0.5)
        return f"must be one of {', '.join(choices)}" + (f" — did you mean '{near[0]}'?" if near else "")
    if detail["type"] == "value_error":
        return str(context["error"])
    words = {
        "int_type": "must be a whole number", "int_from_float": "must be a whole number", "float_type": "must be a number",
        "bool_type": "must be true or false", "string_type": "must be text; quote it if it looks like a number",
        "finite_number": "must be a finite number", "model_type": "must be a section of `key: value` lines",
        "model_attributes_type": "must be a section of `key: value` lines", "list_type": "must be a list such as [a, b]",
        "tuple_type": "must be a list of numbers such as [0.9, 0.98]", "greater_than": "must be above {gt}",
        "greater_than_equal": "must be at least {ge}", "less_than": "must be below {lt}",
        "less_than_equal": "must be at most {le}",
        "too_short": "must hold at least {min_length}", "too_long": "must hold no more than {max_length} values",
        "string_too_short": "must not be empty", "string_pattern_mismatch": "must be of letters, digits, - and _, up to 35",
    }  # fmt: skip
    found = words.get(detail["type"])
    return found.format(**context) if found else detail["msg"]


def section_at(schema: type[BaseModel], key: Key) -> type[BaseModel] | None:
    """The section that a key stands for."""
    section: type[BaseModel] | None = schema
    for part in key:
        if section is not None and isinstance(part, int):
            continue
        if section is None or part not in section.model_fields:
            return None
        section = section_of(section.model_fields[str(part)].annotation)
    return section


def all_keys(schema: type[BaseModel], prefix: Key = ()) -> Iterator[Key]:
    """Every key of the schema, sections included, in order."""
    for name, info in schema.model_fields.items():
        yield (*prefix, name)
        if section := section_of(info.annotation):
            yield from all_keys(section, (*prefix, name))


def _suggestion(schema: type[BaseModel], key: Key) -> str:
    """The nearest valid key: first in the same section, then the same name elsewhere, then anything near."""
    section = section_at(schema, key[:-1])
    here = list(section.model_fields) if section else []
    name = str(key[-1]).lower().replace("-", "_")
    name = OTHER_NAMES.get(name, name)
    elsewhere: dict[str, list[Key]] = {}
    for other in all_keys(schema):
        elsewhere.setdefault(str(other[-1]), []).append(other)
    dotted_names = {dotted(other): other for other in all_keys(schema)}
    if near := difflib.get_close_matches(name, here, 1, 0.75):
        found = [(*key[:-1], near[0])]
    elif name in elsewhere or name in dotted_names:
        found = elsewhere.get(name) or [dotted_names[name]]
    elif near := difflib.get_close_matches(name, here, 1, 0.6):
        found = [(*key[:-1], near[0])]
    elif near := difflib.get_close_matches(name, elsewhere, 1, 0.8):
        found = elsewhere[near[0]]
    else:
        return f"the keys here are {', '.join(here)}"
    return "did you mean " + " or ".join(f"'{dotted(other)}'" for other in found[:2]) + "?"
