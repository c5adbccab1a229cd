"""The training examples that are nearest to a text, and to the answer that a model gave: by the model's own states.

The vectors of all training examples are computed once and kept beside the run, as float16 that is mapped into memory. They are
compared with all of them, in blocks: exact, and as fast as memory is read.

    N rows of the training set   D width
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.config import Config
from headway.data.batches import IGNORED, Batch, BucketedEpoch, Epoch
from headway.data.files import written_aside
from headway.data.labels import Labels
from headway.data.media_examples import MediaExample
from headway.data.media_preparation import MediaPreparation
from headway.data.preparation import PIECE_EXAMPLES, MemoryRows, Preparation, Prepared, fingerprint_of
from headway.data.readers import corpus_name
from headway.data.tagged import in_scheme
from headway.data.token_cache import in_pieces
from headway.errors import DataError
from headway.evaluation.records import run_of
from headway.explain.subject import Subject
from headway.inference.labelling import BATCH_TOKENS
from headway.model.transformer import Transformer
from headway.model_dir import LoadedModel
from headway.tasks import TASKS

BLOCK = 1 << 16  # vectors that are compared together
_log = logging.getLogger(__name__)
SHOWN = 5
ROWS = 200  # that are looked at for so many examples
Done = Callable[[str, int], None]


@dataclass(frozen=True)
class Neighbour:
    """A training example; `similarity` is the cosine of its states with those asked for."""

    place: str  # file:line
    source: str
    answer: str
    similarity: float


@dataclass(frozen=True)
class Neighbours:
    """Those nearest to the text, and those whose answer is nearest to the model's; the nearest first."""

    of_text: list[Neighbour]
    of_answer: list[Neighbour]


@dataclass(frozen=True)
class _Index:
    """Unit vectors of the rows of the training set: of what is read, and of what is answered where that is written."""

    vectors: dict[str, NDArray[np.float16]]  # "text" and "answer" → [N, D]
    places: NDArray[np.int64]  # the part of the corpus and the number of the example in it, from 0, [N, 2]


def nearest_examples(
    loaded: LoadedModel, subject: Subject, *, count: int = SHOWN, done: Done = lambda _what, _done: None
) -> Neighbours:
    """The training examples nearest to what the model read and said.

    Args:
        done: is told what is read while the vectors are made, and how much of it is.

    Raises DataError where the training data is gone.
    """
    index = _open(loaded, done)
    asked = {name: vector_D.cpu().numpy() for name, vector_D in _of_subject(subject).items()}
    found = {name: _of_examples(_nearest(index.vectors[name], vector_D, ROWS), index, count) for name, vector_D in asked.items()}
    places = {row: (int(index.places[row, 0]), int(index.places[row, 1])) for hits in found.values() for row, _ in hits}
    examples = _examples_at(loaded.config, loaded.tokenizers.labels, set(places.values()))

    def told(name: str) -> list[Neighbour]:
        return [_told(examples[places[row]], cosine) for row, cosine in found.get(name, [])]

    return Neighbours(told("text"), told("answer"))


def _of_examples(hits: list[tuple[int, float]], index: _Index, count: int) -> list[tuple[int, float]]:
    """The nearest row of each example; a long one has several."""
    first = {tuple(index.places[row].tolist()): (row, cosine) for row, cosine in reversed(hits)}
    return sorted(first.values(), key=lambda hit: (-hit[1], hit[0]))[:count]


def _told(example: tuple[str, Any], cosine: float) -> Neighbour:
    place, one = example
    if isinstance(one, MediaExample):
        return Neighbour(place, one.source, " / ".join(one.answers), cosine)
    answer = ", ".join(getattr(one, "labels", ())) or " ".join(getattr(one, "tags", ())) or one.target
    return Neighbour(place, one.source, answer, cosine)


def _nearest(vectors_ND: NDArray[np.float16], asked_D: NDArray[np.float32], count: int) -> list[tuple[int, float]]:
    """Rows with the largest products, the largest first."""
    best: list[tuple[float, int]] = []
    for start in range(0, len(vectors_ND), BLOCK):
        products_B = vectors_ND[start : start + BLOCK].astype(np.float32) @ asked_D
        top = np.argsort(-products_B, kind="stable")[:count]
        best = sorted([*best, *((-float(products_B[row]), start + int(row)) for row in top)])[:count]
    return [(row, -product) for product, row in best]


# ---- vectors -------------------------------------------------------------------------------------------------------


def _states(model: Transformer, batch: Batch) -> dict[str, Tensor]:
    """Of each row the mean of the encoder's states, and of the decoder's, as unit vectors [B, D]."""
    found, memory, mask = {}, None, None
    if model.encoder:
        memory, mask = model.encode(batch.source_ids, batch.source_mask), batch.source_mask
        found["text"] = _mean(memory, mask)
    if model.decoder:
        hidden = model.decode(batch.target_in, memory, mask)
        found["answer" if model.encoder else "text"] = _mean(hidden, batch.target_out != IGNORED)
    return found


def _mean(states_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    weights_BT1 = mask_BT.unsqueeze(-1).float()
    return torch.nn.functional.normalize((states_BTD.float() * weights_BT1).sum(1), dim=1)


@torch.inference_mode()
def _of_subject(subject: Subject) -> dict[str, Tensor]:
    source, target = (side.as_read(subject.device) if side else None for side in (subject.source, subject.target))
    nothing = torch.zeros(1, 1, dtype=torch.long, device=subject.device)
    source, target = source if source is not None else nothing, target if target is not None else nothing
    mask = torch.ones(source.shape[:2], dtype=torch.bool, device=subject.device)
    batch = Batch(source, mask, target, target, torch.zeros(1, dtype=torch.long))
    return {name: vector_BD[0] for name, vector_BD in _states(subject.model, batch).items()}


@torch.inference_mode()
def _of_rows(model: Transformer, rows: MemoryRows, updates: Epoch) -> dict[str, NDArray[np.float16]]:
    device = next(model.parameters()).device
    found: dict[str, NDArray[np.float16]] = {}
    for index in range(len(updates)):
        batch = updates.batch(index).to(device)
        for name, vectors_BD in _states(model, batch).items():
            whole = found.setdefault(name, np.zeros((len(rows), vectors_BD.shape[1]), dtype=np.float16))
            whole[batch.indices.cpu().numpy()] = vectors_BD.half().cpu().numpy()
    return found


# ---- the training set ----------------------------------------------------------------------------------------------


def _open(loaded: LoadedModel, done: Done) -> _Index:
    """The index beside the run, made anew where it is not of this model and this data."""
    folder = run_of(loaded.directory) / "explain"
    made_from = {
        "model": loaded.fingerprint,
        "data": fingerprint_of(TASKS[loaded.config.task].preparation, *loaded.config.data.parts("train")),
    }
    names = ["text", *(["answer"] if loaded.model.encoder and loaded.model.decoder else [])]
    try:
        known = json.loads((folder / "neighbours.json").read_text("utf-8"))
        if known == made_from:
            vectors = {name: np.load(folder / f"neighbours.{name}.npy", mmap_mode="r") for name in names}
            return _Index(vectors, np.load(folder / "neighbours.places.npy"))
    except (OSError, ValueError):
        pass
    index = _made(loaded, done)
    try:
        _keep(folder, index, made_from)
    except OSError as error:
        _log.warning("%s cannot be written (%s): the vectors are made again the next time", folder, error.strerror)
    return index


def _keep(folder: Path, index: _Index, made_from: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {**index.vectors, "places": index.places}
    for name, array in arrays.items():
        with written_aside(folder / f"neighbours.{name}.npy") as aside, aside.open("wb") as file:
            np.save(file, array)
    with written_aside(folder / "neighbours.json") as aside:
        aside.write_text(json.dumps(made_from), encoding="utf-8")


def _made(loaded: LoadedModel, done: Done) -> _Index:
    config, model, tokenizers = loaded.config, loaded.model.eval(), loaded.tokenizers
    vectors: dict[str, list[NDArray[np.float16]]] = {}
    places: list[tuple[int, int]] = []
    for number, part in enumerate(config.data.parts("train")):
        preparation = TASKS[config.task].preparation(tokenizers, config.in_direction(part.direction))
        seen = 0
        most = getattr(preparation, "piece_examples", PIECE_EXAMPLES)
        for examples in in_pieces(preparation.read(part, in_scheme(config.data, tokenizers.labels)), most):
            # Several may stand in one line, so rows are told apart by the number of their example in place of its line.
            prepared = preparation.prepare([one._replace(line=seen + at) for at, one in enumerate(examples)], Counter())
            seen += len(examples)
            if prepared.lines:
                for name, some in _of_rows(model, *_rows(prepared, preparation, model, config.data.max_length)).items():
                    vectors.setdefault(name, []).append(some)
                places += [(number, example) for example in prepared.lines]
            done("the training set", len(places))
    if not places:
        raise DataError("holds no example to compare with", where="data.train", remedy="leave out --neighbours")
    return _Index({name: np.concatenate(parts) for name, parts in vectors.items()}, np.array(places, dtype=np.int64))


def _rows(prepared: Prepared, preparation: Preparation, model: Transformer, longest: int) -> tuple[MemoryRows, Epoch]:
    """What the encoder and the decoder read of each row, in batches; text that answers itself stands among the targets."""
    if isinstance(preparation, MediaPreparation):
        rows = MemoryRows(*prepared.rows)
        return rows, preparation.updates(rows, BATCH_TOKENS, 0, None)
    sources, targets = ([list(row[:longest]) for row in side] for side in prepared.rows)
    if model.encoder and not model.decoder:
        sources, targets = sources if any(sources) else targets, [[] for _ in targets]
    rows = MemoryRows(sources, targets)
    return rows, BucketedEpoch(rows, BATCH_TOKENS, 0, None)


def _examples_at(config: Config, labels: Labels | None, places: set[tuple[int, int]]) -> dict[tuple[int, int], tuple[str, Any]]:
    """Some examples by part and number, each with its place as people read it."""
    found: dict[tuple[int, int], tuple[str, Any]] = {}
    data = in_scheme(config.data, labels)
    for number, part in enumerate(config.data.parts("train")):
        wanted = {example for other, example in places if other == number}
        examples = TASKS[config.task].preparation.read(part, data) if wanted else iter(())
        for at, example in enumerate(islice(examples, max(wanted, default=-1) + 1)):
            if at in wanted:
                found[number, at] = (f"{corpus_name(part)}:{example.line}", example)
    return found
