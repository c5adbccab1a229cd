"""Which words of a text and of its translation belong together, as places in characters: by where the model looked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headway.explain.alignment import looked_at
from headway.explain.attention import attention_maps
from headway.explain.plain_model import plain_model
from headway.explain.subjects import subject_of
from headway.explain.word_places import Word, words_read, words_written
from headway.model_files import is_exported

if TYPE_CHECKING:
    from headway.inference.predictor import Predictor, Translation

# Begin and end of a word of the translation, and of a word of the text; 1: the one that the former renders before all,
# 0: one of which the former is the best rendering.
Link = tuple[int, int, int, int, int]


def word_links(predictor: Predictor, text: str, translation: Translation) -> list[Link]:
    """Which words of a translation and of the text belong together; none where another engine made it, which does not tell.

    The mean over all layers and heads of the cross-attention finds 97 to 99 of 100 (explain/alignment.py).
    """
    if not translation.ids or is_exported(predictor.loaded.directory):
        return []
    loaded, (source, target) = plain_model(predictor.loaded), predictor.languages
    subject = subject_of(loaded, text, {}, (target, source), translation)
    assert subject.source is not None
    assert subject.target is not None
    given = sum(output.given for output in subject.outputs)
    read = words_read(loaded, text, subject.source, range(len(subject.source)))
    said = words_written(loaded, text, translation.text, subject.target, range(given + 1, len(subject.target)))
    weights_TS = _word_weights(looked_at(attention_maps(subject), "cross_attention"), said, read)
    forward = [(row, int(weights_S.argmax()), 1) for row, weights_S in enumerate(weights_TS) if weights_S.max(initial=0) > 0]
    backward = [(int(column.argmax()), of, 0) for of, column in enumerate(weights_TS.T) if column.max(initial=0) > 0]
    return [link for one, of, kind in forward + backward if (link := _link(said[one], read[of], kind)) is not None]


def _word_weights(weights_QK: NDArray[np.float64], said: list[Word], read: list[Word]) -> NDArray[np.float64]:
    """How much each word of the translation looked at each of the text, [T, S]; row t says position t + 1."""
    by_word_TK = [weights_QK[[place - 1 for place in word.positions]].sum(0) for word in said]
    return np.array([[looked_K[word.positions].sum() for word in read] for looked_K in by_word_TK]).reshape(len(said), len(read))


def _link(said: Word, read: Word, kind: int) -> Link | None:
    """None where one of them has no place; a word of the translation may have looked at what has none."""
    if said.start is None or said.end is None or (read.start is None and not kind):
        return None
    return said.start, said.end, read.start or 0, read.end or 0, kind
