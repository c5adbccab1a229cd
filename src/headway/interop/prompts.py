"""What a transcript begins with for Whisper: the language that is spoken, what is wanted of it, and no times (or nothing)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence

from headway.errors import ModelError, UsageError
from headway.interop.family import Json, unsupported

TRANSCRIBE, TRANSLATE, NO_TIMES = "<|transcribe|>", "<|translate|>", "<|notimestamps|>"
ENGLISH = "<|en|>"
_LANGUAGE = re.compile(r"<\|[a-z]{2,3}\|>")
_log = logging.getLogger(__name__)


def read_prompt(told: Json, numbers: Mapping[str, int], languages: tuple[str | None, str] | None, where: str) -> list[str]:
    """The pieces behind the start.

    Args:
        told: config.json and generation_config.json.
        languages: the piece of the language that is spoken and that of what is written: the same, or English.

    Raises:
        ModelError: it asks for times. UsageError: a language is not known, or cannot be written.
    """
    if told.get("return_timestamps"):
        raise unsupported("return_timestamps", True, where, "no times are written here")
    if languages is not None:
        return _asked_for(told, numbers, languages)
    names = {number: piece for piece, number in numbers.items()}
    language, task = told.get("language"), told.get("task")
    forced = [] if language or task else list(_forced(told.get("forced_decoder_ids") or [], names, where))
    if forced and None not in forced:
        found = [piece for piece in forced if piece is not None]
    elif told.get("lang_to_id"):
        if not language:
            _log.warning("it transcribes English: another language is asked for by --from and --to, with pieces such as <|de|>")
        spoken = str(language or ENGLISH)
        spoken = spoken if spoken in numbers else f"<|{spoken}|>"
        if spoken not in numbers:
            raise ModelError(f"is asked for language={language!r}, which is no piece", where=where)
        found = [spoken, TRANSLATE if task == "translate" else TRANSCRIBE]
    else:
        found = []
    if told.get("no_timestamps_token_id") is not None and found[-1:] != [NO_TIMES]:
        found.append(NO_TIMES)
    return found


def _asked_for(told: Json, numbers: Mapping[str, int], languages: tuple[str | None, str]) -> list[str]:
    spoken, written = languages
    if spoken is None:
        raise UsageError("--from and --to stand together", remedy="name the piece of either language")
    for piece in (spoken, written):
        if piece not in numbers or not _LANGUAGE.fullmatch(piece):
            raise UsageError(f"{piece!r} is no language of it", where="--from, --to", remedy="give pieces, as <|de|>")
    if told.get("is_multilingual") is False:
        raise UsageError("it knows English alone", where="--from, --to", remedy="leave them out")
    if written not in (spoken, ENGLISH):
        remedy = f"give --to {spoken} or --to '{ENGLISH}'"
        raise UsageError("it writes what is said, or English", where="--to", remedy=remedy)
    return [spoken, TRANSCRIBE if written == spoken else TRANSLATE, NO_TIMES]


def _forced(given: Sequence[Sequence[int | None]], names: Mapping[int, str], where: str) -> Iterator[str | None]:
    """The pieces at the places 1, 2, …; None where one is to be detected."""
    for place, (at, number) in enumerate(given, 1):
        if at != place or (number is not None and number not in names):
            raise ModelError(f"forces {number} at {at} (forced_decoder_ids), which is no prompt", where=where)
        yield None if number is None else names[number]


def write_prompt(pieces: Sequence[str], numbers: Mapping[str, int]) -> Json:
    """What generation_config.json says of it. Raises UsageError for another prompt than Whisper's."""
    prompt = [piece for piece in pieces if piece != NO_TIMES]
    found: Json = {"is_multilingual": bool(prompt), "return_timestamps": False}
    if list(pieces)[-1:] == [NO_TIMES]:
        found["no_timestamps_token_id"] = numbers[NO_TIMES]
    if not prompt and len(pieces) < 2:
        return found
    tasks = {"transcribe": TRANSCRIBE, "translate": TRANSLATE}
    known = {piece: task for task, piece in tasks.items()}
    if len(prompt) != 2 or not _LANGUAGE.fullmatch(prompt[0]) or prompt[1] not in known or len(pieces) > 3:
        raise UsageError(f"begins every answer with {' '.join(pieces)}, and Whisper does not", where="tokenizer.before_target")
    return found | {
        "lang_to_id": {piece: number for piece, number in numbers.items() if _LANGUAGE.fullmatch(piece)},
        "task_to_id": {task: numbers[piece] for task, piece in tasks.items() if piece in numbers},
        "language": prompt[0],
        "task": known[prompt[1]],
    }
