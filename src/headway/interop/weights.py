"""Names of weights, ours and theirs, as a table that is read in both directions.

A rule says that some tensors of ours, one below the other, are some of theirs, one below the other. What is read by it can be
written by it again, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from headway.errors import ModelError


class Rule(NamedTuple):
    """`{i}` in a name stands for the number of a layer.

    Attributes:
        ours, theirs: names; their tensors are of equal height.
        turned: whether theirs are stored the other way round, inputs before outputs (GPT-2).
        vocabulary: whether the rows belong to pieces, whose numbers are others here and there.
        plus: what ours have more: Gemma stores what its norms multiply by as the difference from 1.
    """

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    turned: bool = False
    vocabulary: bool = False
    plus: float = 0.0

    def of_layer(self, number: int) -> Rule:
        ours, theirs = (tuple(name.replace("{i}", str(number)) for name in side) for side in (self.ours, self.theirs))
        return self._replace(ours=ours, theirs=theirs)


def rule(ours: str, theirs: str, *, turned: bool = False, vocabulary: bool = False) -> Rule:
    """Names of tensors that stand one below the other are parted by blanks."""
    return Rule(tuple(ours.split()), tuple(theirs.split()), turned, vocabulary)


def linear(ours: str, theirs: str, *, bias: bool = True, turned: bool = False, plus: float = 0.0) -> list[Rule]:
    """The rules of a matrix and, with `bias`, of its bias; each name is that of a layer."""
    ends = ("weight", "bias") if bias else ("weight",)
    sides = [[tuple(f"{name}.{end}" for name in side.split()) for side in (ours, theirs)] for end in ends]
    return [Rule(mine, other, turned and end == "weight", plus=plus) for end, (mine, other) in zip(ends, sides, strict=True)]


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
        parts = [_upright(theirs[name].float(), one) + one.plus for name in one.theirs]
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
            part = part[back] if one.vocabulary else part
            found[name] = (part if not one.turned else part[None] if part.dim() == 1 else part.t()).contiguous()
    return found


def _upright(tensor: Tensor, one: Rule) -> Tensor:
    if not one.turned or tensor.dim() < 2:
        return tensor
    return tensor[0] if one.ours == ("output_bias",) else tensor.t()
