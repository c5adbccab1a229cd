"""llama.cpp itself, through the package llama-cpp-python: what it makes of a GGUF file, to be held beside what a model does here.

All numbers of pieces here are ours; that file has the rows of the family in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headway.data.tokenizer import FORBIDDEN_IDS
from headway.errors import MissingPackage, ModelError
from headway.interop.exported import ExportedModel
from headway.interop.huggingface import rows_there
from headway.model_dir import LoadedModel
from headway.special_ids import BOS_ID, EOS_ID


class LlamaCpp:
    """A GGUF file of a model, opened by llama.cpp; keys and values are kept in 32 bits, as here.

    Args:
        loaded: the model that the file was written from, or what stands beside the file.
        context: tokens of a text at most, its start included.

    Raises:
        MissingPackage: llama-cpp-python is not installed. ModelError: llama.cpp does not open the file.
    """

    def __init__(self, path: Path, loaded: LoadedModel | ExportedModel, *, context: int = 256, threads: int = 1) -> None:
        try:
            import llama_cpp
        except ModuleNotFoundError:
            remedy = "pip install llama-cpp-python (it is compiled: a C++ compiler and CMake are needed)"
            raise MissingPackage("llama-cpp-python", remedy=remedy) from None
        numbers = loaded.config.tokenizer.special_numbers
        rows = rows_there(numbers, loaded.tokenizers.target.vocabulary_size).tolist()
        start = numbers[-1] if numbers else BOS_ID
        self._row_of = {number: row for number, row in enumerate(rows) if row >= 0} | {BOS_ID: start}
        self._number_of = {row: number for number, row in self._row_of.items() if number != BOS_ID or row not in rows}
        self._known = torch.tensor(rows) >= 0
        self._rows = torch.tensor(rows)[self._known]
        opened: Any = llama_cpp.Llama
        kept = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32, "flash_attn": False}
        used = {"n_ctx": context, "n_threads": threads, "n_threads_batch": threads, "logits_all": True, "verbose": False}
        try:
            self._engine = opened(str(path), **kept, **used)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"llama.cpp does not open it: {error}", where=str(path)) from None

    def encode(self, text: str) -> list[int]:
        """The pieces of a text, the start before them."""
        start, *rows = self._engine.tokenize(text.encode(), add_bos=True, special=False)
        assert start == self._row_of[BOS_ID], f"llama.cpp begins a text with row {start}"
        return [BOS_ID, *(self._number_of[row] for row in rows)]

    def logits(self, ids: Sequence[int]) -> Tensor:
        """What follows each of the pieces, [T, V]; −∞ for a piece that is not there."""
        self._engine.reset()
        return self._ours(self._read(ids))

    def continued(
        self, ids: Sequence[int], tokens: int, never: Sequence[int] = FORBIDDEN_IDS, never_first: Sequence[int] = ()
    ) -> list[int]:
        """The pieces that follow, always the likeliest of those that may, up to the end or so many."""
        self._engine.reset()
        found: list[int] = []
        last = self._read(ids)
        while len(found) < tokens:
            logits = self._ours(last)[-1]
            logits[[*never, *(never_first if not found else ())]] = -torch.inf
            best = int(logits.argmax())
            if best == EOS_ID:
                break
            found.append(best)
            last = self._read([best])
        return found

    def _read(self, ids: Sequence[int]) -> Tensor:
        before = self._engine.n_tokens
        self._engine.eval([self._row_of[number] for number in ids])
        return torch.from_numpy(np.array(self._engine.scores[before : before + len(ids)]))

    def _ours(self, theirs_TV: Tensor) -> Tensor:
        found = torch.full((len(theirs_TV), len(self._known)), -torch.inf)
        found[:, self._known] = theirs_TV[:, self._rows]
        return found
