"""Learning a tokenizer: lines → the JSON of a tokenizer.json. The same lines and settings give the same JSON, byte for byte.

BPE, WordPiece and words are learned by `tokenizers`, unigram by `sentencepiece`: the unigram trainer of `tokenizers` gives other
pieces at every run and does not end on tiny data.
"""

from __future__ import annotations

import io
import json
import logging
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

from headway.config import TokenizerConfig
from headway.data.tokenizer_layout import BYTE_TOKENS, SPACE, SPECIAL_TOKENS, WORDS, Json, layout, normalize, normalize_form
from headway.errors import DataError, UsageError

CONTINUATION = "##"
MAX_WORD_CHARACTERS = 200  # a longer word is unknown to WordPiece
MAX_SAMPLE_CHARACTERS = 1 << 27
# Of different words, as trainers keep each word once. Measured: BPE needs 45 bytes a character, unigram 20 seconds a million.
MAX_WORD_TYPE_CHARACTERS = {"unigram": 1 << 22, "extension": 1 << 22}
MOST_WORD_TYPE_CHARACTERS = 1 << 24
JOINT = "\x1f"  # between words for sentencepiece; cannot stand within one, as it would be cut off as punctuation

_log = logging.getLogger(__name__)
T = TypeVar("T")
Lot: TypeAlias = tuple[float, int, T]  # a random number, the place of the item, the item


def draw(items: Iterable[T], most: int, characters: Callable[[T], int], seed: int) -> tuple[list[T], int]:
    """An even draw of at most `most` items and 2²⁷ characters, in their order, and how many items there were.

    Each item gets a random number; those with the lowest are kept. A pure function of the items and `seed`.
    """
    chance = random.Random(seed).random
    held: list[Lot[T]] = []
    limit, size, number = 1.0, 0, 0
    for number, item in enumerate(items, 1):
        lot = chance()
        if lot < limit:
            held.append((lot, number, item))
            size += characters(item)
            if len(held) > most * 1.25 + 1000 or size > MAX_SAMPLE_CHARACTERS * 1.25:
                held, size = _lowest(held, most, characters)
                limit = held[-1][0]
    held, _ = _lowest(held, most, characters)
    return [item for _, _, item in sorted(held, key=lambda entry: entry[1])], number


def _lowest(held: list[Lot[T]], most: int, characters: Callable[[T], int]) -> tuple[list[Lot[T]], int]:
    held.sort(key=lambda entry: entry[0])
    size = 0
    for count, (_, _, item) in enumerate(held):
        size += characters(item)
        if count == most or (size > MAX_SAMPLE_CHARACTERS and count):
            return held[:count], size - characters(item)
    return held, size


def thin(lines: list[str], kind: str) -> list[str]:
    """Every n-th line, so that the trainer's memory is bounded: text without blanks between its words has no word twice."""
    most = MAX_WORD_TYPE_CHARACTERS.get(kind, MOST_WORD_TYPE_CHARACTERS)
    if sum(map(len, lines)) <= most:
        return lines
    types: set[str] = set()
    for line in lines:
        types.update(line.split())
    return lines[:: max(1, -(-sum(map(len, types)) // most))]


def learn(lines: Sequence[str], settings: TokenizerConfig) -> Json:
    """Learn from all of `lines`.

    Raises:
        DataError: there is no text in the lines.
        UsageError: the vocabulary is smaller than its fixed part.
    """
    form = settings.normalization
    byte_level = settings.bytes == "level"
    fixed = len(SPECIAL_TOKENS) + (256 if settings.bytes != "none" else 0)
    if settings.vocabulary_size <= fixed:
        raise UsageError(
            f"vocabulary_size={settings.vocabulary_size} has no room beside {fixed} fixed pieces",
            where="tokenizer.vocabulary_size",
            remedy=f"give more than {fixed}" + ("" if settings.bytes == "none" else " or set tokenizer.bytes=none"),
        )
    all_blanks = settings.blanks == "all" and not byte_level
    texts = [normalize_form(line, form) if byte_level or all_blanks else normalize(line, form) for line in lines]
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    if not counts:
        raise DataError("there is no text to learn a tokenizer from", remedy="look at the training files")
    if byte_level:
        return layout(_learn_bpe(texts, settings, byte_level=True), form, byte_level=True)
    if settings.kind == "word":
        return layout(_learn_words(texts, settings), form)
    room = settings.vocabulary_size - fixed
    if all_blanks:
        alphabet = _alphabet(counts, room, settings)
        return layout(_bpe_model([*SPECIAL_TOKENS, *alphabet], []), form, all_blanks=True)
    counts = Counter({SPACE if character == " " else character: count for character, count in counts.items()})
    counts[SPACE] += 1  # begins every text
    alphabet = _alphabet(counts, max(1, room // 2) if settings.kind == "wordpiece" else room, settings)
    texts = _without_rare(texts, counts, alphabet)
    if settings.kind == "character":
        model = _bpe_model([*SPECIAL_TOKENS, *alphabet], [])
    elif settings.kind == "unigram":
        model = _learn_unigram(texts, settings)
    elif settings.kind == "wordpiece":
        model = _learn_wordpiece(texts, sorted(alphabet), settings)
    else:
        model = _learn_bpe(texts, settings)
    return layout(model, form, continuation=CONTINUATION if settings.kind == "wordpiece" else None)


def _alphabet(counts: Counter[str], room: int, settings: TokenizerConfig) -> list[str]:
    """The characters that are learned, most frequent first: frequent enough, and as many as there is room for."""
    least = min(settings.minimum_frequency, max(counts.values()))
    frequent = [character for character, count in counts.items() if count >= least or character == SPACE]
    frequent.sort(key=lambda character: (character != SPACE, -counts[character], character))
    kept = frequent[:room]
    left_out = 1 - sum(counts[character] for character in kept) / sum(counts.values())
    if len(kept) < len(frequent):
        _log.warning(
            "vocabulary_size=%d has no room for %d of %d characters (%.2f %% of the text): they become unknown",
            settings.vocabulary_size, len(frequent) - len(kept), len(frequent), 100 * left_out,
        )  # fmt: skip
    return kept


def _without_rare(texts: list[str], counts: Counter[str], alphabet: Sequence[str]) -> list[str]:
    """The texts with a space for every character that is not learned."""
    rare = set(counts) - set(alphabet)
    if not rare:
        return texts
    pattern = re.compile("[" + "".join(map(re.escape, sorted(rare))) + "]+")
    return [normalize(pattern.sub(" ", text), "none") for text in texts]


def _bpe_model(pieces: Sequence[str], merges: list[list[str]], *, byte_fallback: bool = False) -> Json:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": SPECIAL_TOKENS[3],
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": byte_fallback,
        "ignore_merges": False,
        "vocab": {piece: number for number, piece in enumerate(pieces)},
        "merges": merges,
    }


def _train(texts: Iterable[str], model: Any, trainer: Any, pre_tokenizer: Json) -> Json:
    """Run a trainer of `tokenizers`; what comes back is the model of the JSON, its special tokens first."""
    from tokenizers import Tokenizer

    start = json.loads(Tokenizer(model).to_str()) | {"pre_tokenizer": pre_tokenizer}
    tokenizer = Tokenizer.from_str(json.dumps(start))
    tokenizer.train_from_iterator(texts, trainer)
    learned: Json = json.loads(tokenizer.to_str())["model"]
    return learned


def _learn_bpe(texts: list[str], settings: TokenizerConfig, *, byte_level: bool = False) -> Json:
    from tokenizers import models, pre_tokenizers, trainers

    fallback = settings.bytes == "fallback"
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary_size,
        min_frequency=settings.minimum_frequency,
        special_tokens=[*SPECIAL_TOKENS, *(BYTE_TOKENS if fallback else ())],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()) if byte_level else [],
        show_progress=False,
    )
    start = layout({}, "none", byte_level=byte_level)["pre_tokenizer"]
    learned = _train(texts, models.BPE(unk_token=SPECIAL_TOKENS[3]), trainer, start)
    pieces = sorted(learned["vocab"], key=learned["vocab"].__getitem__)
    return _bpe_model(pieces, learned["merges"], byte_fallback=fallback)


def _learn_wordpiece(texts: list[str], alphabet: list[str], settings: TokenizerConfig) -> Json:
    from tokenizers import models, trainers

    # Given as special tokens, the characters get their numbers in this order; else in that of a hash table, another at every run.
    characters = [*alphabet, *(CONTINUATION + character for character in alphabet)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=settings.vocabulary_size,
        min_frequency=settings.minimum_frequency,
        special_tokens=[*SPECIAL_TOKENS, *characters],
        continuing_subword_prefix=CONTINUATION,
        show_progress=False,
    )
    model = models.WordPiece(unk_token=SPECIAL_TOKENS[3])
    return _train(texts, model, trainer, WORDS) | {"max_input_chars_per_word": MAX_WORD_CHARACTERS}


def _learn_words(texts: list[str], settings: TokenizerConfig) -> Json:
    from tokenizers import models, trainers

    trainer = trainers.WordLevelTrainer(
        vocab_size=settings.vocabulary_size,
        min_frequency=settings.minimum_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
    )
    learned = _train(texts, models.WordLevel(unk_token=SPECIAL_TOKENS[3]), trainer, WORDS)
    if len(learned["vocab"]) == len(SPECIAL_TOKENS):
        raise DataError(
            f"no word stands {settings.minimum_frequency} times in the text",
            remedy="lower tokenizer.minimum_frequency, or use bpe",
        )
    return learned


def _learn_unigram(texts: list[str], settings: TokenizerConfig) -> Json:
    import sentencepiece

    from headway.data.sentencepiece_model import parse

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=_words_joined(texts),
        model_writer=model,
        model_type="unigram",
        vocab_size=settings.vocabulary_size,
        hard_vocab_limit=False,
        byte_fallback=settings.bytes == "fallback",
        pretokenization_delimiter=JOINT,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_by_unicode_script=False,
        split_by_number=False,
        character_coverage=1.0,
        max_sentence_length=1 << 24,
        num_threads=2,  # the sums, and so the pieces, depend on this number
        minloglevel=2,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        pad_piece=SPECIAL_TOKENS[0],
    )
    pieces = parse(model.getvalue()).pieces
    return {
        "type": "Unigram",
        "unk_id": 3,
        "byte_fallback": settings.bytes == "fallback",
        "vocab": [[piece.text, piece.score] for piece in pieces],
    }


def _words_joined(texts: list[str]) -> Iterator[str]:
    from tokenizers import Tokenizer

    cut = Tokenizer.from_str(json.dumps(layout(_bpe_model(SPECIAL_TOKENS, []), "none"))).pre_tokenizer.pre_tokenize_str

    @lru_cache(maxsize=1 << 16)
    def words(chunk: str) -> str:
        return JOINT.join(word for word, _ in cut(chunk))

    for text in texts:
        if text:
            yield JOINT.join(map(words, text.split(" ")))
