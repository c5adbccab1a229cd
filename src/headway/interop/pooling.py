"""How sentence-transformers makes one vector of a text: `modules.json`, and the files of the modules that it names.

Ours has the length 1 always, as after its module Normalize; without that one cosines are the same, and products are not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.config import Config
from headway.errors import ModelError
from headway.interop.family import Family, Json
from headway.interop.json_file import read_if_there, read_json, read_json_value
from headway.training import _fs
from headway.training.manifest import write_file

MODULES, SETTINGS, POOLING = "modules.json", "config_sentence_transformers.json", "1_Pooling/config.json"
READING = "sentence_bert_config.json"
OLDER = ("roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")  # what READING was called for other models
KNOWN = ["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]
MODES = {"mean": "mean", "max": "max", "cls": "first"}
SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
MOST = 1 << 20  # bytes of a file of settings


@dataclass(frozen=True)
class Pooled:
    """
    Attributes:
        pooling: our switch.
        longest: tokens that are read of a text, with what stands around it; None for as many as the model can.
        lowercase: whether texts are written small first.
    """

    pooling: str = "mean"
    longest: int | None = None
    lowercase: bool = False


def read_pooling(source: Path, family: Family) -> Pooled:
    """What the files say; the mean of all tokens where there are none. Raises ModelError for modules that are not known."""
    where = source / MODULES
    if not where.is_file():
        return Pooled()
    if family.task != "sentence_embedding":
        problem = f"makes vectors with a model of {family.architecture}, and only encoders do so here"
        raise ModelError(problem, where=str(where), remedy="without this file it is imported as a model that writes")
    modules = read_json_value(where, MOST)
    if not isinstance(modules, list) or not all(isinstance(one, dict) for one in modules):
        raise ModelError("is no JSON array of modules", where=str(where))
    kinds = [str(one.get("type")).rpartition(".")[2] for one in modules]
    if kinds not in KNOWN:
        problem = f"makes vectors by {', '.join(kinds) or 'nothing'}, and known is {', '.join(KNOWN[1])}, the last or not"
        raise ModelError(problem, where=str(where), remedy="no such model can be imported")
    if modules[0].get("path"):
        raise ModelError(f"keeps its Transformer in {modules[0]['path']!r}", where=str(where), remedy="move its files here")
    folder = str(modules[1].get("path", ""))
    if folder in ("", "..") or Path(folder).name != folder:
        raise ModelError(f"keeps its Pooling in {folder!r}, which is no folder beside it", where=str(where))
    _refuse_other_comparison(source, normalized=len(kinds) == len(KNOWN[1]))
    pooling = _mode(source / folder / "config.json")
    names = (READING, *(f"sentence_{name}_config.json" for name in OLDER))
    reading = next((read_json(source / name, MOST) for name in names if (source / name).is_file()), {})
    longest = reading.get("max_seq_length")
    if longest is not None and (type(longest) is not int or longest < 1):
        raise ModelError(f"has max_seq_length={longest!r}", where=str(source / READING))
    return Pooled(pooling, longest, bool(reading.get("do_lower_case")))


def _mode(path: Path) -> str:
    """Our switch for the mode that a Pooling has. Raises ModelError for one that is not known, or several."""
    settings = read_json(path, MOST)
    modes: Any = settings.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in SWITCHES.items() if settings.get(key)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else modes
    if not isinstance(modes, list) or len(modes) != 1 or modes[0] not in MODES:
        told = " and ".join(map(str, modes)) if isinstance(modes, list) else repr(modes)
        remedy = "no such model can be imported"
        raise ModelError(f"pools by {told}, and known is one of {', '.join(MODES)}", where=str(path), remedy=remedy)
    return MODES[modes[0]]


def _refuse_other_comparison(source: Path, *, normalized: bool) -> None:
    """Raises ModelError where texts get a prompt that is not asked for, or vectors are compared otherwise than by cosines."""
    path = source / SETTINGS
    settings = read_if_there(path)
    if (name := settings.get("default_prompt_name")) is not None:
        problem = f"puts the prompt {name!r} before every text (default_prompt_name)"
        raise ModelError(problem, where=str(path), remedy="no such model can be imported")
    how = settings.get("similarity_fn_name") or "cosine"
    if how != "cosine" and not (how == "dot" and normalized):
        problem = f"compares vectors by {how} (similarity_fn_name), and ours are compared by their cosine"
        raise ModelError(problem, where=str(path), remedy="no such model can be imported")


def write_pooling(aside: Path, config: Config) -> None:
    """The files with which sentence-transformers makes the vectors that `headway predict` does."""
    around = 1 + len(config.tokenizer.before_source)
    mode = next(theirs for theirs, ours in MODES.items() if ours == config.model.pooling)
    paths = dict(zip(KNOWN[1], ("", POOLING.partition("/")[0], "2_Normalize"), strict=True))
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(paths.items())
    ]
    reading = {
        "max_seq_length": config.data.max_length + around,
        "do_lower_case": "lowercase" in config.data.preprocessing,
    }
    pooling: Json = {"word_embedding_dimension": config.model.width, **{key: mode == other for key, other in SWITCHES.items()}}
    _fs.make_directory(aside / paths["Pooling"])
    for name, content in ((MODULES, modules), (READING, reading), (POOLING, pooling)):
        write_file(aside / name, [json.dumps(content, indent=2).encode() + b"\n"])
    _fs.fsync_directory(aside / paths["Pooling"])
