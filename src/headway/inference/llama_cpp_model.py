"""A model in a GGUF file, which llama.cpp runs: its likeliest pieces, one after another."""

from __future__ import annotations

from headway.errors import UsageError
from headway.inference.hypothesis import Hypothesis, OwnSearch, Wanted
from headway.interop.exported import ExportedModel
from headway.interop.gguf import FILE
from headway.interop.llama_cpp import LlamaCpp
from headway.special_ids import BOS_ID, EOS_ID


class LlamaCppModel(OwnSearch):
    """Stands where a Transformer stands for a predictor.

    Raises:
        MissingPackage: llama-cpp-python is not installed. ModelError: it does not open the file.
    """

    def __init__(self, exported: ExportedModel) -> None:
        super().__init__()
        self.config = exported.config.model
        self._engine = LlamaCpp(exported.directory / FILE, exported, context=exported.config.data.max_length + 1)

    def search(self, wanted: Wanted) -> list[list[Hypothesis]]:
        """The likeliest continuation of each prefix; see `decoding.generate`. Raises UsageError for another search."""
        options = wanted.options
        plain = options.method == "greedy" and not options.no_repeat_ngram and not options.minimum_length
        if not plain:
            problem = "is searched greedily by llama.cpp, without no_repeat_ngram and minimum_length"
            raise UsageError(problem, where="decoding", remedy="add decoding.method=greedy, or ask the model of Headway")
        return [
            [self._written(list(prefix), limit, wanted)] for prefix, limit in zip(wanted.prefixes, wanted.limits, strict=True)
        ]

    def _written(self, prefix: list[int], limit: int, wanted: Wanted) -> Hypothesis:
        answer = self._engine.continued([BOS_ID, *prefix], limit, wanted.forbidden_ids, wanted.forbidden_first)
        scores_TV = self._engine.logits([BOS_ID, *prefix, *answer])[len(prefix) :].log_softmax(-1)
        scores = [float(row[number]) for row, number in zip(scores_TV, [*answer, EOS_ID], strict=True)]
        total = sum(scores) / len(scores) ** wanted.options.length_penalty
        return Hypothesis([*prefix, *answer], total, [*[0.0] * len(prefix), *scores])
