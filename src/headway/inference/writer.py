"""How a language model answers: prompts in, texts that begin with them out, in order."""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import Any, Self

from headway.data.pairs import forbidden_first, forbidden_ids
from headway.data.preprocessing import Preprocessor
from headway.data.tokenizer import BOS_ID, EOS_ID, UNK_ID
from headway.inference.conditions import Conditions
from headway.inference.constraints import Constraints, Sentence
from headway.inference.decoding import Decoding, answers_of, generate
from headway.inference.grouping import MOST_QUERIES
from headway.inference.hypothesis import Hypothesis, OwnSearch
from headway.inference.inputs import list_of_texts, whole_characters
from headway.inference.predictor import (
    decoding_options,
    mean_probability,
    probabilities_of,
    ready_to_compute,
)
from headway.inference.wishes import Wish, WishReader, refusal, wishes
from headway.model_dir import LoadedModel, load_model

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """One text that goes on from a prompt."""

    text: str  # the prompt and what follows
    ids: list[int]  # of the prompt, as far as it was read, and of what follows
    score: float  # log-probability of what follows / length^length_penalty
    token_scores: list[float]  # log-probability of each token, 0 for the prompt's, and, last, of the end
    pieces: list[str]  # of the prompt, as far as it was read, and of what follows
    prompt_pieces: int


@dataclass(frozen=True)
class Prompt:
    """What a language model reads: all pieces of a prompt, and the end of them that it goes on from."""

    ids: list[int]
    prefix: list[int]
    conditions: Conditions | None = None  # of what follows


class Writer:
    """Continues texts with a trained language model.

    Args:
        path: a run directory, a model directory, or a model that is loaded.
        decoding: settings that differ from those of the configuration, such as ``temperature=0.8``.

    Raises:
        ModelError: there is no whole model. UsageError: a setting is not valid.
    """

    scoreless = ""
    many_lines = True  # an answer may have line breaks

    def __init__(self, path: str | PathLike[str] | LoadedModel, **decoding: Any) -> None:
        loaded = path if isinstance(path, LoadedModel) else load_model(path)
        config = loaded.config
        self.options = decoding_options(config, decoding)
        self._tokenizers, self._tokenizer = loaded.tokenizers, loaded.tokenizers.target
        self._steps = Preprocessor(config.data.preprocessing, config.data.source_language)
        self._context_length = config.data.max_length
        asked = config.model_copy(update={"decoding": self.options})
        self._never, self._never_first = forbidden_ids(asked, loaded.tokenizers), forbidden_first(asked, loaded.tokenizers)
        self._model = ready_to_compute(loaded, decoding)
        self._config = config

    def with_options(self, **decoding: Any) -> Self:
        """The same model with other settings of `decoding`. Raises UsageError for one that is not valid."""
        other = copy.copy(self)
        other.options = decoding_options(self._config, {**self.options.model_dump(), **decoding})
        other._wish_reader = self._wish_reader  # what it has read of wishes is read once
        return other

    def predict(self, prompts: Sequence[str], *, forbidden: Sequence[str] | None = None, **asked: Any) -> list[str]:
        """The best text for each prompt; an empty one leaves the model free.

        Args:
            forbidden: texts that nothing has which follows.

        Raises UsageError as `write`, and for a glossary or prefixes, which are for texts that are put in other words.
        """
        texts = list_of_texts(prompts)
        return [found[0].text for found in self.answer_pieces([texts], wishes(len(texts), forbidden=forbidden, **asked))]

    def write(self, prompts: Sequence[str]) -> Iterator[list[Written]]:
        """The `n_best` texts for each prompt, best first, in order. Raises UsageError for what is no list of texts."""
        return self.answer_pieces([list_of_texts(prompts)])

    def details(self, answer: Written) -> dict[str, Any]:
        """An answer for programs: how sure it is of each piece that follows the prompt, and of all in the geometric mean."""
        scores = answer.token_scores[answer.prompt_pieces :]
        return {
            "text": answer.text,
            "score": answer.score,
            "confidence": mean_probability(scores),
            "tokens": probabilities_of(answer.pieces[answer.prompt_pieces :], scores),
        }

    def answer_pieces(self, pieces: Iterable[list[str]], asked: Iterable[Wish] | None = None) -> Iterator[list[Written]]:
        """The same for prompts that come in lists: the answers to a list do not wait for the next one; `asked`: of each."""
        queries = {"beam": self.options.beam_size, "sample": self.options.n_best, "greedy": 1}[self.options.method]
        together, first = max(1, MOST_QUERIES // queries), 0
        remaining = None if asked is None else iter(asked)
        for prompts in pieces:
            for start in range(0, len(prompts), together):
                batch = prompts[start : start + together]
                own = None if remaining is None else list(itertools.islice(remaining, len(batch)))
                yield from self._write(batch, first, own)
                first += len(batch)

    def _write(self, prompts: list[str], first: int, asked: Sequence[Wish] | None) -> Iterator[list[Written]]:
        readings = self.read(prompts, asked, first)
        found = generate(
            self._model,
            None,
            None,
            self.options,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            prefixes=[reading.prefix for reading in readings],
            forbidden_ids=self._never,
            forbidden_first=self._never_first,
            sentence_numbers=range(first, first + len(prompts)),
            context_length=self._context_length,
            conditions=[reading.conditions for reading in readings],
        )
        for reading, hypotheses in zip(readings, found, strict=True):
            yield [self._written(hypothesis, reading) for hypothesis in hypotheses]

    def _written(self, hypothesis: Hypothesis, reading: Prompt) -> Written:
        return Written(
            text=self._tokenizer.decode([*reading.ids, *hypothesis.ids[len(reading.prefix) :]]),
            ids=hypothesis.ids,
            score=hypothesis.score,
            token_scores=hypothesis.token_scores,
            pieces=self._tokenizer.pieces(hypothesis.ids),
            prompt_pieces=len(reading.prefix),
        )

    # ---- a lane: prompts that come one after another (inference/lanes.py) ----

    nothing = None  # there is no blank prompt: it leaves the model free

    @property
    def takes_steps(self) -> bool:
        """Whether the model is Headway's; another engine's chooses its words itself."""
        return not isinstance(self._model, OwnSearch)

    def decoding(self) -> Decoding:
        """A batch that prompts join and leave; the model must take steps."""
        assert not isinstance(self._model, OwnSearch)
        constraints = Constraints(self.options, EOS_ID, (self._never, self._never_first))
        return Decoding(self._model, constraints, bos_id=BOS_ID, context_length=self._context_length)

    def read(self, prompts: Sequence[str], asked: Sequence[Wish] | None = None, first: int = 0) -> list[Prompt]:
        """What the model reads of each, with what is asked of its answer; `first` is the number of the first, for warnings."""
        texts = [self._steps.apply(whole_characters(prompt)) for prompt in prompts]
        rows = self._tokenizer.encode_many(texts)
        own = [self._conditions(one) for one in asked] if asked is not None else [None] * len(rows)
        return [Prompt(row, self._fitting(row, first + place), own[place]) for place, row in enumerate(rows)]

    def _conditions(self, asked: Wish) -> Conditions | None:
        if asked.glossary or asked.prefix.strip():
            remedy = "begin the prompt with it" if not asked.glossary else "leave it out"
            raise refusal(replace(asked, forbidden=()), "a language model, which goes on from a text,", remedy)
        return self._wish_reader.conditions(asked, "")

    @cached_property
    def _wish_reader(self) -> WishReader:
        return WishReader(self._tokenizers, self._steps, self._steps, self._context_length)

    def join(self, decoding: Decoding, readings: Sequence[Prompt], numbers: Sequence[int]) -> list[Sentence]:
        conditions = [reading.conditions for reading in readings]
        return decoding.join(None, None, [list(reading.prefix) for reading in readings], list(numbers), conditions)

    def partly(self, ids: list[int], reading: Prompt) -> str:
        """The text of an answer that is not done, prompt included, whose ids are these so far."""
        return self._tokenizer.decode([*reading.ids, *ids[len(reading.prefix) :]])

    def answers(self, sentence: Sentence, reading: Prompt) -> list[Written]:
        """What was found, best first, as people read it."""
        return [self._written(hypothesis, reading) for hypothesis in answers_of(sentence, self.options)]

    def _fitting(self, ids: list[int], number: int) -> list[int]:
        """The end of a prompt that is longer than the model looks back."""
        if unknown := ids.count(UNK_ID):
            _log.warning("prompt %d: the model does not know %d of its %d pieces: left out", number + 1, unknown, len(ids))
        room = self._context_length // 2
        if len(ids) > room and len(ids) >= self._context_length - 1:
            _log.warning("prompt %d has %d tokens, more than the model reads; its last %d are read", number + 1, len(ids), room)
            return ids[-room:]
        return ids
