"""What `headway predict` asks of a model, and the lines that it writes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from headway.data.lines import read_lines
from headway.data.preprocessing import is_blank
from headway.errors import UsageError
from headway.inference.labeller import Labeller
from headway.inference.predictor import Predictor
from headway.inference.wishes import Wish, read_glossary, wish
from headway.inference.writer import Writer


@dataclass(frozen=True)
class Form:
    """How answers are written: `n_best`: with the number of the line; `details`: as JSON."""

    scores: bool
    n_best: bool
    details: bool

    def refuse_misfits(self, predictor: Any) -> None:
        """Raises UsageError where the answers of a model cannot be written so."""
        option = "--scores" if self.scores else "--n-best"
        if self.details and (self.scores or self.n_best):
            raise UsageError("is no part of --details, which tell the scores", where=option, remedy="leave it out")
        if (answer := predictor.scoreless) and (self.scores or self.n_best):
            raise UsageError(f"a line has one {answer}, and a {answer} has no score", where=option, remedy="leave it out")

    def lines(self, predictor: Any, answers_of_lines: Iterable[Sequence[Any]]) -> Iterator[str]:
        """What is written for each answer to each line, a line at a time."""
        for number, answers in enumerate(answers_of_lines, 1):
            for answer in answers:
                if self.details:
                    yield json.dumps({"line": number, **predictor.details(answer)}, ensure_ascii=False)
                    continue
                place = [str(number)] if self.n_best else []
                score = [f"{answer.score:.4f}"] if self.scores or place else []
                text = "\t".join([*place, *score, answer.text])
                yield from [*text.split("\n"), ""] if predictor.many_lines else [text]


def asked_for(predictor: Any, run: str, direction: tuple[str | None, str | None], precision: float | None) -> Any:
    """The same model, told the direction of a translation (into, from) or the precision that its labels must have.

    Raises UsageError for what it does not have.
    """
    if precision is not None:
        if not isinstance(predictor, Labeller):
            raise UsageError("only a classifier can leave a line unanswered", where="--precision", remedy="leave it out")
        predictor.promise(precision)
    if isinstance(predictor, Predictor):
        return predictor.towards(*direction)
    if any(direction):
        raise UsageError("is no translator: it has no languages to choose", where=run, remedy="leave out --to and --from")
    return predictor


def wished(predictor: Any, glossary: str | None, forbidden: str | None, prefix: str | None) -> list[Iterator[Wish]]:
    """What is asked of every answer, as `answer_pieces` takes it; nothing where nothing is.

    Args:
        glossary, forbidden: files. prefix: a text.

    Raises DataError for a file that is none, UsageError for a model that writes no text.
    """
    given = {"--glossary": glossary, "--forbid": forbidden, "--prefix": prefix}
    option = next((name for name, value in given.items() if value is not None), None)
    if option is None:
        return []
    if not isinstance(predictor, Predictor | Writer):
        raise UsageError("is for models that write texts", where=option, remedy="leave it out")
    barred = [line.strip() for line in read_lines(forbidden)] if forbidden else []
    terms = read_glossary(glossary) if glossary else None
    return [itertools.repeat(wish(terms, [text for text in barred if not is_blank(text)], prefix or ""))]
