"""The card of a model: what it is, how it was made, how good it is and how to use it, as Markdown for people to edit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from headway.config import Config, DataConfig, Split
from headway.data.files import resolve


def model_card(config: Config, facts: Mapping[str, Any]) -> str:
    """Markdown from the configuration and from what training measured.

    Args:
        facts: names and values, nested as they come, such as ``{"update": 4000, "validation": {"bleu": 35.1}}``; under
            "examples" a list of mappings with source, reference and translation.
    """
    model, data, training = config.model, config.data, config.training
    pairs = ", ".join(f"{source} → {target}" for source, target in data.directions)
    option, argument = "", ""
    if config.language_tags:
        option, argument = f" --to {config.language_tags[0]}", f', to="{config.language_tags[0]}"'
    shape = f"{model.encoder_layers}+{model.decoder_layers} layers, width {model.width}, {model.heads} heads"
    sections = [
        f"# {config.task.capitalize()}, {pairs}",
        f"A Transformer ({shape}) trained with Headway. Edit this card; the other files are verified when they are loaded.",
        "## Use",
        f"```sh\nheadway predict THIS_DIRECTORY input.txt{option}\n```\n\n```python\nimport headway\n\n"
        f'headway.load("THIS_DIRECTORY").predict(["…"]{argument})\n```',
        "## Data",
        _table({
            "training pairs": _corpus(data, "train"), "validation pairs": _corpus(data, "validation"),
            "preprocessing": ", ".join(data.preprocessing) or "none",
            "tokenizer": f"{config.tokenizer.kind}, {'joint' if config.tokenizer.joint else 'separate'}",
        }),
        "## Training",
        _table({
            "updates": training.updates, "tokens in a batch": training.batch_tokens, "learning rate": training.learning_rate,
            "label smoothing": training.label_smoothing, "dropout": model.dropout, "seed": training.seed,
        }),
    ]  # fmt: skip
    measured = dict(_flat({key: value for key, value in facts.items() if key != "examples"}))
    if measured:
        sections += ["## Measured", _table(measured)]
    if examples := [example for key, example in _examples(facts)]:
        sections += ["## Examples", "\n".join(examples)]
    sections += [
        "## Limits",
        "It knows what its training data shows and nothing else. Check its output before anything depends on it. "
        "The terms of the training data hold for the model too; write them here.",
    ]
    return "\n\n".join(sections) + "\n"


def _corpus(data: DataConfig, split: Split) -> str:
    """The files of each part, whether they are made, and how often it comes in an epoch."""
    from headway.samples import is_made

    parts = []
    for part in data.written_parts(split).values():
        names = [part.path] if part.path else [part.source, part.target]
        made = " (synthetic, made by headway sample)" if any(is_made(resolve(str(name))) for name in names) else ""
        parts.append(", ".join(map(str, names)) + made + (f" × {part.repeat:g}" if part.repeat != 1 else ""))
    return "; ".join(parts)


def _table(rows: Mapping[str, Any]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {_cell(name)} | {_cell(value)} |" for name, value in rows.items())])


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
    return re.sub(r"([|`*_<>\\\[\]])", r"\\\1", " ".join(text.split()))


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key} ")
        elif not isinstance(value, (list, tuple)) and value is not None:
            yield f"{prefix}{key}".replace("_", " "), value


def _examples(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _examples(value)
        elif key == "examples":
            for example in value:
                lines = [f"- {_cell(example['source'])}", f"  - reference: {_cell(example['reference'])}"]
                yield key, "\n".join([*lines, f"  - model: {_cell(example['translation'])}"])
