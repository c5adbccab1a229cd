"""Which words of a text and of its translation belong together, as places in characters: by where the model looked."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headway.data.sentences import Span
from headway.explain.alignment import words_of
from headway.explain.attention import attention_maps, stacks
from headway.explain.request import Request
from headway.explain.sides import Side, read_side
from headway.explain.written import written_subject
from headway.inference.direction import choose_direction
from headway.model_dir import LoadedModel, load_model

if TYPE_CHECKING:
    from headway.inference.predictor import Predictor, Translation

# Begin and end of a word of the translation, and of a word of the text; 1: the one that the former renders before all,
# 0: one of which the former is the best rendering.
Link = tuple[int, int, int, int, int]
SEARCHED = 40  # characters in which the next word is looked for
_PLAIN = str.maketrans("’‘´`“”„«»", '\'\'\'\'"""""')


def word_links(predictor: Predictor, text: str, translation: Translation) -> list[Link]:
    """Which words of a translation and of the text belong together; none where another engine made it, which does not tell.

    The mean over all layers and heads of the cross-attention finds 97 to 99 of 100 (explain/alignment.py).
    """
    if not translation.ids or not predictor.takes_steps or not hasattr(predictor.loaded.model, "record_attention"):
        return []
    loaded = _plain_model(predictor.loaded.directory)
    source, target = predictor.languages
    direction = choose_direction(loaded.config.data, target, source)
    tags = [f"<2{language}>" for language in loaded.config.in_direction(direction).language_tags]
    read = read_side(loaded.tokenizers.source, translation.source_ids, tags)
    request = Request(loaded, text, {"precision": "fp32"}, (target, source))
    subject = written_subject(request, translation, read)
    assert subject.target is not None
    weights_TS = _word_weights(attention_maps(subject), read, subject.target)
    spans_read, spans_said = places_of(words_of(read), text), places_of(words_of(subject.target)[1:], translation.text)
    forward = [(said, int(row.argmax()), 1) for said, row in enumerate(weights_TS) if row.max() > 0]
    backward = [(int(column.argmax()), of, 0) for of, column in enumerate(weights_TS.T) if column.max() > 0]
    found = [(spans_said[said], spans_read[of], kind) for said, of, kind in forward + backward]
    return [(*said, *(of or (0, 0)), kind) for said, of, kind in found if said is not None and (of is not None or kind)]


def _word_weights(maps: Mapping[str, NDArray[np.float32]], read: Side, said: Side) -> NDArray[np.float64]:
    """How much each word of the translation looked at each of the text, [T, S]; marks were looked at by none."""
    weights_TS = np.mean([weights_HTS.mean(0) for weights_HTS in stacks(maps)["decoder cross_attention"]], axis=0)
    words_T = np.array(said.words[1:]) - said.words[1]  # row t says piece t + 1 of what the decoder reads
    words_S, plain_S = np.array(read.words), ~np.array(read.marks)
    summed_TS = np.zeros((int(words_T.max()) + 1, int(words_S.max()) + 1))
    rows_TS = weights_TS[: len(words_T), plain_S].astype(np.float64)
    np.add.at(summed_TS, (words_T[:, None], words_S[None, plain_S]), rows_TS)
    return summed_TS


@lru_cache(maxsize=1)
def _plain_model(directory: Path) -> LoadedModel:
    """The weights as they were learned: those that answer are laid out so that nobody can look into them."""
    loaded = load_model(directory)
    loaded.model.eval()
    return loaded


def places_of(words: Sequence[str], text: str) -> list[Span | None]:
    """Where each word stands in a text that they were made of, in order; None of one that is not found there.

    Steps before the tokenizer may have changed case, width and quotation marks. A single word that is missing, such as an
    unknown one, is what stands between its neighbours.
    """
    folded, origin = _folded(text)
    found: list[Span | None] = []
    place = 0
    for word in words:
        wanted = _folded(word)[0]
        at = folded.find(wanted, place, place + len(wanted) + SEARCHED) if wanted else -1
        if at < 0:
            found.append(None)
            continue
        place = at + len(wanted)
        found.append((origin[at], origin[place - 1] + 1))
    return [span or _between(found, number, text) for number, span in enumerate(found)]


def _between(found: Sequence[Span | None], number: int, text: str) -> Span | None:
    before = found[number - 1] if number else (0, 0)
    after = found[number + 1] if number + 1 < len(found) else (len(text), len(text))
    if before is None or after is None:
        return None
    inner = text[before[1] : after[0]]
    begin = before[1] + len(inner) - len(inner.lstrip())
    return (begin, begin + len(inner.strip())) if inner.strip() else None


def _folded(text: str) -> tuple[str, list[int]]:
    """A text without case, width and shapes of quotation marks, and the place that each of its characters comes from."""
    parts = [unicodedata.normalize("NFKC", character).casefold().translate(_PLAIN) for character in text]
    return "".join(parts), [place for place, part in enumerate(parts) for _ in part]
