"""Spans out of the model: for each question the best span of its passage over all windows, or no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from headway.data.preparation import MemoryRows
from headway.data.questions import Question, QuestionPreparation, Window
from headway.inference.labelling import BATCH_TOKENS
from headway.model.transformer import Transformer
from headway.tasks import span

LONGEST_ANSWER = 40  # tokens


@dataclass(frozen=True)
class Found:
    """An answer, empty where the passage holds none; `score` is its log-probability ahead of having none."""

    text: str
    start: int  # characters of the passage before it
    score: float


@torch.inference_mode()
def answer_questions(
    model: Transformer, questions: Sequence[Question], preparation: QuestionPreparation, *, may_be_none: bool
) -> list[Found]:
    """The best answer to each question. Unless `may_be_none` there always is one."""
    windows = preparation.windows(questions)
    rows = MemoryRows([window.ids for window in windows], [[window.first, window.last] for window in windows])
    device = next(model.parameters()).device
    updates = preparation.updates(rows, BATCH_TOKENS, 0, None)
    best: list[tuple[float, Window, int, int] | None] = [None] * len(questions)
    for index in range(len(updates)):
        batch = updates.batch(index)
        logits_BS2 = span.span_logits(model, batch.source_ids.to(device), batch.source_mask.to(device))
        log_p = logits_BS2.log_softmax(1).cpu().double().numpy()
        for place, row in enumerate(batch.indices.tolist()):
            window = windows[row]
            score, first, last = best_span(log_p[place], window.begins, len(window.ids))
            before = best[window.question]
            if before is None or score > before[0]:
                best[window.question] = (score, window, first, last)
    return [_found(question, one, may_be_none) for question, one in zip(questions, best, strict=True)]


def best_span(log_p_S2: NDArray[np.float64], begins: int, end: int) -> tuple[float, int, int]:
    """The span of the passage with the highest probability, at most `LONGEST_ANSWER` tokens: (how far ahead of none, places)."""
    first_P, last_P = log_p_S2[begins:end, 0], log_p_S2[begins:end, 1]
    none = float(log_p_S2[begins - 1].sum())
    if not len(first_P):
        return -np.inf, begins, begins
    totals_PP = np.triu(first_P[:, None] + last_P[None], 0) + np.where(np.tri(len(first_P), k=-1), -np.inf, 0.0)
    totals_PP[np.triu_indices(len(first_P), LONGEST_ANSWER)] = -np.inf
    first, last = np.unravel_index(int(totals_PP.argmax()), totals_PP.shape)
    return float(totals_PP[first, last]) - none, begins + int(first), begins + int(last)


def _found(question: Question, best: tuple[float, Window, int, int] | None, may_be_none: bool) -> Found:
    if best is None or best[0] == -np.inf or (may_be_none and best[0] <= 0):
        return Found("", 0, best[0] if best is not None else 0.0)
    score, window, first, last = best
    start, end = window.spans[first - window.begins][0], window.spans[last - window.begins][1]
    text = question.passage[start:end]
    return Found(text.strip(), start + len(text) - len(text.lstrip()), score)
