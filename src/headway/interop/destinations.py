"""Where a model can go: for whom it can be written, why not, and how."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headway.config import Config
from headway.errors import UsageError
from headway.interop import ctranslate2, gguf, huggingface_export, onnx
from headway.interop.exported import write_exported
from headway.model_dir import LoadedModel

TEXT_WIDTH = 88
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Destination:
    """
    Attributes:
        name: as people read it.
        problem: why such a configuration cannot go there; None where it can. No weights are needed.
        write: a model into a new directory, quantised or not.
        runner: the module that runs it; without it nothing can be compared.
        quantizations: that it knows.
    """

    name: str
    problem: Callable[[Config], str | None]
    write: Callable[[LoadedModel, Path, str | None], Path]
    runner: str
    quantizations: tuple[str, ...] = ()


def _to_ctranslate2(loaded: LoadedModel, out: Path, quantization: str | None) -> Path:
    def write(directory: Path) -> None:
        ctranslate2.write_ctranslate2(loaded, directory, quantization)

    return write_exported(loaded, out, "ctranslate2", quantization, write, ctranslate2.FILES)


def _to_gguf(loaded: LoadedModel, out: Path, quantization: str | None) -> Path:
    def write(directory: Path) -> None:
        for note in gguf.write_gguf(loaded, directory, quantization).notes:
            _log.warning("%s", note)

    return write_exported(loaded, out, "gguf", quantization, write, [gguf.FILE])


def _to_onnx(loaded: LoadedModel, out: Path, quantization: str | None) -> Path:
    def write(directory: Path) -> None:
        onnx.write_onnx(loaded, directory, quantization)

    return write_exported(loaded, out, "onnx", quantization, write, onnx.FILES)


def _to_huggingface(loaded: LoadedModel, out: Path, _: str | None) -> Path:
    found = huggingface_export.export_to_huggingface(loaded, out)
    _log.info("as a model of the family %s", found.family)
    if found.preprocessing:
        steps = ", ".join(found.preprocessing)
        _log.warning("texts need the preprocessing of this model first, which its tokenizer there does not know: %s", steps)
    return found.directory


DESTINATIONS: dict[str, Destination] = {
    "huggingface": Destination("Hugging Face", huggingface_export.huggingface_problem, _to_huggingface, "transformers"),
    "ctranslate2": Destination(
        "CTranslate2", ctranslate2.ctranslate2_problem, _to_ctranslate2, "ctranslate2", ctranslate2.QUANTIZATIONS
    ),
    "gguf": Destination("llama.cpp", gguf.gguf_problem, _to_gguf, "llama_cpp", gguf.QUANTIZATIONS),
    "onnx": Destination("ONNX", onnx.onnx_problem, _to_onnx, "onnxruntime", onnx.QUANTIZATIONS),
}


def export_model(loaded: LoadedModel, out: Path, to: str, quantization: str | None = None) -> Path:
    """Writes a model for one of `DESTINATIONS`; returns the directory.

    Raises:
        UsageError: it cannot go there, there is no such quantization, the package is not installed, or the directory is there.
        ResourceError: the disk refuses.
    """
    destination = DESTINATIONS[to]
    if quantization is not None and quantization not in destination.quantizations:
        known = ", ".join(destination.quantizations)
        remedy = f"choose one of {known}, or leave it out" if known else "leave it out"
        raise UsageError(f"{quantization} is no quantization of {destination.name}", where="--quantization", remedy=remedy)
    if problem := destination.problem(loaded.config):
        remedy = "docs/huggingface.md tells what can go where; headway check tells it of a configuration before training"
        raise UsageError(f"cannot be written for {destination.name}: {problem}", where=str(loaded.directory), remedy=remedy)
    return destination.write(loaded, out, quantization)


def where_it_can_go(config: Config) -> str:
    """Where a model of this configuration can be exported to, and why not elsewhere, as lines for people."""
    names = {key: f"{one.name} (--to {key})" for key, one in DESTINATIONS.items()}
    width = max(map(len, names.values()))
    lines = [" Where it can go: headway export", ""]
    for key, one in DESTINATIONS.items():
        told = one.problem(config)
        before = f"  {names[key]:<{width}}   "
        lines += textwrap.wrap(
            "yes" if told is None else f"no: {told}", TEXT_WIDTH, initial_indent=before, subsequent_indent=" " * len(before)
        )
    return "\n".join(lines)
