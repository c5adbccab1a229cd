"""What stands around texts for a model of Hugging Face: special pieces, what comes before a text, what an answer starts with.

It is told in config.json, generation_config.json and the files of the tokenizer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.data.tokenizer import SPECIAL_TOKENS
from headway.data.tokenizer_import import special_pieces_of
from headway.errors import ModelError, UsageError
from headway.interop.family import Family, Json
from headway.interop.json_file import read_if_there
from headway.interop.prompts import read_prompt
from headway.interop.tokenizer_files import read_tokenizer_files, tokenizer_path

GENERATION = "generation_config.json"
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
        never, never_first: the numbers there of pieces that no answer has, and that none begins with.
        ends_between: ends of sentence between two texts that are read together.
        sides: SentencePiece models of source and target, where each has its own.
    """

    content: Json
    numbers: dict[str, int]
    special_pieces: list[str]
    start: int
    before_source: list[str]
    before_target: list[str]
    never: list[int]
    never_first: list[int]
    ends_between: int
    sides: tuple[bytes, bytes] | None = None


Languages = tuple[str | None, str]  # to read and to write


def surroundings(source: Path, theirs: Json, family: Family, languages: Languages | None) -> Surroundings:
    """What the files of a directory say. Raises ModelError, UsageError for a language that is no piece."""
    content, sides = read_tokenizer_files(source, family)
    where = str(tokenizer_path(source, family))
    told = _told(theirs, read_if_there(source / GENERATION))
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
    if family.task == "speech_recognition":
        before, target = [], read_prompt(told, numbers, languages, str(source / GENERATION))
    elif family.asks_for:
        before = _asked(family.asks_for, languages, numbers)
    elif languages is not None:
        before, target = [_piece(languages[0], numbers)], [_piece(languages[1], numbers)]
    before_source = [] if family.task == "language_model" else before
    never, first = (list(told.get(key) or ()) for key in ("suppress_tokens", "begin_suppress_tokens"))
    between = _ends_between(content.get("post_processor"), special[2], family) if family.task != "language_model" else 1
    return Surroundings(content, numbers, special, start, before_source, target, never, first, between, sides)


def _told(theirs: Json, generation: Json) -> Json:
    """Both files as one; where there is only the first, an older name for a forced first piece may stand in it."""
    forced = theirs.get("forced_bos_token_id")
    if not generation and forced is None and theirs.get("force_bos_token_to_be_generated"):
        forced = theirs.get("bos_token_id")
    return {**theirs, "forced_bos_token_id": forced, **generation}


def _asked(form: str, languages: Languages | None, numbers: dict[str, int]) -> list[str]:
    """The piece before a text that asks for a language to write; none where the model writes one alone."""
    first, _, last = form.partition("{}")
    known = [piece[len(first) : -len(last)] for piece in numbers if piece.startswith(first) and piece.endswith(last)]
    some = ", ".join(known[:8]) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
    if languages is None:
        if len(known) > 1:
            _log.warning("it writes %s: --to names one of them, which is asked for before each text", some)
        return []
    read, written = languages
    if read is not None:
        raise UsageError("it takes any of its languages without being told which", where="--from", remedy="give --to alone")
    if form.format(written) not in numbers:
        remedy = f"it writes {some}" if known else "leave it out: it writes one language"
        raise UsageError(f"{form.format(written)!r} is no piece of its tokenizer", where="--to", remedy=remedy)
    return [form.format(written)]


def _piece(language: str | None, numbers: dict[str, int]) -> str:
    if language is None:
        raise UsageError("--from and --to stand together", remedy="name the piece of either language")
    if language not in numbers:
        raise UsageError(f"{language!r} is no piece of its tokenizer", where="--from, --to", remedy="give pieces, as deu_Latn")
    return language


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
    if family.task == "speech_recognition":  # whose start is a piece of its own
        by_number[1] = told.get("decoder_start_token_id")
    for place, number in by_number.items():
        if isinstance(number, list) and number:  # of several ends ours knows one
            _log.warning("of %s, which end an answer there, only the first does here", ", ".join(map(str, number)))
            number = number[0]
        if isinstance(number, int) and number in names:
            found[place] = names[number]
    if family.task == "sentence_embedding":  # what stands around a text there
        found[1], found[2] = before[0] if before else found[1], behind[0] if behind else found[2]
    if found[0] in (found[2], found[3], ""):  # padded with the end, which is hidden anyway
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
