"""The training examples that are nearest to a text, and to the answer that a model gave: by the model's own states.

The vectors of all training examples are computed once and kept beside the run, as float16 that is mapped into memory. They are
compared with all of them, in blocks: exact, and as fast as memory is read.

    N rows of the training set   D width
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.config import Config
from headway.data.batches import IGNORED, Batch, BucketedEpoch
from headway.data.files import fingerprint, written_aside
from headway.data.labels import Labels
from headway.data.preparation import MemoryRows, Prepared
from headway.data.readers import corpus_files, corpus_name
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
SHOWN = 5
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
    lines: NDArray[np.int64]  # the part of the corpus and the line in it, [N, 2]


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
    found = {name: _nearest(index.vectors[name], vector_D, count) for name, vector_D in asked.items()}
    places = {row: (int(index.lines[row, 0]), int(index.lines[row, 1])) for hits in found.values() for row, _ in hits}
    examples = _examples_at(loaded.config, loaded.tokenizers.labels, set(places.values()))

    def told(name: str) -> list[Neighbour]:
        return [_told(examples[places[row]], cosine) for row, cosine in found.get(name, [])]

    return Neighbours(told("text"), told("answer"))


def _told(example: tuple[str, Any], cosine: float) -> Neighbour:
    place, one = example
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
    source, target = subject.ids()
    nothing = torch.zeros(1, 1, dtype=torch.long, device=subject.device)
    source, target = source if source is not None else nothing, target if target is not None else nothing
    batch = Batch(source, torch.ones_like(source, dtype=torch.bool), target, target, torch.zeros(1, dtype=torch.long))
    return {name: vector_BD[0] for name, vector_BD in _states(subject.model, batch).items()}


@torch.inference_mode()
def _of_rows(model: Transformer, rows: MemoryRows) -> dict[str, NDArray[np.float16]]:
    device = next(model.parameters()).device
    updates = BucketedEpoch(rows, BATCH_TOKENS, 0, None)
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
    made_from = {"model": loaded.fingerprint, "data": fingerprint(corpus_files(*loaded.config.data.parts("train")))}
    names = ["text", *(["answer"] if loaded.model.encoder and loaded.model.decoder else [])]
    try:
        known = json.loads((folder / "neighbours.json").read_text("utf-8"))
        if known == made_from:
            vectors = {name: np.load(folder / f"neighbours.{name}.npy", mmap_mode="r") for name in names}
            return _Index(vectors, np.load(folder / "neighbours.lines.npy"))
    except (OSError, ValueError):
        pass
    index = _made(loaded, done)
    folder.mkdir(exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {**index.vectors, "lines": index.lines}
    for name, array in arrays.items():
        with written_aside(folder / f"neighbours.{name}.npy") as aside, aside.open("wb") as file:
            np.save(file, array)
    with written_aside(folder / "neighbours.json") as aside:
        aside.write_text(json.dumps(made_from), encoding="utf-8")
    return index


def _made(loaded: LoadedModel, done: Done) -> _Index:
    config, model = loaded.config, loaded.model.eval()
    preparation = TASKS[config.task].preparation(loaded.tokenizers, config)
    vectors: dict[str, list[NDArray[np.float16]]] = {}
    lines: list[tuple[int, int]] = []
    for number, part in enumerate(config.data.parts("train")):
        for examples in in_pieces(preparation.read(part, in_scheme(config.data, loaded.tokenizers.labels))):
            prepared = preparation.prepare(examples, Counter())
            if prepared.lines:
                for name, some in _of_rows(model, _rows(prepared, model, config.data.max_length)).items():
                    vectors.setdefault(name, []).append(some)
                lines += [(number, line) for line in prepared.lines]
            done("the training set", len(lines))
    if not lines:
        raise DataError("holds no example to compare with", where="data.train", remedy="leave out --neighbours")
    return _Index({name: np.concatenate(parts) for name, parts in vectors.items()}, np.array(lines, dtype=np.int64))


def _rows(prepared: Prepared, model: Transformer, longest: int) -> MemoryRows:
    """What the encoder and the decoder read of each row; text that answers itself stands among the targets."""
    sources, targets = ([list(row[:longest]) for row in side] for side in prepared.rows)
    if model.encoder and not model.decoder:
        return MemoryRows(sources if any(sources) else targets, [[] for _ in targets])
    return MemoryRows(sources, targets)


def _examples_at(config: Config, labels: Labels | None, places: set[tuple[int, int]]) -> dict[tuple[int, int], tuple[str, Any]]:
    """The examples that stand at some lines of some parts, each with its place as people read it."""
    found: dict[tuple[int, int], tuple[str, Any]] = {}
    data = in_scheme(config.data, labels)
    for number, part in enumerate(config.data.parts("train")):
        wanted = {line for other, line in places if other == number}
        last = max(wanted, default=0)
        for example in TASKS[config.task].preparation.read(part, data) if wanted else ():
            if example.line > last:
                break
            if example.line in wanted:
                found.setdefault((number, example.line), (f"{corpus_name(part)}:{example.line}", example))
    return found
