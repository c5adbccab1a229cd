"""The directory of a run: which configuration it belongs to, and its tokenizers.

runs/x/config.yaml   checkpoints/   model/ (the best so far)   metrics.jsonl   starts.jsonl   tensorboard/   evaluation/
       check.json (what the pre-flight of the data found)   report.html
Of several seeds each has such a directory: runs/x/seed1, runs/x/seed2, …
"""

from __future__ import annotations

import shutil
from pathlib import Path

from headway.config import Config, config_difference, dump_config, load_config
from headway.data.preparation import texts_of
from headway.data.tokenizer import Tokenizers, idle_tokenizers, train_tokenizers
from headway.data.tokenizer_extension import extend_tokenizers
from headway.errors import ResourceError, UsageError
from headway.model_files import SEED_RUN
from headway.tasks import TASKS
from headway.training import _fs
from headway.training.start_from import inherited_tokenizers

# What may change when a run goes on. `updates` moves the fall of the learning rate, `threads` the rounding; the rest only
# how closely the run is watched and how its model answers.
MAY_CHANGE = (
    "run_directory", "training.updates", "training.log_every", "training.validate_every", "training.save_every",
    "training.keep_checkpoints", "training.patience", "training.threads", "training.non_finite_limit",
    "decoding.", "evaluation.", "data.test", "data.cache_directory",
)  # fmt: skip

LOCK, TOKENIZERS, CHECK = "run.lock", "tokenizers", "check.json"
CONFIG_ASIDE, TOKENIZERS_ASIDE = ".config.yaml.tmp", ".tokenizers.tmp"
# All that a run writes, its configuration last: without it the directory is no run.
WRITTEN = (
    "checkpoints", "model", "adapter", "evaluation", "tensorboard", TOKENIZERS, TOKENIZERS_ASIDE, "metrics.jsonl", "metrics.tmp",
    "starts.jsonl", CHECK, "report.html", "explanations", "explain", CONFIG_ASIDE, "config.yaml",
)  # fmt: skip


def make_run_directory(config: Config) -> Path:
    """Makes the directory of the run, where nothing but a run stands.

    Raises:
        UsageError: something else stands there.
    """
    directory = Path(config.run_directory)
    if directory.exists() and not directory.is_dir():
        raise UsageError("is not a directory", where=str(directory), remedy="choose another run_directory")
    if (
        directory.exists()
        and not is_run(directory)
        and any(path.name not in (LOCK, *WRITTEN[:-1]) for path in directory.iterdir())
    ):
        raise UsageError("is not empty and holds no run", where=str(directory), remedy="choose another run_directory")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(
            f"cannot be made: {error.strerror}", where=str(directory), remedy="choose another run_directory"
        ) from error
    return directory


def is_run(directory: Path) -> bool:
    """Whether Headway began a run here; a user's folder may hold a config.yaml too, but no lock."""
    return (directory / LOCK).exists() and (directory / "config.yaml").exists()


def seed_runs(directory: Path) -> dict[int, Path]:
    """The runs that `headway train --seeds` made in a directory, by their seeds; none where it is a run itself."""
    if is_run(directory) or not directory.is_dir():
        return {}
    named = {path: SEED_RUN.fullmatch(path.name) for path in directory.iterdir()}
    found = {int(match[1]): path for path, match in named.items() if match and is_run(path)}
    return dict(sorted(found.items()))


def has_checkpoints(directory: Path) -> bool:
    return any((directory / "checkpoints").glob("step-*"))


def begin_or_go_on(directory: Path, config: Config) -> None:
    """Writes the configuration, or checks that what was trained so far was trained with the same one.

    Raises:
        UsageError: the run has other settings; the difference is shown.
    """
    if has_checkpoints(directory):
        if not is_run(directory):
            problem = "holds checkpoints, but not the config.yaml that says what they were trained with"
            raise UsageError(problem, where=str(directory), remedy="put it back, or choose another run_directory")
        begun = load_config(directory / "config.yaml", paths_as_written=True)
        changes = [line for line in config_difference(begun, config) if not line.startswith(MAY_CHANGE)]
        if changes:
            raise UsageError(
                "holds a run with another configuration:\n    " + "\n    ".join(changes),
                where=str(directory),
                remedy="choose another run_directory, or delete this run and begin anew with --fresh",
            )
    aside = directory / CONFIG_ASIDE
    aside.write_text(dump_config(config), encoding="utf-8")
    _put_in_place(aside, directory / "config.yaml")


def forget_run(directory: Path) -> None:
    """`--fresh`: removes what a run wrote, and nothing else; the lock, which the caller holds, stays."""
    if not is_run(directory):
        return
    for name in WRITTEN:
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def cache_directory(config: Config) -> Path:
    return Path(config.data.cache_directory or Path(config.run_directory).parent / "cache")


def forget_tokenizers(directory: Path) -> None:
    shutil.rmtree(directory / TOKENIZERS, ignore_errors=True)


def open_tokenizers(directory: Path, config: Config) -> Tokenizers:
    """The run's tokenizers: learned, or inherited and extended, before anything is trained, read from then on."""
    folder = directory / TOKENIZERS
    if folder.exists():
        return Tokenizers.load(folder, dropout=config.tokenizer.dropout)
    task = TASKS[config.task]
    labels = task.labels(config.data) if task.labels is not None else None  # first: a corpus that they refuse costs no time
    tokenizers = inherited_tokenizers(config)
    if tokenizers is None and not config.reads_text and not task.writes:
        tokenizers = idle_tokenizers()
    elif tokenizers is None or config.tokenizer.path is not None:
        tokenizers = train_tokenizers(config, texts_of(task.preparation))
    elif config.tokenizer.extend_by:
        tokenizers = extend_tokenizers(tokenizers, config, texts_of(task.preparation))
    if labels is not None:
        tokenizers.labels = labels
    aside = directory / TOKENIZERS_ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    tokenizers.save(aside)
    _put_in_place(aside, folder)
    return tokenizers


def _put_in_place(aside: Path, place: Path) -> None:
    """Renames a file or a directory of files once it is on the medium: a checkpoint without its tokenizers is worth nothing."""
    for path in [*aside.iterdir()] if aside.is_dir() else [aside]:
        with path.open("r+b") as file:
            _fs.fsync(file.fileno())
    if aside.is_dir():
        _fs.fsync_directory(aside)
    aside.replace(place)
    _fs.fsync_directory(place.parent)
