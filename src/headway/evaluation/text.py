"""A language model and text it has not seen → loss, perplexity and bits per byte with intervals.

The text is cut into rows as in validation, and a row is what the bootstrap draws: its loss depends on no other row. Bytes are
those of UTF-8 that the pieces spell, shared out among the tokens, so that models with other tokenizers can be compared: what a
tokenizer loses (an unknown character, the second of two blanks) is no byte that was guessed.
"""

from __future__ import annotations

import logging

import numpy as np
import torch

from headway.config import TrainingConfig
from headway.data.preparation import MemoryRows, Preparation
from headway.data.texts import TextPreparation
from headway.data.tokenizer import UNK_ID
from headway.evaluation.metrics import Measurement
from headway.evaluation.outcome_record import Outcome, PassageRecord
from headway.evaluation.request import Request
from headway.inference.labelling import BATCH_TOKENS
from headway.model.transformer import Transformer
from headway.tasks import TASKS
from headway.training.losses import token_losses
from headway.training.parallel import choose_device

_log = logging.getLogger(__name__)


@torch.no_grad()
def row_losses(model: Transformer, rows: MemoryRows, preparation: Preparation) -> np.ndarray:
    """For each row its −log p in nats and its tokens, float64 [N, 2]; rows stand as the examples do, packed ones as the text."""
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
        losses = token_losses(hidden, model.output_weight, batch.target_out)
        found.append(torch.stack((losses.sum(1), (batch.target_out >= 0).sum(1).double()), dim=1))
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
    losses = row_losses(model, rows, preparation)
    scores = loss_scores(losses)
    if preparation.guesses_all:
        scores["bits_per_byte"] = _bits_per_byte(losses, preparation.spelled_bytes(rows))
        _warn_of_unknown_pieces(rows)
    texts = _texts_of_rows(rows, preparation)
    passages = [
        PassageRecord(text=text, nats=nats, tokens=int(tokens))
        for text, (nats, tokens) in zip(texts, losses.tolist(), strict=True)
    ]
    return Outcome(scores, passages=passages)


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
