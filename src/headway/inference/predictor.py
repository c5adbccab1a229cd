"""How it answers: a model directory becomes lines in, lines out, in order.

Lines are taken in pieces, sorted by length and translated in batches; each answer goes back to its line. What a line gives
does not depend on the lines around it.
"""

from __future__ import annotations

import copy
import itertools
import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any, Self

import torch

from headway.config import Config, DecodingConfig, TrainingConfig
from headway.config_mistakes import validate
from headway.config_reader import Document
from headway.data.opening import source_opening
from headway.data.preparation import cut_warning
from headway.data.preprocessing import Preprocessor, is_blank
from headway.data.tokenizer import Tokenizers
from headway.errors import UsageError
from headway.inference.conditions import Conditions
from headway.inference.constraints import Sentence
from headway.inference.decoding import Decoding, phrases_need_beams
from headway.inference.direction import choose_direction
from headway.inference.grouping import in_batches
from headway.inference.hypothesis import Hypothesis, OwnSearch
from headway.inference.inputs import list_of_texts, whole_characters
from headway.inference.precision import choose_inference_precision, prepare
from headway.inference.translator import Translator, positions_of_model
from headway.inference.wishes import Wish, WishReader, wishes
from headway.model.transformer import Transformer
from headway.model_dir import LoadedModel, load_model
from headway.training.parallel import choose_device, keep_freed_memory

PIECE_LINES = 2048  # lines that are sorted and held together
_LINE_BREAK = re.compile("[\r\n]+")
_log = logging.getLogger(__name__)


@dataclass
class CutTexts:
    """Counts the texts of one prediction that were cut, and says so once, at its end. To be used in a `with` statement."""

    max_length: int
    cut: int = 0
    texts: int = 0

    def add(self, cut: int, texts: int) -> None:
        self.cut, self.texts = self.cut + cut, self.texts + texts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.cut:
            _log.warning(cut_warning(self.cut, self.texts, self.max_length))


@dataclass(frozen=True)
class Translation:
    """One answer to a line, with what led to it."""

    text: str  # as people read it
    preprocessed: str  # in the form that the model writes, before preprocessing is undone
    source_ids: list[int]  # what the encoder reads, without the end
    ids: list[int]
    pieces: list[str]
    score: float  # log-probability / length^length_penalty
    token_scores: list[float]  # log-probability of each piece and, last, of the end
    cut: bool  # the line was longer than the model reads
    windows: tuple[tuple[float, str], ...] = ()  # of a recording: seconds of each, and what was written of it
    missed: tuple[str, ...] = ()  # translations of the glossary for which there was no room

    @property
    def log_probability(self) -> float:
        return sum(self.token_scores)


NOTHING = Translation("", "", [], [], [], 0.0, [], cut=False)  # the answer to a blank line


@dataclass(frozen=True)
class Source:
    """What the model reads of a line, and the place of the line."""

    place: int
    ids: Any  # of pieces; of media the positions [S, F]
    cut: bool
    conditions: Conditions | None = None  # of its answer


def decoding_options(config: Config, given: dict[str, Any]) -> DecodingConfig:
    """The decoding settings of a configuration, but for those given. Raises UsageError for one that is not valid."""
    return validate(DecodingConfig, Document("decoding options", {**config.decoding.model_dump(), **given}))


def ready_to_compute(loaded: LoadedModel, decoding: dict[str, Any]) -> Transformer:
    """The model on its device, laid out for the precision that `decoding` or its configuration asks for.

    Raises UsageError for a setting that is not valid.
    """
    keep_freed_memory()
    options, device = decoding_options(loaded.config, decoding), choose_device(TrainingConfig())
    precision = choose_inference_precision(options.precision, device, loaded.config.model)
    return prepare(loaded.model.to(device), precision)


END = "</s>"  # what the end of a text is called beside its pieces


def probabilities_of(pieces: Sequence[str], token_scores: Sequence[float]) -> list[dict[str, Any]]:
    """Each piece with its probability, and the end where it was written."""
    return [{"piece": piece, "probability": math.exp(score)} for piece, score in zip([*pieces, END], token_scores, strict=False)]


def mean_probability(token_scores: Sequence[float]) -> float | None:
    """The geometric mean of the probabilities of what was written; None of nothing."""
    return math.exp(sum(token_scores) / len(token_scores)) if token_scores else None


class Predictor:
    """Translates lines with a trained model; one that knows several directions is first told which: `towards`.

    Args:
        path: a run directory, a model directory, or a model that is loaded.
        decoding: settings that differ from those of the configuration, such as ``beam_size=1``.

    Raises:
        ModelError: there is no whole model. UsageError: a setting is not valid.
    """

    scoreless = ""
    many_lines = False  # whether an answer may have line breaks
    piece_lines = PIECE_LINES

    def __init__(self, path: str | PathLike[str] | LoadedModel, **decoding: Any) -> None:
        keep_freed_memory()
        self._loaded = path if isinstance(path, LoadedModel) else load_model(path)
        config = self._loaded.config
        self.options = decoding_options(config, decoding)
        self._keeps_end = config.task == "dialogue"  # what was said last is what is answered
        self._asked: tuple[str | None, str | None] = (None, None)  # into which language, and from which
        self._others: dict[tuple[str | None, str | None], Predictor] = {}  # the same, asked for other languages
        self._wish_readers: dict[tuple[str | None, str | None], WishReader] = {}  # by direction, of all settings

    def predict(
        self,
        lines: Sequence[str],
        *,
        to: str | None = None,
        from_: str | None = None,
        glossary: Mapping[str, str] | None = None,
        forbidden: Sequence[str] | None = None,
        prefixes: Sequence[str] | None = None,
    ) -> list[str]:
        """The best translation of each line; an empty line for an empty one.

        Args:
            to, from_: the languages, as `towards` takes them.
            glossary, forbidden, prefixes: see docs/constraints.md.

        Raises UsageError for what is no list of texts, or cannot be asked of the model, and as `towards` does.
        """
        texts = list_of_texts(lines)
        asked = wishes(len(texts), glossary, forbidden, prefixes)
        speaker = self.towards(to, from_) if to or from_ else self
        return [found[0].text for found in speaker.answer_pieces([texts], asked)]

    def towards(self, to: str | None = None, from_: str | None = None) -> Predictor:
        """The same model in one of its directions.

        Args:
            to: the language that is written; needed where there are several.
            from_: the one that is read; needed only where the preprocessing depends on it.

        Raises UsageError for a language that is missing or unknown.
        """
        if (to, from_) not in self._others:
            other = copy.copy(self)
            other._asked = (to, from_)
            other._ends = other._choose_ends()
            other._translator = self._translator  # its weights are laid out once
            self._others[to, from_] = other
        return self._others[to, from_]

    def with_options(self, **decoding: Any) -> Self:
        """The same model with other settings of `decoding`. Raises UsageError for one that is not valid."""
        other = copy.copy(self)
        other.options = decoding_options(self._loaded.config, {**self.options.model_dump(), **decoding})
        other._translator = self._translator.with_options(other.options)  # its weights are laid out once
        other._others = {}
        return other

    @cached_property
    def _ends(self) -> _Ends:
        return self._choose_ends()

    def _choose_ends(self) -> _Ends:
        config = self._loaded.config
        return _Ends.of(config.in_direction(choose_direction(config.data, *self._asked)), self._loaded.tokenizers)

    @property
    def loaded(self) -> LoadedModel:
        return self._loaded

    @property
    def languages(self) -> tuple[str, str]:
        """What a translator reads and writes, in the direction that it was told. Raises UsageError where it must be told."""
        if self._loaded.config.task != "translation":
            raise UsageError(f"a model of {self._loaded.config.task} translates no documents", remedy="give it a text a line")
        direction = choose_direction(self._loaded.config.data, *self._asked)
        return direction.source, direction.target

    def predict_stream(self, lines: Iterable[str], piece_lines: int = PIECE_LINES) -> Iterator[str]:
        """The best translation of each line, in order, in constant memory."""
        return (found[0].text for found in self.answer_pieces(_pieces(lines, piece_lines)))

    def translate_detailed(self, lines: Iterable[str], piece_lines: int = PIECE_LINES) -> Iterator[Translation]:
        """The best translation of each line with its scores, in order."""
        return (found[0] for found in self.translate_stream(lines, piece_lines))

    def translate_stream(self, lines: Iterable[str], piece_lines: int = PIECE_LINES) -> Iterator[list[Translation]]:
        """The `n_best` translations of each line, best first, in order."""
        return self._answers(_pieces(lines, piece_lines))

    def answer_pieces(self, pieces: Iterable[list[str]], asked: Iterable[Wish] | None = None) -> Iterator[list[Translation]]:
        """The same for lines that come in lists, and what is `asked` of each. Says how many were cut, and what had no room."""
        with CutTexts(self._loaded.config.data.max_length) as cut:
            for number, found in enumerate(self._answers(pieces, asked), 1):
                cut.add(found[0].cut, 1)
                if found[0].missed:
                    _log.warning("text %d: its answer has no room for %s", number, ", ".join(found[0].missed))
                yield found

    def details(self, answer: Translation) -> dict[str, Any]:
        """An answer for programs: how sure it is of each piece, of ending there, and of all of them in the geometric mean."""
        return {
            "text": answer.text,
            "score": answer.score,
            "confidence": mean_probability(answer.token_scores),
            "tokens": probabilities_of(answer.pieces, answer.token_scores),
            "cut": answer.cut,
            **({"missed": list(answer.missed)} if answer.missed else {}),
        }

    def _answers(self, pieces: Iterable[list[str]], asked: Iterable[Wish] | None = None) -> Iterator[list[Translation]]:
        first, remaining = 0, None if asked is None else iter(asked)
        for lines in pieces:
            for start in range(0, len(lines), self.piece_lines):
                piece = lines[start : start + self.piece_lines]
                own = None if remaining is None else list(itertools.islice(remaining, len(piece)))
                yield from self._translate(piece, first, own)
                first += len(piece)

    def _translate(self, lines: list[str], first: int, asked: Sequence[Wish] | None) -> list[list[Translation]]:
        answers = [[NOTHING] for _ in lines]
        sources = [source for source in self.read(lines, asked) if source is not None]
        for source, found in self._answered(sources, first):
            answers[source.place] = found
        return answers

    def _answered(self, sources: list[Source], first: int) -> Iterator[tuple[Source, list[Translation]]]:
        """Each source with its answers, in any order."""
        batches = list(in_batches(sources, self.options, self._workers))
        for batch, found in zip(batches, self._generate_all(batches, first), strict=True):
            for source, hypotheses in zip(batch, found, strict=True):
                yield source, [self._written(hypothesis, source) for hypothesis in hypotheses]

    # ---- a lane: texts that come one after another (inference/lanes.py) ----

    nothing = NOTHING

    @property
    def takes_steps(self) -> bool:
        """Whether the model is Headway's; another engine's chooses its words itself."""
        return not isinstance(self._translator.model, OwnSearch)

    def decoding(self) -> Decoding:
        """A batch that texts join and leave; the model must take steps."""
        return self._translator.decoding()

    def read(self, texts: Sequence[str], asked: Sequence[Wish] | None = None) -> list[Source | None]:
        """What the model reads of each text, with what is asked of its answer; None of a blank one."""
        ends = self._ends
        prepared = [ends.source_steps.apply(whole_characters(text)) for text in texts]
        found: list[Source | None] = []
        for place, ids in enumerate(self._loaded.tokenizers.source.encode_many(prepared)):
            kept = ids[-ends.longest :] if self._keeps_end else ids[: ends.longest]
            blank = not ids or is_blank(prepared[place])
            cut = len(ids) > ends.longest
            own = self._conditions(asked[place], kept if cut else prepared[place]) if asked and asked[place] else None
            found.append(None if blank else Source(place, [*ends.tag, *kept], cut, own))
        return found

    def _conditions(self, asked: Wish, source: str | list[int]) -> Conditions | None:
        """What is asked of the answer to a source, in pieces. Raises UsageError for what cannot be asked of this model."""
        if asked.glossary and self.options.method != "beam":
            raise phrases_need_beams(self.options.method)
        read = source if isinstance(source, str) else self._loaded.tokenizers.source.decode(source)
        return self._wish_reader.conditions(asked, read)

    @property
    def _wish_reader(self) -> WishReader:
        if self._asked not in self._wish_readers:
            ends = self._ends
            reader = WishReader(self._loaded.tokenizers, ends.source_steps, ends.target_steps, ends.longest)
            self._wish_readers[self._asked] = reader
        return self._wish_readers[self._asked]

    def join(self, decoding: Decoding, readings: Sequence[Source], numbers: Sequence[int]) -> list[Sentence]:
        conditions = [source.conditions for source in readings]
        return self._translator.join(decoding, [source.ids for source in readings], numbers, conditions)

    def partly(self, ids: list[int], source: Source) -> str:
        """The text of an answer that is not done, whose ids are these so far."""
        own = ids[len(self._translator.opening) :]
        return self._ends.target_steps.undo(self._loaded.tokenizers.target.decode(own))

    def answers(self, sentence: Sentence, source: Source) -> list[Translation]:
        """What was found, best first, as people read it."""
        return [self._written(hypothesis, source) for hypothesis in self._translator.answers(sentence)]

    def _written(self, hypothesis: Hypothesis, source: Source) -> Translation:
        target = self._loaded.tokenizers.target
        text = target.decode(hypothesis.ids)
        return Translation(
            text=_LINE_BREAK.sub(" ", self._ends.target_steps.undo(text)),
            preprocessed=text,
            source_ids=source.ids,
            ids=hypothesis.ids,
            pieces=target.pieces(hypothesis.ids),
            score=hypothesis.score,
            token_scores=hypothesis.token_scores,
            cut=source.cut,
            missed=() if source.conditions is None else tuple(source.conditions.missed(text)),
        )

    def _generate_all(self, batches: list[list[Source]], first: int) -> Iterator[list[list[Hypothesis]]]:
        rows = [[source.ids for source in batch] for batch in batches]
        numbers = [[first + source.place for source in batch] for batch in batches]
        conditions = [[source.conditions for source in batch] for batch in batches]
        one_by_one = self._workers == 1 or len(rows) == 1
        return (map if one_by_one else self._pool.map)(self._translator.generate, rows, numbers, conditions)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        """Threads that translate a batch each. The kernels of one batch use two cores less well than two batches do."""
        threads = max(1, torch.get_num_threads() // self._workers)
        return ThreadPoolExecutor(self._workers, "translate", initializer=torch.set_num_threads, initargs=(threads,))

    @cached_property
    def _workers(self) -> int:
        on_cpu = self._translator.device.type == "cpu"
        return self.options.workers or (torch.get_num_threads() if on_cpu else 1)

    @cached_property
    def _translator(self) -> Translator:
        return Translator(self._loaded, self.options)


@dataclass(frozen=True)
class _Ends:
    """What depends on the direction: what happens to a text before the model and after it."""

    source_steps: Preprocessor
    target_steps: Preprocessor
    tag: list[int]
    longest: int  # pieces of a source

    @classmethod
    def of(cls, config: Config, tokenizers: Tokenizers) -> _Ends:
        data, tag = config.data, source_opening(config, tokenizers)
        source, target = (Preprocessor(data.preprocessing, language) for language in (data.source_language, data.target_language))
        return cls(source, target, tag, min(data.max_length, positions_of_model(config.model) - 1 - len(tag)))


def _pieces(lines: Iterable[str], most: int) -> Iterator[list[str]]:
    remaining = iter(lines)
    return iter(lambda: list(itertools.islice(remaining, most)), [])
