"""Names of weights, ours and theirs, as a table that is read in both directions.

A rule says that some tensors of ours, one below the other, are some of theirs, one below the other. What is read by it can be
written by it again, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from headway.errors import ModelError


class Form(NamedTuple):
    """How a tensor of theirs is stored otherwise than ours, and the way back."""

    read: Callable[[Tensor], Tensor]
    write: Callable[[Tensor], Tensor]


def _with_kernel(tensor: Tensor, *sides: int) -> Tensor:
    return tensor.reshape(len(tensor), *sides, -1).movedim(-1, 1)


def _patch(tensor: Tensor) -> Tensor:
    """The kernel over a square of three colours, or of one: no square number is three times another."""
    pixels = tensor.shape[1] // 3 if math.isqrt(tensor.shape[1]) ** 2 != tensor.shape[1] else tensor.shape[1]
    return _with_kernel(tensor, math.isqrt(pixels), math.isqrt(pixels))


SAME = Form(lambda theirs: theirs, lambda ours: ours)
TURNED = Form(lambda theirs: theirs.t(), lambda ours: ours.t())  # inputs before outputs (GPT-2)
BATCHED = Form(lambda theirs: theirs[0], lambda ours: ours[None])  # as a batch of one
LAST = Form(lambda theirs: theirs[0].roll(-1, 0), lambda ours: ours.roll(1, 0)[None])  # the same, and their first row is our last
PATCHES = Form(lambda theirs: theirs.permute(0, 2, 3, 1).flatten(1), _patch)  # a convolution over patches, colours first
LOWER = Form(lambda theirs: torch.cat((torch.zeros_like(theirs), theirs)), lambda ours: ours[len(ours) // 2 :])  # above it zeros
TAPS = Form(lambda theirs: theirs.permute(0, 2, 1).flatten(1), lambda ours: _with_kernel(ours, 3))  # one over three frames


class Rule(NamedTuple):
    """`{i}` in a name stands for the number of a layer.

    Attributes:
        ours, theirs: names; their tensors are of equal height.
        form: how theirs are stored.
        vocabulary: whether the rows belong to pieces, whose numbers are others here and there.
        plus: what ours have more: Gemma stores what its norms multiply by as the difference from 1.
    """

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    form: Form = SAME
    vocabulary: bool = False
    plus: float = 0.0

    def of_layer(self, number: int) -> Rule:
        ours, theirs = (tuple(name.replace("{i}", str(number)) for name in side) for side in (self.ours, self.theirs))
        return self._replace(ours=ours, theirs=theirs)


def rule(ours: str, theirs: str, *, form: Form = SAME, vocabulary: bool = False) -> Rule:
    """Names of tensors that stand one below the other are parted by blanks."""
    return Rule(tuple(ours.split()), tuple(theirs.split()), form, vocabulary)


def linear(ours: str, theirs: str, *, bias: bool = True, form: Form = SAME, plus: float = 0.0) -> list[Rule]:
    """The rules of a matrix in a form and, with `bias`, of its bias; each name is that of a layer."""
    ends = {"weight": form, "bias": SAME} if bias else {"weight": form}
    sides = [[tuple(f"{name}.{end}" for name in side.split()) for side in (ours, theirs)] for end in ends]
    return [Rule(mine, other, one, plus=plus) for one, (mine, other) in zip(ends.values(), sides, strict=True)]


@dataclass(frozen=True)
class Names:
    """The rules of a whole model.

    Attributes:
        once: of what is there once.
        encoder, decoder: of each layer of a stack.
    """

    once: Sequence[Rule]
    encoder: Sequence[Rule] = ()
    decoder: Sequence[Rule] = ()

    def rules(self, encoder_layers: int, decoder_layers: int) -> list[Rule]:
        found = list(self.once)
        for rules, layers in ((self.encoder, encoder_layers), (self.decoder, decoder_layers)):
            found += [one.of_layer(number) for number in range(layers) for one in rules]
        return found


def to_ours(
    rules: Iterable[Rule], theirs: Mapping[str, Tensor], shapes: Mapping[str, torch.Size], order: Tensor, where: str
) -> dict[str, Tensor]:
    """Our tensors, in float32.

    Args:
        shapes: of what our model wants.
        order: the number that each of our pieces has there.

    Raises ModelError where a tensor is missing, or has another shape than the configuration says.
    """
    found: dict[str, Tensor] = {}
    for one in rules:
        if missing := [name for name in one.theirs if name not in theirs]:
            raise ModelError(f"lacks the tensor {missing[0]}", where=where)
        if numbers := [name for name in one.theirs if not theirs[name].is_floating_point()]:
            raise ModelError(f"has {numbers[0]} as {theirs[numbers[0]].dtype}, which is no weight that can be read", where=where)
        parts = [_upright(name, theirs[name], one.form, where) + one.plus for name in one.theirs]
        whole = torch.cat([part[order] for part in parts] if one.vocabulary else parts)
        heights = [shapes[name][0] for name in one.ours]
        wanted = torch.Size((sum(heights), *shapes[one.ours[0]][1:]))
        if whole.shape != wanted:
            told = f"{' and '.join(one.theirs)} as {list(whole.shape)}, and its configuration makes it {list(wanted)}"
            raise ModelError(f"has {told}", where=where)
        found.update(zip(one.ours, whole.split(heights), strict=True))
    return found


def to_theirs(rules: Iterable[Rule], ours: Mapping[str, Tensor], order: Tensor) -> dict[str, Tensor]:
    """Their tensors, in float32; `order` as in `to_ours`."""
    found: dict[str, Tensor] = {}
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order))
    for one in rules:
        whole = torch.cat([ours[name] for name in one.ours]) - one.plus
        for name, part in zip(one.theirs, whole.chunk(len(one.theirs)), strict=True):
            found[name] = one.form.write(part[back] if one.vocabulary else part).contiguous()
    return found


def _upright(name: str, tensor: Tensor, form: Form, where: str) -> Tensor:
    try:
        return form.read(tensor.float())
    except (RuntimeError, IndexError):
        raise ModelError(f"has {name} as {list(tensor.shape)}, and its configuration makes it another", where=where) from None
