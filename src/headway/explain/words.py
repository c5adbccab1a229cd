"""An answer explained in words, small enough to be told beside it: what each word of it is due to, and what else was likely.

What is written looks at what is read (attention, the mean over all layers and heads); labels, tags and spans are due to it
(occlusion: what a score loses without a piece). A weight is a share: those of one output sum to 1. What speaks against an
output has no share of it.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.errors import UsageError
from headway.explain.alignment import looked_at, summed
from headway.explain.attention import attention_maps
from headway.explain.attribution import occlusion
from headway.explain.lens import Choice, Sureness, sureness
from headway.explain.request import Direction
from headway.explain.sides import INSIDE
from headway.explain.subject import Subject
from headway.explain.subjects import subject_of
from headway.explain.word_places import TAB, Word, tagged_words, words_read, words_written
from headway.inference.inputs import whole_characters
from headway.model_dir import LoadedModel

BATCH_TOKENS = 512  # of attribution that are computed before others have their turn
MOST_CELLS = 20_000_000  # of all maps of attention
WRITTEN = ("translation", "summarisation", "dialogue", "denoising", "language_model")
LABELLED = ("classification", "pair_classification")

Steps = Generator[None, None, dict[str, Any]]


def explained_words(loaded: LoadedModel, text: str, found: Any, direction: Direction = (None, None)) -> Steps:
    """The explanation of an answer to a text, as JSON; stops now and then for whoever has something else to do.

    Args:
        loaded: the plain model.
        found: the answer, as the predictor of the task found it.
        direction: as of `explain`.

    Raises UsageError for a task whose answers have no words to explain, and for what is too long.
    """
    task = loaded.config.task
    text = whole_characters(text)
    if task not in (*WRITTEN, *LABELLED, "tagging", "question_answering"):
        raise UsageError(f"an answer of {task} has no words to be explained", remedy="leave out explain")
    subject = subject_of(loaded, text, {}, direction, found) if _anything(task, found) else None
    yield
    if subject is None:
        return {"kind": "attention" if task in WRITTEN else "attribution", "source": [], "outputs": []}
    if task in WRITTEN:
        return _written(loaded, subject, text)
    return (yield from _due(loaded, subject, text, found))


def _anything(task: str, found: Any) -> bool:
    """Whether there was something to read."""
    if task in ("translation", "summarisation", "dialogue", "denoising"):
        return bool(found.source_ids)
    return bool(found.labels or found.probabilities) if task in LABELLED else task != "tagging" or bool(found.words)


# ---- what was written ----------------------------------------------------------------------------------------------


def _written(loaded: LoadedModel, subject: Subject, text: str) -> dict[str, Any]:
    source, target = subject.source, subject.target
    assert target is not None
    _refuse_large(subject)
    given = sum(output.given for output in subject.outputs)
    kind = "cross_attention" if source is not None else "self_attention"
    read = words_read(loaded, text, source or target, range(len(source)) if source is not None else range(1, given + 1))
    said = words_written(loaded, text, subject.answer, target, range(given + 1, len(target)))
    weights_TK = looked_at(attention_maps(subject), kind)
    sure = sureness(subject)
    outputs = []
    for word in said:
        numbers = [place - 1 for place in word.positions]  # of the outputs: position t + 1 is what is said at t
        looked_K = weights_TK[numbers].sum(0)
        outputs.append(_output(word, _product(sure, numbers), _others(subject, sure, numbers[0]), _shares(looked_K, read)))
    return {"kind": "attention", "source": [_shown(word) for word in read], "outputs": outputs}


def _refuse_large(subject: Subject) -> None:
    S, T = (len(side) if side else 0 for side in (subject.source, subject.target))
    model = subject.model
    if model.config.heads * (len(model.encoder) * S * S + len(model.decoder) * T * (S + T)) > MOST_CELLS:
        raise UsageError(f"{S + T:,} pieces are too many to be explained", remedy="give a part of it")


def _product(sure: Sequence[Sureness], numbers: Sequence[int]) -> float:
    """The probability of a word: of its first piece, and of each piece after those before it."""
    return math.prod(sure[number].value for number in numbers)


def _others(subject: Subject, sure: Sequence[Sureness], number: int) -> list[Choice]:
    """What was likely in place of an output, best first."""
    own = subject.name_of(subject.outputs[number].choice)
    return [choice for choice in sure[number].likeliest if choice.text != own]


# ---- labels, tags and spans ----------------------------------------------------------------------------------------


def _due(loaded: LoadedModel, subject: Subject, text: str, found: Any) -> Steps:
    source, task = subject.source, loaded.config.task
    assert source is not None
    sure = sureness(subject)
    if task == "tagging":
        begins = [output.place for output in subject.outputs if output.place is not None]
        read = tagged_words(text, found.words, begins, source)
    else:
        read = words_read(loaded, text, source, range(len(source)))
    chosen = _chosen(subject, found, task)
    if not chosen:  # no word was read to its end
        return {"kind": "attribution", "source": [], "outputs": []}
    attribution = yield from occlusion(subject, chosen, BATCH_TOKENS)
    values = dict(zip(chosen, attribution.values, strict=True))
    if task == "question_answering":
        outputs = [_span(text, found, _product(sure, chosen), _shares(attribution.values.clip(min=0).sum(0), read))]
    elif task == "tagging":
        outputs = [
            _output(Word(tag, word.start, word.end, []), sure[n].value, _others(subject, sure, n), _shares(values[n], read))
            for n, (tag, word) in enumerate(zip(found.tags, read, strict=False))
        ]
    else:
        valued = subject.scale == "value"
        outputs = [
            _output(
                Word(subject.outputs[n].text, None, None, []),
                None if valued else sure[n].value, _labels_beside(subject, sure, n), _shares(values[n], read),
            )
            for n in chosen
        ]  # fmt: skip
    return {"kind": "attribution", "source": [_shown(word) for word in read], "outputs": outputs}


def _chosen(subject: Subject, found: Any, task: str) -> list[int]:
    """The numbers of the outputs that are explained: of labels those that were given, or else the likeliest."""
    if task not in LABELLED or subject.scale == "value":
        return list(range(len(subject.outputs)))
    return [n for n, output in enumerate(subject.outputs) if output.text in found.labels] or [0]


def _labels_beside(subject: Subject, sure: Sequence[Sureness], number: int) -> list[Choice]:
    """Of one label of many the others; where each is asked for by itself, there is no other."""
    several = subject.scale == "value" or subject.name_of(subject.outputs[number].choice) != subject.outputs[number].text
    return [] if several else _others(subject, sure, number)


def _span(text: str, found: Any, probability: float, weights: list[float]) -> dict[str, Any]:
    """The answer to a question, with its place in question and passage; none has no place."""
    if not found.text:
        return _output(Word("", None, None, []), probability, [], weights)
    start = len(text.partition(TAB)[0]) + len(TAB) + found.start
    end = _end_of(text, start, found.text)
    return _output(Word(text[start:end], start, end, []), probability, [], weights)


def _end_of(text: str, start: int, answer: str) -> int:
    """Where an answer ends whose blanks were made one each."""
    end, wanted = start, "".join(answer.split())
    for character in wanted:
        end = text.index(character, end) + 1
    return end


# ---- as JSON -------------------------------------------------------------------------------------------------------


def _shares(values_K: NDArray[np.float64], words: Sequence[Word]) -> list[float]:
    """What each word has of the whole; where none has anything, all have the same."""
    numbers = np.array([number for number, word in enumerate(words) for _ in word.positions], dtype=int)
    positions = [place for word in words for place in word.positions]
    signed_W = summed(np.asarray(values_K)[positions], numbers, axis=0)
    shares_W = signed_W.clip(min=0)
    if not shares_W.sum() > 0:
        shares_W = np.abs(signed_W)
    if not shares_W.sum() > 0:
        shares_W = np.ones(len(words))
    return [float(share) for share in shares_W / shares_W.sum()] if words else []


def _output(word: Word, probability: float | None, others: Sequence[Choice], weights: list[float]) -> dict[str, Any]:
    return {
        **_shown(word),
        "probability": probability,
        "alternatives": [{"text": other.text.removeprefix(INSIDE), "probability": other.value} for other in others],
        "weights": weights,
    }


def _shown(word: Word) -> dict[str, Any]:
    return {"text": word.text, "start": word.start, "end": word.end}
