"""Headway: one Transformer on your own data, from raw files to a measured, usable model.

>>> import headway
>>> headway.load("runs/multi30k").predict(["A man is riding a horse."])  # doctest: +SKIP

Nothing heavy is imported until it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.inference.loading import AnyPredictor as AnyPredictor
    from headway.model.transformer import Transformer as Transformer
    from headway.training.loop import train as train

__all__ = ["Transformer", "__version__", "load", "train"]

_HOMES = {"Transformer": "headway.model.transformer", "train": "headway.training.loop"}


def load(path: str, *, engine: str | None = None, **decoding: Any) -> AnyPredictor:
    """The model of a run directory, a model directory or an export, ready to answer: all kinds have ``predict(list of texts)``.

    Args:
        engine: the one that must run it, such as ``ctranslate2``; None for the one that it was written for.
        decoding: settings that differ from those of the training configuration, such as ``beam_size=1``.

    Raises:
        ModelError: there is no whole model. UsageError: its task has no answers.
    """
    from headway.inference.engines import load_for_answers
    from headway.inference.loading import predictor_of

    return predictor_of(load_for_answers(path, engine), **decoding)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("headway")
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'headway' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
