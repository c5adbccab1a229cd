"""What Hugging Face's own library answers with a directory that Headway wrote: only to compare, its tokenizer included."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headway.data.preprocessing import Preprocessor
from headway.errors import MissingPackage
from headway.model_dir import load_model
from headway.special_ids import BOS_ID

TOGETHER = 32  # texts of a batch


@dataclass(frozen=True)
class Answer:
    text: str


@dataclass(frozen=True)
class VectorAnswer:
    values: NDArray[np.float32]


class HuggingFaceAnswers:
    """Asks `transformers` as `headway predict` asks a predictor, greedily.

    Args:
        run: what the directory was made from: its preprocessing stands in no file of Hugging Face.

    Raises MissingPackage where transformers is not installed.
    """

    def __init__(self, directory: Path, run: Path, decoding: dict[str, Any]) -> None:
        try:
            import transformers
        except ImportError:
            raise MissingPackage("transformers", remedy="pip install transformers") from None
        config = load_model(run).config
        self._config, self._longest = config, decoding.get("maximum_length", config.decoding.maximum_length)
        self._source, self._target = (
            Preprocessor(config.data.preprocessing, language)
            for language in (config.data.source_language, config.data.target_language)
        )
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(str(directory))
        names = {"language_model": "AutoModelForCausalLM", "sentence_embedding": "AutoModel"}
        kind = getattr(transformers, names.get(config.task, "AutoModelForSeq2SeqLM"))
        self._model: Any = kind.from_pretrained(str(directory)).eval()

    def answer_pieces(self, pieces: Iterable[list[str]]) -> Iterator[list[Any]]:
        """One answer to each text, in order."""
        ask = {"language_model": self._continued, "sentence_embedding": self._vectors}.get(self._config.task, self._written)
        for texts in pieces:
            plain = [self._source.apply(text) for text in texts]
            for start in range(0, len(plain), TOGETHER):
                with torch.inference_mode():
                    yield from ([answer] for answer in ask(plain[start : start + TOGETHER]))

    def _written(self, texts: list[str]) -> Iterator[Answer]:
        batch = self._read(texts)
        before = len(self._config.tokenizer.before_target)
        found = self._model.generate(**batch, max_new_tokens=before + self._longest, num_beams=1, do_sample=False)
        opening = 1 + before
        for length, ids in zip(batch["attention_mask"].sum(1).tolist(), found.tolist(), strict=True):
            kept = ids[: opening + min(self._longest, 2 * length + 20)]
            yield Answer(self._target.undo(self._tokenizer.decode(kept, skip_special_tokens=True)).strip())

    def _continued(self, texts: list[str]) -> Iterator[Answer]:
        start = (self._config.tokenizer.special_numbers or [BOS_ID])[-1]  # their tokenizers do not write it
        for text in texts:
            given = torch.tensor([[start, *self._tokenizer(text, add_special_tokens=False)["input_ids"]]])
            mask = torch.ones_like(given)
            found = self._model.generate(given, attention_mask=mask, max_new_tokens=self._longest, num_beams=1, do_sample=False)
            yield Answer(self._tokenizer.decode(found[0, 1:], skip_special_tokens=True))

    def _vectors(self, texts: list[str]) -> Iterator[VectorAnswer]:
        batch = self._read(texts)
        states, mask = self._model(**batch).last_hidden_state, batch["attention_mask"][..., None]
        pooled = {
            "mean": lambda: (states * mask).sum(1) / mask.sum(1),
            "max": lambda: states.masked_fill(mask == 0, -torch.inf).amax(1),
            "first": lambda: states[:, 0],
        }[self._config.model.pooling]()
        yield from (VectorAnswer(row.numpy()) for row in torch.nn.functional.normalize(pooled, dim=1))

    def _read(self, texts: list[str]) -> Any:
        """Texts as a batch, cut where Headway cuts them: its `max_length` counts no piece that stands around a text."""
        around = 1 + len(self._config.tokenizer.before_source)
        most = min(self._config.data.max_length + around, getattr(self._model.config, "max_position_embeddings", sys.maxsize))
        return self._tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=most)
