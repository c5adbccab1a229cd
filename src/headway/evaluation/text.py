"""A language model and text it has not seen → loss, perplexity and bits per byte with intervals.

The text is cut into rows as in validation, and a row is what the bootstrap draws: its loss depends on no other row. Bytes are
those of UTF-8 that the pieces spell, shared out among the tokens, so that models with other tokenizers can be compared: what a
tokenizer loses (an unknown character, the second of two blanks) is no byte that was guessed.
"""

from __future__ import annotations

import logging
from collections import Counter
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from headway.config import TrainingConfig
from headway.data.preparation import MemoryRows, Preparation
from headway.data.texts import TextPreparation
from headway.data.token_cache import in_pieces
from headway.data.tokenizer import EOS_ID, UNK_ID
from headway.errors import HeadwayError
from headway.evaluation.frequency import NAMES, range_of
from headway.evaluation.intervals import score_interval
from headway.evaluation.metrics import Measurement
from headway.evaluation.outcome_record import Outcome, PassageRecord, TableRecord
from headway.evaluation.request import Request, bootstrap_of
from headway.inference.labelling import BATCH_TOKENS
from headway.model.transformer import Transformer
from headway.tasks import TASKS, extra_pieces
from headway.training.losses import token_losses
from headway.training.parallel import choose_device

MOST_CHARACTERS = 10_000_000  # of the training text, in which pieces are counted
_log = logging.getLogger(__name__)


@torch.no_grad()
def row_losses(model: Transformer, rows: MemoryRows, preparation: Preparation, ranges_V: Tensor | None = None) -> np.ndarray:
    """For each row its −log p in nats and its tokens, float64 [N, 2]; rows stand as the examples do, packed ones as the text.

    With `ranges_V`, the range that each piece of the vocabulary is in, the same for the pieces of each range, [N, ranges, 2].
    """
    device = next(model.parameters()).device
    updates = preparation.updates(rows, BATCH_TOKENS, 0, None)
    found, places = [], []
    for index in range(len(updates)):
        batch = updates.batch(index).to(device)
        if not model.decoder:
            hidden = model.encode(batch.source_ids, batch.source_mask)
        elif not model.encoder:
            hidden = model.decode(batch.target_in, None, None, segments_BT=batch.segments)
        else:
            hidden = model(batch.source_ids, batch.source_mask, batch.target_in)
        losses = token_losses(hidden, model.output_weight, batch.target_out, model.output_bias)
        counted = (batch.target_out >= 0).double()
        if ranges_V is not None:
            inside_RBT = ranges_V.to(device)[batch.target_out.clip(0)] == torch.arange(len(NAMES), device=device)[:, None, None]
            losses, counted = losses * inside_RBT, counted * inside_RBT
        found.append(torch.stack((losses.sum(-1), counted.sum(-1)), dim=-1).movedim(-2, 0))
        places.append(batch.indices)
    order = torch.cat(places).argsort(stable=True)  # the plan has them by length; packed rows may begin in the same document
    return torch.cat(found)[order].cpu().numpy()


def text_outcome(request: Request) -> Outcome:
    """The scores of a language model on the documents of a set."""
    loaded, config = request.loaded, request.config
    preparation = TASKS[config.task].preparation(loaded.tokenizers, config)
    assert isinstance(preparation, TextPreparation)
    rows = preparation.rows_of_all(request.examples)
    model = loaded.model.to(choose_device(TrainingConfig()))  # that of this machine, whatever it was trained on
    ranges_V, counted = _ranges_of_pieces(request, preparation)
    parts_NR2 = row_losses(model, rows, preparation, ranges_V)
    losses = parts_NR2.sum(1)
    scores = loss_scores(losses)
    if preparation.guesses_all:
        scores["bits_per_byte"] = _bits_per_byte(losses, preparation.spelled_bytes(rows))
        _warn_of_unknown_pieces(rows)
    texts = _texts_of_rows(rows, preparation)
    passages = [
        PassageRecord(text=text, nats=nats, tokens=int(tokens))
        for text, (nats, tokens) in zip(texts, losses.tolist(), strict=True)
    ]
    return Outcome(scores, passages=passages, tables=_frequency_table(parts_NR2, counted, bootstrap_of(request.config)))


def _ranges_of_pieces(request: Request, preparation: TextPreparation) -> tuple[Tensor, int]:
    """The range of frequency that each piece is in, and in how many characters of the training text it was counted.

    What ends or marks a row stands in each of them. The characters are 0 where the training text is gone.
    """
    pieces, extra = request.loaded.tokenizers.target.vocabulary_size, len(extra_pieces(request.config))
    counts_V = np.zeros(pieces + extra, dtype=np.int64)
    characters = rows = 0
    try:
        for part in request.config.data.parts("train"):
            for texts in in_pieces(preparation.read(part, request.config.data)):
                found = preparation.prepare(texts, Counter()).rows[1]
                counts_V += np.bincount(np.fromiter(chain.from_iterable(found), dtype=np.int64), minlength=len(counts_V))
                characters, rows = characters + sum(len(text.source) for text in texts), rows + len(found)
                if characters >= MOST_CHARACTERS:
                    break
    except HeadwayError as error:
        _log.warning("nothing is said of rare pieces: %s", error)
        characters = 0
    counts_V[pieces:] = rows
    counts_V[EOS_ID] = max(rows, counts_V[EOS_ID])
    return torch.tensor([range_of(count) for count in counts_V.tolist()]), characters


def _frequency_table(parts_NR2: np.ndarray, counted: int, bootstrap: tuple[int, float, int]) -> list[TableRecord]:
    """The loss of the pieces of each range with its interval."""
    if not counted:
        return []

    confidence, rows = bootstrap[1], []
    for name, parts_N2 in zip(NAMES, np.moveaxis(parts_NR2, 1, 0), strict=True):
        with_some_N2 = parts_N2[parts_N2[:, 1] > 0]
        if len(with_some_N2):
            found = score_interval(with_some_N2, "mean", *bootstrap)
            shown = f"{found.score:.3f} ({found.low:.3f}–{found.high:.3f})"
            rows.append([name, shown, f"{with_some_N2[:, 1].sum():,.0f}"])
    title = f"loss by how often the piece stands in {counted:,} characters of the training text"
    return [TableRecord(title=title, head=["times in training", f"loss ({100 * confidence:g} % interval)", "tokens"], rows=rows)]


def _texts_of_rows(rows: MemoryRows, preparation: TextPreparation) -> list[str]:
    """The text of each row that `row_losses` tells of, undamaged."""
    if not preparation.guesses_all:
        return [preparation.decode(row) for row in rows.target_rows]
    updates = preparation.updates(rows, BATCH_TOKENS, 0, None)
    found, places = [], []
    for index in range(len(updates)):
        batch = updates.batch(index)
        found += [preparation.decode(row[row >= 0].tolist()) for row in batch.target_out]
        places.append(batch.indices)
    return [found[place] for place in torch.cat(places).argsort(stable=True).tolist()]


def _warn_of_unknown_pieces(rows: MemoryRows) -> None:
    pieces = sum(map(len, rows.target_rows))
    unknown = sum(int(np.count_nonzero(np.asarray(row) == UNK_ID)) for row in rows.target_rows)
    if 1000 * unknown > pieces:
        message = "%.1f %% of the pieces are unknown to the tokenizer, and easy to guess: the loss says less than it seems to"
        _log.warning(message, 100 * unknown / pieces)


def loss_scores(losses: np.ndarray) -> dict[str, Measurement]:
    """The scores of rows with `losses` [N, 2]."""
    unit = "nats of a token, its end of document included"
    return {
        "loss": Measurement("loss", "loss", unit, losses, "mean", False),
        "perplexity": Measurement(
            "perplexity", "perplexity", "e^loss; depends on the tokenizer", losses, "exponential_mean", False
        ),
    }


def _bits_per_byte(losses: np.ndarray, spelled_bytes: int) -> Measurement:
    bytes_of_token = max(spelled_bytes, 1) / max(losses[:, 1].sum(), 1.0)
    unit = f"{spelled_bytes:,} bytes of UTF-8 that the pieces spell"
    return Measurement("bits_per_byte", "bits per byte", unit, losses * [1.0, bytes_of_token], "mean_bits", False)
