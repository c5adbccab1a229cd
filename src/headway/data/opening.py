"""What stands before a text for the model: pieces that it has learned to find there, and the tag of a language."""

from __future__ import annotations

from collections.abc import Sequence

from headway.config import Config
from headway.data.tokenizer import Tokenizer, Tokenizers
from headway.errors import UsageError


def source_opening(config: Config, tokenizers: Tokenizers) -> list[int]:
    """The ids of `tokenizer.before_source`, and that, beyond the vocabulary, of the language that is asked for; often none.

    Raises UsageError for a piece that the tokenizer does not have.
    """
    tags = config.language_tags
    tag = [tokenizers.source.vocabulary_size + tags.index(config.data.target_language)] if tags else []
    return [*numbers_of(tokenizers.source, config.tokenizer.before_source, "tokenizer.before_source"), *tag]


def target_opening(config: Config, tokenizers: Tokenizers) -> list[int]:
    """The ids of `tokenizer.before_target`. Raises UsageError for a piece that the tokenizer does not have."""
    return numbers_of(tokenizers.target, config.tokenizer.before_target, "tokenizer.before_target")


def numbers_of(tokenizer: Tokenizer, pieces: Sequence[str], where: str) -> list[int]:
    """The ids of pieces that a setting names. Raises UsageError for one that the tokenizer does not have."""
    found = []
    for piece in pieces:
        if piece not in tokenizer.vocabulary:
            remedy = "name one of its pieces, or leave it out"
            raise UsageError(f"{piece!r} is no piece of the tokenizer", where=where, remedy=remedy)
        found.append(tokenizer.vocabulary.index(piece))
    return found
