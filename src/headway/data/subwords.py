"""One tokenizer: text ↔ numbers of pieces.

A `Tokenizer` never gives special tokens from text: ``</s>`` in a sentence is four characters like any others. The pieces 0 to 3
are always those for padding, begin, end and unknown.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headway.data.tokenizer_layout import Json, chunker
from headway.errors import DataError, ModelError, UsageError
from headway.special_ids import BOS_ID, EOS_ID, PAD_ID, UNK_ID

if TYPE_CHECKING:
    from headway.data.subword_sampling import SubwordSampler

MEMO_CHUNKS = 1 << 16
MEMO_CHARACTERS = 32


class Tokenizer:
    """Text ↔ piece numbers.

    Args:
        content: the JSON of a tokenizer.json whose first four pieces are the special ones.
        dropout: the rate of `sample_many`; not stored with the tokenizer.
        name: the file, for error messages.

    Raises:
        ModelError: `tokenizers` does not accept the JSON.
        UsageError: `dropout` is asked of a tokenizer without subwords.
    """

    def __init__(self, content: Json, *, dropout: float = 0.0, name: str | None = None) -> None:
        self.dropout = dropout
        self._backend = _backend(content, name)
        self._content: Json = json.loads(self._backend.to_str())
        self._chunks = chunker(self._content)
        self._memo: dict[str, list[int]] = {}
        # Tokens that the backend looks for in the text before all else; ours has none.
        self._matched = [token["content"] for token in self._content["added_tokens"] if not token["special"]]
        if dropout and self._content["model"]["type"] == "WordLevel":
            raise UsageError("a tokenizer of whole words has no subwords to sample", where=name, remedy="set tokenizer.dropout=0")

    def encode(self, text: str) -> list[int]:
        """The numbers of the pieces of a text, without special tokens."""
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode`, for many texts at a time.

        Raises:
            DataError: a text holds half of a surrogate pair, which is no character.
        """
        try:
            return self._encode_many(texts)
        except TypeError:  # so the library calls it
            for number, text in enumerate(texts):
                if isinstance(text, str) and (half := re.search("[\ud800-\udfff]", text)):
                    problem = f"text {number} holds \\u{ord(half[0]):04x}, half of a surrogate pair"
                    raise DataError(problem, remedy="remove it") from None
            raise

    def _encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        if self._chunks is None:
            rows = [encoding.ids for encoding in self._backend.encode_batch_fast(list(texts), add_special_tokens=False)]
            return [
                row if min(row, default=UNK_ID) >= UNK_ID else self._spelled_out(text)
                for text, row in zip(texts, rows, strict=True)
            ]
        rows = []
        memo = self._memo
        for text in texts:
            row: list[int] = []
            for chunk in self._chunks(text):
                row += memo.get(chunk) or self._encode_chunk(chunk)
            rows.append(row)
        return rows

    def encode_with_spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """As `encode`, and for each piece the characters of `text` that it stands for, from the first to before the second."""
        found = self._backend.encode(text, add_special_tokens=False)
        return [number if number >= UNK_ID else UNK_ID for number in found.ids], list(found.offsets)

    def _spelled_out(self, text: str) -> list[int]:
        """As the backend does, but without the special pieces, which some models of others take from text."""
        from headway.data.subword_sampling import segmenter

        cut = segmenter(self._content["model"], 0.0)
        return [number for word in self._words(text) for number in cut(word, lambda: 1.0)]

    def _encode_chunk(self, chunk: str) -> list[int]:
        ids: list[int] = self._backend.encode(chunk, add_special_tokens=False).ids
        if len(self._memo) < MEMO_CHUNKS and len(chunk) <= MEMO_CHARACTERS:
            self._memo[chunk] = ids
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text that pieces stand for; special tokens, also ``<unk>``, give nothing."""
        return str(self._backend.decode([int(number) for number in ids], skip_special_tokens=True))

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The pieces as they are written in the vocabulary."""
        return [self.vocabulary[number] for number in ids]

    def sample_many(self, texts: Sequence[str], seed: int) -> list[list[int]]:
        """As `encode_many`, each word cut at random at the rate `dropout`: a pure function of (text, seed, place in the list)."""
        if not self.dropout:
            return self.encode_many(texts)
        rows = self._sampled(texts, seed)
        if self._matched:
            for row, text in enumerate(texts):
                if any(token in text for token in self._matched):
                    rows[row] = self.encode(text)
        return rows

    def _sampled(self, texts: Sequence[str], seed: int) -> list[list[int]]:
        return self._sampler.sample_many(texts, seed)

    @cached_property
    def _sampler(self) -> SubwordSampler:
        from headway.data.subword_sampling import SubwordSampler, segmenter

        cut = segmenter(self._content["model"], self.dropout)
        if self._chunks is not None:
            return SubwordSampler(cut, self._chunks, self._words)
        return SubwordSampler(cut, self._words, lambda word: [word])

    def _words(self, text: str) -> list[str]:
        """The words that the model of the backend is given for a text."""
        normalizer, pre_tokenizer = self._backend.normalizer, self._backend.pre_tokenizer
        normal = normalizer.normalize_str(text) if normalizer is not None else text
        if pre_tokenizer is None:
            return [normal] if normal else []
        return [word for word, _ in pre_tokenizer.pre_tokenize_str(normal)]

    def count_words(self, texts: Iterable[str]) -> Counter[str]:
        """How often the model of the backend is given each word of the texts."""
        chunks: Counter[str] = Counter()
        for text in texts:
            chunks.update(self._chunks(text) if self._chunks is not None else [text])
        words: Counter[str] = Counter()
        for chunk, count in chunks.items():
            for word in self._words(chunk):
                words[word] += count
        return words

    def normalize(self, text: str) -> str:
        """The text as the tokenizer sees it: what `decode` gives back where nothing is unknown."""
        normalizer = self._backend.normalizer
        return str(normalizer.normalize_str(text)) if normalizer is not None else text

    @cached_property
    def own_pieces(self) -> list[str]:
        """The pieces that text is cut into, in the order of its file."""
        numbers: dict[str, int] = self._backend.get_vocab(with_added_tokens=True)
        return sorted(numbers, key=numbers.__getitem__)

    @property
    def vocabulary(self) -> list[str]:
        """All pieces by number."""
        return self.own_pieces

    @property
    def vocabulary_size(self) -> int:
        return len(self.vocabulary)

    @property
    def content(self) -> Json:
        """What stands in its tokenizer.json."""
        return self._content

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(_canonical(self._content).encode()).hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a tokenizer.json, readable by Hugging Face as well."""
        Path(path).write_text(json.dumps(self._content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, dropout: float = 0.0, ours: bool = False) -> Tokenizer:
        """Read a tokenizer.json, or the .model of SentencePiece; of `ours` the numbers of special pieces are known.

        Raises:
            ModelError: it is missing, damaged, or holds what is not known to be safe.
        """
        from headway.data.tokenizer_import import read_tokenizer

        return cls(read_tokenizer(path, ours=ours), dropout=dropout, name=str(path))


def _canonical(content: Json) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def _backend(content: Json, name: str | None) -> Any:
    from tokenizers import Tokenizer as Backend

    try:
        backend = Backend.from_str(json.dumps(content))
        backend.encode_special_tokens = True  # text is never taken for a special token
        backend.decode(backend.encode("A first try: 1 é 漢 ﬁ 😀", add_special_tokens=False).ids)
        special = [backend.token_to_id(token["content"]) for token in content["added_tokens"][:4]]
        numbers = sorted(backend.get_vocab(with_added_tokens=True).values())
    except BaseException as error:  # the library panics with what is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise ModelError(f"is damaged: {str(error)[:200]}", where=name, remedy="give another tokenizer file") from None
    if special != [PAD_ID, BOS_ID, EOS_ID, UNK_ID] or numbers != list(range(len(numbers))):
        raise ModelError("the numbers of its pieces have gaps", where=name, remedy="give another tokenizer file")
    return backend
