"""Losses over hidden states. The V-wide logits are never whole: they come in chunks, with their gradient in the same pass.

P passes over the same tokens (2 under R-Drop, else 1), N valid tokens, D width, V vocabulary. Every loss is a SUM over
tokens; the caller divides by the global number of valid tokens, so micro-batches and ranks add up to exactly one batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from headway.config import LabelKind, TrainingConfig

IGNORED = -100
CHUNK_ELEMENTS = 1 << 23  # logits alive at a time: 16 MB in bf16, 32 MB in float32


class TokenLoss(NamedTuple):
    """Sums over valid tokens, and their number."""

    loss: Tensor  # what is differentiated: smoothed, with the consistency term
    negative_log_likelihood: Tensor  # for perplexity; carries no gradient
    tokens: int


def regularised(model: Any, training: TrainingConfig, loss: Callable[..., TokenLoss], *tensors: Tensor | None) -> TokenLoss:
    """`loss(*tensors, smoothing=, consistency=)`, each tensor [B, …] or None; while the model is not in training mode plain.

    Under R-Drop (Wu et al. 2021, section 3) every row goes through the model twice with different dropout, and both must
    agree; the sum is then halved, so a token still counts once.
    """
    smoothing, consistency = (training.label_smoothing, training.r_drop) if model.training else (0.0, 0.0)
    if not consistency:
        return loss(*tensors, smoothing=smoothing, consistency=0.0)
    twice = [None if tensor is None else torch.cat((tensor, tensor)) for tensor in tensors]
    both = loss(*twice, smoothing=smoothing, consistency=consistency)
    return TokenLoss(both.loss / 2, both.negative_log_likelihood / 2, both.tokens // 2)


def cross_entropy(
    hidden_BTD: Tensor,
    weight_VD: Tensor,
    targets_BT: Tensor,
    *,
    bias: Tensor | None = None,
    smoothing: float = 0.0,
    consistency: float = 0.0,
) -> TokenLoss:
    """Label-smoothed cross-entropy of `softmax(hidden · weightᵀ + bias)` (section 5.4), and R-Drop's consistency term.

    Args:
        hidden_BTD: decoder states. With `consistency` the batch holds every row twice, second half after the first.
        weight_VD: output matrix; its gradient is summed in its own dtype.
        targets_BT: next tokens; `IGNORED` positions are not computed at all.
        bias: of the output, [V]; it has no gradient.
        smoothing: ε of label smoothing: the target is (1 − ε) one-hot + ε / V.
        consistency: α of R-Drop (Wu et al. 2021, equation 4): α/2 · (KL(p₁‖p₂) + KL(p₂‖p₁)) is added for each pair.
    """
    valid = (targets_BT != IGNORED).flatten().nonzero().squeeze(1)
    hidden_ND = hidden_BTD.flatten(0, 1).index_select(0, valid)
    targets_N = targets_BT.flatten().index_select(0, valid)
    passes = 2 if consistency else 1
    loss, nll = _ChunkedCrossEntropy.apply(
        hidden_ND.view(passes, -1, hidden_ND.shape[-1]), weight_VD, bias, targets_N.view(passes, -1), smoothing, consistency
    )
    return TokenLoss(loss, nll, len(targets_N))


def ctc_loss(logits_BSV: Tensor, mask_BS: Tensor, targets_BT: Tensor) -> Tensor:
    """−log p of the targets, summed over them, over all ways to spell them along the source (Graves et al. 2006, equation 8).

    Args:
        logits_BSV: what the encoder makes of each position; number 0, padding, is the blank.
        targets_BT: with the end of sentence, which is not spelled. One longer than its source allows counts for nothing.
    """
    log_p_SBV = logits_BSV.float().log_softmax(-1).transpose(0, 1)
    lengths_B = (targets_BT != IGNORED).sum(1) - 1
    targets_BT = targets_BT[:, :-1].masked_fill(
        torch.arange(targets_BT.shape[1] - 1, device=targets_BT.device) >= lengths_B[:, None], 0
    )
    return F.ctc_loss(log_p_SBV, targets_BT, mask_BS.sum(1), lengths_B.clamp(min=0), blank=0, reduction="sum", zero_infinity=True)


def label_loss(
    logits_BL: Tensor, targets: Tensor, kind: LabelKind, *, smoothing: float = 0.0, consistency: float = 0.0
) -> TokenLoss:
    """The loss of texts with labels, summed over them and, with several at once, over the labels too.

    Args:
        logits_BL: [B, L] float32; [B, 1] for numbers. With `consistency` the second half repeats the texts of the first.
        targets: [B, 1] the number of the label, `IGNORED` for none; [B, L] 0 or 1 for "several"; [B, 1] the bits of a
            float32 for "number".
        consistency: α/2 · (KL(p₁‖p₂) + KL(p₂‖p₁)) is added for each text; of a number α/4 times the squared difference.
    """
    first, second = logits_BL.chunk(2) if consistency else (logits_BL, logits_BL)
    if kind == "number":
        wanted = targets.to(torch.int32).view(torch.float32)
        exact = plain = 0.5 * (logits_BL - wanted).square().sum()
        apart = 0.25 * consistency * (first - second).square().sum()
        valid = targets.numel()
    elif kind == "several":
        wanted = targets.to(logits_BL.dtype)
        plain = F.binary_cross_entropy_with_logits(logits_BL, wanted * (1 - smoothing) + smoothing / 2, reduction="sum")
        exact = F.binary_cross_entropy_with_logits(logits_BL.detach(), wanted, reduction="sum")
        apart = consistency / 2 * ((first.sigmoid() - second.sigmoid()) * (first - second)).sum()
        valid = targets.numel()
    else:
        labels = targets.squeeze(1)
        plain = F.cross_entropy(logits_BL, labels, ignore_index=IGNORED, label_smoothing=smoothing, reduction="sum")
        exact = F.cross_entropy(logits_BL.detach(), labels, ignore_index=IGNORED, reduction="sum")
        log_p, log_q = first.log_softmax(1), second.log_softmax(1)
        apart = consistency / 2 * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum()
        valid = int((labels != IGNORED).sum())
    return TokenLoss(plain + apart if consistency else plain, exact.detach().double(), valid)


def contrastive_loss(sources_BD: Tensor, targets_BD: Tensor, texts_B2: Tensor, *, temperature: float) -> TokenLoss:
    """InfoNCE within the batch, both ways (van den Oord et al. 2018, equation 4; Radford et al. 2021, figure 3; Gao et al. 2021).

    Each source is asked which target of the batch is its own, and each target which source: the cross-entropy of the softmax
    over the cosines of the batch, divided by `temperature`, summed over these 2B questions. Rows that share a text are not
    held against each other. The batch is the set of negatives: unlike any other loss this one depends on how an update is
    cut, for each micro-batch of each rank is compared with itself alone.

    Args:
        sources_BD, targets_BD: vectors of unit length.
        texts_B2: numbers of the texts of each row: the same number is the same text.
    """
    same_BB = (texts_B2[:, None, :, None] == texts_B2[None, :, None, :]).any(3).any(2)
    own_B = torch.arange(len(sources_BD), device=sources_BD.device)
    same_BB[own_B, own_B] = False
    logits_BB = (sources_BD @ targets_BD.t() / temperature).masked_fill(same_BB, -torch.inf)
    loss = F.cross_entropy(logits_BB, own_B, reduction="sum") + F.cross_entropy(logits_BB.t(), own_B, reduction="sum")
    return TokenLoss(loss, loss.detach().double(), 2 * len(own_B))


@torch.no_grad()
def token_losses(hidden_BTD: Tensor, weight_VD: Tensor, targets_BT: Tensor, bias: Tensor | None = None) -> Tensor:
    """−log p of every target, [B, T] float64; 0 where it is `IGNORED`."""
    losses_N = torch.zeros(targets_BT.numel(), dtype=torch.float64, device=targets_BT.device)
    valid_N = (targets_BT != IGNORED).flatten().nonzero().squeeze(1)
    hidden, targets, weight = hidden_BTD.flatten(0, 1), targets_BT.flatten(), weight_VD.to(hidden_BTD.dtype)
    for places in valid_N.split(max(1, CHUNK_ELEMENTS // len(weight_VD))):
        logits = (hidden[places] @ weight.t()).float()
        log_p = torch.log_softmax(logits if bias is None else logits + bias, dim=-1)
        losses_N[places] = -log_p.gather(1, targets[places, None]).squeeze(1).double()
    return losses_N.view(targets_BT.shape)


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Σ −(1−ε) log p(target) − ε/V Σ_v log p(v); what ε spreads evenly over V has a closed form and touches no logit."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_PND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        targets_PN: Tensor,
        smoothing: float,
        consistency: float,
    ) -> tuple[Tensor, Tensor]:
        P, N, D = hidden_PND.shape
        V = len(weight_VD)
        weight, mean_weight_D = weight_VD.to(hidden_PND.dtype), weight_VD.mean(0)
        wants_gradient = any(ctx.needs_input_grad[:2])
        grad_hidden = torch.empty_like(hidden_PND) if wants_gradient else None
        grad_weight = torch.zeros_like(weight_VD) if ctx.needs_input_grad[1] else None  # a frozen one costs no product
        step = max(1, min(N, CHUNK_ELEMENTS // (P * V)))
        logits_buffer = hidden_PND.new_empty(P * step, V)
        probability_buffer = torch.empty_like(logits_buffer)
        loss = hidden_PND.new_zeros((), dtype=torch.float64)
        nll = torch.zeros_like(loss)
        for start in range(0, N, step):
            hidden = hidden_PND[:, start : start + step].reshape(-1, D)
            targets = targets_PN[:, start : start + step].reshape(-1)
            logits = torch.mm(hidden, weight.t(), out=logits_buffer[: len(hidden)])
            if bias_V is not None:
                logits += bias_V.to(logits.dtype)
            p = torch.softmax(logits, dim=-1, out=probability_buffer[: len(hidden)])
            target_logit, target_p = (x.gather(1, targets[:, None]).squeeze(1) for x in (logits, p))
            log_p_target = target_p.clamp_min(torch.finfo(p.dtype).tiny).double().log()  # no token costs more than 87 nats
            log_z = target_logit.double() - log_p_target
            nll -= log_p_target.sum()
            mean_logit = (hidden.to(mean_weight_D.dtype) @ mean_weight_D).double()
            if bias_V is not None:
                mean_logit += bias_V.mean(dtype=torch.float64)
            loss -= ((1 - smoothing) * log_p_target + smoothing * (mean_logit - log_z)).sum()
            gradient = p
            if consistency:
                divergence, gradient = _add_consistency(logits, p, log_z.to(p.dtype), consistency, wants_gradient)
                loss += divergence
            if grad_hidden is not None:
                gradient.scatter_(1, targets[:, None], gradient.gather(1, targets[:, None]) - (1 - smoothing))
                grad_hidden[:, start : start + step] = torch.mm(gradient, weight).view(P, -1, D)
            if grad_weight is not None:
                grad_weight += torch.mm(gradient.t(), hidden)
        if grad_hidden is not None and smoothing:
            grad_hidden -= (mean_weight_D * smoothing).to(grad_hidden.dtype)
        if grad_weight is not None and smoothing:
            grad_weight -= hidden_PND.sum((0, 1), dtype=grad_weight.dtype) * (smoothing / V)
        ctx.gradients = grad_hidden, grad_weight
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.gradients
        ctx.gradients = None
        scale = grad_outputs[0]
        grad_weight = None if grad_weight is None else grad_weight.mul_(scale)
        return grad_hidden.mul_(scale), grad_weight, None, None, None, None


def _add_consistency(logits: Tensor, p: Tensor, log_z: Tensor, alpha: float, wants_gradient: bool) -> tuple[Tensor, Tensor]:
    """α/2 Σ (KL(p₁‖p₂) + KL(p₂‖p₁)) over pairs of rows, and p plus its gradient in the logits.

    With a = log p₁ − log p₂ the gradient is α/2 (p₁ (a − KL₁₂ + 1) − p₂) in the first logits, and mirrored in the second.
    """
    half = len(logits) // 2
    p1, p2 = p[:half], p[half:]
    a = (logits[:half] - logits[half:]).sub_((log_z[:half] - log_z[half:])[:, None])
    p1_a, p2_a = p1 * a, a.mul_(p2)
    kl12, kl21 = p1_a.sum(1, keepdim=True), -p2_a.sum(1, keepdim=True)
    divergence = alpha / 2 * (kl12.sum(dtype=torch.float64) + kl21.sum(dtype=torch.float64))
    if not wants_gradient:
        return divergence, p
    gradient = torch.empty_like(p)
    torch.mul(p1, 1 + alpha / 2 * (1 - kl12), out=gradient[:half]).add_(p1_a.sub_(p2), alpha=alpha / 2)
    torch.mul(p2, 1 + alpha / 2 * (1 - kl21), out=gradient[half:]).sub_(p2_a.add_(p1), alpha=alpha / 2)
    return divergence, gradient
