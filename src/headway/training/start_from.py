"""A model that begins with what other runs have learned: their weights by name, and a report of what was taken.

An encoder comes from a run with an encoder, a decoder from one with a decoder; both may come from one run or from two. What
the new model has and the old one has not (a head, cross-attention) begins as always.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from headway.config import Config, ModelConfig
from headway.data.tokenizer import Tokenizer, Tokenizers
from headway.errors import UsageError
from headway.model.transformer import Transformer
from headway.model_dir import LoadedModel, load_model
from headway.tasks import extra_pieces

PARTS = {
    "encoder": ("encoder.", "encoder_norm.", "encoder_bias.", "source_embedding."),
    "decoder": ("decoder.", "decoder_norm.", "decoder_bias.", "target_embedding.", "output."),
}
# Settings that must be the same, or the weights mean something else.
SAME = (
    "width", "feed_forward_width", "heads", "key_value_heads", "norm", "norm_place", "positions", "activation", "gated", "bias",
    "query_key_norm",
)  # fmt: skip


@dataclass
class Inherited:
    """Names of tensors: taken as they were, left behind, and begun anew."""

    taken: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "; ".join(f"{what}: {_summary(names)}" for what, names in vars(self).items())


def _summary(names: list[str]) -> str:
    """``encoder.* (36), source_embedding.tokens.weight``."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.partition(".")[0], []).append(name)
    return ", ".join(found[0] if len(found) == 1 else f"{group}.* ({len(found)})" for group, found in groups.items()) or "nothing"


def sources(config: ModelConfig) -> dict[str, str]:
    """Part of the model → the run it begins with."""
    decoder = config.start_decoder_from or config.start_from
    found = {"encoder": config.start_from, "decoder": decoder}
    return {part: run for part, run in found.items() if run is not None and getattr(config, f"{part}_layers")}


def inherited_tokenizers(config: Config) -> Tokenizers | None:
    """The tokenizers that the runs to start from have learned, or None where there is no such run."""
    runs = sources(config.model)
    if not runs:
        return None
    loaded = {part: load_model(run) for part, run in runs.items()}
    sides = {part: _tokenizer_of(one, part) for part, one in loaded.items()}
    source, target = sides.get("encoder", sides.get("decoder")), sides.get("decoder", sides.get("encoder"))
    assert source is not None
    assert target is not None
    if source.digest == target.digest:
        return Tokenizers(source, source)
    if config.tokenizer.joint:
        raise UsageError(
            f"{runs['encoder']} and {runs['decoder']} have different tokenizers",
            where="model.start_from, model.start_decoder_from",
            remedy="set tokenizer.joint=false and model.tied_embeddings=decoder",
        )
    return Tokenizers(source, target)


def _tokenizer_of(loaded: LoadedModel, part: str) -> Tokenizer:
    return loaded.tokenizers.source if part == "encoder" else loaded.tokenizers.target


@torch.no_grad()
def inherit(model: Transformer, config: Config, tokenizers: Tokenizers) -> Inherited:
    """Copies what the runs of `model.start_from` and `model.start_decoder_from` have learned into `model`.

    Raises:
        ModelError: a run has no whole model. UsageError: its shapes or its tokenizer do not fit.
    """
    found = Inherited()
    own = model.state_dict(keep_vars=True)
    filled: set[int] = set()
    known: set[str] = set()
    for part, run in sources(config.model).items():
        loaded = load_model(run)
        _check(loaded, part, run, config, tokenizers)
        known.update(extra_pieces(loaded.config))
        ids = _same_ids(loaded, config, _tokenizer_of(loaded, part).vocabulary_size)
        for name, tensor in loaded.model.state_dict().items():
            belongs = name.startswith(PARTS[part]) or (name.startswith("head.") and _same_labels(loaded, tokenizers))
            if belongs and name in own:
                _copy(tensor, own[name], name, ids)
                filled.add(id(own[name]))
                found.taken.append(name)
            elif part == "encoder" or name.startswith(PARTS[part]):
                found.left.append(name)
    found.left = [name for name in found.left if name not in found.taken]
    found.new = [name for name, tensor in own.items() if id(tensor) not in filled]
    found.new += [name for name in extra_pieces(config) if name not in known]
    return found


def _same_ids(loaded: LoadedModel, config: Config, vocabulary: int) -> dict[int, int]:
    """Ids of ours → theirs that stand for the same: the pieces of the vocabulary, and masks or tags of the same name."""
    theirs = {name: vocabulary + number for number, name in enumerate(extra_pieces(loaded.config))}
    extra = {vocabulary + number: theirs[name] for number, name in enumerate(extra_pieces(config)) if name in theirs}
    return {**{number: number for number in range(vocabulary)}, **extra}


def _copy(theirs: Tensor, ours: Tensor, name: str, ids: dict[int, int]) -> None:
    """Tables of ids and of positions may have other numbers of rows; the first positions are the same in both."""
    if name == "output.weight" or name.endswith("tokens.weight"):
        ours[list(ids)] = theirs[list(ids.values())]
    elif name.endswith("learned.weight"):
        rows = min(len(theirs), len(ours))
        ours[:rows].copy_(theirs[:rows])
    else:
        ours.copy_(theirs)


def _same_labels(loaded: LoadedModel, tokenizers: Tokenizers) -> bool:
    theirs, ours = loaded.tokenizers.labels, tokenizers.labels
    return theirs is not None and ours is not None and theirs.digest == ours.digest


def _check(loaded: LoadedModel, part: str, run: str, config: Config, tokenizers: Tokenizers) -> None:
    theirs, ours = loaded.config.model, config.model
    where = str(Path(run))
    if not getattr(theirs, f"{part}_layers"):
        other = "decoder" if part == "encoder" else "encoder"
        remedy = f"name a run with {'an encoder' if part == 'encoder' else 'a decoder'}"
        raise UsageError(f"has no {part} to start from, only {other} layers", where=where, remedy=remedy)
    different = [key for key in SAME if getattr(theirs, key) != getattr(ours, key)]
    if getattr(theirs, f"{part}_layers") < getattr(ours, f"{part}_layers"):
        different.append(f"{part}_layers")
    if different:
        shown = ", ".join(f"model.{key}={getattr(ours, key)} (there: {getattr(theirs, key)})" for key in different)
        values = " ".join(f"model.{key}={getattr(theirs, key)}" for key in different)
        raise UsageError(f"does not have the shape of this model: {shown}", where=where, remedy=f"set {values}")
    used, learned = _tokenizer_of(loaded, part), tokenizers.source if part == "encoder" else tokenizers.target
    if used.digest != learned.digest:
        problem = f"has another tokenizer than this run ({used.digest[:12]}, not {learned.digest[:12]})"
        remedy = "leave tokenizer.path out: a new run takes the tokenizer of model.start_from"
        raise UsageError(problem, where=where, remedy=remedy)
