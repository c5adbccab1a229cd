"""What a server accepts at most. Every input has a bound."""

from __future__ import annotations

from dataclasses import dataclass, fields

from headway.errors import UsageError


@dataclass(frozen=True)
class Limits:
    """
    Attributes:
        body_bytes: of a request. texts: of a request. characters: of a text. sentences: of all documents of a request.
        waiting: texts that are accepted and not answered yet, of a model; more are refused.
        at_a_time: texts that one worker has at the same time; the others wait their turn.
        seconds: until a request is given up. read_seconds: for the head of a request, and for each part of its body.
        connections: open at the same time.
        drain_seconds: that a stopping server goes on for those who wait.
    """

    body_bytes: int = 2 << 20
    texts: int = 256
    characters: int = 20_000
    sentences: int = 1024
    waiting: int = 512
    at_a_time: int = 64
    seconds: float = 60.0
    read_seconds: float = 8.0
    connections: int = 1024
    drain_seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise UsageError(f"{value} is no limit", where=field.name, remedy="give a number above 0")


# What a client may choose of `decoding`, and the bounds of its numbers.
CHOICES: dict[str, tuple[float, float]] = {
    "beam_size": (1, 16),
    "n_best": (1, 16),
    "length_penalty": (0, 5),
    "maximum_length": (1, 1024),
    "minimum_length": (0, 1024),
    "no_repeat_ngram": (0, 10),
    "temperature": (0.01, 10),
    "top_k": (0, 1000),
    "top_p": (0.01, 1),
    "seed": (0, 2**63 - 1),
}
METHODS = ("greedy", "beam", "sample")
