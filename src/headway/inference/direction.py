"""Which of a translator's directions is asked for."""

from __future__ import annotations

import difflib

from headway.config import DataConfig, Direction
from headway.errors import UsageError


def choose_direction(data: DataConfig, to: str | None, from_: str | None) -> Direction:
    """The direction into the language `to`, and out of `from_`; either may be left out where it makes no difference.

    A pair of languages that were learned, but never with each other, is accepted (Johnson et al. 2017: zero-shot).

    Args:
        data: of the trained model.

    Raises:
        UsageError: a language is missing or unknown; the directions there are are named.
    """
    known = data.directions
    offer = f"its directions: {', '.join(map(str, known))}"
    targets = list(dict.fromkeys(direction.target for direction in known))
    if to is None and len(targets) > 1:
        problem = f"this model translates into {', '.join(targets[:-1])} and {targets[-1]}: one of them must be asked for"
        raise UsageError(problem, where="--to", remedy=f"--to {targets[0]}, or predict(…, to={targets[0]!r}); {offer}")
    to = to or targets[0]
    if to not in targets:
        raise _unknown("into", to, targets, "--to", offer)
    sources = list(dict.fromkeys(direction.source for direction in known if direction.target == to))
    if from_ is None and len(sources) > 1 and any(step.startswith("moses_") for step in data.preprocessing):
        problem = f"the preprocessing must know which of {', '.join(sources)} is read"
        raise UsageError(problem, where="--from", remedy=f"--from {sources[0]}, or predict(…, from_={sources[0]!r}); {offer}")
    everywhere = list(dict.fromkeys(direction.source for direction in known))
    if from_ is not None and from_ not in everywhere:
        raise _unknown("from", from_, everywhere, "--from", offer)
    return Direction(from_ or sources[0], to)


def _unknown(which: str, language: str, known: list[str], where: str, offer: str) -> UsageError:
    near = difflib.get_close_matches(language.lower(), known, 1, 0.5)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return UsageError(f"this model does not translate {which} {language!r}", where=where, remedy=meant + offer)
