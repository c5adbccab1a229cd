"""The directory of a run: which configuration it belongs to, and its tokenizers.

runs/x/config.yaml   checkpoints/   model/ (the best so far)   metrics.jsonl   tensorboard/   evaluation/
"""

from __future__ import annotations

import shutil
from pathlib import Path

from headway.config import Config, config_difference, dump_config, load_config
from headway.data.tokenizer import Tokenizers, train_tokenizers
from headway.errors import UsageError

# What may change when a run goes on: how long and how closely it is watched, not what it computes.
MAY_CHANGE = (
    "training.updates", "training.log_every", "training.validate_every", "training.save_every", "training.keep_checkpoints",
    "training.patience", "training.threads", "training.non_finite_limit", "decoding.", "evaluation.", "data.test.",
)  # fmt: skip


def prepare_run_directory(config: Config) -> Path:
    """Makes the directory, or checks that what it holds was begun with the same configuration.

    Raises:
        UsageError: it belongs to a run with other settings; the difference is shown.
    """
    directory = Path(config.run_directory)
    if directory.exists() and not directory.is_dir():
        raise UsageError("is not a directory", where=str(directory), remedy="choose another run_directory")
    written = directory / "config.yaml"
    if written.exists():
        changes = [line for line in config_difference(load_config(written), config) if not line.startswith(MAY_CHANGE)]
        if changes:
            raise UsageError(
                "holds a run with another configuration:\n    " + "\n    ".join(changes),
                where=str(directory),
                remedy="choose another run_directory, or start anew with --fresh",
            )
    elif directory.exists() and any(directory.iterdir()):
        raise UsageError("is not empty and holds no run", where=str(directory), remedy="choose another run_directory")
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def write_config(directory: Path, config: Config) -> None:
    aside = directory / ".config.yaml.tmp"
    aside.write_text(dump_config(config), encoding="utf-8")
    aside.replace(directory / "config.yaml")


def remove_run(directory: Path) -> None:
    """`--fresh`: forgets a run, but only a directory that is one."""
    if (directory / "config.yaml").exists():
        shutil.rmtree(directory)


def cache_directory(config: Config) -> Path:
    return Path(config.data.cache_directory or Path(config.run_directory).parent / "cache")


def open_tokenizers(directory: Path, config: Config) -> Tokenizers:
    """The run's tokenizers: learned from the training pairs at its first start, read at the next ones."""
    folder = directory / "tokenizers"
    if folder.exists():
        return Tokenizers.load(folder, dropout=config.tokenizer.dropout)
    tokenizers = train_tokenizers(config)
    aside = directory / ".tokenizers.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    tokenizers.save(aside)
    aside.replace(folder)
    return tokenizers
