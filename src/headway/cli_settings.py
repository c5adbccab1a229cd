"""The settings that a verb works with: a configuration from a file, a trial or a trained model, and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headway.command_line import Arguments, say
from headway.errors import UsageError

if TYPE_CHECKING:
    from headway.config import Config
    from headway.data.checks.report import Finding


def with_decoding(run: str, overrides: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The model directory of a run, or an exported model, and its settings of `decoding.*` where some are given."""
    from headway.config import load_config
    from headway.model_dir import find_model
    from headway.model_files import is_exported

    if strangers := [override for override in overrides if not override.startswith("decoding.")]:
        raise UsageError(f"{strangers[0]!r} is no setting of a trained model", remedy="settings are those of decoding.*, in full")
    directory = Path(run) if is_exported(run) else find_model(run)
    if not overrides:
        return str(directory), {}
    return str(directory), load_config(directory / "config.yaml", overrides, paths_as_written=True).decoding.model_dump()


def configuration(arguments: Arguments) -> Config:
    """That of a file, or with --from-trial that of a trial; overrides win."""
    if getattr(arguments, "from_trial", None) is None:
        from headway.config import load_config

        return with_warnings(load_config(arguments.config, arguments.overrides))
    from headway.tuning.search_space import read_search
    from headway.tuning.study import drawn_for_trial, load_study, refuse_other_spaces

    # The directory of the search follows run_directory, which may be that of the search or a new one for this training.
    begun = asked = read_search(arguments.config, arguments.overrides, only_base=True)
    if not begun.directory.is_dir():
        begun = read_search(
            arguments.config, [one for one in arguments.overrides if not one.startswith("run_directory")], only_base=True
        )
    study = load_study(begun)
    refuse_other_spaces(study, asked)
    return with_warnings(asked.config(drawn_for_trial(study, arguments.from_trial)))


def with_warnings(config: Config) -> Config:
    """The same, after a word on what is seldom meant."""
    from headway.config import config_warnings

    for warning in config_warnings(config):
        say(f"headway: warning: {warning}")
    return config


def start_findings(config: Config) -> list[Finding]:
    """What is wrong with the runs that training is to begin with."""
    if not config.model.start_from:
        return []
    from headway.training import start_from

    return start_from.start_findings(config)
