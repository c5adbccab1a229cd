"""The parts of a model by the names that a configuration has for them: what learns at all, and how fast each layer does.

embeddings   encoder   decoder   output   encoder.0-2
"""

from __future__ import annotations

import re
from collections.abc import Collection

from torch import nn

from headway.config import Config, parse_model_part
from headway.model.lora import adapt
from headway.model.transformer import Transformer

_STACK = re.compile(r"(encoder|decoder)(?:\.(\d+)\.|_norm\.|_bias\.)")


def place_of(name: str) -> tuple[str, int | None]:
    """The part that a parameter belongs to, and in which layer of a stack it is; None for what the layers share."""
    found = _STACK.match(name)
    if found:
        return found[1], None if found[2] is None else int(found[2])
    return ("embeddings" if "embedding" in name else name.partition(".")[0]), None


def choose_what_learns(model: Transformer, config: Config, new: Collection[str]) -> None:
    """Freezes what `training.freeze` names; under `model.lora` everything that is not new, which gets adapters instead.

    Frozen parameters require no gradient: they have no place in the optimiser, in averages and in what ranks exchange.

    Args:
        new: names of the parameters that do not begin with those of a trained model.
    """
    if config.model.lora is not None:
        adapt(model, config.model.lora, new, config.training.seed)
        return
    parts = [parse_model_part(part) for part in config.training.freeze]
    for name, parameter in model.named_parameters():
        part, layer = place_of(name)
        if any(part == stack and (layers is None or layer in layers) for stack, layers in parts):
            parameter.requires_grad_(False)


def shares_of_rate(model: nn.Module, decay: float) -> dict[str, float]:
    """Parameter → its share of the rate: decay^(layers of its stack above it) (ULMFiT, Howard & Ruder 2018, section 3.2).

    The last layer of each stack, the norm on it, the output and a head have the full rate. Embeddings are below all layers of
    the deepest stack; a position bias that layers share is used from the first one on.
    """
    depths = {stack: len(getattr(model, stack, ())) for stack in ("encoder", "decoder")}
    shares = {}
    for name, _ in model.named_parameters():
        part, layer = place_of(name)
        above = max(depths.values()) if part == "embeddings" else 0
        if layer is not None or "_bias." in name:
            above = depths[part] - 1 - (layer or 0)
        shares[name] = decay**above
    return shares


def learning_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
