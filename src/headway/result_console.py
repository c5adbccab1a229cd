"""Standard output for results that files hold too: whoever stops reading (``| head``) does not stop the work."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class ResultConsole(Console):
    """Falls silent where nobody reads any more; `exit_code` tells."""

    broken = False

    def on_broken_pipe(self) -> None:
        self.quiet = self.broken = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def exit_code(self, code: int = 0) -> int:
        """That of a broken pipe, if it broke and nothing else is wrong."""
        return 141 if self.broken and not code else code
