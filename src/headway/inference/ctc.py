"""What the encoder spells by itself: the likeliest symbol at each position, repetitions and blanks taken out.

Best-path decoding of connectionist temporal classification (Graves et al. 2006, section 3.2); the blank is number 0, padding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from headway.config import DecodingConfig
from headway.inference.hypothesis import Hypothesis
from headway.model.transformer import Transformer

BLANK = 0


@torch.inference_mode()
def spell(model: Transformer, source_BSF: Tensor, mask_BS: Tensor, options: DecodingConfig) -> list[list[Hypothesis]]:
    """One hypothesis for each source. A symbol's score is the log-probability of its surest position, that of the end the
    mean over the blanks; the score is as that of other methods.
    """
    assert model.ctc is not None
    log_p_BSV = model.ctc(model.encode(source_BSF, mask_BS)).float().log_softmax(-1)
    best_BS, chosen_BS = (found.cpu() for found in log_p_BSV.max(-1))
    lengths = mask_BS.sum(1).tolist()
    paths = zip(best_BS.tolist(), chosen_BS.tolist(), lengths, strict=True)
    return [[_collapsed(best[:length], chosen[:length], options.length_penalty)] for best, chosen, length in paths]


def _collapsed(log_p: list[float], path: list[int], length_penalty: float) -> Hypothesis:
    found = surest_places(log_p, path)
    blanks = [score for score, symbol in zip(log_p, path, strict=True) if symbol == BLANK]
    scores = [*(log_p[place] for place, _ in found), sum(blanks) / len(blanks) if blanks else 0.0]
    return Hypothesis([symbol for _, symbol in found], sum(scores) / len(scores) ** length_penalty, scores)


def surest_places(log_p: list[float], path: list[int]) -> list[tuple[int, int]]:
    """The place and the number of each symbol of a path: of those that it stays at, the surest."""
    found: list[tuple[int, int]] = []
    before = BLANK
    for place, (score, symbol) in enumerate(zip(log_p, path, strict=True)):
        if symbol != BLANK and symbol != before:
            found.append((place, symbol))
        elif symbol != BLANK and score > log_p[found[-1][0]]:
            found[-1] = (place, symbol)
        before = symbol
    return found
