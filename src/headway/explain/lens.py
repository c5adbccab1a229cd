"""How sure the model was of each output, what it would have said instead, and what each layer would have said.

N outputs   C choices   L layers
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headway.explain.subject import Subject

ALTERNATIVES = 5  # of each output


@dataclass(frozen=True)
class Choice:
    """What might be said, and how likely: a probability, or the figure itself."""

    text: str
    value: float


@dataclass(frozen=True)
class Sureness:
    """How an output was chosen.

    Attributes:
        value: its probability, or the figure itself.
        entropy: of all choices, in bits; 0 is sure.
        rank: of the output among the choices, from 1.
        likeliest: the best choices, best first.
    """

    value: float
    entropy: float
    rank: int
    likeliest: list[Choice]


@torch.inference_mode()
def sureness(subject: Subject) -> list[Sureness]:
    """Of each output."""
    return _of_logits(subject, subject.logits(*subject.ids())[0])


@torch.inference_mode()
def logit_lens(subject: Subject) -> list[list[Sureness]]:
    """What each layer of the stack that answers would have said: its states read out as if they were the last.

    The last layer is the answer itself. ("interpreting GPT: the logit lens", nostalgebraist 2020.)
    """
    model = subject.model
    norm = model.decoder_norm if subject.target is not None else model.encoder_norm
    with subject.layer_states() as layers:
        subject.states(*subject.ids())
    return [_of_logits(subject, subject.read_out(norm(states)).float()[0]) for states in layers]


def _of_logits(subject: Subject, logits_NC: Tensor) -> list[Sureness]:
    chosen_N1 = torch.tensor([output.choice for output in subject.outputs], device=logits_NC.device)[:, None]
    if subject.scale == "value":
        values = logits_NC.gather(1, chosen_N1)[:, 0].tolist()
        return [Sureness(value, 0.0, 1, []) for value in values]
    log_p_NC = logits_NC.double().log_softmax(1)
    p_NC = log_p_NC.exp()
    entropy_N = -(p_NC * log_p_NC.clamp(min=-1e30)).sum(1) / torch.tensor(2.0).log()
    own_N1 = log_p_NC.gather(1, chosen_N1)
    rank_N = (log_p_NC > own_N1).sum(1) + 1
    best = p_NC.topk(min(ALTERNATIVES, p_NC.shape[1]), dim=1)
    figures = zip(own_N1[:, 0].exp().tolist(), entropy_N.tolist(), rank_N.tolist(), strict=True)
    return [
        Sureness(value, entropy, rank, [Choice(subject.name_of(c), p) for p, c in zip(ps, choices, strict=True)])
        for (value, entropy, rank), ps, choices in zip(figures, best.values.tolist(), best.indices.tolist(), strict=True)
    ]
