"""Models of Hugging Face as models of ours, and back: a directory in, a directory out.

Nothing in a directory is run: weights are safetensors, settings JSON, and tokenizers JSON or SentencePiece's. What the tables
of `families.py` do not know is refused by its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from headway.config import Config, MediaConfig, ModelConfig
from headway.data.shared_vocabulary import SideTokenizer
from headway.data.tokenizer import FORBIDDEN_IDS, SPECIAL_TOKENS, Tokenizer, Tokenizers, idle_tokenizers
from headway.data.tokenizer_import import prepared
from headway.data.tokenizer_layout import special
from headway.errors import HeadwayError, ModelError, ResourceError, UsageError
from headway.interop.answers import read_labels
from headway.interop.families import FAMILIES, REFUSED
from headway.interop.family import CONFIG, Family, Json
from headway.interop.json_file import read_json
from headway.interop.media_families import PROCESSOR, PROCESSORS
from headway.interop.pooling import Pooled, read_pooling
from headway.interop.surroundings import Languages, Surroundings, surroundings
from headway.interop.tokenizer_files import SIDES, tokenizer_path
from headway.interop.weights import Rule, to_ours
from headway.model.transformer import Transformer
from headway.model_dir import build_model, save_model
from headway.model_files import refuse_existing
from headway.special_ids import BOS_ID
from headway.training.tensor_file import parse_tensors, refuse_non_finite

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
NOT_KNOWN = "not known: imported"  # the data that others have trained on
NEVER = -1e4  # the bias of special pieces that they do not have: no answer, and no part of any probability
UNUSED = "<|unused_{}|>"  # rows of a table that no piece belongs to
OUTPUT_BIAS = "final_logits_bias"
LONGEST = 512  # tokens of a text, where a model could read more


@dataclass(frozen=True)
class Imported:
    """What became of a model: where it is, and the tensors that have no place in it."""

    directory: Path
    family: str
    parameters: int
    left: list[str]


def import_model(source: Path, out: Path, languages: Languages | None = None, origin: str | None = None) -> Imported:
    """Writes the model of a directory of Hugging Face as a model directory of ours.

    Args:
        languages: what asks for a language to read and one to write, where a model knows several; Marian is asked for one to
            write alone.
        origin: where the directory came from, for the card; default: its name.

    Raises:
        ModelError: a file is missing, damaged or a pickle, or the model is of a kind that is not known.
        UsageError: the directory is there, or a language is no piece.
    """
    refuse_existing(out)
    theirs = _read_config(source)
    kind, family = _family_of(theirs, source)
    if languages is not None and family.task not in ("translation", "speech_recognition"):
        raise UsageError(f"{kind} is asked for no language", where="--from, --to", remedy="leave them out")
    tensors = _with_head(_read_weights(source, family.prefix), family)
    with _blamed_on(source / CONFIG):
        theirs = family.settled(theirs, tensors.keys())
        pooled = read_pooling(source, family)
        switches = {"pooling": pooled.pooling, **family.read(theirs, str(source / CONFIG)), "family": kind}
        shape = ModelConfig.model_validate(switches)
    head = family.head[0].theirs[0] if family.head and family.head[0].theirs[0] in tensors else None
    rules = family.rules(shape, head=head is not None)
    _refuse_other_sizes(shape, family, rules, tensors, str(source))
    text = None
    if family.task == "media_classification":
        with _blamed_on(source / CONFIG):
            labels = read_labels(theirs, len(tensors[head]), str(source / CONFIG)) if head else None
        idle = idle_tokenizers().source
        tokenizers = Tokenizers(idle, idle, labels)
    else:
        path = tokenizer_path(source, family)
        with _blamed_on(path):
            text = _text_of(source, path, theirs, family, languages, _vocabulary_rows(rules, tensors))
        tokenizers = text.tokenizers(source)
    absent = torch.tensor(text.order if text else []) < 0
    if absent.any() and shape.decoder_layers:
        switches["output_bias"] = True
    media = _senses(source, theirs, family)
    with _blamed_on(source / CONFIG):
        config = _configuration(family.task, switches, tokenizers, pooled, text, media)
    model = build_model(config, tokenizers)
    fill(model, rules, tensors, text.rows if text else torch.arange(0), family, str(source))
    if model.output_bias is not None:
        model.output_bias[absent] = NEVER
    facts = {"imported": {"from": origin or source.resolve().name, "family": kind}}
    directory = save_model(out, config, model.state_dict(), tokenizers, facts)
    left = tensors.keys() - _named(rules) - _made_again(family)
    return Imported(directory, kind, model.parameter_count(), sorted(left))


def _made_again(family: Family) -> set[str]:
    """Tensors that say nothing new: copies of the table of the embeddings, where it is tied, and positions that do not learn."""
    parts = ["embed_tokens", *(["embed_positions"] if family.table is not None else [])]
    stacks = {f"{family.body}{stack}.{part}.weight" for stack in ("encoder", "decoder") for part in parts}
    return {"lm_head.weight", "proj_out.weight", *stacks}


@contextmanager
def _blamed_on(path: Path) -> Iterator[None]:
    """Whatever goes wrong with what a file says is its fault: from damaged ones come errors of every type."""
    try:
        yield
    except HeadwayError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, StopIteration) as error:
        told = str(error).split("\n")[-2:] if isinstance(error, ValidationError) else [f"{type(error).__name__}: {error}"]
        problem = f"is damaged, or of a kind that is not known ({' '.join(told)[:200].strip()})"
        raise ModelError(problem, where=str(path), remedy="give a directory as Hugging Face saves it") from None


def _named(rules: list[Rule]) -> set[str]:
    return {name for one in rules for name in one.theirs}


def _refuse_other_sizes(shape: ModelConfig, family: Family, rules: list[Rule], tensors: dict[str, Tensor], where: str) -> None:
    """Raises ModelError where tensors are missing, or too small for the configuration: a big model is never built for them."""
    if missing := sorted(_named(rules) - tensors.keys()):
        raise ModelError(f"lacks the tensor {missing[0]}", where=where)
    more = family.rules(shape, head=False, more_layers=1)
    if behind := sorted((_named(more) - _named(rules)) & tensors.keys()):
        raise ModelError(f"has {behind[0]} beyond the layers of its configuration", where=where)
    held = sum(tensors[name].numel() for name in _named(rules))
    least = (shape.encoder_layers + shape.decoder_layers) * shape.width * max(shape.width, shape.feed_forward_width)
    if held < least:
        raise ModelError(f"holds {held:,} weights, and its configuration makes it {least:,} or more", where=where)


@torch.no_grad()
def fill(model: Transformer, rules: list[Rule], theirs: dict[str, Tensor], order: Tensor, family: Family, where: str) -> None:
    """Copies their tensors into a model of ours; every one of its weights must be among them. Raises ModelError."""
    own = model.state_dict(keep_vars=True)
    shapes = {name: tensor.shape for name, tensor in own.items()}
    found = to_ours(rules, theirs, shapes, order, where)
    if family.table is not None:
        for side in ("source", "target"):
            name = f"{side}_embedding.fixed"
            found[name] = family.table(*shapes[name])
    filled = {id(own[name]) for name in found}
    missing = [name for name, tensor in own.items() if id(tensor) not in filled and name != "output_bias"]
    assert not missing, f"{family.architecture}: no rule gives {missing}"
    for name, tensor in found.items():
        own[name].copy_(tensor)


# ---- files


def _read_config(source: Path) -> Json:
    found = read_json(source / CONFIG, 1 << 20)
    nested = [key for key, value in found.items() if isinstance(value, dict) and "model_type" in value]
    if nested:
        raise ModelError(f"is made of several models ({', '.join(nested)})", where=str(source / CONFIG))
    return found


def _family_of(theirs: Json, source: Path) -> tuple[str, Family]:
    kind = theirs.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        why = REFUSED.get(kind) if isinstance(kind, str) else None
        problem = f"has model_type={kind!r}, which Headway does not know" + (f": {why}" if why else "")
        raise ModelError(problem, where=str(source / CONFIG), remedy=f"it knows {', '.join(FAMILIES)}")
    return kind, FAMILIES[kind]


def _senses(source: Path, theirs: Json, family: Family) -> Json | None:
    """Our section `media`, None where text is read. Raises ModelError."""
    if family.door is None:
        return None
    told = _processor(source)
    try:
        with _blamed_on(source / PROCESSOR):
            return MediaConfig.model_validate(family.door.read(theirs, told)).model_dump()
    except ModelError as error:
        error.where = str(source / Path(error.where or PROCESSOR).name)
        raise


def _processor(source: Path) -> Json:
    """What prepares files, which may stand in one JSON with what prepares texts. Raises ModelError."""
    if (source / PROCESSORS).is_file() and not (source / PROCESSOR).is_file():
        whole = read_json(source / PROCESSORS, 4 << 20)
        for part in ("image_processor", "feature_extractor"):
            if isinstance(found := whole.get(part), dict):
                return found
    return read_json(source / PROCESSOR, 4 << 20)


def _read_weights(source: Path, prefix: str) -> dict[str, Tensor]:
    """All tensors, of one file or of several that an index names, by their names without `prefix`; a pickle is never opened.

    Raises ModelError.
    """
    if (source / WEIGHTS).is_file():
        names = [WEIGHTS]
    elif (source / INDEX).is_file():
        told = read_json(source / INDEX, 16 << 20).get("weight_map")
        files = list(told.values()) if isinstance(told, dict) else []
        if not files or any(not isinstance(name, str) or os.path.basename(name) != name for name in files):
            raise ModelError("names no files beside it", where=str(source / INDEX))
        names = sorted(set(files))
    else:
        pickles = [name for name in sorted(os.listdir(source)) if name.endswith(PICKLES)]
        remedy = "convert it where you trust it: transformers' AutoModel.from_pretrained(…).save_pretrained(…)"
        if pickles:
            problem = f"holds {pickles[0]}, which may run code when opened, and no {WEIGHTS}"
            raise ModelError(problem, where=str(source), remedy=remedy)
        raise ModelError(f"has no {WEIGHTS}", where=str(source), remedy="give a directory as Hugging Face saves it")
    found: dict[str, Tensor] = {}
    for name in names:
        try:
            data = torch.from_file(str(source / name), shared=False, size=(source / name).stat().st_size, dtype=torch.uint8)
        except (OSError, RuntimeError) as error:
            raise ModelError(f"cannot be read: {str(error)[:80]}", where=str(source / name)) from None
        for key, tensor in parse_tensors(data, str(source / name)).items():
            known_as = _as_today(key.removeprefix(prefix))
            if known_as in found:
                raise ModelError(f"has {known_as} a second time", where=str(source / name))
            found[known_as] = tensor
    try:
        refuse_non_finite(found)
    except ResourceError as error:
        raise ModelError(f"holds {error.problem.removeprefix('not saved: ')}", where=str(source)) from None
    return found


def _with_head(tensors: dict[str, Tensor], family: Family) -> dict[str, Tensor]:
    """The tensors by the names that they have in a model with a head, whose own bias is zero where no file has one."""
    if family.body and not any(name.startswith(family.body) for name in tensors):
        tensors = {f"{family.body}{name}": tensor for name, tensor in tensors.items()}
    shared = tensors.get(f"{family.body}shared.weight")
    if family.always.get("output_bias") and shared is not None and shared.dim():
        tensors.setdefault(OUTPUT_BIAS, torch.zeros(1, len(shared)))
    return tensors


def _as_today(name: str) -> str:
    """Older files call the weight and the bias of a norm gamma and beta, as TensorFlow does."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


# ---- the tokenizer


def _vocabulary_rows(rules: list[Rule], tensors: dict[str, Tensor]) -> int:
    return len(tensors[next(one.theirs[0] for one in rules if one.vocabulary)])


@dataclass(frozen=True)
class _Text:
    """What is read and written.

    Attributes:
        order: the row of each piece of the tokenizer in their table, -1 for what has none.
    """

    found: Surroundings
    tokenizer: Tokenizer
    order: list[int]

    @property
    def rows(self) -> Tensor:
        """The row that each piece begins with."""
        start = self.found.start if self.order[BOS_ID] < 0 else self.order[BOS_ID]
        return torch.tensor([start if place == BOS_ID else row for place, row in enumerate(self.order)]).clamp(min=0)

    def tokenizers(self, source: Path) -> Tokenizers:
        """One tokenizer for both sides, or one for each that cuts text by a model of its own; the numbers are the same."""
        if self.found.sides is None:
            return Tokenizers(self.tokenizer, self.tokenizer)
        one, other = (
            SideTokenizer(model, self.tokenizer.vocabulary, name=str(source / name))
            for model, name in zip(self.found.sides, SIDES, strict=True)
        )
        return Tokenizers(one, other)

    def never(self) -> dict[str, list[str]]:
        """What no answer has, or begins with; special pieces alone say nothing new, as none here has them anyway."""
        own = dict(zip(self.order, self.tokenizer.vocabulary, strict=True))
        never, first = (
            [own[number] for number in numbers if number in own] for numbers in (self.found.never, self.found.never_first)
        )
        usual = {self.tokenizer.vocabulary[number] for number in FORBIDDEN_IDS}
        return {"never": never if set(never) - usual else [], "never_first": first}


def _text_of(source: Path, path: Path, theirs: Json, family: Family, languages: Languages | None, rows: int) -> _Text:
    found = surroundings(source, theirs, family, languages)
    return _Text(found, *_tokenizer_of(found, rows, str(path)))


def _tokenizer_of(found: Surroundings, rows: int, where: str) -> tuple[Tokenizer, list[int]]:
    """The tokenizer, with a piece for each row of their table, and the row of each of its pieces: -1 for what has none."""
    content, numbers = found.content, found.numbers
    if max(numbers.values(), default=0) >= rows:
        raise ModelError(f"has pieces beyond the {rows:,} rows of the model", where=where)
    taken = set(numbers.values())
    for row in range(rows):
        if row not in taken:
            numbers[UNUSED.format(row)] = row
            content.setdefault("added_tokens", []).append(special(UNUSED.format(row), row))
    tokenizer = Tokenizer(prepared(content, where, found.special_pieces), name=where)
    order = [numbers.get(piece, -1) for piece in tokenizer.vocabulary]
    if order != rows_there(order[: len(SPECIAL_TOKENS)], len(order)).tolist():
        raise ModelError("numbers its pieces in an order that is not known", where=where)
    return tokenizer, order


def rows_there(special: list[int], pieces: int) -> Tensor:
    """The row that each piece has in the table of the model it came from, -1 for none: all but the special ones are in order.

    Args:
        special: rows of the four special pieces, or nothing, where the numbers are our own.
    """
    if not special:
        return torch.arange(pieces)
    own = special[: len(SPECIAL_TOKENS)]
    others = [row for row in range(pieces) if row not in set(own)][: pieces - len(own)]
    return torch.tensor([*own, *others])


def _configuration(
    task: str, switches: Json, tokenizers: Tokenizers, pooled: Pooled, text: _Text | None, media: Json | None
) -> Config:
    corpus: dict[str, Any] = {"path": NOT_KNOWN, "source": "text"}
    if task != "language_model":
        corpus["target"] = "target"
    values: dict[str, Any] = {
        "run_directory": "imported",
        "task": task,
        "data": {"train": corpus, "validation": corpus, "preprocessing": ["lowercase"] if pooled.lowercase else []},
        "tokenizer": {"vocabulary_size": tokenizers.target.vocabulary_size},
        "model": switches,
    }
    if media is not None:
        values["media"] = media
    if tokenizers.labels is not None:
        values["data"]["labels"] = tokenizers.labels.kind
    if text is not None:
        found = text.found
        positions = min(switches.get("max_positions", LONGEST + 1), pooled.longest or LONGEST + 1)
        read, written = (positions - 1 - len(before) for before in (found.before_source, found.before_target))
        values["data"]["max_length"] = min(read, written, LONGEST)
        values["decoding"] = {"maximum_length": written if task == "speech_recognition" else min(written, 200), **text.never()}
        values["tokenizer"] |= {
            "before_source": found.before_source,
            "before_target": found.before_target,
            "ends_between": found.ends_between,
            "special_numbers": [*text.order[: len(SPECIAL_TOKENS)], found.start],
        }
    return Config.model_validate(values, context={"paths_as_written": True})
