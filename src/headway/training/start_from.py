"""A model that begins with what other runs have learned: their weights by name, and a report of what was taken.

An encoder comes from a run with an encoder, a decoder from one with a decoder; both may come from one run or from two. What
the new model has and the old one has not (a head, cross-attention, the other stack) begins as always. Where the vocabulary was
extended, the row of a new piece begins as the mean of those that it was cut into.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headway.config import Config, MediaConfig, ModelConfig
from headway.config_media import door_of
from headway.config_sections import SHAPE
from headway.data.checks.report import Finding
from headway.data.preparation import texts_of
from headway.data.tokenizer import UNK_ID, Tokenizer, Tokenizers, train_tokenizers
from headway.data.tokenizer_extension import cuts_of_new_pieces, extends
from headway.errors import HeadwayError, UsageError
from headway.model.transformer import Transformer
from headway.model_dir import LoadedModel, load_model
from headway.tasks import TASKS, extra_pieces

PARTS = {
    "encoder": ("encoder.", "encoder_norm.", "encoder_bias.", "source_embedding."),
    "decoder": ("decoder.", "decoder_norm.", "decoder_bias.", "target_embedding.", "output.", "output_bias", "ctc."),
}


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


def sources(config: ModelConfig) -> dict[str, LoadedModel]:
    """Part of the model → the trained model that it begins with; a run gives the parts that it has.

    Raises:
        ModelError: a run has no whole model. UsageError: a run has no part that is asked of it.
    """
    decoder = config.start_decoder_from or config.start_from
    named = {"encoder": config.start_from, "decoder": decoder}
    runs = {part: run for part, run in named.items() if run is not None and getattr(config, f"{part}_layers")}
    models = {run: load_model(run) for run in dict.fromkeys(runs.values())}
    found = {part: models[run] for part, run in runs.items() if getattr(models[run].config.model, f"{part}_layers")}
    giving = {runs[part] for part in found}
    for part, run in runs.items():
        if run not in giving:
            an, other = ("an", "decoder") if part == "encoder" else ("a", "encoder")
            problem = f"has no {part} to start from, only {other} layers"
            raise UsageError(problem, where=str(Path(run)), remedy=f"name a run with {an} {part}")
    return found


def inherited_tokenizers(config: Config) -> Tokenizers | None:
    """The tokenizers that the runs to start from have learned, or None where there is no such run."""
    given = sources(config.model)
    if not given:
        return None
    sides = {part: _tokenizer_of(one.tokenizers, part) for part, one in given.items()}
    source, target = sides.get("encoder", sides.get("decoder")), sides.get("decoder", sides.get("encoder"))
    assert source is not None
    assert target is not None
    if len(given) == 1 and not config.tokenizer.joint and config.model.encoder_layers and config.model.decoder_layers:
        ((part, one),) = given.items()
        raise UsageError(
            f"tokenizer.joint=false needs two tokenizers, and {one.directory} gives that of the {part} alone",
            where="model.start_from",
            remedy="leave tokenizer.joint out: one tokenizer for both, which tokenizer.extend_by can extend",
        )
    if source.digest == target.digest:
        return Tokenizers(source, source)
    if config.tokenizer.joint and source.vocabulary != target.vocabulary:
        raise UsageError(
            f"{given['encoder'].directory} and {given['decoder'].directory} have different tokenizers",
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
    given = sources(config.model)
    refuse_misfits(given, config, tokenizers)
    found = Inherited(next(iter(given.values())).fingerprint)
    own = model.state_dict(keep_vars=True)
    filled: set[int] = set()
    known: set[str] = set()
    for part, loaded in given.items():
        used, learned = _tokenizer_of(loaded.tokenizers, part), _tokenizer_of(tokenizers, part)
        known.update(extra_pieces(loaded.config))
        ids = _same_ids(loaded, config, used.vocabulary_size, learned.vocabulary_size)
        cuts = cuts_of_new_pieces(learned, used)
        found.extended |= bool(cuts)
        for name, tensor in loaded.model.state_dict().items():
            belongs = name.startswith(PARTS[part]) or (name.startswith("head.") and _same_head(loaded, config, tokenizers))
            if belongs and name in own:
                if name.startswith(("output.", "ctc.")) or name.endswith("embedding.tokens.weight"):
                    _copy_rows(tensor, own[name], ids, used.vocabulary_size, cuts)
                else:  # tables of positions may have other numbers of rows; the first ones are the same in both
                    rows = min(len(tensor), len(own[name]))
                    own[name][:rows].copy_(tensor[:rows])
                filled.add(id(own[name]))
                found.taken.append(name)
            else:
                found.left.append(name)
    found.left = [name for name in dict.fromkeys(found.left) if name not in found.taken]
    found.new = [name for name, tensor in own.items() if id(tensor) not in filled]
    found.new += [name for name in extra_pieces(config) if name not in known]
    return found


def start_findings(config: Config) -> list[Finding]:
    """What will keep `inherit` from beginning with the runs that `config` names, as `check` tells it."""
    try:
        tokenizers = inherited_tokenizers(config)
        if tokenizers is None:
            return []
        if config.tokenizer.path is not None:
            tokenizers = train_tokenizers(config, texts_of(TASKS[config.task].preparation))
        refuse_misfits(sources(config.model), config, tokenizers)
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


def refuse_misfits(given: dict[str, LoadedModel], config: Config, tokenizers: Tokenizers) -> None:
    """Raises UsageError where `config` cannot begin with what is given: other shapes, tokenizers or embeddings."""
    for part, loaded in given.items():
        _refuse_misfit(loaded, part, config, tokenizers)
    if len(given) == 2 and config.model.tied_embeddings in ("all", "inputs"):
        _refuse_two_tables(given["encoder"], given["decoder"])


def _refuse_misfit(loaded: LoadedModel, part: str, config: Config, tokenizers: Tokenizers) -> None:
    theirs, ours = loaded.config.model, config.model
    where = str(loaded.directory)
    pairs = [(f"model.{key}", getattr(ours, key), getattr(theirs, key)) for key in SHAPE]
    different = [(key, mine, given) for key, mine, given in pairs if mine != given]
    if getattr(theirs, f"{part}_layers") < getattr(ours, f"{part}_layers"):
        different.append((f"model.{part}_layers", getattr(ours, f"{part}_layers"), getattr(theirs, f"{part}_layers")))
    if part == "encoder":
        different += _other_media(loaded.config.media, config.media)
    if different:
        shown = ", ".join(f"{key}={mine} (there: {given})" for key, mine, given in different)
        values = " ".join(f"{key}={given}" for key, _, given in different)
        raise UsageError(f"does not have the shape of this model: {shown}", where=where, remedy=f"set {values}")
    used, learned = _tokenizer_of(loaded.tokenizers, part), _tokenizer_of(tokenizers, part)
    if not extends(learned, used):
        problem = f"has another tokenizer than this run ({used.digest[:12]}, not {learned.digest[:12]})"
        remedy = "leave tokenizer.path out: a new run takes the tokenizer of model.start_from"
        raise UsageError(problem, where=where, remedy=remedy)


def _other_media(theirs: MediaConfig, ours: MediaConfig) -> Iterator[tuple[str, Any, Any]]:
    """Settings by which one position of media is other numbers: their keys, ours, theirs."""
    if "text" in (theirs.kind, ours.kind):  # nothing of one door fits the other
        return
    keys = ("kind",) if theirs.kind != ours.kind else door_of(ours.kind, ours.front_end)
    found = ((f"media.{key}", getattr(ours, key), getattr(theirs, key)) for key in keys)
    yield from ((key, mine, given) for key, mine, given in found if mine != given)


def _refuse_two_tables(encoder: LoadedModel, decoder: LoadedModel) -> None:
    """One table for both stacks can begin with that of one of them only: the other would read with embeddings foreign to it."""
    assert encoder.model.source_embedding is not None
    assert decoder.model.target_embedding is not None
    pieces = min(encoder.tokenizers.source.vocabulary_size, decoder.tokenizers.target.vocabulary_size)
    read = encoder.model.source_embedding.tokens
    if read is None:  # of pictures and recordings: there is one table only
        return
    tables = (read.weight, decoder.model.target_embedding.tokens.weight)
    if torch.equal(*(table[:pieces] for table in tables)):
        return
    places = " and ".join(dict.fromkeys(str(one.directory) for one in (encoder, decoder)))
    tied = decoder.config.model.tied_embeddings
    raise UsageError(
        f"encoder and decoder have different embeddings in {places}, and this model has one table for both",
        where="model.tied_embeddings",
        remedy=f"set model.tied_embeddings={'decoder' if tied == 'all' else tied}",
    )
