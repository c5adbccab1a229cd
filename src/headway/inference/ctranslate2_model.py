"""A model that CTranslate2 runs: it searches by itself, much as `decoding.py` does, and is asked in the same way.

Its beams end by rules of their own, so of several beams another one may win; one beam is greedy search in both.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch

from headway.config import DecodingConfig
from headway.errors import MissingPackage, ModelError, UsageError
from headway.inference.hypothesis import Hypothesis, OwnSearch, Wanted
from headway.interop.ctranslate2 import vocabulary
from headway.interop.exported import ExportedModel
from headway.special_ids import BOS_ID, EOS_ID
from headway.tasks import extra_pieces

_log = logging.getLogger(__name__)
LONGEST_INPUT = 0  # for CTranslate2: no bound, as texts were cut before


class CTranslate2Model(OwnSearch):
    """Stands where a Transformer stands for a predictor.

    Raises:
        MissingPackage: ctranslate2 is not installed.
        ModelError: it cannot read the files.
    """

    def __init__(self, exported: ExportedModel) -> None:
        super().__init__()
        try:
            import ctranslate2
        except ImportError:
            raise MissingPackage("ctranslate2", "ctranslate2", where=str(exported.directory)) from None
        self.config = exported.config.model
        extra = extra_pieces(exported.config)
        self._sources = vocabulary(exported.tokenizers.source, extra)
        self._targets = vocabulary(exported.tokenizers.target, extra)
        self._number_of = {piece: number for number, piece in enumerate(self._targets)}
        threads, place = torch.get_num_threads(), str(exported.directory)
        self._told = False  # that draws have no seed
        self._engine: Any
        try:
            self._engine = self._opened(ctranslate2, place, threads)
        except (RuntimeError, ValueError) as error:
            problem = f"CTranslate2 {ctranslate2.__version__} does not open it: {str(error)[:200]}"
            raise ModelError(problem, where=place, remedy="export the model again") from None

    def _opened(self, ctranslate2: Any, place: str, threads: int) -> Any:
        if self.config.encoder_layers:  # predictors translate so many batches side by side
            return ctranslate2.Translator(place, inter_threads=threads, intra_threads=1)
        return ctranslate2.Generator(place, intra_threads=threads)

    def search(self, wanted: Wanted) -> list[list[Hypothesis]]:
        """The `n_best` answers to each row of ids, or to each prefix; see `decoding.generate`.

        Raises UsageError for pieces that an answer may have, and not begin with: CTranslate2 cannot be told of them.
        """
        options, prefixes, limits = wanted.options, wanted.prefixes, wanted.limits
        if wanted.forbidden_first:
            problem, remedy = "CTranslate2 forbids pieces everywhere or nowhere", "add decoding.never_first=[]"
            raise UsageError(problem, where="decoding.never_first", remedy=remedy)
        if options.method == "sample" and not self._told:
            _log.warning("CTranslate2 draws from a stream of its own: decoding.seed has no effect, and no text comes twice")
            self._told = True
        settings = self._settings(options, wanted.forbidden_ids)
        starts = [[self._targets[one] for one in prefix] for prefix in prefixes]
        if wanted.rows is not None:
            sources = [[self._sources[one] for one in row] for row in wanted.rows]
            found = self._engine.translate_batch(
                sources,
                starts,
                max_input_length=LONGEST_INPUT,
                max_decoding_length=max(map(sum, zip(limits, map(len, prefixes), strict=True))),
                min_decoding_length=options.minimum_length,
                **settings,
            )
            written = [[[self._number_of[piece] for piece in pieces] for pieces in one.hypotheses] for one in found]
        else:
            sources = None
            found = self._engine.generate_batch(
                [[self._targets[BOS_ID], *start] for start in starts],
                max_length=max(limits),
                min_length=options.minimum_length,
                include_prompt_in_result=False,
                **settings,
            )
            written = [[[*prefix, *ids] for ids in one.sequences_ids] for prefix, one in zip(prefixes, found, strict=True)]
        cut = [
            [ids[: limit + len(prefix)] for ids in some] for some, limit, prefix in zip(written, limits, prefixes, strict=True)
        ]
        return self._scored(sources, cut, [len(prefix) for prefix in prefixes], options)

    def _settings(self, options: DecodingConfig, forbidden_ids: Sequence[int]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "beam_size": options.beam_size if options.method == "beam" else 1,
            "num_hypotheses": options.n_best,
            "length_penalty": options.length_penalty,
            "no_repeat_ngram_size": options.no_repeat_ngram,
            "suppress_sequences": [[self._targets[one]] for one in forbidden_ids],
        }
        if options.method == "sample":
            found |= {
                "sampling_topk": options.top_k,
                "sampling_topp": options.top_p,
                "sampling_temperature": options.temperature,
            }
        return found

    def _scored(
        self, sources: list[list[str]] | None, written: list[list[list[int]]], given: list[int], options: DecodingConfig
    ) -> list[list[Hypothesis]]:
        """The answers with the log-probability of each of their tokens, best first: a search tells only sums."""
        places = [place for place, some in enumerate(written) for _ in some]
        answers = [ids for some in written for ids in some]
        pieces = [[self._targets[one] for one in ids] for ids in answers]
        if sources is not None:
            scores = self._engine.score_batch([sources[place] for place in places], pieces, max_input_length=LONGEST_INPUT)
        else:
            begin, end = self._targets[BOS_ID], self._targets[EOS_ID]
            scores = self._engine.score_batch([[begin, *one, end] for one in pieces], max_input_length=LONGEST_INPUT)
        found: list[list[Hypothesis]] = [[] for _ in written]
        for place, ids, score in zip(places, answers, scores, strict=True):
            token_scores = [*[0.0] * given[place], *score.log_probs[given[place] :]]
            total = sum(token_scores) / (len(ids) - given[place] + 1) ** options.length_penalty
            found[place].append(Hypothesis(list(ids), total, token_scores))
        return [sorted(some, key=lambda one: -one.score) for some in found]
