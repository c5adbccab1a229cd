"""A vocabulary that grows for a new domain: pieces are added behind the old ones, whose numbers and cuts stay what they were.

BPE goes on learning merges (Sennrich et al. 2016, Algorithm 1) where it stopped, on text as the old merges cut it: so the new
tokenizer first cuts as the old one did and then joins. Characters and whole words that were unknown are added as they are.
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from headway.config import Config
from headway.data.preparation import Read
from headway.data.subword_sampling import segmenter
from headway.data.tokenizer import Tokenizer, Tokenizers, drawn_texts
from headway.data.tokenizer_layout import BYTE_TOKENS, SPECIAL_TOKENS, Json
from headway.data.tokenizer_training import thin
from headway.errors import UsageError
from headway.special_ids import UNK_ID

Pair = tuple[str, str]

_log = logging.getLogger(__name__)


def extend_tokenizers(tokenizers: Tokenizers, config: Config, read: Read) -> Tokenizers:
    """The tokenizers with up to `tokenizer.extend_by` pieces more, each learned from the texts of its side.

    Raises:
        UsageError: tokenizers of their kind cannot be extended. DataError: from reading the examples.
    """
    settings = config.tokenizer
    sources, targets, _ = drawn_texts(config, read)
    if tokenizers.joint:
        joint = extend(tokenizers.source, [*sources, *targets], settings.extend_by, settings.minimum_frequency)
        return Tokenizers(joint, joint, tokenizers.labels)
    source, target = (
        extend(side, texts, settings.extend_by, settings.minimum_frequency)
        for side, texts in ((tokenizers.source, sources), (tokenizers.target, targets))
    )
    return Tokenizers(source, target, tokenizers.labels)


def extend(tokenizer: Tokenizer, texts: list[str], room: int, least: int) -> Tokenizer:
    """`tokenizer` with at most `room` new pieces, each found at least `least` times in the texts; tells what they save."""
    words = tokenizer.count_words(thin(texts, "extension"))
    model = tokenizer.content["model"]
    kind = model["type"] if tokenizer.vocabulary == tokenizer.own_pieces else "two that share a vocabulary"
    affixes = model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
    if kind == "BPE" and not affixes:
        pieces, merges = _extend_bpe(tokenizer, words, room, least)
    elif kind == "WordLevel":
        pieces, merges = _most_frequent(words, tokenizer.vocabulary, room, least), []
    else:
        shown = kind.lower() + (f" with {affixes}" if kind == "BPE" else "")
        raise UsageError(
            f"the tokenizer of model.start_from is of kind {shown}, to which no pieces can be added that leave others alone",
            where="tokenizer.extend_by",
            remedy="leave it out, or start from a run with tokenizer.kind=bpe",
        )
    grown = _with(tokenizer, pieces, merges)
    (before, lost), (after, still_lost) = (_count_tokens(one, words) for one in (tokenizer, grown))
    unknown = f", {still_lost:,} unknown instead of {lost:,}" if lost else ""
    _log.info(
        f"{len(pieces):,} pieces added to the {tokenizer.vocabulary_size:,} of the tokenizer: the text that they were learned "
        f"from takes {after:,} tokens instead of {before:,} ({after / max(before, 1) - 1:+.1%}){unknown}"
    )
    if len(pieces) < room:
        _log.warning(f"the text gives no more than {len(pieces):,} new pieces of the {room:,} asked")
    return grown


def _extend_bpe(tokenizer: Tokenizer, words: Counter[str], room: int, least: int) -> tuple[list[str], list[Pair]]:
    """New pieces and the merges that make them: unknown characters first, for without them text is lost, then merges."""
    model = tokenizer.content["model"]
    letters: Counter[str] = Counter()
    for word, count in words.items():
        for letter in word:
            letters[letter] += count
    # Where bytes stand in for a character, nothing is lost: merges are worth as much.
    characters = _most_frequent(letters, tokenizer.vocabulary, room // 2 if model.get("byte_fallback") else room, least)
    if not model["merges"]:  # a tokenizer of characters
        return characters, []
    lettered = _with(tokenizer, characters, [])
    runs = _runs(lettered, words)
    merges = continued_merges(runs, lettered.vocabulary, room - len(characters), least)
    return [*characters, *map("".join, merges)], merges


def _most_frequent(counts: Counter[str], known: Iterable[str], room: int, least: int) -> list[str]:
    there = set(known)
    unknown = [(text, count) for text, count in counts.items() if count >= least and text not in there]
    return [text for text, _ in sorted(unknown, key=lambda entry: (-entry[1], entry[0]))[:room]]


def _runs(tokenizer: Tokenizer, words: Mapping[str, int]) -> Counter[tuple[str, ...]]:
    """Pieces that stand beside each other in a word, with nothing unknown and no single byte between, and how often they do."""
    model = tokenizer.content["model"]
    cut = segmenter(model, 0.0)
    closed = {*SPECIAL_TOKENS, model["unk_token"], *(BYTE_TOKENS if model.get("byte_fallback") else ())}
    runs: Counter[tuple[str, ...]] = Counter()
    for word, count in words.items():
        pieces = tokenizer.pieces(cut(word, _never))
        for is_closed, run in itertools.groupby(pieces, key=closed.__contains__):
            if not is_closed:
                runs[tuple(run)] += count
    return runs


def _never() -> float:
    """A chance that leaves nothing out."""
    return 1.0


def continued_merges(runs: Mapping[tuple[str, ...], int], known: Iterable[str], room: int, least: int) -> list[Pair]:
    """At most `room` merges of the most frequent pairs of neighbours, the first in the alphabet among equals.

    No merge makes a piece that is there already, so each new merge is done after all older ones, as it was learned.

    Args:
        runs: pieces in a row, and how often they stand so.
        known: pieces that there are.
        least: rarer pairs are not merged.
    """
    rows, counts = [list(run) for run in runs], list(runs.values())
    pairs: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)
    for at, row in enumerate(rows):
        for pair in itertools.pairwise(row):
            pairs[pair] += counts[at]
            places[pair].add(at)
    queue = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(queue)
    taken, merges = set(known), list[Pair]()
    while queue and len(merges) < room:
        count, pair = heapq.heappop(queue)
        joined = "".join(pair)
        if -count < least or joined in taken:
            continue
        if -count != pairs[pair]:  # it has become rarer since
            heapq.heappush(queue, (-pairs[pair], pair))
            continue
        taken.add(joined)
        merges.append(pair)
        changed: set[Pair] = set()
        for at in places.pop(pair):
            for old in itertools.pairwise(rows[at]):
                pairs[old] -= counts[at]
            rows[at] = _merged(rows[at], pair, joined)
            for new in itertools.pairwise(rows[at]):
                pairs[new] += counts[at]
                if joined in new:
                    places[new].add(at)
                    changed.add(new)
        for new in changed:
            heapq.heappush(queue, (-pairs[new], new))
    return merges


def _merged(row: Sequence[str], pair: Pair, joined: str) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(row):
        both = tuple(row[at : at + 2]) == pair
        found.append(joined if both else row[at])
        at += 2 if both else 1
    return found


def _with(tokenizer: Tokenizer, pieces: Sequence[str], merges: Sequence[Pair]) -> Tokenizer:
    """The tokenizer with more pieces and merges; tokens that stood outside of its model now stand in it, under their numbers."""
    model: Json = tokenizer.content["model"]
    vocabulary = {piece: number for number, piece in enumerate([*tokenizer.vocabulary, *pieces])}
    grown = model | {"vocab": vocabulary}
    if merges:
        grown["merges"] = [*model["merges"], *map(list, merges)]
    return Tokenizer(tokenizer.content | {"model": grown}, dropout=tokenizer.dropout)


def _count_tokens(tokenizer: Tokenizer, words: Mapping[str, int]) -> tuple[int, int]:
    """Of all words together, and how many of them are unknown."""
    cut = segmenter(tokenizer.content["model"], 0.0)
    tokens = unknown = 0
    for word, count in words.items():
        ids = cut(word, _never)
        tokens, unknown = tokens + count * len(ids), unknown + count * ids.count(UNK_ID)
    return tokens, unknown


# ---- a model for it ------------------------------------------------------------------------------------------------


def extends(tokenizer: Tokenizer, old: Tokenizer) -> bool:
    """Whether a tokenizer is `old`, or was made of it by `extend`."""
    pieces, before = tokenizer.content["model"], old.content["model"]
    merges = before.get("merges", [])
    return (
        tokenizer.vocabulary[: old.vocabulary_size] == old.vocabulary
        and pieces.get("merges", [])[: len(merges)] == merges
        and _frame(tokenizer) == _frame(old)
        and (tokenizer.vocabulary_size > old.vocabulary_size or tokenizer.digest == old.digest)
    )


def _frame(tokenizer: Tokenizer) -> Json:
    """All but pieces and merges."""
    model = {key: value for key, value in tokenizer.content["model"].items() if key not in ("vocab", "merges")}
    return tokenizer.content | {"model": model}


def cuts_of_new_pieces(tokenizer: Tokenizer, old: Tokenizer) -> list[list[int]]:
    """For each piece that `tokenizer` has beyond those of `old`, the pieces that `old` cuts it into."""
    cut = segmenter(old.content["model"], 0.0)
    return [cut(piece, _never) or [UNK_ID] for piece in tokenizer.vocabulary[old.vocabulary_size :]]
