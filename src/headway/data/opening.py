"""What stands before a text for the encoder: pieces that a model has learned to find there, and the tag of a language."""

from __future__ import annotations

from headway.config import Config
from headway.data.tokenizer import Tokenizers
from headway.errors import UsageError


def opening(config: Config, tokenizers: Tokenizers) -> list[int]:
    """The ids of `tokenizer.before_source`, and that, beyond the vocabulary, of the language that is asked for; often none.

    Raises UsageError for a piece that the tokenizer does not have.
    """
    vocabulary, found = tokenizers.source.vocabulary, []
    for piece in config.tokenizer.before_source:
        if piece not in vocabulary:
            remedy = "name one of its pieces, or leave it out"
            raise UsageError(f"{piece!r} is no piece of the tokenizer", where="tokenizer.before_source", remedy=remedy)
        found.append(vocabulary.index(piece))
    tags = config.language_tags
    return [*found, *([len(vocabulary) + tags.index(config.data.target_language)] if tags else [])]
