"""Text from data in a command: the shell hands on just that text, and the terminal finds nothing in it to obey."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.visible import in_a_shell, visible

TEXTS = ["", "it's", "a b $HOME `ls` !x \\n", "a\tb\n\x1b[201~; rm -r x\r", "\u202eabc\u2028 'x' \\", "你好 😀\x7f\x9b"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_hands_on_the_same_text() -> None:
    commands = "".join(f"printf '%s\\0' {in_a_shell(text)}\n" for text in TEXTS)
    done = subprocess.run(["bash", "-c", commands], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert done.stdout.decode("utf-8").split("\0")[:-1] == TEXTS


@given(st.text(alphabet=st.characters() | st.sampled_from("'\\\x1b\x00\ud800$`\n")))
@settings(max_examples=300)
def test_a_command_has_nothing_that_a_terminal_obeys(text: str) -> None:
    command = in_a_shell(text)
    assert visible(command) == command
    command.encode("utf-8")
