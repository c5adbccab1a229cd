"""A tokenizer as llama.cpp knows it: the pieces by their rows, what kind each is, and the rules that join them.

llama.cpp holds code and no settings for what happens to a text before its pieces are found, so only what it has code for goes
there: byte-level BPE that cuts text as GPT-2, Llama 3, Qwen 2 or SmolLM do ("gpt2"), and the BPE of SentencePiece ("llama"),
which joins the neighbours whose piece has the best score. All else is refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from torch import Tensor

from headway.data.tokenizer import Tokenizer
from headway.data.tokenizer_import import GPT2_WORDS, LLAMA3_WORDS, QWEN2_WORDS
from headway.data.tokenizer_layout import BYTE_TOKENS, SPACE, Json
from headway.errors import UsageError
from headway.interop.huggingface import UNUSED
from headway.special_ids import UNK_ID

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED_ROW, BYTE = 1, 2, 3, 4, 5, 6  # llama.h: llama_token_type
DIGITS = "each digit"
# What cuts a text into words, and whether a word that is a piece is taken whole → the name that llama.cpp has for it.
PRE_TOKENIZERS = {
    ((GPT2_WORDS,), False): "gpt-2",
    ((DIGITS, GPT2_WORDS), False): "smollm",
    ((LLAMA3_WORDS,), True): "llama-bpe",
    ((LLAMA3_WORDS,), False): "smaug-bpe",
    ((QWEN2_WORDS,), False): "qwen2",
}
NOT_NFC = "texts must be in Unicode's form NFC already: llama.cpp does not bring them there"
LEADING_BLANK = "a text that begins with a blank gets one piece more in llama.cpp"
REMEDY = "learn the tokenizer with tokenizer.bytes=level, which llama.cpp knows"


@dataclass(frozen=True)
class Vocabulary:
    """
    Attributes:
        model, pre: llama.cpp's names of how pieces are joined, and of what cuts texts into words.
        pieces, kinds, scores: by row; scores are there for the model "llama" only.
        merges: pairs with a blank between, first to last, for the model "gpt2" only.
        prefix: whether a blank is put before a text.
        notes: what a text must be for the same pieces.
    """

    model: str
    pre: str
    pieces: list[str]
    kinds: list[int]
    scores: list[float] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    prefix: bool = False
    notes: list[str] = field(default_factory=list)


def vocabulary_of(tokenizer: Tokenizer, rows: Tensor, where: str) -> Vocabulary:
    """The tokenizer in the words of llama.cpp. Raises UsageError for what it cannot know.

    Args:
        rows: the row of each piece, -1 for none.
    """
    content = tokenizer.content
    model, steps = content["model"], _steps(content["pre_tokenizer"], "pretokenizers")
    if model["type"] != "BPE":
        raise _refused(f"is of the kind {model['type']}", where)
    if affix := model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise _refused(f"marks the parts of words with {affix!r}", where)
    for token in content["added_tokens"]:
        if not token["special"] and (token["single_word"] or token["lstrip"] or token["rstrip"]):
            raise _refused(f"takes blanks or word ends into {token['content']!r}", where)
    pieces = [tokenizer.vocabulary[number] for number in rows.argsort().tolist()[int((rows < 0).sum()) :]]
    kinds = _kinds(pieces, content, tokenizer.vocabulary[UNK_ID])
    if steps and steps[-1]["type"] == "ByteLevel":
        return _byte_level(content, steps, pieces, kinds, where)
    return _sentencepiece(content, steps, pieces, kinds, where)


def _refused(what: str, where: str) -> UsageError:
    return UsageError(f"the tokenizer {what}, which llama.cpp does not know", where=where, remedy=REMEDY)


def _steps(part: Json | None, parts: str) -> list[Json]:
    """A sequence as a list, and so one step or none."""
    if part is None:
        return []
    return [one for inner in part[parts] for one in _steps(inner, parts)] if part["type"] == "Sequence" else [part]


def _kinds(pieces: Sequence[str], content: Json, unknown: str) -> list[int]:
    added = {token["content"]: CONTROL if token["special"] else USER_DEFINED for token in content["added_tokens"]}
    spare = UNUSED.partition("{")[0]
    bytes_there = set(BYTE_TOKENS) if content["model"].get("byte_fallback") else set()

    def kind(piece: str) -> int:
        if piece == unknown:
            return UNKNOWN
        if piece.startswith(spare) and piece in added:
            return UNUSED_ROW
        return BYTE if piece in bytes_there else added.get(piece, NORMAL)

    return [kind(piece) for piece in pieces]


# ---- bytes


def _byte_level(content: Json, steps: list[Json], pieces: list[str], kinds: list[int], where: str) -> Vocabulary:
    from tokenizers import pre_tokenizers

    model, forms = content["model"], [step["type"] for step in _steps(content["normalizer"], "normalizers")]
    if forms not in ([], ["NFC"]):
        raise _refused(f"changes texts by {' and '.join(forms)}", where)
    if steps[-1]["add_prefix_space"]:
        raise _refused("puts a blank before a text of bytes", where)
    if missing := sorted(set(pre_tokenizers.ByteLevel.alphabet()) - set(pieces)):
        raise _refused(f"has no piece for the byte {missing[0]!r}", where)
    words = [_cut(step, where) for step in steps[:-1]] + ([GPT2_WORDS] if steps[-1]["use_regex"] else [])
    name = PRE_TOKENIZERS.get((tuple(words), bool(model.get("ignore_merges"))))
    if name is None:
        whole = " and takes words that are pieces whole" if model.get("ignore_merges") else ""
        raise _refused(f"cuts texts by {' and '.join(words) or 'nothing'}{whole}", where)
    merges = [" ".join(pair) for pair in model["merges"]]
    return Vocabulary("gpt2", name, pieces, kinds, merges=merges, notes=[NOT_NFC] if forms else [])


def _cut(step: Json, where: str) -> str:
    if step["type"] == "Split" and "Regex" in step["pattern"] and (step["behavior"], step["invert"]) == ("Isolated", False):
        return str(step["pattern"]["Regex"])
    if step["type"] == "Digits" and step["individual_digits"]:
        return DIGITS
    raise _refused(f"cuts texts by {step['type']}", where)


# ---- SentencePiece


def _sentencepiece(content: Json, steps: list[Json], pieces: list[str], kinds: list[int], where: str) -> Vocabulary:
    model, normal = content["model"], _steps(content["normalizer"], "normalizers")
    escape = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    prepend = {"type": "Prepend", "prepend": SPACE}
    notes: list[str] = []
    if not steps and normal in ([escape], [prepend, escape]):
        prefix = len(normal) == 2
    elif len(steps) == 1 and steps[0]["type"] == "Metaspace" and steps[0]["replacement"] == SPACE and not normal:
        prefix = steps[0]["prepend_scheme"] != "never"
        notes += [LEADING_BLANK] if prefix else []
        if steps[0]["split"] and (inside := [piece for piece in pieces if SPACE in piece[1:]]):
            raise _refused(f"never joins words, but has the piece {inside[0]!r}", where)
    else:
        told = " and ".join(step["type"] for step in [*normal, *steps]) or "nothing"
        raise _refused(f"makes words of texts by {told}", where)
    if not model.get("byte_fallback") or not set(BYTE_TOKENS) <= set(pieces):
        raise _refused("has no bytes for characters that are no pieces", where)
    if model.get("ignore_merges"):
        raise _refused("takes words that are pieces whole", where)
    scores = _scores(pieces, kinds, model["merges"], where)
    shown = [piece.replace(SPACE, " ") if kind == USER_DEFINED else piece for piece, kind in zip(pieces, kinds, strict=True)]
    return Vocabulary("llama", "default", shown, kinds, scores=scores, prefix=prefix, notes=notes)


def _scores(pieces: Sequence[str], kinds: Sequence[int], merges: Sequence[Sequence[str]], where: str) -> list[float]:
    """The score of each piece: the earlier it is made, the better. Raises UsageError where merges say more than scores can."""
    made = [left + right for left, right in merges]
    ranks: dict[str, int] = {}
    for piece, _ in groupby(made):
        if piece in ranks:
            raise _refused(f"makes the piece {piece!r} early and late", where)
        ranks[piece] = len(ranks)
    _refuse_other_ways([piece for piece, kind in zip(pieces, kinds, strict=True) if kind == NORMAL], merges, where)
    return [-float(ranks.get(piece, len(ranks))) for piece in pieces]


def _refuse_other_ways(pieces: Sequence[str], merges: Sequence[Sequence[str]], where: str) -> None:
    """Scores join any two neighbours that make a piece, and so every way to make it must be among the merges."""
    there, known = set(pieces), {(left, right) for left, right in merges}
    for piece in pieces:
        for at in range(1, len(piece)):
            cut = (piece[:at], piece[at:])
            if cut not in known and all(part in there or len(part) == 1 for part in cut):
                raise _refused(f"never makes {piece!r} of {cut[0]!r} and {cut[1]!r}", where)


def special_rows(rows: Tensor, numbers: Mapping[str, int]) -> dict[str, int]:
    """The rows of special pieces, by the names of `numbers`; one that is not there is left out."""
    return {name: int(rows[number]) for name, number in numbers.items() if rows[number] >= 0}
