"""Answers to texts that come one after another: each begins when it comes, and is given as soon as it is written.

A lane is one batch of `decoding.Decoding`, with a model in one direction and one set of options. It joins what comes to what
is under way, so nobody waits for the end of a batch; what one text gets does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from headway.config import DecodingConfig
from headway.inference.constraints import Sentence
from headway.inference.decoding import Decoding, answers_of


class Speaker(Protocol):
    """What a lane asks of a predictor of translations, or of a writer."""

    nothing: Any  # the answer to a blank text

    @property
    def options(self) -> DecodingConfig: ...

    def decoding(self) -> Decoding:
        """A new batch, with nobody in it."""
        ...

    def read(self, texts: Sequence[str]) -> list[Any]:
        """What the model reads of each text; None of a blank one."""
        ...

    def join(self, decoding: Decoding, readings: Sequence[Any], numbers: Sequence[int]) -> list[Sentence]: ...

    def partly(self, ids: list[int], reading: Any) -> str:
        """The text of an answer that is not done, whose ids are these so far."""
        ...

    def answers(self, sentence: Sentence, reading: Any) -> list[Any]:
        """What was found of a sentence that is done, best first, as people read it."""
        ...


@dataclass(eq=False)
class Ticket:
    """A text on its way; `answers`, best first, are there when it is done, with whether each had to end where it does."""

    reading: Any
    sentence: Sentence | None = None
    answers: list[Any] | None = None
    full: list[bool] = field(default_factory=list)


class Lane:
    """Texts that are answered side by side."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._decoding = speaker.decoding()
        self._open: dict[int, Ticket] = {}  # by the identity of the sentence
        self._blank: list[Ticket] = []

    @property
    def open(self) -> int:
        return len(self._open) + len(self._blank)

    def join(self, texts: Sequence[str], numbers: Sequence[int]) -> list[Ticket]:
        """Begins to answer; `numbers` are what the samples of each text are seeded with beside `options.seed`.

        Raises UsageError and ModelError as `Decoding.join`; then none of them has begun.
        """
        tickets = [Ticket(reading) for reading in self._speaker.read(texts)]
        begun = [(ticket, number) for ticket, number in zip(tickets, numbers, strict=True) if ticket.reading is not None]
        if begun:
            readings = [ticket.reading for ticket, _ in begun]
            sentences = self._speaker.join(self._decoding, readings, [number for _, number in begun])
            for (ticket, _), sentence in zip(begun, sentences, strict=True):
                ticket.sentence = sentence
                self._open[id(sentence)] = ticket
        self._blank += [ticket for ticket in tickets if ticket.reading is None]
        return tickets

    def step(self) -> list[Ticket]:
        """A token more for each text; returns the tickets that are done. Raises ModelError as `Decoding.step`."""
        done, self._blank = self._blank, []
        for ticket in done:
            ticket.answers = [self._speaker.nothing]
        for sentence in self._decoding.step() if self._decoding.open else ():
            ticket = self._open.pop(id(sentence))
            ticket.answers = self._speaker.answers(sentence, ticket.reading)
            longest = len(sentence.prefix) + sentence.limit
            ticket.full = [len(found.ids) >= longest for found in answers_of(sentence, self._speaker.options)]
            done.append(ticket)
        return done

    def so_far(self, ticket: Ticket) -> str:
        """What has been written of an answer that is not done."""
        if ticket.sentence is None:
            return ""
        return self._speaker.partly(self._decoding.so_far(ticket.sentence), ticket.reading)

    def leave(self, tickets: Sequence[Ticket]) -> None:
        """Nobody waits for these any more."""
        gone = [ticket.sentence for ticket in tickets if ticket.sentence is not None]
        for sentence in gone:
            self._open.pop(id(sentence), None)
        self._blank = [ticket for ticket in self._blank if ticket not in tickets]
        self._decoding.leave(gone)
