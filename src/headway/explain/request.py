"""What is asked for, and what the subjects of all tasks are made with: names of pieces, and the search once more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from headway.config import Config
from headway.data.pairs import forbidden_first, forbidden_ids
from headway.data.tokenizer import BOS_ID, EOS_ID, Tokenizer
from headway.explain.search import SearchTree, search_tree
from headway.explain.sides import END, HIDDEN, INSIDE, WORD_STARTS, Side, shown_pieces
from headway.inference.decoding import generate
from headway.inference.predictor import decoding_options
from headway.inference.search import Candidate
from headway.model_dir import LoadedModel, load_model

Direction = tuple[str | None, str | None]


@dataclass(frozen=True)
class Request:
    """What is to be explained.

    Attributes:
        loaded: the plain model.
        decoding: settings that differ from those of the configuration.
        direction: the languages that are written and read, for a model of several directions.
        found: the answer, where it was given already, as the predictor of the task found it.
    """

    loaded: LoadedModel
    text: str
    decoding: dict[str, Any]
    direction: Direction
    found: Any = None

    @property
    def config(self) -> Config:
        return self.loaded.config

    @property
    def tokenizer(self) -> Tokenizer:
        return self.loaded.tokenizers.source

    def answering(self) -> LoadedModel:
        """The same model once more, for the fast path to lay out its weights."""
        return load_model(self.loaded.directory)


def beam_search(
    request: Request, tokenizer: Tokenizer, source: Side | None, prompt: list[int]
) -> Callable[[], SearchTree] | None:
    """What searches once more, and remembers; None where the answer was not searched for by beams."""
    config, model, names = request.config, request.loaded.model, piece_names(tokenizer)
    options = decoding_options(config, request.decoding)
    if options.method != "beam":
        return None
    asked = config.model_copy(update={"decoding": options})

    def search() -> SearchTree:
        history: list[list[Candidate]] = []
        device = next(model.parameters()).device
        generate(
            model,
            source.as_read(device) if source is not None else None,
            torch.ones(1, len(source), dtype=torch.bool, device=device) if source is not None else None,
            options,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            prefixes=[prompt],
            forbidden_ids=forbidden_ids(asked, request.loaded.tokenizers),
            forbidden_first=forbidden_first(asked, request.loaded.tokenizers),
            context_length=config.data.max_length if source is None else None,
            history=history,
        )
        return search_tree(history, options.length_penalty, names, lambda said: tokenizer.decode([*prompt, *said]))

    return search


def piece_names(tokenizer: Tokenizer) -> Callable[[int], str]:
    """What a token is shown as, by its number."""
    marked = any(piece.startswith(WORD_STARTS) for piece in tokenizer.vocabulary)

    def name(number: int) -> str:
        if number == EOS_ID:
            return END
        if number >= tokenizer.vocabulary_size:
            return HIDDEN
        (piece,) = tokenizer.pieces([number])
        (shown,) = shown_pieces([piece], [tokenizer.decode([number])])
        inside = marked and not piece.startswith(WORD_STARTS) and any(map(str.isalnum, shown))
        return f"{INSIDE}{shown}" if inside else shown

    return name
