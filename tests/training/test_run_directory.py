"""Which directories a run may begin in, go on in, and forget."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_run import tiny_config

from headway.errors import ResourceError, UsageError
from headway.training import _fs
from headway.training.run_directory import begin_or_go_on, forget_run, is_run, make_run_directory, open_tokenizers


def test_a_strangers_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(UsageError, match="holds no run"):
        make_run_directory(tiny_config(tmp_path, tmp_path))


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(UsageError, match="not a directory"):
        make_run_directory(tiny_config(tmp_path, tmp_path / "run"))
    with pytest.raises(ResourceError, match="cannot be made"):
        make_run_directory(tiny_config(tmp_path, tmp_path / "run" / "below"))


def test_what_a_killed_start_leaves_is_no_hindrance(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, tmp_path / "run")
    directory = make_run_directory(config)
    (directory / "run.lock").touch()
    (directory / ".config.yaml.tmp").write_text("half a configu", encoding="utf-8")
    assert make_run_directory(config) == directory
    assert not is_run(directory)
    begin_or_go_on(directory, config)
    assert is_run(directory)


def test_only_what_is_watched_may_change(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, tmp_path / "run")
    directory = make_run_directory(config)
    (directory / "run.lock").touch()
    begin_or_go_on(directory, config)
    begin_or_go_on(directory, tiny_config(tmp_path, directory, training={"learning_rate": 1e-4}))  # nothing is trained yet
    begin_or_go_on(directory, config)
    (directory / "checkpoints" / "step-00000005").mkdir(parents=True)
    begin_or_go_on(directory, tiny_config(tmp_path, directory, training={"updates": 30, "log_every": 7}))
    with pytest.raises(UsageError, match=r"training\.learning_rate(.|\n)*delete this run"):
        begin_or_go_on(directory, tiny_config(tmp_path, directory, training={"learning_rate": 1e-4}))


def test_a_run_that_was_moved_goes_on(tmp_path: Path) -> None:
    directory = make_run_directory(tiny_config(tmp_path, tmp_path / "run"))
    (directory / "run.lock").touch()
    begin_or_go_on(directory, tiny_config(tmp_path, directory))
    (directory / "checkpoints" / "step-00000005").mkdir(parents=True)
    moved = directory.rename(tmp_path / "moved")
    begin_or_go_on(moved, tiny_config(tmp_path, moved))
    assert str(moved) in (moved / "config.yaml").read_text()


def test_forgetting_keeps_the_lock_and_touches_no_stranger(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, tmp_path / "run")
    directory = make_run_directory(config)
    (directory / "run.lock").touch()
    begin_or_go_on(directory, config)
    (directory / "checkpoints").mkdir()
    (directory / "metrics.jsonl").touch()
    forget_run(directory)
    assert [path.name for path in directory.iterdir()] == ["run.lock"]
    (tmp_path / "letter.txt").touch()
    forget_run(tmp_path)
    assert (tmp_path / "letter.txt").exists()


def test_a_folder_of_ones_own_with_a_config_in_it_is_no_run(tmp_path: Path) -> None:
    """`headway init mine` puts mine/config.yaml beside the data; `run_directory: mine` must not cost the data."""
    for name in ("config.yaml", "train.en"):
        (tmp_path / name).write_text("precious", encoding="utf-8")
    with pytest.raises(UsageError, match="holds no run"):
        make_run_directory(tiny_config(tmp_path, tmp_path))
    forget_run(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", "train.en"}


def test_checkpoints_without_their_configuration_are_refused(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, tmp_path / "run")
    directory = make_run_directory(config)
    (directory / "run.lock").touch()
    begin_or_go_on(directory, config)
    (directory / "checkpoints" / "step-00000010").mkdir(parents=True)
    begin_or_go_on(directory, config)
    (directory / "config.yaml").unlink()
    with pytest.raises(UsageError, match=r"holds checkpoints, but not the config\.yaml"):
        begin_or_go_on(directory, config)


def test_forgetting_takes_only_what_a_run_writes(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, tmp_path / "run")
    directory = make_run_directory(config)
    (directory / "run.lock").touch()
    begin_or_go_on(directory, config)
    (directory / "notes.txt").touch()
    forget_run(directory)
    assert {path.name for path in directory.iterdir()} == {"run.lock", "notes.txt"}


def test_a_name_is_given_to_what_is_on_the_medium(
    sample_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(sample_directory, tmp_path / "run")
    directory = make_run_directory(config)
    safe: set[int] = set()
    fsync, replace = _fs.fsync, Path.replace
    renamed: list[str] = []

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        safe.add(os.fstat(descriptor).st_ino)

    def checked(aside: Path, place: Path) -> Path:
        files = [*aside.iterdir()] if aside.is_dir() else [aside]
        assert {path.stat().st_ino for path in files} <= safe
        renamed.append(place.name)
        return replace(aside, place)

    monkeypatch.setattr(_fs, "fsync", noted)
    monkeypatch.setattr(Path, "replace", checked)
    begin_or_go_on(directory, config)
    open_tokenizers(directory, config)
    assert renamed == ["config.yaml", "tokenizers"]
