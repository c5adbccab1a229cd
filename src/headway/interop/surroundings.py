"""What stands around texts for a model of Hugging Face: special pieces, what comes before a text, what an answer starts with.

It is told in four files: config.json, generation_config.json, tokenizer_config.json and tokenizer.json.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.data.files import open_regular
from headway.data.tokenizer import SPECIAL_TOKENS
from headway.data.tokenizer_import import MAX_BYTES, special_pieces_of
from headway.errors import DataError, ModelError, UsageError
from headway.interop.family import Family, Json
from headway.training.tensor_file import refuse_duplicates

TOKENIZER, TOKENIZER_CONFIG, GENERATION = "tokenizer.json", "tokenizer_config.json", "generation_config.json"
_log = logging.getLogger(__name__)
NEW = ("<|padding|>", "<|start|>", "<|end|>", "<|unknown|>")  # special pieces whose usual names are taken


@dataclass(frozen=True)
class Surroundings:
    """
    Attributes:
        content, numbers: of tokenizer.json, and the number of each piece there.
        special_pieces: those for padding, begin, end and unknown; one that they do not have is a new name.
        start: the number there of what the decoder reads first.
        before_source, before_target: pieces that stand before what is read, and before each answer.
        ends_between: ends of sentence between two texts that are read together.
    """

    content: Json
    numbers: dict[str, int]
    special_pieces: list[str]
    start: int
    before_source: list[str]
    before_target: list[str]
    ends_between: int


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


def surroundings(source: Path, theirs: Json, family: Family, languages: tuple[str, str] | None) -> Surroundings:
    """What the files of a directory say. Raises ModelError, UsageError for a language that is no piece."""
    where = str(source / TOKENIZER)
    content = read_json(source / TOKENIZER, MAX_BYTES)
    told = _told(theirs, _if_there(source / GENERATION))
    numbers = _numbers(content)
    names = {number: piece for piece, number in numbers.items()}
    before, behind = _around(content.get("post_processor"), where)
    special = _special(content, numbers, names, told, family, before, behind)
    start = _start(told, family, numbers, special, where)
    others = (special[0], *special[2:])
    if names[start] != special[1] or names[start] in others:  # answers start with a piece that is another one as well
        special[1] = next(name for name in (SPECIAL_TOKENS[1], NEW[1]) if name not in numbers)
    if family.task != "language_model" and behind != [special[2]]:
        raise ModelError(f"puts {behind} behind a text, and only an end is known there", where=where)
    target = [names[one] for one in [told.get("forced_bos_token_id")] if isinstance(one, int)]
    if languages is not None:
        for piece in languages:
            if piece not in numbers:
                remedy = "give pieces, as deu_Latn"
                raise UsageError(f"{piece!r} is no piece of its tokenizer", where="--from, --to", remedy=remedy)
        before, target = [languages[0]], [languages[1]]
    before_source = [] if family.task == "language_model" else before
    between = _ends_between(content.get("post_processor"), special[2], family) if family.task != "language_model" else 1
    return Surroundings(content, numbers, special, start, before_source, target, between)


def _told(theirs: Json, generation: Json) -> Json:
    """Both files as one; where there is only the first, an older name for a forced first piece may stand in it."""
    forced = theirs.get("forced_bos_token_id")
    if not generation and forced is None and theirs.get("force_bos_token_to_be_generated"):
        forced = theirs.get("bos_token_id")
    return {**theirs, "forced_bos_token_id": forced, **generation}


def _if_there(path: Path) -> Json:
    return read_json(path, 1 << 20) if path.is_file() else {}


def _numbers(content: Json) -> dict[str, int]:
    """Piece → its number, as their file has it."""
    vocabulary = content.get("model", {}).get("vocab", {})
    if isinstance(vocabulary, list):
        numbers = {piece: number for number, (piece, _) in enumerate(vocabulary)}
    else:
        numbers = dict(vocabulary)
    return numbers | {token["content"]: token["id"] for token in content.get("added_tokens") or []}


def _special(
    content: Json,
    numbers: dict[str, int],
    names: dict[int, str],
    told: Json,
    family: Family,
    before: list[str],
    behind: list[str],
) -> list[str]:
    """The pieces for padding, begin, end and unknown: by their numbers in the settings, where these tell them, else by names."""
    marked = {token["content"] for token in content.get("added_tokens") or [] if token.get("special")}
    found = special_pieces_of(content["model"], sorted(numbers, key=numbers.__getitem__), marked)
    by_number = {0: told.get("pad_token_id"), 2: told.get("eos_token_id")}
    if family.task == "language_model":
        by_number[1] = told.get("bos_token_id")
    for place, number in by_number.items():
        if isinstance(number, list) and number:  # of several ends ours knows one
            _log.warning("of %s, which end an answer there, only the first does here", ", ".join(map(str, number)))
            number = number[0]
        if isinstance(number, int) and number in names:
            found[place] = names[number]
    if family.task == "sentence_embedding":  # what stands around a text there
        found[1], found[2] = before[0] if before else found[1], behind[0] if behind else found[2]
    if found[0] in (found[2], found[3]):  # padded with the end, which is hidden anyway
        found[0] = next(name for name in (SPECIAL_TOKENS[0], NEW[0]) if name not in numbers)
    if found[3] in (found[1], found[2]):
        found[3] = next(name for name in (SPECIAL_TOKENS[3], NEW[3]) if name not in numbers)
    return found


def _start(told: Json, family: Family, numbers: dict[str, int], special: list[str], where: str) -> int:
    if family.task == "sentence_embedding":
        return numbers[special[1]]
    key = "bos_token_id" if family.task == "language_model" else "decoder_start_token_id"
    number = told.get(key)
    if number is None:
        number = numbers.get(special[2] if family.task == "language_model" else special[0])
    if not isinstance(number, int) or number not in numbers.values():
        raise ModelError(f"does not tell what an answer starts with ({key})", where=where)
    return number


def _around(processor: Any, where: str) -> tuple[list[str], list[str]]:
    """The pieces that a tokenizer puts before and behind a text."""
    before: list[str] = []
    behind: list[str] = []
    for step in _steps(processor):
        kind = step.get("type")
        if kind in ("BertProcessing", "RobertaProcessing"):
            before, behind = [step["cls"][0]], [step["sep"][0]]
        elif kind == "TemplateProcessing":
            pieces = [next(iter(one.items())) for one in step["single"]]
            place = next(number for number, (what, _) in enumerate(pieces) if what == "Sequence")
            before, behind = ([one["id"] for _, one in some] for some in (pieces[:place], pieces[place + 1 :]))
        elif kind != "ByteLevel":
            raise ModelError(f"has a post_processor of type {kind!r}, which is not known", where=where)
    return before, behind


def _ends_between(processor: Any, end: str, family: Family) -> int:
    """How many ends a tokenizer puts between two texts; one where it tells nothing of them, or what is not known."""
    asked = family.task == "sentence_embedding"  # of others hardly anybody asks for pairs
    for step in _steps(processor):
        if step.get("type") == "RobertaProcessing":
            return 2
        if step.get("type") == "TemplateProcessing" and step.get("pair"):
            pieces = [next(iter(one.items())) for one in step["pair"]]
            first, second = (number for number, (what, _) in enumerate(pieces) if what == "Sequence")
            between = [one["id"] for _, one in pieces[first + 1 : second]]
            if between in ([end], [end, end]):
                return len(between)
            if asked:
                _log.warning("two texts have %s between them there, and one %s here", between or "nothing", end)
    return 1


def _steps(processor: Any) -> Iterator[Json]:
    if isinstance(processor, dict):
        if processor.get("type") == "Sequence":
            yield from processor["processors"]
        else:
            yield processor
