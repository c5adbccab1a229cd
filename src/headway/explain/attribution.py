"""Which tokens an output is due to: integrated gradients, gradient × input, and occlusion.

Each says how much of an output's score (a log-probability, or the figure itself) is due to each token that was read, beside
the same input without a single word: all tokens but marks are an average word, the mean of all embeddings, as long as they are.
(From zeros the way to the input begins with a jump, because layer normalisation makes them as long as anything.) Together the
shares should make up the difference between the two scores; how far they are from it is their completeness error.

Of media the vectors are those that enter the first layer: there patches, stretches of sound and the pieces of a question are of
one kind. Where a matrix projects the patches, a straight way there is a straight way of their pixels.

    N outputs   S source tokens   T target tokens   X = S + T, source first   D width
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.config_media import PLACES, TEXT
from headway.data.tokenizer import UNK_ID
from headway.errors import UsageError
from headway.explain.seen import without_sight
from headway.explain.sides import Side
from headway.explain.subject import Subject
from headway.model.media_embeddings import MediaEmbedding

R = TypeVar("R")
Method = Literal["integrated_gradients", "gradient_x_input", "occlusion"]
METHODS: tuple[Method, ...] = get_args(Method)
STEPS = 32  # of integrated gradients, doubled where the completeness error asks for it
MOST_STEPS = 512
LARGEST_ERROR = 0.01
SMALLEST_TOTAL = 0.01  # a difference below it is taken to be so large when errors are told as shares
BATCH_TOKENS = 2048  # that are computed together


@dataclass(frozen=True)
class Attribution:
    """What some outputs are due to, by one method.

    Attributes:
        outputs: their numbers in the subject.
        values: [N, X] float64; 0 for marks, and for what stood after the output.
        totals: [N], the score of each with all tokens less that without any.
        steps: that were taken for each, where the method takes steps.
    """

    method: Method
    outputs: list[int]
    values: NDArray[np.float64]
    totals: NDArray[np.float64]
    steps: list[int]

    @property
    def errors(self) -> NDArray[np.float64]:
        """How far the shares are from making up the whole, as a share of it, [N]."""
        error_N: NDArray[np.float64] = np.abs(self.values.sum(1) - self.totals) / np.maximum(np.abs(self.totals), SMALLEST_TOTAL)
        return error_N


def attribute(
    subject: Subject,
    method: Method,
    outputs: Sequence[int],
    *,
    steps: int = STEPS,
    done: Callable[[int], None] = lambda _number: None,
) -> Attribution:
    """What each of the outputs is due to.

    Args:
        steps: of integrated gradients; more are taken where the completeness error is above 1 %.
        done: is told how many outputs are done.

    Raises UsageError where Captum, which has the gradients, is not installed.
    """
    if method == "occlusion":
        return finished(occlusion(subject, outputs))
    rows, totals, taken = [], [], []
    for number, output in enumerate(outputs, 1):
        values_X, total, used = _by_gradient(subject, method, output, steps)
        rows.append(values_X)
        totals.append(total)
        taken.append(used)
        done(number)
    return Attribution(method, list(outputs), np.stack(rows), np.array(totals), taken)


def narrowed(subject: Subject, output: int) -> Subject:
    """The subject with one output, and nothing that stands after it."""
    one = subject.outputs[output]
    if subject.target is None or one.place is None:
        return replace(subject, outputs=[one], read_out=lambda states: subject.read_out(states)[:, output : output + 1])
    end = one.place + 1
    side = subject.target
    target = Side(side.ids[:end], side.pieces[:end], side.marks[:end], side.words[:end])
    return replace(subject, outputs=[one], target=target, read_out=lambda states: subject.read_out(states[:, -1:]))


def without_words(subject: Subject) -> tuple[Tensor | None, Tensor | None]:
    """The vectors of source and target with an average word for all tokens but marks, [1, S, D] and [1, T, D].

    Of media every patch has the usual colour of the picture, and every stretch of sound the usual energy of each band.
    """
    found: list[Tensor | None] = []
    embeddings = (subject.model.source_embedding, subject.model.target_embedding)
    for vectors, side, embedding in zip(subject.vectors(), (subject.source, subject.target), embeddings, strict=True):
        if vectors is None or side is None or embedding is None:
            found.append(None)
            continue
        if isinstance(embedding, MediaEmbedding):
            bare = _without_media(subject, side, embedding, vectors)
        else:
            bare = average_word(embedding.tokens.weight.detach())
        marks_1S1 = torch.tensor(side.marks, device=vectors.device)[None, :, None]
        found.append(torch.where(marks_1S1, vectors, bare))
    return found[0], found[1]


def _without_media(subject: Subject, side: Side, embedding: MediaEmbedding, vectors_1SD: Tensor) -> Tensor:
    """Nothing to be seen or heard, each at its place, and an average word for each piece of text among them, [1, S, D]."""
    assert side.positions is not None
    bare_1SD = subject.embedded(torch.from_numpy(without_sight(side.positions, embedding.media))[None].to(vectors_1SD.device))
    if embedding.tokens is None:
        return bare_1SD
    places_1SP = side.as_read(vectors_1SD.device)[..., :PLACES]
    is_text_1S1 = places_1SP[..., :1] == TEXT
    weight_VD = embedding.tokens.weight.detach()
    words_1SD = weight_VD[(places_1SP[..., 1] * is_text_1S1[..., 0]).long()]
    worded_1SD = vectors_1SD + (average_word(weight_VD) - words_1SD) * embedding.width**0.5
    return torch.where(is_text_1S1, worded_1SD, bare_1SD)


def average_word(weight_VD: Tensor) -> Tensor:
    """The mean of the embeddings of all words, made as long as they are on average, [D]."""
    words_WD = weight_VD[UNK_ID + 1 :]
    mean_D = words_WD.mean(0)
    return mean_D * (words_WD.norm(dim=1).mean() / mean_D.norm().clamp(min=1e-12))


def _by_gradient(subject: Subject, method: Method, output: int, steps: int) -> tuple[NDArray[np.float64], float, int]:
    """Shares of the tokens [X], what they should add up to, and the steps that were taken."""
    subject_of_one = narrowed(subject, output)
    inputs, nothing = subject_of_one.vectors(), without_words(subject_of_one)
    present = [place for place, vectors in enumerate(inputs) if vectors is not None]
    full, empty = ([vectors for vectors in sides if vectors is not None] for sides in (inputs, nothing))

    def score(*vectors: Tensor) -> Tensor:
        both: list[Tensor | None] = [None, None]
        for place, given in zip(present, vectors, strict=True):
            both[place] = given
        return subject_of_one.scores(*both)[:, 0]

    with torch.no_grad():
        total = float(score(*full) - score(*empty))
    width = sum(vectors.shape[1] for vectors in full)
    while True:
        shares = _captum(method, score, full, empty, steps, max(1, BATCH_TOKENS // width))
        values_X = _with_places(subject, [share[0].sum(-1).double().cpu().numpy() for share in shares], present)
        error = abs(values_X.sum() - total) / max(abs(total), SMALLEST_TOTAL)
        if method != "integrated_gradients" or error <= LARGEST_ERROR or 2 * steps > MOST_STEPS:
            return values_X, total, steps if method == "integrated_gradients" else 1
        steps *= 2


def _captum(
    method: Method, score: Callable[..., Tensor], full: list[Tensor], empty: list[Tensor], steps: int, together: int
) -> tuple[Tensor, ...]:
    """The share of every component of every vector (Sundararajan et al. 2017, equation 1), by Captum."""
    try:
        from captum.attr import InputXGradient, IntegratedGradients
    except ImportError:
        raise UsageError("attribution by gradients needs Captum", remedy='pip install "headway[explain]"') from None
    if method == "integrated_gradients":
        return tuple(
            IntegratedGradients(score).attribute(
                tuple(full), tuple(empty), n_steps=steps, method="gausslegendre", internal_batch_size=together
            )
        )
    # The input is how far it is from the one without words.
    away = tuple((given - bare).requires_grad_() for given, bare in zip(full, empty, strict=True))
    found = InputXGradient(lambda *way: score(*(bare + step for bare, step in zip(empty, way, strict=True)))).attribute(away)
    return tuple(share.detach() for share in found)


def _with_places(subject: Subject, shares: list[NDArray[np.float64]], present: list[int]) -> NDArray[np.float64]:
    """Shares of the sides that are there, as one row over source and target; what stands after the output has none."""
    sides = [side for side in (subject.source, subject.target) if side is not None]
    assert len(sides) == len(present)
    padded = [np.pad(share, (0, len(side) - len(share))) for share, side in zip(shares, sides, strict=True)]
    return np.concatenate(padded)


@torch.inference_mode()
def occlusion(subject: Subject, outputs: Sequence[int], batch_tokens: int = BATCH_TOKENS) -> Generator[None, None, Attribution]:
    """What the score loses when one token is an average word (Zeiler & Fergus 2014, section 4.2), for all outputs at once.

    Stops after each batch, for whoever has something else to do meanwhile.
    """
    inputs, nothing = subject.vectors(), without_words(subject)
    lengths = [len(side) if side is not None else 0 for side in (subject.source, subject.target)]
    whole_N, bare_N = (subject.scores(*given)[0].double() for given in (inputs, nothing))
    kept = torch.tensor(list(outputs), device=whole_N.device)
    values_NX = torch.zeros(len(outputs), sum(lengths), dtype=torch.float64)
    together = max(1, batch_tokens // sum(lengths))
    for side, (marks, vectors, bare) in enumerate(zip((subject.source, subject.target), inputs, nothing, strict=True)):
        if marks is None or vectors is None or bare is None:
            continue
        words = [place for place, mark in enumerate(marks.marks) if not mark]
        for start in range(0, len(words), together):
            hidden = words[start : start + together]
            rows = vectors.repeat(len(hidden), 1, 1)
            rows[range(len(hidden)), hidden] = bare[0, hidden]
            others = [None if one is None else one.expand(len(hidden), -1, -1) for one in inputs]
            others[side] = rows
            lost_RN = whole_N - subject.scores(*others).double()
            values_NX[:, [side * lengths[0] + place for place in hidden]] = lost_RN[:, kept].t().cpu()
            yield
    totals_N = (whole_N - bare_N)[kept].cpu().numpy()
    return Attribution("occlusion", list(outputs), values_NX.numpy(), totals_N, [1] * len(outputs))


def finished(steps: Generator[None, None, R]) -> R:
    """What the steps come to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
