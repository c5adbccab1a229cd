"""How a tagger answers: texts in, words with their tags out, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from headway.data.tagged import Tagged
from headway.data.tags import Entity, entities
from headway.inference.inputs import list_of_texts, whole_characters
from headway.inference.predictor import PIECE_LINES, CutTexts, ready_to_compute
from headway.inference.tagging import tag_sentences
from headway.languages import writes_spaces
from headway.model_dir import LoadedModel, load_model
from headway.tasks import TASKS


@dataclass(frozen=True)
class TaggedText:
    """The words of a text with a tag for each."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    entities: tuple[Entity, ...]  # none where tags are plain
    probabilities: tuple[float | None, ...] = ()  # of each tag by itself; None where the text was cut off

    @property
    def text(self) -> str:
        """A line for each word: the word, a tab, its tag."""
        return "\n".join(f"{word}\t{tag}" for word, tag in zip(self.words, self.tags, strict=True))


class Tagger:
    """Tags the words of texts with a trained tagger.

    Args:
        path: a run directory, a model directory, or a model that is loaded.
        decoding: of its settings only ``precision`` concerns a tagger.

    Raises:
        ModelError: there is no whole model. UsageError: a setting is not valid.
    """

    scoreless = "sequence of tags"  # what it answers with, where that has no score
    many_lines = True  # an answer has a line for each word

    def __init__(self, path: str | PathLike[str] | LoadedModel, **decoding: Any) -> None:
        loaded = path if isinstance(path, LoadedModel) else load_model(path)
        config = loaded.config
        assert loaded.tokenizers.labels is not None
        self.labels = loaded.tokenizers.labels
        self._spaces = writes_spaces(config.data.source_language)
        self._max_length = config.data.max_length
        self._preparation = TASKS[config.task].preparation(loaded.tokenizers, config)
        self._model = ready_to_compute(loaded, decoding)
        self._temperature = loaded.calibration.temperature if loaded.calibration else 1.0

    def predict(self, texts: Sequence[str]) -> list[str]:
        """For each text a line for each word, with its tag. Raises UsageError as `tag`."""
        return [answer.text for answer in self.tag(texts)]

    def tag(self, texts: Sequence[str]) -> list[TaggedText]:
        """The words of each text with their tags; a text is cut at blanks, or into characters where the model learned them.

        Raises UsageError for what is no list of texts.
        """
        return [answers[0] for answers in self.answer_pieces([list_of_texts(texts)])]

    def details(self, answer: TaggedText) -> dict[str, Any]:
        """An answer for programs: each word with its tag and how sure that is, and the entities with their places."""
        words = [
            {"word": word, "tag": tag, "probability": sure}
            for word, tag, sure in zip(answer.words, answer.tags, answer.probabilities, strict=True)
        ]
        return {"words": words, "entities": [entity._asdict() for entity in answer.entities]}

    def answer_pieces(self, pieces: Iterable[list[str]]) -> Iterator[list[TaggedText]]:
        """One answer to each text of lists: the answers to a list do not wait for the next one."""
        with CutTexts(self._max_length) as cut:
            for texts in pieces:
                for start in range(0, len(texts), PIECE_LINES):
                    sentences = [self._words(text) for text in texts[start : start + PIECE_LINES]]
                    cut.add(self._preparation.rows_of_all(sentences).cut, len(sentences))
                    found = tag_sentences(self._model, sentences, self._preparation, self.labels, self._temperature)
                    for sentence, (tags, sure) in zip(sentences, found, strict=True):
                        named = () if self.labels.scheme == "plain" else tuple(entities(tags, self.labels.scheme))
                        yield [TaggedText(sentence.words, tuple(tags), named, tuple(sure))]

    def _words(self, text: str) -> Tagged:
        words = whole_characters(text).split()
        if self.labels.characters or (not self._spaces and len(words) == 1):
            words = list("".join(words))
        return Tagged(tuple(words), ("O",) * len(words), 0)
