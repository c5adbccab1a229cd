"""A model that begins with what other runs have learned: their weights by name, and a report of what was taken.

An encoder comes from a run with an encoder, a decoder from one with a decoder; both may come from one run or from two. What
the new model has and the old one has not (a head, cross-attention) begins as always. Where the vocabulary was extended, the row
of a new piece begins as the mean of those that it was cut into.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headway.config import Config, ModelConfig
from headway.data.checks.report import Finding
from headway.data.tokenizer import UNK_ID, Tokenizer, Tokenizers, train_tokenizers
from headway.data.tokenizer_extension import cuts_of_new_pieces, extends
from headway.errors import HeadwayError, UsageError
from headway.model.transformer import Transformer
from headway.model_dir import LoadedModel, load_model
from headway.tasks import TASKS, extra_pieces

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
    """Names of tensors: taken as they were, left behind, and begun anew; and the fingerprint of the model of `start_from`."""

    fingerprint: str
    taken: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    extended: bool = False  # whether tables have rows of new pieces

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint has to know of it."""
        return {"fingerprint": self.fingerprint, "new": self.new}

    def __str__(self) -> str:
        told = "; ".join(f"{what}: {_summary(getattr(self, what))}" for what in ("taken", "left", "new"))
        return told + ("; the rows of new pieces begin as means of old ones" if self.extended else "")


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
    sides = {part: _tokenizer_of(one.tokenizers, part) for part, one in loaded.items()}
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


def _tokenizer_of(tokenizers: Tokenizers, part: str) -> Tokenizer:
    return tokenizers.source if part == "encoder" else tokenizers.target


@torch.no_grad()
def inherit(model: Transformer, config: Config, tokenizers: Tokenizers) -> Inherited:
    """Copies what the runs of `model.start_from` and `model.start_decoder_from` have learned into `model`.

    Raises:
        ModelError: a run has no whole model. UsageError: its shapes or its tokenizer do not fit.
    """
    runs = sources(config.model)
    models = {run: load_model(run) for run in dict.fromkeys(runs.values())}
    found = Inherited(models[next(iter(runs.values()))].fingerprint)
    own = model.state_dict(keep_vars=True)
    filled: set[int] = set()
    known: set[str] = set()
    for part, run in runs.items():
        loaded = models[run]
        refuse_misfit(loaded, part, run, config, tokenizers)
        used, learned = _tokenizer_of(loaded.tokenizers, part), _tokenizer_of(tokenizers, part)
        known.update(extra_pieces(loaded.config))
        ids = _same_ids(loaded, config, used.vocabulary_size, learned.vocabulary_size)
        cuts = cuts_of_new_pieces(learned, used)
        found.extended |= bool(cuts)
        for name, tensor in loaded.model.state_dict().items():
            belongs = name.startswith(PARTS[part]) or (name.startswith("head.") and _same_head(loaded, config, tokenizers))
            if belongs and name in own:
                if name == "output.weight" or name.endswith("embedding.tokens.weight"):
                    _copy_rows(tensor, own[name], ids, used.vocabulary_size, cuts)
                else:  # tables of positions may have other numbers of rows; the first ones are the same in both
                    rows = min(len(tensor), len(own[name]))
                    own[name][:rows].copy_(tensor[:rows])
                filled.add(id(own[name]))
                found.taken.append(name)
            elif part == "encoder" or name.startswith(PARTS[part]):
                found.left.append(name)
    found.left = [name for name in found.left if name not in found.taken]
    found.new = [name for name, tensor in own.items() if id(tensor) not in filled]
    found.new += [name for name in extra_pieces(config) if name not in known]
    return found


def start_findings(config: Config) -> list[Finding]:
    """What will keep `inherit` from beginning with the runs that `config` names, as `check` tells it."""
    runs = sources(config.model)
    try:
        tokenizers = inherited_tokenizers(config)
        if tokenizers is None:
            return []
        if config.tokenizer.path is not None:
            tokenizers = train_tokenizers(config, TASKS[config.task].preparation.read)
        for part, run in runs.items():
            refuse_misfit(load_model(run), part, run, config, tokenizers)
    except HeadwayError as error:
        places = (error.where,) if error.where else ()
        return [Finding("stop", "model.start_from", "", f"model.start_from: {error.problem}", places, error.remedy)]
    return []


def _same_ids(loaded: LoadedModel, config: Config, old: int, new: int) -> dict[int, int]:
    """Ids of ours → theirs that stand for the same: pieces of the `old` vocabulary, and masks or tags behind it."""
    theirs = {name: old + number for number, name in enumerate(extra_pieces(loaded.config))}
    extra = {new + number: theirs[name] for number, name in enumerate(extra_pieces(config)) if name in theirs}
    return {**{number: number for number in range(old)}, **extra}


def _copy_rows(theirs: Tensor, ours: Tensor, ids: dict[int, int], pieces: int, cuts: list[list[int]]) -> None:
    """Rows of the `ids` that both have; of new pieces, which stand behind the old `pieces`.

    A new piece begins as the mean of the pieces that the old tokenizer cuts it into, or, where these are all unknown, as the
    mean of the whole vocabulary (Hewitt 2021, https://nlp.stanford.edu/~johnhew/vocab-expansion.html).
    """
    ours[list(ids)] = theirs[list(ids.values())]
    everything = theirs[UNK_ID + 1 : pieces].mean(0)
    for number, cut in enumerate(cuts, pieces):
        known = [piece for piece in cut if piece != UNK_ID]
        ours[number].copy_(theirs[known].mean(0) if known else everything)


def _same_head(loaded: LoadedModel, config: Config, tokenizers: Tokenizers) -> bool:
    """Whether the outputs of both heads mean the same: the same labels, or, without labels, the same task."""
    theirs, ours = loaded.tokenizers.labels, tokenizers.labels
    if theirs is None or ours is None:
        return theirs is ours and loaded.config.task == config.task
    return theirs.digest == ours.digest


def refuse_misfit(loaded: LoadedModel, part: str, run: str, config: Config, tokenizers: Tokenizers) -> None:
    """Raises UsageError where a part of `config` cannot begin with that of a run: other shapes, or another tokenizer."""
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
    used, learned = _tokenizer_of(loaded.tokenizers, part), _tokenizer_of(tokenizers, part)
    if not extends(learned, used):
        problem = f"has another tokenizer than this run ({used.digest[:12]}, not {learned.digest[:12]})"
        remedy = "leave tokenizer.path out: a new run takes the tokenizer of model.start_from"
        raise UsageError(problem, where=where, remedy=remedy)
