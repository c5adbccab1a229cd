"""The explanations that a report links to: pages beside the run, made of the examples that people look at first."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from headway.errors import DataError, UsageError
from headway.report.examples import Example

FOLDER = "explanations"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Explanations:
    """Where the explanation of an example stands, if there is one.

    Attributes:
        run: as the user named it;  directory: of the run.
        model: fingerprint of the model whose answers are reported, and its calibration, if it has one.
        decoding: settings by which it answered, that are not those of its configuration.
        beside: the folder of the report.
    """

    run: Path
    directory: Path
    model: str
    decoding: Mapping[str, Any]
    beside: Path

    def path(self, one: Example) -> Path:
        """Its name tells the model and the question, so that none is taken for another."""
        made_from = json.dumps([self.model, one.asked, one.to, dict(self.decoding)], sort_keys=True)
        return self.directory / FOLDER / f"{hashlib.sha256(made_from.encode()).hexdigest()[:16]}.html"

    def link(self, one: Example) -> str:
        """Relative to the report; empty where the example has not been explained."""
        path = self.path(one)
        return quote(os.path.relpath(path.resolve(), self.beside.resolve())) if one.asked and path.is_file() else ""

    def make(self, examples: Sequence[Example]) -> None:
        """Explains those that can be, and have not been yet.

        Raises:
            ModelError: there is no whole model. DataError: it has changed since it answered.
        """
        wanted = {self.path(one): one for one in examples if one.asked and not self.path(one).is_file()}
        if not wanted:
            return
        from headway.explain.write import write_explanation
        from headway.model_dir import load_model

        loaded = load_model(self.run)
        if loaded.fingerprint != self.model.partition(" ")[0]:
            problem = "the model has changed since it was evaluated"
            raise DataError(problem, where=str(self.run), remedy=f"evaluate it again: headway evaluate {self.run}")
        (self.directory / FOLDER).mkdir(exist_ok=True)
        for number, (path, one) in enumerate(wanted.items(), 1):
            name, progress = f"an answer of {self.run}", f"explanation {number} of {len(wanted)}, "
            try:
                write_explanation(loaded, one.asked, path, self.decoding, (one.to, None), name=name, progress=progress)
            except (UsageError, DataError) as error:
                _log.warning("%s is not explained: %s", one.place, error)
