"""What a check found: findings and figures → a short table for people, JSON for programs."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Level: TypeAlias = Literal["stop", "warn", "note"]
LEVELS: tuple[Level, ...] = ("stop", "warn", "note")
_SIGNS = {"stop": "[bold red]✗[/]", "warn": "[bold yellow]![/]", "note": "[cyan]·[/]"}


@dataclass(frozen=True)
class Finding:
    """One thing that a check has found.

    `stop` means that training may not start, `warn` that its result may suffer, `note` that it is good to know.
    """

    level: Level
    check: str  # the name of the check, such as "alignment"
    corpus: str  # "train", "validation", "test", of several parts "train[1]", or "" where it concerns none alone
    problem: str
    places: tuple[str, ...] = ()  # the first few, as file:line:column
    remedy: str | None = None
    count: int | None = None  # pairs or lines concerned


def split_of(corpus: str) -> str:
    """train[1] → train"""
    return corpus.partition("[")[0]


@dataclass(frozen=True)
class CorpusFigures:
    """What was counted in one corpus. Tokens are None where no tokenizer was at hand."""

    name: str
    files: tuple[str, ...]
    pairs: int = 0
    checked: int = 0  # pairs that were looked at; fewer than `pairs` in the quick check of a large corpus
    dropped: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    source_words: float = 0.0  # words a line, on average
    target_words: float = 0.0
    source_tokens: float | None = None
    target_tokens: float | None = None
    longest: int | None = None  # tokens of the longest line of either side
    unknown_share: float | None = None  # of all tokens

    @property
    def used(self) -> int:
        return self.checked - sum(self.dropped.values())


@dataclass(frozen=True)
class CheckReport:
    """The outcome of a check. `ok` says whether training may start."""

    corpora: tuple[CorpusFigures, ...]
    findings: tuple[Finding, ...]
    passed: tuple[str, ...]  # names of the checks that found nothing
    languages: tuple[str, ...]  # of the sides; one where the corpora are plain text
    vocabulary: str  # where the tokens of the table come from; empty where nothing was tokenised
    quick: bool
    seconds: float
    kind: str = "text"  # what is read: text, image, video or audio

    @property
    def ok(self) -> bool:
        return not any(finding.level == "stop" for finding in self.findings)

    @property
    def _noun(self) -> str:
        if self.kind != "text":
            return "files"
        return "pairs" if len(self.languages) == 2 else "texts"

    @property
    def counts_unknown(self) -> bool:
        """Whether texts were cut into tokens."""
        return any(figures.unknown_share is not None for figures in self.corpora)

    def measures(self) -> list[tuple[str, str, list[float | None]]]:
        """What is told of lengths, for each side: its name, in what it is measured, and the mean of each corpus."""
        of_files = self.kind != "text"
        tokens = self.counts_unknown if of_files else any(figures.source_tokens is not None for figures in self.corpora)
        unit = "tokens" if tokens else "words"
        source = [figures.source_tokens if tokens or of_files else figures.source_words for figures in self.corpora]
        target = [figures.target_tokens if tokens else figures.target_words for figures in self.corpora]
        names = (self.kind, *self.languages) if of_files else self.languages
        return list(zip(names, ("positions" if of_files else unit, unit), (source, target), strict=False))

    def as_json(self) -> dict[str, Any]:
        corpora = [{**asdict(figures), "used": figures.used} for figures in self.corpora]
        return {"ok": self.ok, **asdict(self), "corpora": corpora}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """What `as_json` gave. Raises KeyError, TypeError where it is anything else."""
        known = [field.name for field in fields(cls) if field.name != "kind" or "kind" in values]  # which old runs do not have
        own = {name: values[name] for name in known}
        corpora = ({name: value for name, value in one.items() if name != "used"} for one in values["corpora"])
        return cls(**own | {
            "corpora": tuple(CorpusFigures(**one | {"files": tuple(one["files"])}) for one in corpora),
            "findings": tuple(Finding(**one | {"places": tuple(one["places"])}) for one in values["findings"]),
            "passed": tuple(values["passed"]),
            "languages": tuple(values["languages"]),
        })  # fmt: skip

    def print(self, console: Console) -> None:
        """The table, the findings and the verdict, in about twenty lines."""
        from rich.padding import Padding
        from rich.text import Text

        folder = self._common_folder()
        console.print()
        if self.corpora:
            console.print(Padding(self._table(folder), (0, 0, 0, 1)))
            console.print()
        for finding in sorted(self.findings, key=lambda finding: LEVELS.index(finding.level)):
            console.print(_row(finding, folder))
        if self.passed:
            console.print(_hanging("[green]✓[/]", Text(f"no fault: {', '.join(self.passed)}", style="dim")))
        console.print()
        console.print(_hanging("[bold]→[/]", self._verdict()))
        console.print()

    def _common_folder(self) -> str:
        """The folder that all files stand in, with its last slash, so that places can be told without it; else empty."""
        folders = {os.path.dirname(file) for figures in self.corpora for file in figures.files}
        return f"{folders.pop()}{os.sep}" if len(folders) == 1 and "" not in folders else ""

    def _table(self, folder: str) -> RenderableType:
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        title = f"[dim]{escape(folder)}[/]" if folder else None
        table = Table(
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
            show_edge=False,
            header_style="bold",
            title=title,
            title_justify="left",
            title_style="",
        )
        measures, unknown = self.measures(), self.counts_unknown
        table.add_column(escape(" → ".join(name for name, _, _ in measures)), style="bold", no_wrap=True)
        of_files = self.kind != "text"
        names = [self._noun, "unreadable" if of_files else "dropped", "duplicates"]
        names += [unit if unit == "positions" else f"{side} {unit}" for side, unit, _ in measures]
        shows_longest = unknown and not of_files
        for name in [*names, *(["longest"] if shows_longest else []), *(["unknown"] if unknown else [])]:
            table.add_column(escape(name), justify="right")
        for place, figures in enumerate(self.corpora):
            left_out = figures.dropped.get("unreadable", 0) if of_files else sum(figures.dropped.values())
            row = [f"{figures.pairs:,}", _count(left_out), _count(figures.duplicates)]
            row += ["–" if (mean := means[place]) is None else f"{mean:,.1f}" for _, _, means in measures]
            row += ["–" if figures.longest is None else f"{figures.longest:,}"] if shows_longest else []
            row += [_share(figures.unknown_share)] if unknown else []
            table.add_row(figures.name, *row)
        return table

    def _verdict(self) -> Any:
        from rich.text import Text

        stops, warnings = (sum(finding.level == level for finding in self.findings) for level in ("stop", "warn"))
        most = max((figures.checked for figures in self.corpora if figures.checked < figures.pairs), default=0)
        first = "the first " if self.kind == "text" else ""
        part = f" of {first}{most:,} {self._noun}" if most else ""
        speed = f"  ({'quick check' if self.quick else 'check'}{part}, {self.seconds:.1f} s)"
        detail = Text.assemble((f"  {self.vocabulary}", "dim") if self.vocabulary else "", (speed, "dim"))
        if stops:
            head = Text(f"Training cannot start: {_plural(stops, 'problem')} to mend.", style="bold red")
        elif warnings:
            head = Text(f"Training may start; {_plural(warnings, 'warning')} to read first.", style="bold yellow")
        else:
            head = Text("Training may start.", style="bold green")
        return head + detail


def _row(finding: Finding, folder: str) -> Any:
    from rich.text import Text

    where = f"{finding.corpus}: " if finding.corpus else ""
    text = Text.assemble((where, "bold"), finding.problem)
    if finding.places:
        places = [place.replace(folder, "") if folder else place for place in finding.places]
        text.append(f"\n{'   '.join(places)}", style="cyan")
    if finding.remedy:
        text.append(f"\n→ {finding.remedy}", style="italic")
    return _hanging(_SIGNS[finding.level], text)


def _hanging(sign: str, text: Any) -> Any:
    from rich.table import Table

    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=2, justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(sign, text)
    return grid


def _count(number: int) -> str:
    return f"{number:,}" if number else "–"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.2%}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
