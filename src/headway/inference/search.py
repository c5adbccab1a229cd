"""How the next tokens are chosen: the searches that `decoding.py` drives, a step at a time. Letters as there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from headway.errors import ModelError
from headway.inference.constraints import NEVER, Constraints, Sentence
from headway.inference.demands import Going
from headway.inference.hypothesis import Hypothesis
from headway.inference.ranking import best_continuations, best_tokens, log_normaliser

Fate: TypeAlias = Literal["open", "finished", "dropped"]


@dataclass(frozen=True)
class Candidate:
    """One continuation that a step of beam search weighed."""

    parent: int  # the beam that it goes on from
    token: int
    log_probability: float  # of all its tokens
    fate: Fate


class Search:
    """The histories of the open sentences; subclasses choose the next tokens.

    Args:
        sentences: one for each row.
        prefix_BT: the beginning that all of them have.
    """

    queries = 1  # of a sentence at its beginning

    def __init__(self, constraints: Constraints, sentences: list[Sentence], prefix_BT: Tensor) -> None:
        self.constraints, self.options, self.sentences = constraints, constraints.options, sentences
        self.ids_BKT = prefix_BT[:, None].repeat(1, self.queries, 1)
        self.token_scores_BKT = torch.zeros_like(self.ids_BKT, dtype=torch.float64)

    def choose(self, logits_BKV: Tensor) -> tuple[Tensor, Tensor, list[bool]]:
        """Returns the next tokens [B, K], the query each descends from [B, K], and which rows are done."""
        raise NotImplementedError

    def keep(self, rows: list[int], rows_B: Tensor) -> None:
        self.sentences = [self.sentences[row] for row in rows]
        self.ids_BKT, self.token_scores_BKT = self.ids_BKT[rows_B], self.token_scores_BKT[rows_B]

    def join(self, other: Self) -> None:
        """The sentences of `other` come behind these; histories are padded at their left to the same length."""
        common = min((sentence.begun for sentence in self.sentences), default=0)  # padding that no row needs any more
        self.ids_BKT, self.token_scores_BKT = self.ids_BKT[:, :, common:], self.token_scores_BKT[:, :, common:]
        longest = max(search.ids_BKT.shape[2] for search in (self, other))
        for search, before in ((self, common), (other, 0)):
            missing = longest - search.ids_BKT.shape[2]
            for sentence in search.sentences:
                sentence.begun += missing - before
            search.ids_BKT = F.pad(search.ids_BKT, (missing, 0), value=-1)
            search.token_scores_BKT = F.pad(search.token_scores_BKT, (missing, 0))
        self.sentences = [*self.sentences, *other.sentences]
        self.ids_BKT = torch.cat((self.ids_BKT, other.ids_BKT))
        self.token_scores_BKT = torch.cat((self.token_scores_BKT, other.token_scores_BKT))

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
            own = its_ids[sentence.begun :]
            length = len(own) - len(sentence.prefix) + 1
            score = (sum(its_scores) + end) / length**self.options.length_penalty
            sentence.found.append(Hypothesis(own, score, [*its_scores[sentence.begun :], end]))


class BeamSearch(Search):
    """The `beam_size` likeliest beginnings at each step; see `decoding.py`."""

    def __init__(
        self,
        constraints: Constraints,
        sentences: list[Sentence],
        prefix_BT: Tensor,
        history: list[list[Candidate]] | None = None,
    ) -> None:
        super().__init__(constraints, sentences, prefix_BT)
        self.history = history
        self.totals_BK = self.token_scores_BKT.sum(2)

    def choose(self, logits_BKV: Tensor) -> tuple[Tensor, Tensor, list[bool]]:
        V, beams = logits_BKV.shape[2], self.options.beam_size
        told = [row for row in range(len(self.sentences)) if self._demands(row)]
        demanding = _Demanding(self, told, logits_BKV) if told else None
        logits_BKV, normaliser_BK = self.constrained(logits_BKV)
        offsets_BK = (self.totals_BK - normaliser_BK).float()
        places_BC = best_continuations(logits_BKV, offsets_BK, 2 * beams)
        parents_BC, tokens_BC = places_BC // V, places_BC % V
        scores_BC = (logits_BKV.flatten(1).gather(1, places_BC) - normaliser_BK.gather(1, parents_BC)).double()
        totals_BC = self.totals_BK.gather(1, parents_BC) + scores_BC
        if demanding is not None:
            demanding.share_out(logits_BKV, normaliser_BK, (parents_BC, tokens_BC, scores_BC, totals_BC))

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

    def _demands(self, row: int) -> bool:
        """Whether phrases are demanded of a sentence, and it is past its forced prefix."""
        sentence = self.sentences[row]
        return sentence.demand is not None and sentence.begun + len(sentence.prefix) <= self.ids_BKT.shape[2]

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

    def _done(self, sentence: Sentence, best_open: float) -> bool:
        options, found = self.options, sentence.found
        if options.early_stopping and len(found) >= options.beam_size:
            del found[options.beam_size :]
            return True
        if best_open == NEVER:
            return True
        if len(found) < options.n_best:
            return False
        worst = sorted((hypothesis.score for hypothesis in found), reverse=True)[options.n_best - 1]
        longest = sentence.limit + 1
        return bool(best_open / longest**options.length_penalty <= worst)

    def keep(self, rows: list[int], rows_B: Tensor) -> None:
        super().keep(rows, rows_B)
        self.totals_BK = self.totals_BK[rows_B]

    def join(self, other: Self) -> None:
        super().join(other)
        self.totals_BK = torch.cat((self.totals_BK, other.totals_BK))


class _Demanding:
    """One step of the sentences of which phrases are demanded; see `demands.py`.

    Args:
        rows: where they are in the batch.
        logits_BKV: before anything is forbidden: a demanded token is allowed though it repeats.
    """

    def __init__(self, search: BeamSearch, rows: list[int], logits_BKV: Tensor) -> None:
        self._rows, self._eos_id, self._beams = rows, search.constraints.eos_id, search.options.beam_size
        totals = search.totals_BK[rows, : logits_BKV.shape[1]].tolist()
        self._own = [
            _Row(search.sentences[row], search.ids_BKT[row], row_totals, self._eos_id)
            for row, row_totals in zip(rows, totals, strict=True)
        ]
        self._wanted = [(place, beam, token) for place, own in enumerate(self._own) for beam, token in own.wanted]
        self._index = tuple(map(list, zip(*self._wanted, strict=True))) or ([], [], [])
        self._logits_N = logits_BKV[self._in_batch(self._index[0]), self._index[1], self._index[2]].float()

    def _in_batch(self, places: list[int]) -> list[int]:
        return [self._rows[place] for place in places]

    def share_out(self, logits_BKV: Tensor, normaliser_BK: Tensor, chosen: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
        """Puts what goes on into the rows of parents, tokens, scores and totals [B, C]: first what ends, then what stays open."""
        raw = (self._logits_N - normaliser_BK[self._in_batch(self._index[0]), self._index[1]]).double().tolist()
        wanted: list[dict[tuple[int, int], float]] = [{} for _ in self._rows]
        for (place, beam, token), score in zip(self._wanted, raw, strict=True):
            wanted[place][beam, token] = score
        logits_RKV, normaliser_RK = logits_BKV[self._rows], normaliser_BK[self._rows]
        ends = (logits_RKV[..., self._eos_id] - normaliser_RK).double().tolist()
        best = self._best_of_each(logits_RKV, normaliser_RK)
        columns: list[list[Going]] = []
        for own, its_best, its_wanted, its_ends in zip(self._own, best, wanted, ends, strict=True):
            going = own.going(its_best, its_wanted, its_ends)
            idle = Going(NEVER, 0, int(self._eos_id == 0), NEVER)
            columns.append([*going, *[idle] * (chosen[0].shape[1] - len(going))])
        for tensor, field in zip(chosen, ("parent", "token", "score", "total"), strict=True):
            values = [[getattr(one, field) for one in column] for column in columns]
            tensor[self._rows] = torch.tensor(values, dtype=tensor.dtype, device=tensor.device)

    def _best_of_each(self, logits_RKV: Tensor, normaliser_RK: Tensor) -> list[list[list[tuple[int, float]]]]:
        """The best tokens of each beam but the end, as many as there are beams, with their scores."""
        logits_RKV[..., self._eos_id] = NEVER
        for place, own in enumerate(self._own):
            for beam, spoiling in own.spoiling():
                logits_RKV[place, beam, spoiling.to(logits_RKV.device)] = NEVER
        R, K, _ = logits_RKV.shape
        tokens_RKC = best_tokens(logits_RKV.flatten(0, 1), self._beams).view(R, K, -1)
        scores_RKC = (logits_RKV.gather(2, tokens_RKC) - normaliser_RK[:, :, None]).double()
        return [
            [list(zip(*pair, strict=True)) for pair in zip(*beams, strict=True)]
            for beams in zip(tokens_RKC.tolist(), scores_RKC.tolist(), strict=True)
        ]


class _Row:
    """One of these sentences.

    Attributes:
        wanted: beams with the end, and with each demanded token that may follow.
    """

    def __init__(self, sentence: Sentence, ids_KT: Tensor, totals: list[float], eos_id: int) -> None:
        assert sentence.demand is not None
        self._sentence, self._demand, self._totals, self._eos_id = sentence, sentence.demand, totals, eos_id
        self._room = sentence.limit - (ids_KT.shape[1] - sentence.begun - len(sentence.prefix)) - 1
        self._alive = [beam for beam, total in enumerate(totals) if total > NEVER]
        self._bound: set[int] = set()  # beams that must go on with a phrase, lest a forbidden word stay behind
        self.wanted = [(beam, token) for beam in self._alive for token in self._may_want(beam, ids_KT[beam])]

    def _may_want(self, beam: int, ids_T: Tensor) -> list[int]:
        state, barred = self._demand.states[beam], self._sentence.forbidden
        wanted = self._demand.wanted(state)
        if barred is not None:
            ids = ids_T[self._sentence.begun :].tolist()
            never = set(barred.after(ids).tolist())
            wanted = [token for token in wanted if token not in never or self._demand.word_goes_on(state, token)]
            if barred.at_the_end_of(ids):
                self._bound.add(beam)
                wanted = [token for token in wanted if self._demand.is_within_word(token)]
        return [self._eos_id, *wanted]

    def spoiling(self) -> list[tuple[int, Tensor]]:
        """Beams with the tokens [n] that would spoil a phrase."""
        found = [(beam, self._demand.spoiling(self._demand.states[beam])) for beam in self._alive]
        return [(beam, tokens) for beam, tokens in found if tokens is not None]

    def going(self, best: list[list[tuple[int, float]]], wanted: dict[tuple[int, int], float], ends: list[float]) -> list[Going]:
        """What ends, then what stays open, of the best tokens of each beam, what is demanded, and the end of each."""
        free = [beam for beam in self._alive if beam not in self._bound]
        scores = {(beam, token): score for beam in free for token, score in best[beam] if score > NEVER}
        scores |= {pair: score for pair, score in wanted.items() if pair[1] != self._eos_id}
        may_end = [beam for beam in free if self._demand.may_end(self._demand.states[beam]) and ends[beam] > NEVER]
        open_ones = [self._going(beam, token, score) for (beam, token), score in scores.items()]
        ended, kept = self._demand.choose(
            open_ones, [self._going(beam, self._eos_id, ends[beam]) for beam in may_end], self._room
        )
        if not (ended or kept or self._sentence.found) and self._alive:  # what is forbidden leaves no way: it ends as it is
            ended = [self._going(beam, self._eos_id, wanted[beam, self._eos_id]) for beam in self._alive[:1]]
        return [*ended, *kept]

    def _going(self, beam: int, token: int, score: float) -> Going:
        return Going(self._totals[beam] + score, beam, token, score)


class Walk(Search):
    """Greedy search, or `n_best` independent samples: each query goes its own way and never branches.

    A sample is drawn from softmax(logits / temperature), of which `top_k` leaves the best tokens and then `top_p` the
    fewest that hold that much of what is left (Holtzman et al. 2020).
    """

    def __init__(self, constraints: Constraints, sentences: list[Sentence], prefix_BT: Tensor) -> None:
        self.greedy = constraints.options.method == "greedy"
        self.queries = 1 if self.greedy else constraints.options.n_best
        super().__init__(constraints, sentences, prefix_BT)
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
        uniform = [self._uniform(sentence, K) for sentence in self.sentences]
        uniform_R, total_R = torch.from_numpy(np.concatenate(uniform)), mass_RC[:, -1]
        aim_R = torch.minimum(uniform_R.to(total_R) * total_R, total_R.nextafter(torch.zeros_like(total_R)))
        place_R1 = (mass_RC <= aim_R[:, None]).sum(1, keepdim=True)
        return (place_R1 if ids_RC is None else ids_RC.gather(1, place_R1)).view(B, K)

    def _uniform(self, sentence: Sentence, count: int) -> NDArray[np.float64]:
        if sentence.begun + len(sentence.prefix) > self.ids_BKT.shape[2]:  # a forced token is not drawn
            return np.zeros(count)
        assert sentence.draws is not None
        return sentence.draws.random(count)

    def keep(self, rows: list[int], rows_B: Tensor) -> None:
        super().keep(rows, rows_B)
        self.ended_BK = self.ended_BK[rows_B]

    def join(self, other: Self) -> None:
        super().join(other)
        self.ended_BK = torch.cat((self.ended_BK, other.ended_BK))
