"""The shape of a model that begins with another one: what its configuration leaves open is as it is there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from headway.config_media import DOORS, OF_MEDIA, door_of
from headway.config_reader import Document, read_document
from headway.config_sections import SHAPE


def take_shape_of_start(document: Document, stacks_of: Mapping[str, tuple[str, ...]]) -> None:
    """Where a model begins with another one and names no preset, what it leaves open is as there: only so its weights fit.

    Args:
        stacks_of: task → the stacks of its model.
    """
    model = document.values.get("model")
    if not isinstance(model, dict) or "preset" in model or not isinstance(start := model.get("start_from"), str):
        return
    directory = os.path.expandvars(os.path.expanduser(start))
    path = next((p for p in (f"{directory}/model/config.yaml", f"{directory}/config.yaml") if os.path.isfile(p)), None)
    if path is None:
        return  # what is wrong with it is said where it is read
    theirs = read_document(path).values
    task = document.values.get("task", "translation")
    stacks = stacks_of.get(task, ())
    layers = [f"{stack}_layers" for stack in stacks if theirs.get("model", {}).get(f"{stack}_layers")]
    tied = ["tied_embeddings"] if "decoder" in stacks and "decoder_layers" in layers else []
    pooled = ("sentence_embedding", "media_classification")  # a head over texts learns to read any
    pooling = ["pooling"] if task == theirs.get("task") and task in pooled else []
    wanted = (*SHAPE, "max_positions", *layers, *tied, *pooling)
    given = {key: value for key, value in theirs.get("model", {}).items() if key in wanted}
    document.values["model"] = {"preset": None, **given, **model}
    _take_senses(document, theirs.get("media", {}))
    around = ("before_source", "ends_between", "special_numbers", *(["before_target"] if tied else []))
    read = {key: value for key, value in theirs.get("tokenizer", {}).items() if key in around}
    never = {key: value for key, value in theirs.get("decoding", {}).items() if key in ("never", "never_first") and value}
    if tied and never and isinstance(asked := document.values.get("decoding") or {}, dict):
        document.values["decoding"] = {**never, **asked}
    own = document.values.get("tokenizer") or {}
    if any(read.values()) and isinstance(own, dict):
        document.values["tokenizer"] = {**read, **own}


def _take_senses(document: Document, theirs: Mapping[str, Any]) -> None:
    """How files become positions, where both models read the same kind of them."""
    own = document.values.get("media") or {}
    task = document.values.get("task", "translation")
    usual = next(iter(OF_MEDIA.get(task, ("text",)))) if isinstance(task, str) else None
    kind = theirs.get("kind")
    if kind not in DOORS or not isinstance(own, dict) or own.get("kind", usual) != kind:
        return
    wanted = door_of(kind, own.get("front_end", theirs.get("front_end", "own")))
    document.values["media"] = {**{key: value for key, value in theirs.items() if key in wanted}, **own}
