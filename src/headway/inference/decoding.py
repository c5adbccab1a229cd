"""Text out of the model: greedy, sampling and beam search over one step with the key/value cache.

    B sentences still open   K queries of one sentence (beams or samples)   C candidates of a query   S source length
    T tokens so far, forced prefix included   N cache slots   V vocabulary   R = B · K

What a hypothesis is worth. `token_scores` are the model's own log-probabilities over the whole vocabulary, whatever
temperature, filter or ban was applied when the token was chosen. A forced token is no choice and scores 0. The score
is their sum divided by length^length_penalty; the length counts the chosen tokens and the end of sentence. Every
hypothesis ends with the end of sentence: at its longest a sentence may only end. Ties fall to the lower beam, then id.

Beam search keeps `beam_size` open hypotheses. Each step ranks their continuations by log-probability; those within the
first `beam_size` that end are finished, the best that do not end stay open. A sentence is done when nothing is open,
when `beam_size` hypotheses are finished (only with `early_stopping`), or when no open one can still come among the
`n_best`: log-probabilities only fall, so an open one is worth at most its log-probability / longest^length_penalty.

The cache is never copied when beams change places: a small table says which slots each beam descends from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from headway.config import DecodingConfig
from headway.errors import ModelError, UsageError
from headway.inference.constraints import NEVER, Constraints
from headway.inference.hypothesis import Hypothesis, OwnSearch, Wanted, without_padding
from headway.inference.ranking import best_continuations, best_tokens, log_normaliser
from headway.model.cache import KVCache
from headway.model.transformer import Transformer

Fate: TypeAlias = Literal["open", "finished", "dropped"]


@dataclass(frozen=True)
class Candidate:
    """One continuation that a step of beam search weighed."""

    parent: int  # the beam that it goes on from
    token: int
    log_probability: float  # of all its tokens
    fate: Fate


@torch.inference_mode()
def generate(
    model: Transformer | OwnSearch,
    source_ids_BS: Tensor | None,
    source_mask_BS: Tensor | None,
    options: DecodingConfig,
    *,
    bos_id: int,
    eos_id: int,
    prefixes: Sequence[Sequence[int]] | None = None,
    forbidden_ids: Sequence[int] = (),
    forbidden_first: Sequence[int] = (),
    sentence_numbers: Sequence[int] | None = None,
    context_length: int | None = None,
    history: list[list[Candidate]] | None = None,
) -> list[list[Hypothesis]]:
    """The `n_best` answers to each source, best first (greedy: one; fewer where fewer exist).

    Args:
        source_ids_BS: sources with their mask (True = may be attended to); both None for a model without an encoder.
        prefixes: ids each answer must begin with; a model without an encoder continues them. None for none.
        forbidden_ids: never chosen, such as padding and start; forbidden_first: not chosen for the first token of an answer.
        sentence_numbers: what sampling is seeded with beside `options.seed`; default: the place in this batch. With a
            number that belongs to the sentence the draw does not depend on what it is batched with.
        context_length: tokens, start included, that the decoder learned to look back on. Each position sees so many; where
            positions are absolute the answer ends there. None for no bound.
        history: of the beam search for one source: gets what each step weighed, best first; open ones are the next beams.

    Raises:
        UsageError: a prefix leaves no room, or the number of prefixes is not that of the sources.
        ModelError: the model's scores are not numbers.
    """
    if source_ids_BS is None and prefixes is None:
        raise UsageError("there is neither a source nor a prefix to go on from")
    B = len(source_ids_BS) if source_ids_BS is not None else len(prefixes or ())
    given = [list(prefix) for prefix in prefixes] if prefixes is not None else [[] for _ in range(B)]
    if len(given) != B:
        raise UsageError(f"{len(given)} prefixes for {B} sources", remedy="give one prefix for each source")
    if B == 0:
        return []
    limits = _limits(model, source_mask_BS, options, given, context_length)
    if isinstance(model, OwnSearch):
        sources = without_padding(source_ids_BS, source_mask_BS)
        return model.search(Wanted(sources, options, given, limits, forbidden_ids, forbidden_first))
    numbers = list(sentence_numbers) if sentence_numbers is not None else list(range(B))
    constraints = Constraints(options, eos_id, (forbidden_ids, forbidden_first), given, limits)
    search = _BeamSearch(constraints, history) if options.method == "beam" else _Walk(constraints, numbers)

    shared = min(map(len, given))  # so much of every prefix is read at once, the rest is forced token by token
    start_BT = torch.tensor([[bos_id, *prefix[:shared]] for prefix in given], device=_device(model))
    return _searched(search, _Steps(model, source_ids_BS, source_mask_BS, context_length), start_BT)


def _searched(search: _Search, steps: _Steps, start_BT: Tensor) -> list[list[Hypothesis]]:
    """Steps and choices in turns, until every sentence is done."""
    search.begin(start_BT[:, 1:])
    logits_BKV = steps.first(start_BT)
    while True:
        tokens_BK, parents_BK, done = search.choose(logits_BKV)
        if all(done):
            return search.answers()
        if any(done):
            rows = _without(done)
            rows_B = torch.tensor(rows, device=tokens_BK.device)
            search.keep(rows, rows_B)
            steps.keep(rows_B)
            tokens_BK, parents_BK = tokens_BK[rows_B], parents_BK[rows_B]
        logits_BKV = steps.next(tokens_BK, parents_BK)


def _device(model: Transformer) -> torch.device:
    return next(model.parameters()).device


def _limits(
    model: Transformer | OwnSearch,
    source_mask_BS: Tensor | None,
    options: DecodingConfig,
    prefixes: list[list[int]],
    context_length: int | None,
) -> list[int]:
    """Most tokens each sentence may add to its prefix: the maximum length, 2 × source + 20, and the model's positions."""
    limits = [options.maximum_length] * len(prefixes)
    if source_mask_BS is not None:
        limits = [min(limit, 2 * length + 20) for limit, length in zip(limits, source_mask_BS.sum(1).tolist(), strict=True)]
    bounds = [model.config.max_positions] if model.config.has_position_table else []
    absolute = model.config.has_position_table or model.config.positions == "sinusoidal"
    if context_length is not None and (absolute or isinstance(model, OwnSearch)):
        bounds.append(context_length)
    if bounds:
        room = min(bounds) - 1
        limits = [min(limit, room - len(prefix)) for limit, prefix in zip(limits, prefixes, strict=True)]
    if min(limits) < 1:
        raise UsageError(
            f"a prefix of {max(map(len, prefixes))} tokens leaves no room to go on", where="prefixes", remedy="shorten it"
        )
    return limits


def _without(done: list[bool]) -> list[int]:
    """Rows to keep so that the done ones are gone: the last rows move into the gaps and nothing else moves."""
    left = done.count(False)
    movers = iter(row for row in range(left, len(done)) if not done[row])
    return [next(movers) if done[row] else row for row in range(left)]


class _Steps:
    """The one step of every search: new tokens in, logits of the next ones out."""

    def __init__(
        self, model: Transformer, source_ids_BS: Tensor | None, source_mask_BS: Tensor | None, context_length: int | None
    ) -> None:
        self.model, self.source_mask_BS, self.context_length = model, source_mask_BS, context_length
        self.memory_BSD = None
        if source_ids_BS is not None and source_mask_BS is not None:
            self.memory_BSD = model.encode(source_ids_BS, source_mask_BS)
        self.cache = KVCache(len(model.decoder))

    def first(self, ids_BT: Tensor) -> Tensor:
        """Reads the start of every answer at once; returns [B, 1, V]."""
        B, T = ids_BT.shape
        causal_TT = torch.ones(T, T, dtype=torch.bool, device=ids_BT.device).tril()
        if self.context_length is not None:
            causal_TT = causal_TT.triu(1 - self.context_length)
        self.cache.advance(torch.arange(T, device=ids_BT.device), causal_TT[None])
        hidden_BTD = self.model.decode(ids_BT, self.memory_BSD, self.source_mask_BS, self.cache)
        self.visible_BKN = causal_TT[-1].expand(B, 1, T)
        self.position = T
        self.memory_BSD = None  # from here on its keys and values are in the cache
        return self.model.logits(hidden_BTD[:, -1:])

    def next(self, tokens_BK: Tensor, parents_BK: Tensor) -> Tensor:
        """Appends one token to each query, which descends from query `parents_BK` of the step before; [B, K, V]."""
        B, K = tokens_BK.shape
        inherited_BKN = self.visible_BKN.gather(1, parents_BK[:, :, None].expand(-1, -1, self.visible_BKN.shape[2]))
        own_BKK = torch.eye(K, dtype=torch.bool, device=tokens_BK.device).expand(B, K, K)
        self.visible_BKN = torch.cat((inherited_BKN, own_BKK), dim=2)
        position_K = torch.full((K,), self.position, device=tokens_BK.device)
        all_in_sight = self.context_length is None or self.position < self.context_length
        if self.context_length is not None and not all_in_sight:
            positions_N = torch.cat((self.cache.slot_positions, position_K))
            self.visible_BKN = self.visible_BKN & (positions_N > self.position - self.context_length)
        self.cache.advance(position_K, None if K == 1 and all_in_sight else self.visible_BKN)
        self.position += 1
        return self.model.logits(self.model.decode(tokens_BK, None, self.source_mask_BS, self.cache))

    def keep(self, rows: Tensor) -> None:
        self.cache.keep(rows)
        self.visible_BKN = self.visible_BKN[rows]
        if self.source_mask_BS is not None:
            self.source_mask_BS = self.source_mask_BS[rows]


class _Search:
    """The histories of the open sentences and the finished answers; subclasses choose the next tokens."""

    def __init__(self, constraints: Constraints) -> None:
        self.constraints, self.options = constraints, constraints.options
        self.sentences = list(range(len(constraints.prefixes)))  # of each row
        self.finished: list[list[Hypothesis]] = [[] for _ in self.sentences]

    def begin(self, prefix_BT: Tensor, queries: int = 1) -> None:
        self.ids_BKT = prefix_BT[:, None].repeat(1, queries, 1)
        self.token_scores_BKT = torch.zeros_like(self.ids_BKT, dtype=torch.float64)

    def choose(self, logits_BKV: Tensor) -> tuple[Tensor, Tensor, list[bool]]:
        """Returns the next tokens [B, K], the query each descends from [B, K], and which rows are done."""
        raise NotImplementedError

    def keep(self, rows: list[int], rows_B: Tensor) -> None:
        self.sentences = [self.sentences[row] for row in rows]
        self.ids_BKT, self.token_scores_BKT = self.ids_BKT[rows_B], self.token_scores_BKT[rows_B]

    def answers(self) -> list[list[Hypothesis]]:
        return [sorted(found, key=lambda h: -h.score)[: self.options.n_best] for found in self.finished]

    def constrained(self, logits_BKV: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of what is allowed, and the log of their normaliser [B, K] over the whole vocabulary; float32."""
        logits_BKV = logits_BKV.float()
        normaliser_BK = log_normaliser(logits_BKV)
        if normaliser_BK.isnan().any():
            raise ModelError("the model's scores are not numbers", remedy="the weights are damaged: use another checkpoint")
        self.constraints.apply(logits_BKV, normaliser_BK, self.ids_BKT, self.sentences)
        return logits_BKV, normaliser_BK

    def extend(self, tokens_BK: Tensor, parents_BK: Tensor, scores_BK: Tensor) -> None:
        B, K = tokens_BK.shape
        history_BKT = parents_BK[:, :, None].expand(B, K, self.ids_BKT.shape[2])
        self.ids_BKT = torch.cat((self.ids_BKT.gather(1, history_BKT), tokens_BK[:, :, None]), dim=2)
        self.token_scores_BKT = torch.cat((self.token_scores_BKT.gather(1, history_BKT), scores_BK[:, :, None]), dim=2)

    def finish(self, rows: Tensor, queries: Tensor, end_scores: Tensor) -> None:
        """These queries end here. They are given best first."""
        ids, scores = self.ids_BKT[rows, queries].tolist(), self.token_scores_BKT[rows, queries].tolist()
        for row, its_ids, its_scores, end in zip(rows.tolist(), ids, scores, end_scores.tolist(), strict=True):
            sentence = self.sentences[row]
            length = len(its_ids) - len(self.constraints.prefixes[sentence]) + 1
            score = (sum(its_scores) + end) / length**self.options.length_penalty
            self.finished[sentence].append(Hypothesis(its_ids, score, [*its_scores, end]))


class _BeamSearch(_Search):
    def __init__(self, constraints: Constraints, history: list[list[Candidate]] | None = None) -> None:
        super().__init__(constraints)
        self.history = history

    def begin(self, prefix_BT: Tensor, queries: int = 1) -> None:
        super().begin(prefix_BT)
        self.totals_BK = self.token_scores_BKT.sum(2)

    def choose(self, logits_BKV: Tensor) -> tuple[Tensor, Tensor, list[bool]]:
        V, beams = logits_BKV.shape[2], self.options.beam_size
        logits_BKV, normaliser_BK = self.constrained(logits_BKV)
        offsets_BK = (self.totals_BK - normaliser_BK).float()
        places_BC = best_continuations(logits_BKV, offsets_BK, 2 * beams)
        parents_BC, tokens_BC = places_BC // V, places_BC % V
        scores_BC = (logits_BKV.flatten(1).gather(1, places_BC) - normaliser_BK.gather(1, parents_BC)).double()
        totals_BC = self.totals_BK.gather(1, parents_BC) + scores_BC

        ends_BC = tokens_BC == self.constraints.eos_id
        rows, places = (ends_BC & (totals_BC > NEVER))[:, :beams].nonzero(as_tuple=True)
        self.finish(rows, parents_BC[rows, places], scores_BC[rows, places])

        open_BK = ends_BC.byte().sort(dim=1, stable=True).indices[:, :beams]
        self._remember(parents_BC, tokens_BC, totals_BC, ends_BC, open_BK)
        self.totals_BK = totals_BC.masked_fill(ends_BC, NEVER).gather(1, open_BK)
        tokens_BK, parents_BK = tokens_BC.gather(1, open_BK), parents_BC.gather(1, open_BK)
        self.extend(tokens_BK, parents_BK, scores_BC.gather(1, open_BK))
        best_open = self.totals_BK[:, 0].tolist()
        return tokens_BK, parents_BK, [self._done(*pair) for pair in zip(self.sentences, best_open, strict=True)]

    def _remember(self, parents_BC: Tensor, tokens_BC: Tensor, totals_BC: Tensor, ends_BC: Tensor, open_BK: Tensor) -> None:
        if self.history is None:
            return
        still_open = set(open_BK[0].tolist())
        weighed = zip(parents_BC[0].tolist(), tokens_BC[0].tolist(), totals_BC[0].tolist(), ends_BC[0].tolist(), strict=True)
        step: list[Candidate] = []
        for place, (parent, token, total, ends) in enumerate(weighed):
            if total > NEVER:
                ended = ends and place < self.options.beam_size
                fate: Fate = "finished" if ended else "open" if place in still_open and not ends else "dropped"
                step.append(Candidate(parent, token, total, fate))
        self.history.append(step)

    def _done(self, sentence: int, best_open: float) -> bool:
        options, found = self.options, self.finished[sentence]
        if options.early_stopping and len(found) >= options.beam_size:
            del found[options.beam_size :]
            return True
        if best_open == NEVER:
            return True
        if len(found) < options.n_best:
            return False
        worst = sorted((hypothesis.score for hypothesis in found), reverse=True)[options.n_best - 1]
        longest = self.constraints.limits[sentence] + 1
        return bool(best_open / longest**options.length_penalty <= worst)

    def keep(self, rows: list[int], rows_B: Tensor) -> None:
        super().keep(rows, rows_B)
        self.totals_BK = self.totals_BK[rows_B]


class _Walk(_Search):
    """Greedy search, or `n_best` independent samples: each query goes its own way and never branches.

    A sample is drawn from softmax(logits / temperature), of which `top_k` leaves the best tokens and then `top_p` the
    fewest that hold that much of what is left (Holtzman et al. 2020).
    """

    def __init__(self, constraints: Constraints, numbers: list[int]) -> None:
        super().__init__(constraints)
        self.greedy = self.options.method == "greedy"
        self.queries = 1 if self.greedy else self.options.n_best
        self.draws = [np.random.Generator(np.random.PCG64((self.options.seed, number))) for number in numbers]

    def begin(self, prefix_BT: Tensor, queries: int = 1) -> None:
        super().begin(prefix_BT, self.queries)
        self.ended_BK = torch.zeros(self.ids_BKT.shape[:2], dtype=torch.bool, device=prefix_BT.device)

    def choose(self, logits_BKV: Tensor) -> tuple[Tensor, Tensor, list[bool]]:
        parents_BK = torch.arange(logits_BKV.shape[1], device=logits_BKV.device).expand(len(logits_BKV), self.queries)
        if logits_BKV.shape[1] != self.queries:  # the start, which all queries share
            logits_BKV = logits_BKV.repeat_interleave(self.queries, 1)
        logits_BKV, normaliser_BK = self.constrained(logits_BKV)
        tokens_BK = best_tokens(logits_BKV.flatten(0, 1), 1).view(parents_BK.shape) if self.greedy else self._draw(logits_BKV)
        scores_BK = (logits_BKV.gather(2, tokens_BK[:, :, None])[:, :, 0] - normaliser_BK).double()
        ends_BK = (tokens_BK == self.constraints.eos_id) & ~self.ended_BK
        rows, queries = ends_BK.nonzero(as_tuple=True)
        self.finish(rows, queries, scores_BK[rows, queries])
        self.ended_BK = self.ended_BK | ends_BK
        self.extend(tokens_BK, parents_BK, scores_BK)
        return tokens_BK, parents_BK, self.ended_BK.all(1).tolist()

    def _draw(self, logits_BKV: Tensor) -> Tensor:
        """The token at which the cumulative probability passes a uniform number that belongs to sentence, sample and step."""
        B, K, V = logits_BKV.shape
        logits_RC, options, ids_RC = logits_BKV.flatten(0, 1), self.options, None
        if options.top_k:
            ids_RC = best_tokens(logits_RC, min(options.top_k, V))
            logits_RC = logits_RC.gather(1, ids_RC)
        elif options.top_p < 1:
            logits_RC, ids_RC = logits_RC.sort(dim=1, descending=True, stable=True)
        p_RC = (logits_RC.double() / options.temperature).softmax(1)
        if options.top_p < 1:
            p_RC = p_RC.masked_fill(p_RC.cumsum(1) - p_RC >= options.top_p, 0.0)
        mass_RC = p_RC.cumsum(1)
        T, prefixes, forced = self.ids_BKT.shape[2], self.constraints.prefixes, np.zeros(K)
        uniform = [forced if len(prefixes[n]) > T else self.draws[n].random(K) for n in self.sentences]
        uniform_R, total_R = torch.from_numpy(np.concatenate(uniform)), mass_RC[:, -1]
        aim_R = torch.minimum(uniform_R.to(total_R) * total_R, total_R.nextafter(torch.zeros_like(total_R)))
        place_R1 = (mass_RC <= aim_R[:, None]).sum(1, keepdim=True)
        return (place_R1 if ids_RC is None else ids_RC.gather(1, place_R1)).view(B, K)

    def keep(self, rows: list[int], rows_B: Tensor) -> None:
        super().keep(rows, rows_B)
        self.ended_BK = self.ended_BK[rows_B]
