"""Files that are written: whole or not at all, through links, and never in the place of a device."""

from __future__ import annotations

import os
import pty
import stat
from pathlib import Path

import pytest

from headway.data.files import written_aside


def test_what_went_wrong_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(FileNotFoundError), written_aside(tmp_path / "link") as aside:
        (aside.write_text("half"), (tmp_path / "missing").read_text())
    assert (tmp_path / "real").read_text() == "old"
    with written_aside(tmp_path / "link") as aside:
        aside.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_device_is_written_to_and_stays_one() -> None:
    reader, writer = pty.openpty()
    try:
        name = os.ttyname(writer)
        with written_aside(name) as path:
            path.write_bytes(b"shown")
        assert os.read(reader, 5) == b"shown"
        assert stat.S_ISCHR(os.stat(name).st_mode)
    finally:
        os.close(reader)
        os.close(writer)
