"""The process that tries one size of batch: `python -m headway.tuning.batch_probe CONFIG`. It prints what a batch took, as JSON.

A process of its own, because resident memory never falls again and running out of memory must end nothing else.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import torch

from headway.config import load_config
from headway.data.batches import Batch
from headway.data.preparation import MemoryRows, measured
from headway.machine import peak_memory
from headway.tasks import TASKS
from headway.training.loop import train_step
from headway.tuning.range_test import Learning, fresh_learning


def main(path: str) -> int:
    config = load_config(path, paths_as_written=True)
    learning = fresh_learning(config)
    batches, whole = heaviest_batches(learning)
    device = learning.state.world.device
    try:
        for pieces in batches:  # the first one also makes the optimiser's memory
            began = time.perf_counter()
            result = train_step(learning.state, pieces)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - began
    except torch.OutOfMemoryError:
        print(json.dumps({"fits": False}))
        return 0
    peak = torch.cuda.max_memory_reserved(device) if device.type == "cuda" else peak_memory()
    print(json.dumps({"fits": True, "peak": peak, "seconds": seconds, "tokens": result.tokens, "whole": whole}))
    return 0


def heaviest_batches(learning: Learning) -> tuple[list[list[Batch]], bool]:
    """Of the longest rows of the corpus the update with the most attention and that with the most tokens, as micro-batches.

    Also whether these rows are all that there are.
    """
    config = learning.state.config
    in_one_direction = config.in_direction(config.data.parts("train")[0].direction)
    preparation = TASKS[config.task].preparation(learning.tokenizers, in_one_direction)
    rows = measured(preparation, learning.corpus.rows)
    longer = np.maximum(rows.source_lengths, rows.target_lengths).astype(np.int64) + 1
    order = np.argsort(-longer, kind="stable")
    needed = int(np.searchsorted(np.cumsum(longer[order]), 2 * config.training.batch_tokens)) + 1
    chosen = [int(row) for row in order[:needed]]
    sources: list[Any] = [rows.source(row) for row in chosen]  # arrays are read as lists are
    longest = MemoryRows(sources, [rows.target(row).tolist() for row in chosen])
    updates = preparation.updates(longest, config.training.batch_tokens, config.training.seed, None)
    parts = config.training.accumulation
    batches = [[updates.batch(index, part, parts) for part in range(parts)] for index in range(len(updates))]
    return [max(batches, key=_attention), max(batches, key=_tokens)], needed >= len(longer) and len(batches) == 1


def _tokens(pieces: list[Batch]) -> int:
    return sum(piece.source_mask.numel() + piece.target_in.numel() for piece in pieces)


def _attention(pieces: list[Batch]) -> int:
    sides = [side for piece in pieces for side in (piece.source_mask, piece.target_in)]
    return sum(side.numel() * side.shape[1] for side in sides)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
