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

The cache is never copied when beams change places: a small table says which slots each beam descends from. Nor does a
sentence wait for others: `Decoding` lets one join those that are under way, and each leaves when it is done. What is chosen
for a sentence depends on nothing that stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from headway.config import DecodingConfig
from headway.errors import UsageError
from headway.inference.conditions import Conditions
from headway.inference.constraints import Constraints, Sentence
from headway.inference.hypothesis import Hypothesis, OwnSearch, Wanted, without_padding
from headway.inference.search import BeamSearch, Candidate, Search, Walk
from headway.model.cache import KVCache
from headway.model.transformer import Transformer

FEW_SLOTS = 64  # of fewer none are cleared away


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
    conditions: Sequence[Conditions | None] | None = None,
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
        conditions: what each answer must contain, which needs beam search, and what it must not.

    Raises:
        UsageError: a prefix leaves no room, the number of prefixes is not that of the sources, or a condition cannot be kept.
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
    if isinstance(model, OwnSearch):
        _refuse_conditions(conditions or ())
        limits = _limits(model, source_mask_BS, options, given, context_length)
        sources = without_padding(source_ids_BS, source_mask_BS)
        return model.search(Wanted(sources, options, given, limits, forbidden_ids, forbidden_first))
    constraints = Constraints(options, eos_id, (forbidden_ids, forbidden_first))
    decoding = Decoding(model, constraints, bos_id=bos_id, context_length=context_length, history=history)
    numbers = list(sentence_numbers) if sentence_numbers is not None else list(range(B))
    sentences = decoding.join(source_ids_BS, source_mask_BS, given, numbers, conditions)
    while decoding.open:
        decoding.step()
    return [answers_of(sentence, options) for sentence in sentences]


def answers_of(sentence: Sentence, options: DecodingConfig) -> list[Hypothesis]:
    """What was found of a sentence that is done, best first."""
    return sorted(sentence.found, key=lambda hypothesis: -hypothesis.score)[: options.n_best]


class Decoding:
    """Sentences that are decoded together, a token of each at a time; others may join at any time, and any may leave.

    Args:
        constraints: of all of them, with the options of the search.
        context_length, history: see `generate`.
    """

    def __init__(
        self,
        model: Transformer,
        constraints: Constraints,
        *,
        bos_id: int,
        context_length: int | None = None,
        history: list[list[Candidate]] | None = None,
    ) -> None:
        self.model, self.constraints, self.options, self.bos_id = model, constraints, constraints.options, bos_id
        self.context_length, self.history = context_length, history
        self._running: _Running | None = None
        self._done: list[Sentence] = []

    @property
    def open(self) -> int:
        """Sentences that are not done, or of which nobody has been told yet that they are."""
        return len(self._done) + (len(self._running.search.sentences) if self._running else 0)

    @torch.inference_mode()
    def join(
        self,
        source_ids_BS: Tensor | None,
        source_mask_BS: Tensor | None,
        prefixes: list[list[int]],
        numbers: list[int],
        conditions: Sequence[Conditions | None] | None = None,
    ) -> list[Sentence]:
        """Begins sentences beside those that are under way, and returns them.

        Args:
            numbers: what the samples of each are seeded with beside `options.seed`.
            conditions: of each, see `generate`.

        Raises:
            UsageError: a prefix leaves no room, or a condition cannot be kept. ModelError: the model's scores are not numbers.
        """
        options = self.options
        limits = _limits(self.model, source_mask_BS, options, prefixes, self.context_length)
        sentences = [
            Sentence(prefix, limit, np.random.Generator(np.random.PCG64((options.seed, number))))
            for prefix, limit, number in zip(prefixes, limits, numbers, strict=True)
        ]
        self._bind(sentences, conditions)
        shared = min(map(len, prefixes))  # so much of every prefix is read at once, the rest is forced token by token
        start = [[self.bos_id, *prefix[:shared]] for prefix in prefixes]
        start_BT = torch.tensor(start, device=next(self.model.parameters()).device)
        search: Search = (
            BeamSearch(self.constraints, list(sentences), start_BT[:, 1:], self.history)
            if options.method == "beam"
            else Walk(self.constraints, list(sentences), start_BT[:, 1:])
        )
        steps = _Steps(self.model, source_ids_BS, source_mask_BS, self.context_length)
        logits_BKV = steps.first(start_BT)
        before, self._running = self._running, _Running(search, steps)
        try:
            self._choose(logits_BKV)
        finally:  # where it fails, those under way go on
            begun, self._running = self._running, before
        if before is None:
            self._running = begun
        elif begun is not None:
            before.join(begun)
        return sentences

    def _bind(self, sentences: list[Sentence], conditions: Sequence[Conditions | None] | None) -> None:
        """Tells each what it must, and must not, contain."""
        for sentence, own in zip(sentences, conditions or (), strict=conditions is not None):
            if own is None:
                continue
            if own.phrases and self.options.method != "beam":
                raise phrases_need_beams(self.options.method)
            sentence.forbidden = own.forbidden
            sentence.demand = own.demand(limit=sentence.limit, eos_id=self.constraints.eos_id, beams=self.options.beam_size)

    @torch.inference_mode()
    def step(self) -> list[Sentence]:
        """A token more for each; returns those that are done, the ones among them that were so at their beginning.

        Raises ModelError: the model's scores are not numbers.
        """
        if self._running is not None and not self._done:
            self._choose(self._running.steps.next(self._running.tokens_BK))
        done, self._done = self._done, []
        return done

    @torch.inference_mode()
    def leave(self, sentences: Sequence[Sentence]) -> None:
        """These are not wanted any more."""
        self._done = [sentence for sentence in self._done if sentence not in sentences]
        if self._running is not None:
            self._keep_all_but([sentence in sentences for sentence in self._running.search.sentences])

    def so_far(self, sentence: Sentence) -> list[int]:
        """What has been chosen for one that is under way, its prefix included: of several beams or samples the first."""
        if self._running is None or sentence not in self._running.search.sentences:
            return []
        search = self._running.search
        return [int(number) for number in search.ids_BKT[search.sentences.index(sentence), 0, sentence.begun :]]

    def _choose(self, logits_BKV: Tensor) -> None:
        assert self._running is not None
        search, steps = self._running.search, self._running.steps
        self._running.tokens_BK, parents_BK, done = search.choose(logits_BKV)
        self._done += [sentence for sentence, ready in zip(search.sentences, done, strict=True) if ready]
        if all(done):  # the rest of the step is for nobody
            self._running = None
            return
        steps.descend(parents_BK)
        self._keep_all_but(done)

    def _keep_all_but(self, gone: list[bool]) -> None:
        if all(gone):
            self._running = None
        elif any(gone) and self._running is not None:
            self._running.keep(_without(gone))


class _Running:
    """The state between two steps: what was found, what the model remembers, and the tokens that it reads next."""

    def __init__(self, search: Search, steps: _Steps) -> None:
        self.search, self.steps = search, steps
        self.tokens_BK = torch.empty(0)

    def keep(self, rows: list[int]) -> None:
        rows_B = torch.tensor(rows, device=self.tokens_BK.device)
        self.search.keep(rows, rows_B)
        self.steps.keep(rows_B)
        self.tokens_BK = self.tokens_BK[rows_B]

    def join(self, other: _Running) -> None:
        self.search.join(other.search)
        self.steps.join(other.steps)
        self.tokens_BK = torch.cat((self.tokens_BK, other.tokens_BK))


def phrases_need_beams(method: str) -> UsageError:
    """The mistake of a glossary for another search than beam search."""
    problem = f"only beam search can write what a glossary demands, and the search is {method}"
    return UsageError(problem, where="glossary", remedy="add decoding.method=beam")


def _refuse_conditions(conditions: Sequence[Conditions | None]) -> None:
    """Raises UsageError for what the search of another engine cannot be told; prefixes it can."""
    for own in conditions:
        if own is not None and (own.phrases or own.forbidden is not None):
            where = "glossary" if own.phrases else "forbidden"
            problem = (
                "the engine that runs this model searches by itself, and cannot be told what an answer must or must not have"
            )
            raise UsageError(problem, where=where, remedy="ask the model of Headway that it was made from, or its ONNX export")


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
        self.joined = False

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

    def descend(self, parents_BK: Tensor) -> None:
        """Query k of the next step sees what query `parents_BK[:, k]` of the step before saw."""
        self.visible_BKN = self.visible_BKN.gather(1, parents_BK[:, :, None].expand(-1, -1, self.visible_BKN.shape[2]))

    def next(self, tokens_BK: Tensor) -> Tensor:
        """Appends one token to each query; [B, K, V]."""
        B, K = tokens_BK.shape
        own_BKK = torch.eye(K, dtype=torch.bool, device=tokens_BK.device).expand(B, K, K)
        self.visible_BKN = torch.cat((self.visible_BKN, own_BKK), dim=2)
        position_K = torch.full((K,), self.position, device=tokens_BK.device)
        all_in_sight = not self.joined and (self.context_length is None or self.position < self.context_length)
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

    def join(self, other: _Steps) -> None:
        """The rows of `other` come behind these, and neither sees a slot of the other."""
        self._clear_slots()
        self.cache.join(other.cache, later=self.position - other.position)
        own_BKN = F.pad(self.visible_BKN, (0, other.visible_BKN.shape[2]))
        its_BKN = F.pad(other.visible_BKN, (self.visible_BKN.shape[2], 0))
        self.visible_BKN, self.joined = torch.cat((own_BKN, its_BKN)), True
        if self.source_mask_BS is not None and other.source_mask_BS is not None:
            longest = max(self.source_mask_BS.shape[1], other.source_mask_BS.shape[1])
            masks = (F.pad(mask, (0, longest - mask.shape[1])) for mask in (self.source_mask_BS, other.source_mask_BS))
            self.source_mask_BS = torch.cat(tuple(masks))

    def _clear_slots(self) -> None:
        """Removes the slots that nobody sees any more, where they are most of all: of sentences that left, of beams that lost."""
        slots = self.visible_BKN.any(0).any(0).nonzero().squeeze(1)
        if max(FEW_SLOTS, 2 * len(slots)) < self.visible_BKN.shape[2]:
            self.cache.keep_slots(slots)
            self.visible_BKN = self.visible_BKN[:, :, slots]
