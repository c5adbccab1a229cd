"""What is asked of one answer, in pieces: what it begins with, must contain, and must not contain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from headway.data.surfaces import Surfaces
from headway.data.words import squeezed, whole_words
from headway.inference.demands import Demand, Phrase
from headway.inference.forbidden import Forbidden


@dataclass(frozen=True)
class Conditions:
    """Of one answer; `wishes.py` makes them of what people ask.

    Attributes:
        prefix: ids that it begins with. phrases: each as often as it must come.
    """

    surfaces: Surfaces
    prefix: tuple[int, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    forbidden: Forbidden | None = None

    def demand(self, *, limit: int, eos_id: int, beams: int) -> Demand | None:
        """The phrases for a search of one sentence, which may add `limit` tokens to its prefix; None where there are none."""
        if not self.phrases:
            return None
        return Demand(self.phrases, self.surfaces, written=self.prefix, limit=limit, eos_id=eos_id, beams=beams)

    def missed(self, text: str) -> Iterator[str]:
        """The phrases that do not stand in an answer, once for each time that they should."""
        seen = squeezed(text.strip())
        texts = {squeezed(phrase.text): phrase.text for phrase in self.phrases}
        counts = Counter(squeezed(phrase.text) for phrase in self.phrases)
        for own, text in texts.items():
            missing = counts[own] - sum(1 for _ in whole_words(own, seen))
            yield from [text] * max(0, missing)
