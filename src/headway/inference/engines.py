"""Models that other engines run, where predictors expect one of Headway's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, cast

from headway.errors import ModelError, UsageError
from headway.inference.ctranslate2_model import CTranslate2Model
from headway.inference.llama_cpp_model import LlamaCppModel
from headway.inference.onnx_model import OnnxModel
from headway.interop.exported import ExportedModel, read_exported
from headway.model.transformer import Transformer
from headway.model_dir import LoadedModel, load_model
from headway.model_files import is_exported

PARITY = "parity.json"  # beside export.json: how the engine's answers compare with Headway's
ENGINES: dict[str, Callable[[ExportedModel], Any]] = {
    "ctranslate2": CTranslate2Model,
    "gguf": LlamaCppModel,
    "onnx": OnnxModel,
}
_log = logging.getLogger(__name__)


def load_for_answers(path: str | PathLike[str], engine: str | None = None) -> LoadedModel:
    """A model of Headway, or one that was exported for another engine, ready for a predictor.

    Args:
        engine: the one that must run it; None for the one that it was written for.

    Raises:
        ModelError: there is no whole model.
        UsageError: it was written for another engine, or the engine's package is not installed.
    """
    if not is_exported(path):
        if engine not in (None, "headway"):
            remedy = f"write one first: headway export {path} OUT --to {engine}, then headway predict OUT"
            raise UsageError(f"is a model of Headway, not one for {engine}", where=str(path), remedy=remedy)
        return load_model(path)
    exported = read_exported(Path(path))
    if engine not in (None, exported.engine):
        problem = f"was written for {exported.engine}, not for {engine}"
        raise UsageError(problem, where=str(path), remedy="leave it out, or name the model of Headway that it was made from")
    if exported.engine not in ENGINES:
        raise ModelError(f"is for {exported.engine}, which Headway cannot run", where=str(path), remedy="upgrade Headway")
    _warn_of_failed_parity(exported.directory)
    model = cast(Transformer, ENGINES[exported.engine](exported))  # it has what predictors ask of a Transformer
    return LoadedModel(
        exported.directory, exported.config, model, exported.tokenizers, exported.fingerprint, exported.calibration
    )


def read_parity(directory: Path) -> dict[str, Any] | None:
    """How an exported model compared with the one that it was made from; None where nobody asked."""
    try:
        told = json.loads((directory / PARITY).read_text())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and {"passed", "identical", "lines"} <= told.keys() else None


def _warn_of_failed_parity(directory: Path) -> None:
    if (read_parity(directory) or {}).get("passed") is False:
        _log.warning("%s: its answers were not those of the model that it was made from (%s)", directory, PARITY)
