"""The errors a user meets. Each says what is wrong, where, and how to mend it, and carries its exit code."""

from __future__ import annotations


class HeadwayError(Exception):
    """A mistake that the user can mend.

    Args:
        problem: what is wrong, with the offending value in it.
        where: file, line, column or key, such as ``train.en:7:12`` or ``model.heads``.
        remedy: what to do about it.
    """

    exit_code = 1

    def __init__(self, problem: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.problem, self.where, self.remedy = problem, where, remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        cure = f"\n  → {self.remedy}" if self.remedy else ""
        return f"{place}{self.problem}{cure}"

    def in_a_line(self) -> str:
        """The same for a log."""
        return " ".join(str(self).split())


class UsageError(HeadwayError):
    """The command line or the configuration is wrong."""

    exit_code = 2


class MissingPackage(UsageError):
    """A package that only some need is not installed; `extra` of Headway has it, or else `remedy` tells how to get it."""

    def __init__(self, package: str, extra: str | None = None, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(
            f"the package {package} is not installed", where=where, remedy=remedy or f"pip install 'headway[{extra}]'"
        )


class DataError(HeadwayError):
    """A data file is missing, damaged or not what the configuration says."""

    exit_code = 3


class ModelError(HeadwayError):
    """A model directory or a checkpoint is missing, damaged or does not fit."""

    exit_code = 4


class ResourceError(HeadwayError):
    """Disk, memory, device or a lock is not to be had, or training left the finite numbers."""

    exit_code = 5


class Interrupted(HeadwayError):
    """A signal asked the run to stop; everything done so far is saved."""

    def __init__(self, signal_number: int, problem: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(problem, where=where, remedy=remedy)
