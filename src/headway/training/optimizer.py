"""How weights move: the optimiser, the learning rate as a function of the step, and averages of the weights.

In: a model and the `training` section of the configuration. Out: a torch optimiser, a float, and tensors that a
checkpoint can carry. Every state is a flat ``{name: tensor}`` keyed by the names of the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from headway.config import TrainingConfig
from headway.errors import ModelError
from headway.training.muon import Muon
from headway.training.parts import shares_of_rate


def build_optimizer(model: nn.Module, settings: TrainingConfig, dtype: torch.dtype = torch.float32) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019), Adam (Kingma & Ba 2015), both in torch's fused kernel, or Muon, at the rate of update 1.

    Only matrices that are not embeddings decay: pulling biases, gains or rarely seen rows to zero does harm. Of these, Muon
    steps all but the output matrix, with products in `dtype`; the rest is AdamW's. Parameters of a group have the same `share`
    of the learning rate (`layer_decay`).
    """
    embedding_ids = _embedding_ids(model)
    output = getattr(model, "output", None)
    of_output = {id(parameter) for parameter in output.parameters()} if isinstance(output, nn.Module) else set()
    shares = shares_of_rate(model, settings.layer_decay)
    orthogonal: dict[float, list[Tensor]] = {}
    rest: dict[tuple[bool, float], list[Tensor]] = {(True, 1.0): [], (False, 1.0): []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            inner = parameter.ndim >= 2 and id(parameter) not in embedding_ids
            if inner and settings.optimizer == "muon" and id(parameter) not in of_output:
                orthogonal.setdefault(shares[name], []).append(parameter)
            else:
                rest.setdefault((inner, shares[name]), []).append(parameter)
    decay, rate = settings.weight_decay, learning_rate(1, settings)
    groups = [
        {"params": parameters, "weight_decay": decay if inner else 0.0, "share": share}
        for (inner, share), parameters in rest.items()
        if parameters
    ]
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    adam = kind(groups, lr=rate, betas=settings.betas, eps=settings.epsilon, fused=True) if groups else None
    matrices = [{"params": parameters, "weight_decay": decay, "share": share} for share, parameters in orthogonal.items()]
    optimizer = Muon(matrices, adam, lr=rate, dtype=dtype) if matrices else adam
    assert optimizer is not None, "the configuration refuses to freeze everything"
    set_learning_rate(optimizer, rate)
    return optimizer


def _embedding_ids(model: nn.Module) -> set[int]:
    """Parameters that are embeddings, known by their module or by their name; a tied output matrix is one of them."""
    found = {id(p) for module in model.modules() if isinstance(module, nn.Embedding) for p in module.parameters(recurse=False)}
    return found | {id(p) for name, p in model.named_parameters(remove_duplicate=False) if "embedding" in name.lower()}


def learning_rate(step: int, settings: TrainingConfig) -> float:
    """The rate of update `step` (from 1): linear warm-up to the peak, then the schedule. A pure function.

    inverse_sqrt: peak · √(warm-up / step) (Vaswani et al. 2017, §5.3, with the peak named instead of implied by the width).
    cosine: half a cosine down to the final rate at the last update (Loshchilov & Hutter 2017, without restarts).
    wsd: flat, then linear down over the last `decay_fraction` (warm-up–stable–decay, Hu et al. 2024; linear fall as in
    Hägele et al. 2024). constant: the peak for ever.
    """
    if step < 1:
        raise ValueError(f"updates count from 1, not {step}")
    peak, warmup, last = settings.learning_rate, settings.warmup_updates, settings.updates
    if step < warmup:
        return peak * step / warmup
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "inverse_sqrt":
        return peak * math.sqrt(max(warmup, 1) / step)
    start = warmup if settings.schedule == "cosine" else max(warmup, last - round(settings.decay_fraction * last))
    progress = min(max(step - start, 0) / max(last - start, 1), 1.0)
    share = (1 + math.cos(math.pi * progress)) / 2 if settings.schedule == "cosine" else 1 - progress
    return peak * (settings.final_rate_fraction + (1 - settings.final_rate_fraction) * share)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Each group learns at its share of `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


# --- the optimiser's memory as named tensors ---------------------------------------------------------------------


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as ``optimizer.<slot>.<parameter>`` → tensor; empty before the first update."""
    tensors = {}
    for name, parameter in model.named_parameters():
        for slot, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{slot}.{name}"] = value
    return tensors


def load_optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave, bit for bit. Other keys are passed over.

    Raises:
        ModelError: a slot is missing, belongs to no parameter, or has another shape.
    """
    parameters = dict(model.named_parameters())
    slots: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, slot, name = key.split(".", 2)
            slots.setdefault(name, {})[slot] = value
    if slots and (strange := sorted(slots.keys() ^ {n for n, p in parameters.items() if p.requires_grad})):
        raise ModelError(f"the optimiser's state does not fit the model: {_some(strange)}", remedy=_OTHER_MODEL)
    optimizer.state.clear()
    for name, values in slots.items():
        parameter, state = parameters[name], {}
        if values.keys() not in ({"step", "exp_avg", "exp_avg_sq"}, {"momentum"}):
            raise ModelError(f"the optimiser's state of {name} has {sorted(values)}", remedy=_OTHER_MODEL)
        for slot, value in values.items():
            shape = torch.Size([]) if slot == "step" else parameter.shape
            if value.shape != shape:
                raise ModelError(f"optimizer.{slot}.{name} has shape {list(value.shape)}, not {list(shape)}", remedy=_OTHER_MODEL)
            state[slot] = value.to(parameter.device, torch.float32 if slot == "step" else parameter.dtype, copy=True)
        optimizer.state[parameter] = state


_OTHER_MODEL = "the checkpoint is of another model; resume with the configuration that wrote it"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# --- averages of the weights -------------------------------------------------------------------------------------


def copies_of_weights(settings: TrainingConfig) -> int:
    """How many sets of weights the average keeps, at most, beside the model's own."""
    return {"none": 0, "ema": 1, "last": settings.average_last}[settings.averaging]


class WeightAverage:
    """The weights that are validated and kept: the model's own, their moving average, or the mean of the last few.

    ema: the average of all weights visited so far, the one `i` updates ago weighing decay^i (Polyak & Juditsky 1992),
    normalised by the sum of these weights as Adam corrects its bias (Kingma & Ba 2015, §3), so that the random start
    never counts. last: the plain mean of the weights at the last k validations (Vaswani et al. 2017, §6.1).

    Call `update` after each optimiser step and `snapshot` before each validation; each does nothing where the kind
    does not need it.
    """

    def __init__(self, model: nn.Module, settings: TrainingConfig) -> None:
        self.kind, self.decay, self.keep = settings.averaging, settings.ema_decay, settings.average_last
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._names = list(named)
        self._parameters: list[Tensor] = list(named.values())
        self._copies: list[list[Tensor]] = []  # ema: one entry; last: up to `keep`, oldest first
        self._updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after one optimiser step."""
        if self.kind != "ema":
            return
        self._updates += 1
        if not self._copies:
            self._copies = [self._clone()]
            return
        share = (1 - self.decay) / -math.expm1(self._updates * math.log(self.decay))  # (1-d) / (1-d^t), exact for d near 1
        torch._foreach_lerp_(self._copies[0], self._parameters, share)

    @torch.no_grad()
    def snapshot(self) -> None:
        """Take in the weights at a validation."""
        if self.kind != "last":
            return
        if len(self._copies) == self.keep:
            oldest = self._copies.pop(0)
            torch._foreach_copy_(oldest, self._parameters)
            self._copies.append(oldest)
        else:
            self._copies.append(self._clone())

    @contextmanager
    def average(self, model: nn.Module | None = None) -> Iterator[None]:
        """Inside the block the model has the averaged weights; after it, its own again, bit for bit, also on an error.

        `model`, if given, must be the one that the average was made for. Tensors keep their addresses, so DDP, compiled
        graphs and the optimiser notice nothing.
        """
        assert model is None or [id(p) for p in model.parameters() if p.requires_grad] == [id(p) for p in self._parameters]
        if self.kind == "none" or not self._copies:
            yield
            return
        with torch.no_grad():
            own, mean = self._clone(), self._mean()
            torch._foreach_copy_(self._parameters, mean)
            del mean
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._parameters, own)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must carry: ``average.<i>.<parameter>`` → tensor (not copied)."""
        copies = [zip(self._names, copy, strict=True) for copy in self._copies]
        return {f"average.{i}.{name}": tensor for i, copy in enumerate(copies) for name, tensor in copy}

    def state(self) -> dict[str, Any]:
        return {"kind": self.kind, "updates": self._updates, "copies": len(self._copies)}

    def load(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Put back what `tensors` and `state` gave, bit for bit. Other keys are passed over.

        Raises:
            ModelError: the checkpoint has another kind of average, or tensors are missing or of another shape.
        """
        if state.get("kind") != self.kind:
            raise ModelError(
                f"the checkpoint has averaging={state.get('kind')!r}, the configuration averaging={self.kind!r}",
                where="training.averaging",
                remedy="resume with the configuration that wrote the checkpoint",
            )
        copies = []
        for i in range(int(state["copies"])):
            named = zip(self._names, self._parameters, strict=True)
            copies.append([self._loaded(tensors, f"average.{i}.{name}", parameter) for name, parameter in named])
        self._copies, self._updates = copies[-self.keep :] if self.kind == "last" else copies, int(state["updates"])

    def _loaded(self, tensors: Mapping[str, Tensor], key: str, parameter: Tensor) -> Tensor:
        value = tensors.get(key)
        if value is None or value.shape != parameter.shape:
            found = "is missing" if value is None else f"has shape {list(value.shape)}, not {list(parameter.shape)}"
            raise ModelError(f"{key} {found}", remedy=_OTHER_MODEL)
        return value.to(parameter.device, parameter.dtype, copy=True)

    def _clone(self) -> list[Tensor]:
        return [p.detach().clone() for p in self._parameters]

    def _mean(self) -> list[Tensor]:
        if len(self._copies) == 1:
            return self._copies[0]
        total = [tensor.clone() for tensor in self._copies[0]]
        for copy in self._copies[1:]:
            torch._foreach_add_(total, copy)
        torch._foreach_div_(total, float(len(self._copies)))
        return total
