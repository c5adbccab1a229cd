from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from headway.errors import ResourceError
from headway.training.checkpoint import RunLock

ONE = """
    import sys, time
    from headway.errors import ResourceError
    from headway.training.run_lock import RunLock
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.monotonic()
    try:
        with RunLock(sys.argv[1]):
            print("holds", flush=True)
            sys.stdin.readline()
    except ResourceError as error:
        print(f"refused in {time.monotonic() - start:.2f} s: {error}".replace("\\n", " "), flush=True)
"""


def start(run: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(ONE), str(run)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_one_of_many_processes_holds_the_lock_and_a_killed_one_lets_it_go(tmp_path: Path) -> None:
    run = tmp_path / "run"
    processes = [start(run) for _ in range(6)]
    try:
        for process in processes[:5]:
            go(process)
        words = [says(process) for process in processes[:5]]
        holders = [process for process, word in zip(processes, words, strict=False) if word == "holds"]
        assert len(holders) == 1
        [holder] = holders
        for word in words:
            if word != "holds":
                match = re.match(
                    rf"refused in (\d+\.\d+) s: .*run\.lock: .*process {holder.pid} on {socket.gethostname()} ", word
                )
                assert match, word
                assert float(match[1]) < 2
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert str(holder.pid) in (run / "run.lock").read_text()  # the stale name is there, but the lock is free
        go(processes[5])
        assert says(processes[5]) == "holds"
        go(processes[5])
        assert processes[5].wait(10) == 0
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_the_lock_is_free_after_the_block_and_after_an_error(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        with pytest.raises(ResourceError, match=f"process {os.getpid()} on ") as error, RunLock(tmp_path):
            pass
        assert error.value.exit_code == 5
    with pytest.raises(KeyboardInterrupt), RunLock(tmp_path):
        raise KeyboardInterrupt
    with RunLock(tmp_path):
        pass
    assert (tmp_path / "run.lock").read_text() == ""


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', "\0" * 5000])
def test_a_lock_file_with_any_content_is_no_obstacle(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.lock").write_text(content)
    lock = RunLock(tmp_path).acquire()
    (tmp_path / "run.lock").write_text(content)
    before = time.monotonic()
    with pytest.raises(ResourceError, match="another process"):
        RunLock(tmp_path).acquire()
    assert time.monotonic() - before < 2
    lock.release()
    lock.release()


def test_a_surviving_child_does_not_hold_the_lock_of_its_parent(tmp_path: Path) -> None:
    code = """
        import os, signal, sys, time
        from headway.training.run_lock import RunLock
        lock = RunLock(sys.argv[1]).acquire()
        child = os.fork()
        if child == 0:
            os.close(1)
            time.sleep(30)
            os._exit(0)
        print(child, flush=True)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], stdout=subprocess.PIPE, text=True, timeout=60
    )
    child = int(process.stdout)
    try:
        os.kill(child, 0)
        with RunLock(tmp_path) as lock:
            assert lock.path.exists()
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_link_or_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResourceError, match=r"run\.lock: cannot be written"):
        RunLock(tmp_path).acquire()
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ResourceError, match="cannot be written"):
        RunLock(tmp_path / "file").acquire()


def test_a_lock_in_a_directory_that_was_removed_is_taken_anew(tmp_path: Path) -> None:
    run = tmp_path / "run"
    old = RunLock(run).acquire()
    (run / "run.lock").unlink()
    with RunLock(run):
        assert (run / "run.lock").exists()
    old.release()
