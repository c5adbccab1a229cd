"""The pre-flight of the data: a configuration → what is wrong with its corpora, before an hour is spent on them.

Every corpus is read once, in pieces, held-out ones first; the training pairs then stream past what was kept of those.
`check` never stops at the first mistake: it tells all that it can find.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import numpy as np

from headway.config import Config, CorpusConfig
from headway.data.checks import findings as judge
from headway.data.checks.leaks import HeldOut
from headway.data.checks.lines import Lines, forget_words
from headway.data.checks.report import CheckReport, CorpusFigures, Finding
from headway.data.checks.scan import CorpusScan
from headway.data.progress import PairsProgress
from headway.data.readers import count, read_pairs
from headway.data.token_cache import corpus_name, in_pieces
from headway.data.tokenizer import Tokenizers, train_tokenizers
from headway.errors import DataError, HeadwayError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["CheckReport", "Finding", "check"]

QUICK_PAIRS = 100_000  # of each corpus
LEARNING_LINES = 50_000  # of each side, for a tokenizer that is only to estimate
READING = "reading"
ORDER = ("test", "validation", "train")  # held-out data first


def check(
    config: Config, console: Console | None = None, *, quick: bool = False, tokenizers: Tokenizers | None = None
) -> CheckReport:
    """Look at all corpora of a configuration and print what was found.

    Args:
        console: where the report is printed; None prints nothing.
        quick: what `train` runs first: the first 100 000 pairs of each corpus, no tokens, no comparison word by word.
        tokenizers: the tokenizers to count tokens with; without them they are loaded or learned from a small sample.
    """
    began = time.monotonic()
    found: list[Finding] = []
    run = _Run(config, quick, found, given=tokenizers is not None)
    if tokenizers is None and not quick:
        tokenizers = run.tokenizers()
    run.scan_all(tokenizers)
    run.judge(tokenizers)
    figures = tuple(run.figures[name] for name in reversed(ORDER) if name in run.figures)
    names = [READING, judge.DROPPED, judge.ENCODING, judge.ALIGNMENT, judge.LANGUAGES, judge.DUPLICATES, judge.RATIOS]
    names += [judge.COPIES, judge.OVERLAP, *([judge.VOCABULARY] if tokenizers else [])]
    concerned = {finding.check for finding in found}
    if judge.ALIGNMENT in concerned:
        concerned.add(judge.RATIOS)  # they are not judged where lines are out of step
    whole = len(run.scans) == len(run.corpora)  # else what cannot be read has not passed anything
    report = CheckReport(
        corpora=figures,
        findings=tuple(found),
        passed=tuple(name for name in names if name not in concerned) if whole else (),
        languages=(config.data.source_language, config.data.target_language),
        vocabulary=run.vocabulary,
        quick=quick,
        seconds=round(time.monotonic() - began, 2),
    )
    forget_words()
    if console is not None:
        report.print(console)
    return report


class _Run:
    """One check under way."""

    def __init__(self, config: Config, quick: bool, found: list[Finding], *, given: bool) -> None:
        self.config, self.quick, self.found, self.given = config, quick, found, given
        data = config.data
        corpora = {"test": data.test, "validation": data.validation, "train": data.train}
        self.corpora: dict[str, CorpusConfig] = {name: corpus for name, corpus in corpora.items() if corpus is not None}
        self.scans: dict[str, CorpusScan] = {}
        self.figures: dict[str, CorpusFigures] = {}
        self.held: dict[str, HeldOut] = {}
        self.vocabulary = ""

    def tokenizers(self) -> Tokenizers | None:
        """Load or learn them as training will, but from no more than a sample; None where that fails, which is then told."""
        settings = self.config.tokenizer
        sample = settings.model_copy(update={"sample_lines": min(settings.sample_lines, LEARNING_LINES)})
        try:
            return train_tokenizers(self.config.model_copy(update={"tokenizer": sample}))
        except HeadwayError as error:
            self._tell("train" if isinstance(error, DataError) else "", error)
            return None

    def scan_all(self, tokenizers: Tokenizers | None) -> None:
        """Read every corpus; one that cannot be read to its end is a finding and is not compared with others."""
        for name, corpus in self.corpora.items():
            held = None if name == "train" else HeldOut(near=not self.quick)
            try:
                scan = CorpusScan(name, corpus, self.config.data, tokenizers)
                self._scan(scan, corpus, held)
            except HeadwayError as error:
                self._tell(name, error)
            else:
                self.scans[name] = scan
                if held is not None:
                    self.held[name] = held

    def judge(self, tokenizers: Tokenizers | None) -> None:
        """Turn what was counted into findings, train first."""
        for name in reversed(self.scans):
            scan = self.scans[name]
            self.found += judge.corpus_findings(scan, self.config)
            duplicates, first = scan.duplicates()
            self.found += judge.duplicate_findings(scan, duplicates, first)
            self.figures[name] = scan.figures(duplicates)
        for other in reversed(self.scans):
            for name, held in self.held.items():
                if ORDER.index(other) > ORDER.index(name):
                    self.found += judge.overlap_findings(self.scans[name], self.scans[other], held)
        self.found += judge.swapped_findings(self.scans, self.config)
        if tokenizers is not None:
            size = max(tokenizers.source.vocabulary_size, tokenizers.target.vocabulary_size)
            self.vocabulary = f"{size:,} pieces{'' if self.given else ', learned for this check'}"
            self.found += judge.vocabulary_findings(self.scans, self.config)
            sampled = not self.given and min(self.config.tokenizer.sample_lines, self._train_pairs()) > LEARNING_LINES
            if not sampled:
                self.found += judge.vocabulary_size_findings(self.config, size)

    def _train_pairs(self) -> int:
        return self.scans["train"].pairs if "train" in self.scans else 0

    def _tell(self, name: str, error: HeadwayError) -> None:
        finding = Finding("stop", READING, name, error.problem, (error.where,) if error.where else (), error.remedy)
        if finding not in self.found:  # what keeps a tokenizer from being learned is met again in the scan
            self.found.append(finding)

    def _scan(self, scan: CorpusScan, corpus: CorpusConfig, held: HeldOut | None) -> None:
        total = count(corpus) if corpus.path is None else None
        limit = QUICK_PAIRS if self.quick else None
        expected = total if limit is None or total is None else min(total, limit)
        with PairsProgress(f"checking {corpus_name(corpus)}", expected) as progress:
            for piece in in_pieces(itertools.islice(read_pairs(corpus), limit)):
                source, target = Lines.of([pair.source for pair in piece]), Lines.of([pair.target for pair in piece])
                lines = np.fromiter((pair.line for pair in piece), dtype=np.int64, count=len(piece))
                scan.add(piece, source, target)
                if held is not None:
                    held.add(source, target, lines)
                for earlier in self.held.values():
                    earlier.look(scan.name, source, target, lines)
                progress.advance(len(piece))
        scan.pairs = scan.checked if total is None else total
