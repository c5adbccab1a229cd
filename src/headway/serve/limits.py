"""What a server accepts at most. Every input has a bound."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from headway.errors import UsageError

FILE_ALONE, FILE_FORM = re.compile("/predict/[^/]+/file"), re.compile("/v1/audio/transcriptions")
FORM_BYTES = 16 << 10  # of a form beside its file


@dataclass(frozen=True)
class Limits:
    """
    Attributes:
        body_bytes: of a request. file_bytes: of a file that is sent. files: that are received or answered at the same time.
        texts: of a request. characters: of a text. sentences: of all documents of a request.
        explained: characters of a text whose answer is explained.
        terms: of a glossary, and texts that a request forbids. term_characters: of each, of a translation, and of a prefix.
        wishes: characters of a glossary and of forbidden texts, times the texts that go to workers with them.
        waiting: texts that are accepted and not answered yet, of a model; more are refused.
        at_a_time: texts that one worker has at the same time; the others wait their turn.
        seconds: until a request is given up. read_seconds: for the head of a request, and for each part of its body.
        connections: open at the same time. corrections_bytes: of a file of corrections.
        drain_seconds: that a stopping server goes on for those who wait.
    """

    body_bytes: int = 2 << 20
    file_bytes: int = 25 << 20
    files: int = 16
    texts: int = 256
    characters: int = 20_000
    sentences: int = 1024
    explained: int = 1_000
    terms: int = 200
    term_characters: int = 200
    wishes: int = 2_000_000
    waiting: int = 512
    at_a_time: int = 64
    seconds: float = 60.0
    read_seconds: float = 8.0
    connections: int = 1024
    corrections_bytes: int = 64 << 20
    drain_seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise UsageError(f"{value} is no limit", where=f"limits.{field.name}", remedy="give a number above 0")

    def bytes_of(self, path: str) -> int:
        """The most that the body of a request to this path may have; only those that take files may have more than others."""
        if FILE_FORM.fullmatch(path):
            return self.file_bytes + FORM_BYTES
        return self.file_bytes if FILE_ALONE.fullmatch(path) else self.body_bytes


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
