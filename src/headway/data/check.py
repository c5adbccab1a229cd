"""The pre-flight of the data: a configuration → what is wrong with its corpora, before an hour is spent on them.

Every corpus is read once, in pieces, held-out ones first; the training pairs then stream past what was kept of those.
`check` never stops at the first mistake: it tells all that it can find.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headway.config import OF_MEDIA, Config, CorpusConfig, Split
from headway.data.checks import findings as judge
from headway.data.checks.leaks import HeldOut
from headway.data.checks.lines import Lines, forget_words
from headway.data.checks.media import MediaScan, scan_media
from headway.data.checks.media_findings import FILES, media_findings
from headway.data.checks.report import CheckReport, CorpusFigures, Finding, split_of
from headway.data.checks.scan import CorpusScan
from headway.data.checks.texts import LEARNED_FROM, READERS, TextScan, scan_texts, text_findings
from headway.data.progress import PairsProgress
from headway.data.readers import corpus_name, count
from headway.data.tagged import scheme_of
from headway.data.token_cache import in_pieces
from headway.data.tokenizer import Tokenizers, train_tokenizers
from headway.errors import DataError, HeadwayError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["CheckReport", "Finding", "check"]

QUICK_PAIRS = 100_000  # of each corpus
LEARNING_LINES = 50_000  # of each side, for a tokenizer that is only to estimate
READING = "reading"
ORDER: tuple[Split, ...] = ("test", "validation", "train")  # held-out data first


def check(
    config: Config,
    console: Console | None = None,
    *,
    quick: bool = False,
    tokenizers: Tokenizers | None = None,
    others: Sequence[Finding] = (),
) -> CheckReport:
    """Look at all corpora of a configuration and print what was found.

    Args:
        console: where the report is printed; None prints nothing.
        quick: what `train` runs first: the beginning of each corpus, no tokens, no comparison word by word.
        tokenizers: the tokenizers to count tokens with; without them they are loaded or learned from a small sample.
        others: what was found in anything but the data; the report tells it first.
    """
    began = time.monotonic()
    found = list(others)
    if config.task == "tagging" and not quick:
        config = _in_one_scheme(config)
    run = _run_of(config.task)(config, quick, found, given=tokenizers is not None)
    if tokenizers is None and not quick:
        tokenizers = run.tokenizers()
    run.scan_all(tokenizers)
    run.judge(tokenizers)
    figures = tuple(run.figures[name] for name in run.train_first() if name in run.figures)
    names = [*run.CHECKS, *([judge.VOCABULARY] if run.vocabulary else [])]
    concerned = {finding.check for finding in found}
    if judge.ALIGNMENT in concerned:
        concerned.add(judge.RATIOS)  # they are not judged where lines are out of step
    whole = len(run.scanned) == len(run.corpora)  # else what cannot be read has not passed anything
    report = CheckReport(
        corpora=figures,
        findings=tuple(found),
        passed=tuple(name for name in names if name not in concerned) if whole else (),
        languages=run.languages,
        vocabulary=run.vocabulary,
        quick=quick,
        kind=config.media.kind,
        seconds=round(time.monotonic() - began, 2),
    )
    forget_words()
    if console is not None:
        report.print(console)
    return report


def _in_one_scheme(config: Config) -> Config:
    """The configuration with the scheme that tags are in, so that each tag is held against it as it is read."""
    try:
        scheme = scheme_of(config.data)
    except HeadwayError:  # the scan tells what cannot be read
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"tags": scheme})})


class _Run:
    """One check under way."""

    CHECKS: tuple[str, ...]

    def __init__(self, config: Config, quick: bool, found: list[Finding], *, given: bool) -> None:
        self.config, self.quick, self.found, self.given = config, quick, found, given
        self.corpora = {name: part for split in ORDER for name, part in config.data.written_parts(split).items()}
        self.scanned: list[str] = []  # corpora that could be read to their end
        self.figures: dict[str, CorpusFigures] = {}
        self.vocabulary = ""

    @property
    def languages(self) -> tuple[str, ...]:
        """Of the sides."""
        raise NotImplementedError

    def train_first(self) -> list[str]:
        """The names of the corpora, as they are told."""
        return sorted(self.corpora, key=lambda name: -ORDER.index(split_of(name)))

    def scan(self, name: str, corpus: CorpusConfig, tokenizers: Tokenizers | None) -> None:
        """Read one corpus; the held-out ones come first."""
        raise NotImplementedError

    def judge(self, tokenizers: Tokenizers | None) -> None:
        """Turn what was counted into findings, train first."""
        raise NotImplementedError

    def tokenizers(self) -> Tokenizers | None:
        """Load or learn them as training will, but from no more than a sample; None where that fails, which is then told."""
        settings = self.config.tokenizer
        sample = settings.model_copy(update={"sample_lines": min(settings.sample_lines, LEARNING_LINES)})
        try:
            return train_tokenizers(self.config.model_copy(update={"tokenizer": sample}), LEARNED_FROM[self.config.task])
        except HeadwayError as error:
            self._tell("train" if isinstance(error, DataError) else "", error)
            return None

    def scan_all(self, tokenizers: Tokenizers | None) -> None:
        """Read every corpus; one that cannot be read to its end is a finding and is not compared with others."""
        for name, corpus in self.corpora.items():
            try:
                self.scan(name, corpus, tokenizers)
            except HeadwayError as error:
                self._tell(name, error)
            else:
                self.scanned.append(name)

    def _tell(self, name: str, error: HeadwayError) -> None:
        finding = Finding("stop", READING, name, error.problem, (error.where,) if error.where else (), error.remedy)
        if finding not in self.found:  # what keeps a tokenizer from being learned is met again in the scan
            self.found.append(finding)

    def _describe_vocabulary(self, size: int) -> None:
        self.vocabulary = f"{size:,} pieces{'' if self.given else ', learned for this check'}"


class _TextRun(_Run):
    """Of documents, or of texts with labels."""

    CHECKS = (READING, judge.DROPPED, judge.ENCODING, judge.DUPLICATES, judge.OVERLAP)

    def __init__(self, config: Config, quick: bool, found: list[Finding], *, given: bool) -> None:
        super().__init__(config, quick, found, given=given)
        self.scans: dict[str, TextScan] = {}

    @property
    def languages(self) -> tuple[str, ...]:
        return (self.config.data.source_language,)

    def scan(self, name: str, corpus: CorpusConfig, tokenizers: Tokenizers | None) -> None:
        self.scans[name] = scan_texts(name, corpus, self.config, tokenizers, quick=self.quick)

    def judge(self, tokenizers: Tokenizers | None) -> None:
        self.figures = {name: scan.figures() for name, scan in self.scans.items()}
        scans = {name: self.scans[name] for name in self.train_first() if name in self.scans}
        self.found += text_findings(scans, self.config)
        if tokenizers is not None:
            self._describe_vocabulary(tokenizers.source.vocabulary_size)
            for name, scan in scans.items():
                if (share := scan.unknown / max(1, scan.tokens)) > judge.UNKNOWN_NOTE:
                    self.found.append(judge.unknown_finding(name, share, scan.unknown))


class _PairRun(_Run):
    """Of pairs."""

    CHECKS = (
        READING, judge.DROPPED, judge.ENCODING, judge.ALIGNMENT, judge.LANGUAGES, judge.DUPLICATES, judge.RATIOS,
        judge.COPIES, judge.OVERLAP,
    )  # fmt: skip

    def __init__(self, config: Config, quick: bool, found: list[Finding], *, given: bool) -> None:
        super().__init__(config, quick, found, given=given)
        self.scans: dict[str, CorpusScan] = {}
        self.held: dict[str, HeldOut] = {}

    @property
    def languages(self) -> tuple[str, ...]:
        directions = {part.direction for part in self.corpora.values()}
        return directions.pop() if len(directions) == 1 else ("source", "target")

    def judge(self, tokenizers: Tokenizers | None) -> None:
        scans = {name: self.scans[name] for name in self.train_first() if name in self.scans}
        for name, scan in scans.items():
            self.found += judge.corpus_findings(scan, self.config)
            duplicates, first = scan.duplicates()
            self.found += judge.duplicate_findings(scan, duplicates, first)
            self.figures[name] = scan.figures(duplicates)
        for other in scans:
            for name, held in self.held.items():
                if ORDER.index(split_of(other)) > ORDER.index(split_of(name)):
                    self.found += judge.overlap_findings(self.scans[name], self.scans[other], held)
        self.found += judge.swapped_findings(self.scans)
        if tokenizers is not None:
            size = max(tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size)
            self._describe_vocabulary(size)
            self.found += judge.vocabulary_findings(self.scans, self.config)
            sampled = not self.given and min(self.config.tokenizer.sample_lines, self._train_pairs()) > LEARNING_LINES
            if not sampled:
                self.found += judge.vocabulary_size_findings(self.config, size)

    def scan(self, name: str, corpus: CorpusConfig, tokenizers: Tokenizers | None) -> None:
        scan = CorpusScan(name, corpus, self.config.data, tokenizers)
        held = None if split_of(name) == "train" else HeldOut(near=not self.quick)
        total = count(corpus) if corpus.path is None else None
        limit = QUICK_PAIRS if self.quick else None
        expected = total if limit is None or total is None else min(total, limit)
        with PairsProgress(f"checking {corpus_name(corpus)}", expected) as progress:
            for piece in in_pieces(itertools.islice(READERS[self.config.task](corpus, self.config.data), limit)):
                source, target = Lines.of([pair.source for pair in piece]), Lines.of([pair.target for pair in piece])
                lines = np.fromiter((pair.line for pair in piece), dtype=np.int64, count=len(piece))
                scan.add(piece, source, target)
                if held is not None:
                    held.add(source, target, lines)
                for earlier, others in self.held.items():
                    direction = self.corpora[earlier].direction
                    if direction == corpus.direction:
                        others.look(name, source, target, lines)
                    elif direction == corpus.direction[::-1]:  # what is learned in one direction is known in the other
                        others.look(name, target, source, lines)
                progress.advance(len(piece))
        scan.pairs = scan.checked if total is None else total
        self.scans[name] = scan
        if held is not None:
            self.held[name] = held

    def _train_pairs(self) -> int:
        return sum(scan.pairs for name, scan in self.scans.items() if split_of(name) == "train")


class _MediaRun(_Run):
    """Of pictures, clips or recordings."""

    CHECKS = (READING, FILES, judge.DROPPED, judge.ENCODING, judge.DUPLICATES, judge.OVERLAP)

    def __init__(self, config: Config, quick: bool, found: list[Finding], *, given: bool) -> None:
        super().__init__(config, quick, found, given=given)
        self.scans: dict[str, MediaScan] = {}

    @property
    def languages(self) -> tuple[str, ...]:
        return () if self.config.task == "media_classification" else (self.config.data.target_language,)

    def tokenizers(self) -> Tokenizers | None:
        """None where nothing is written."""
        return super().tokenizers() if self.languages else None

    def scan(self, name: str, corpus: CorpusConfig, tokenizers: Tokenizers | None) -> None:
        self.scans[name] = scan_media(name, corpus, self.config, tokenizers, quick=self.quick)

    def judge(self, tokenizers: Tokenizers | None) -> None:
        scans = {name: self.scans[name] for name in self.train_first() if name in self.scans}
        self.figures = {name: scan.figures() for name, scan in scans.items()}
        self.found += media_findings(scans, self.config)
        if tokenizers is not None and self.languages:
            self._describe_vocabulary(tokenizers.target.vocabulary_size)
            for name, scan in scans.items():
                if (share := scan.unknown / max(1, scan.tokens)) > judge.UNKNOWN_NOTE:
                    self.found.append(judge.unknown_finding(name, share, scan.unknown))


def _run_of(task: str) -> type[_Run]:
    if task in OF_MEDIA:
        return _MediaRun
    return _PairRun if task in ("translation", "sentence_embedding") else _TextRun
