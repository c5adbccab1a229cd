"""Everything that is known of one answer, as arrays: what `headway explain` shows and hands out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headway.errors import UsageError
from headway.explain.alignment import Link, alignment
from headway.explain.attention import Maps, attention_maps, rollout
from headway.explain.attribution import METHODS, Attribution, Method, attribute
from headway.explain.lens import Sureness, logit_lens, sureness
from headway.explain.neighbours import Neighbours, nearest_examples
from headway.explain.request import Direction
from headway.explain.search import SearchTree
from headway.explain.subject import Subject
from headway.explain.subjects import subject_of
from headway.model_dir import LoadedModel, load_model

MOST_CELLS = 20_000_000  # of all maps of attention: 300 tokens on either side, 8 layers of 8 heads
MOST_OUTPUTS = 64  # that are attributed unless more are asked for
EQUAL = 1e-5  # how near scores must be to those of the fast path


@dataclass(frozen=True)
class Explanation:
    """One answer, laid open.

    Attributes:
        difference: the largest between the score of an output here and by the model as it answers; None where that has none.
        maps: of every attention, layer name → [H, Q, K].
        rollout: ``encoder`` → [S, S], ``decoder`` → [T, S + T].
        attributions: by each method, of the outputs that it names.
        sureness: of each output.
        lens: of each layer and output.
        tree: of the beam search.
        links: of the words of a translation to those of its source.
        neighbours: the nearest training examples, where they were asked for.
    """

    subject: Subject
    difference: float | None
    maps: Maps
    rollout: dict[str, NDArray[np.float64]]
    attributions: list[Attribution]
    sureness: list[Sureness]
    lens: list[list[Sureness]]
    tree: SearchTree | None
    links: list[Link]
    neighbours: Neighbours | None = None

    @property
    def attributed(self) -> list[int]:
        """The outputs whose attributions are known."""
        return self.attributions[0].outputs if self.attributions else []

    @property
    def equal(self) -> bool:
        """Whether what is explained is what the model answers, as far as float32 goes."""
        return self.difference is None or self.difference <= EQUAL

    def as_json(self) -> dict[str, Any]:
        """All figures, in plain lists."""
        subject = self.subject
        sides = {name: side.as_json() for name, side in (("source", subject.source), ("target", subject.target)) if side}
        return {
            "task": subject.task,
            "text": subject.text,
            "answer": subject.answer,
            "scale": subject.scale,
            "difference_from_fast_path": self.difference,
            **sides,
            "outputs": [
                {**asdict(output), "sureness": asdict(sure)} for output, sure in zip(subject.outputs, self.sureness, strict=True)
            ],
            "attention": {name: _rounded(weights) for name, weights in self.maps.items()},
            "rollout": {name: _rounded(reached) for name, reached in self.rollout.items()},
            "attributions": [
                {
                    "method": one.method, "outputs": one.outputs, "values": _rounded(one.values), "totals": _rounded(one.totals),
                    "completeness_errors": _rounded(one.errors), "steps": one.steps,
                }
                for one in self.attributions
            ],
            "lens": [[asdict(sure) for sure in layer] for layer in self.lens],
            "alignment": [asdict(link) for link in self.links],
            "neighbours": asdict(self.neighbours) if self.neighbours else None,
            "search": asdict(self.tree) if self.tree else None,
        }  # fmt: skip


def _rounded(values: NDArray[Any]) -> Any:
    return np.round(values.astype(np.float64), 6).tolist()


def explain(
    run: str | os.PathLike[str] | LoadedModel,
    text: str,
    *,
    decoding: Mapping[str, Any] | None = None,
    direction: Direction = (None, None),
    methods: Sequence[Method] = METHODS,
    outputs: Sequence[int] | None = None,
    neighbours: bool = False,
    done: Callable[[str, int, int], None] = lambda _what, _done, _of: None,
) -> Explanation:
    """Explains the answer of a model to a text, of any task.

    Args:
        run: a run directory, a model directory, or a model that is loaded.
        text: as `predict` takes it, or the path of a file of media; two texts are set apart by a tab, and what a masked language
            model is to guess is ``___``.
        decoding: settings that differ from those of the configuration, such as ``beam_size``.
        direction: the languages that are written and read, for a model of several directions.
        methods: of attribution.
        outputs: numbers of the outputs that are attributed; default: all that were not given, at most 64.
        neighbours: also find the training examples that are nearest to the text and to the answer.
        done: is told what is computed, how much of it is done, and of how much; 0 where that is not known.

    Raises:
        ModelError: there is no whole model.
        UsageError: the text is empty, too long or not in the form of the task, or a setting is not valid.
        DataError: the file cannot be read.
    """
    loaded = run if isinstance(run, LoadedModel) else load_model(run)
    if outputs is not None and not outputs:
        raise UsageError("names no output", where="outputs", remedy="leave it out to attribute all")
    subject = subject_of(loaded, text, decoding or {}, direction)
    cells = _cells(subject)
    if cells > MOST_CELLS:
        problem = f"the maps of it would have {cells:,} cells, and {MOST_CELLS:,} is all that a page can hold"
        raise UsageError(problem, where="TEXT", remedy="give a part of it")
    sure = sureness(subject)
    chosen = list(outputs) if outputs is not None else worth_attributing(subject, sure)
    attributions = []
    for method in methods:
        count = partial(_count, done, method.replace("_", " "), len(chosen))
        attributions.append(attribute(subject, method, chosen, done=count))
    maps = attention_maps(subject)
    return Explanation(
        subject=subject,
        difference=difference(subject),
        maps=maps,
        rollout=rollout(maps),
        attributions=attributions,
        sureness=sure,
        lens=logit_lens(subject),
        tree=subject.search() if subject.search else None,
        neighbours=nearest_examples(loaded, subject, done=lambda what, number: done(what, number, 0)) if neighbours else None,
        links=_links(maps, subject),
    )


def _links(maps: Maps, subject: Subject) -> list[Link]:
    """Of words; patches and stretches of sound are none."""
    source, target = subject.source, subject.target
    return alignment(maps, source, target) if source and target and source.positions is None else []


def _cells(subject: Subject) -> int:
    S, T = (len(side) if side else 0 for side in (subject.source, subject.target))
    model = subject.model
    return model.config.heads * (len(model.encoder) * S * S + len(model.decoder) * T * (S + T))


def _count(done: Callable[[str, int, int], None], what: str, of: int, number: int) -> None:
    done(what, number, of)


def worth_attributing(subject: Subject, sure: Sequence[Sureness]) -> list[int]:
    """The outputs that were not given, in order; of many tokens or tags the least sure, of many labels the likeliest."""
    own = [number for number, output in enumerate(subject.outputs) if not output.given]
    if subject.outputs and subject.outputs[0].place is None:  # labels stand in the order of their probability
        return own[:MOST_OUTPUTS]
    return sorted(sorted(own, key=lambda number: sure[number].value)[:MOST_OUTPUTS])


@torch.inference_mode()
def difference(subject: Subject) -> float | None:
    """The largest between a score of the plain model and of the model as it answers; that of a figure is a share of it."""
    found = subject.scores(*subject.ids())[0].double().tolist()
    pairs = [(here, output.score) for here, output in zip(found, subject.outputs, strict=True) if output.score is not None]
    if not pairs:
        return None
    return max(abs(here - there) / (max(1.0, abs(there)) if subject.scale == "value" else 1.0) for here, there in pairs)
