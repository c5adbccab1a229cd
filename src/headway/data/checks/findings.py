"""Judgement: what the scans counted → findings in words, each with its places and its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from headway.config import Config
from headway.data.checks.languages import corpus_swapped, swapped_against
from headway.data.checks.leaks import MAX_NEAR_PAIRS, HeldOut
from headway.data.checks.report import Finding, Level, split_of
from headway.data.checks.scan import KEPT_PLACES, CorpusScan, Places
from headway.data.checks.shift import MIN_TELLING

# Names of the checks, as they are listed where nothing was found.
DROPPED, ENCODING, ALIGNMENT, LANGUAGES = "empty or too long", "encoding", "alignment", "languages"
DUPLICATES, RATIOS, COPIES, OVERLAP, VOCABULARY = "duplicates", "length ratios", "copied sources", "overlap", "vocabulary"

COPIES_WARN, COPIES_NOTE = 0.01, 0.001
DUPLICATES_WARN = 0.1
RATIO, RATIO_CHARACTERS, RATIO_WARN = 3.0, 25, 0.01  # times the usual ratio, and at least so many characters off
SHIFT_STOP = 0.1  # share of a corpus that is shifted
MIN_LINES_TO_DOUBT = 500  # fewer lines can agree badly by chance
SWAPPED_WARN = 0.005
LEAK_STOP = 0.5
UNKNOWN_WARN, UNKNOWN_NOTE = 0.05, 0.001
SHOWN_CHARACTERS = 12


def corpus_findings(scan: CorpusScan, config: Config) -> Iterator[Finding]:
    """What one corpus shows by itself, all but duplicates."""
    yield from _dropped(scan, config.data.accept_dropped)
    yield from _encoding(scan, config)
    misaligned = list(_alignment(scan))
    yield from misaligned
    if not misaligned:  # else odd ratios are only what follows from it
        yield from _ratios(scan)
    yield from _languages(scan)
    share = scan.copies.count / max(1, scan.checked)
    if share >= COPIES_NOTE:
        taught = "that a text is like itself, no more" if config.task == "sentence_embedding" else "to copy"
        yield Finding(
            "warn" if share > COPIES_WARN else "note",
            COPIES,
            scan.name,
            f"{scan.copies.count:,} pairs ({share:.1%}) have the same text on both sides",
            tuple(scan.copies.first),
            f"remove those that are not names or numbers: a model learns {taught} from them" if share > COPIES_WARN else None,
            scan.copies.count,
        )


def _dropped(scan: CorpusScan, accepted: float) -> Iterator[Finding]:
    dropped, share = sum(scan.dropped.values()), sum(scan.dropped.values()) / max(1, scan.checked)
    remedy = f"{dropped:,} of {scan.checked:,} pairs in all ({share:.1%}, accepted: {accepted:.1%}): mend them, or raise "
    remedy += "data.max_length or data.accept_dropped" if "too long" in scan.dropped else "data.accept_dropped"
    for reason, number in scan.dropped.items():
        level: Level = "stop" if share > accepted else "note"
        yield Finding(
            level,
            DROPPED,
            scan.name,
            f"{number:,} {'pair' if number == 1 else 'pairs'} would be dropped: {reason}",
            tuple(scan.drop_places[reason]),
            remedy if level == "stop" else None,
            number,
        )


FAULT_REMEDIES = {
    "control characters": "remove them: they teach the model nothing",
    "replacement characters": "convert the original file again: these letters are lost",
    "doubly encoded text": "it was UTF-8 read as Latin-1: iconv -f UTF-8 -t CP1252 FILE mends a whole file",
    "stacked marks": "look at these lines: no language stacks so many marks on a letter",
}


def fault_finding(corpus: str, fault: str, places: Places, checked: int | None = None) -> Finding:
    """A kind of damaged text and where it stands first."""
    share = f" ({places.count / max(1, checked):.2%})" if checked is not None else ""
    problem = f"{places.count:,} {'line holds' if places.count == 1 else 'lines hold'} {fault}{share}"
    return Finding("warn", ENCODING, corpus, problem, tuple(places.first), FAULT_REMEDIES[fault], places.count)


def _encoding(scan: CorpusScan, config: Config) -> Iterator[Finding]:
    for name, places in scan.faults.items():
        if places.count:
            yield fault_finding(scan.name, name, places, 2 * scan.checked)  # lines of both sides
    if scan.not_composed and scan.composed:
        steps = {config.tokenizer.normalization, *config.data.preprocessing} & {"nfc", "nfd", "nfkc", "nfkd"}
        lines = "line is" if scan.not_composed == 1 else "lines are"
        yield Finding(
            "note" if steps else "warn",
            ENCODING,
            scan.name,
            f"letters with marks are written in two ways: {scan.not_composed:,} {lines} not NFC",
            remedy=f"{' and '.join(sorted(steps))} will make them one" if steps else "set tokenizer.normalization: nfc",
            count=scan.not_composed,
        )


def _alignment(scan: CorpusScan) -> Iterator[Finding]:
    stretches = scan.shift.found()
    lines = scan.lines()
    for stretch in stretches[:KEPT_PLACES]:
        count = stretch.last - stretch.first + 1
        first, last = int(lines[stretch.first]), int(lines[stretch.last])
        to_the_end = stretch.last + 1 == scan.checked
        extent = f"from line {first:,} to the end" if to_the_end else f"in lines {first:,} to {last:,}"
        if stretch.shift is None:
            problem = f"source and target do not fit each other {extent}"
            remedy = "look there: these lines seem to be no translations of each other"
        else:
            earlier = stretch.shift < 0
            by = f"{_lines(abs(stretch.shift))} {'earlier' if earlier else 'later'}"
            problem = f"the target is shifted {extent}: it stands {by} than its source"
            what = "is missing" if earlier else "too many is"
            remedy = f"look near line {first:,}: a line {what} in the target, or the other way round in the source"
        stop = stretch.shift is not None and count >= SHIFT_STOP * scan.checked
        places = tuple(scan.place(first, side) for side in range(len(scan.paths)))
        yield Finding("stop" if stop else "warn", ALIGNMENT, scan.name, problem, places, remedy, count)
    if len(stretches) > KEPT_PLACES:
        more = len(stretches) - KEPT_PLACES
        yield Finding("warn", ALIGNMENT, scan.name, f"{more:,} more stretches of lines do not fit each other", count=more)
    if scan.checked >= MIN_LINES_TO_DOUBT and scan.shift.telling < MIN_TELLING:
        yield Finding(
            "warn",
            ALIGNMENT,
            scan.name,
            "the lines of the two sides agree no more than lines paired at random",
            remedy="see whether line 1, 2, 3 … of one side are the translations of those of the other",
        )


def _lines(count: int) -> str:
    return "one line" if count == 1 else f"{count} lines"


def _ratios(scan: CorpusScan) -> Iterator[Finding]:
    source, target = scan.lengths().astype(np.float32)
    written = (source > 0) & (target > 0)
    if not written.any():
        return
    usual = float(np.median(target[written] / source[written]))
    off = np.where(written, np.abs(target - usual * source), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(written, target / (usual * source), 1)
    rows = np.flatnonzero(((times > RATIO) | (times < 1 / RATIO)) & (off >= RATIO_CHARACTERS))
    if not len(rows):
        return
    lines, share = scan.lines(), len(rows) / scan.checked
    worst = rows[np.argsort(-off[rows], kind="stable")[:KEPT_PLACES]]
    yield Finding(
        "warn" if share > RATIO_WARN else "note",
        RATIOS,
        scan.name,
        f"{_pairs(len(rows))} ({share:.2%}) over {RATIO:.0f} times longer or shorter than usual (target : source = {usual:.2f})",
        tuple(scan.place(int(lines[row]), 0) for row in worst),
        "the farthest off are named: see whether they are translations" if share > RATIO_WARN else None,
        len(rows),
    )


def _languages(scan: CorpusScan) -> Iterator[Finding]:
    names = scan.direction
    if corpus_swapped(*scan.words, *names):
        yield Finding(
            "warn",
            LANGUAGES,
            scan.name,
            f"the source looks like {names[1]} and the target like {names[0]}",
            tuple(scan.paths),
            "swap source and target in the configuration, or their languages",
        )
    share = scan.swapped.count / max(1, scan.checked)
    if scan.swapped.count:
        yield Finding(
            "warn" if share > SWAPPED_WARN else "note",
            LANGUAGES,
            scan.name,
            f"{_pairs(scan.swapped.count)} ({share:.2%}) with source and target swapped",
            tuple(scan.swapped.first),
            count=scan.swapped.count,
        )


def duplicate_findings(scan: CorpusScan, count: int, first: list[tuple[int, int]]) -> Iterator[Finding]:
    """`count` and `first` are what `CorpusScan.duplicates` gives."""
    if not count:
        return
    share = count / scan.checked
    places = tuple(f"{scan.place(copy, 0)} = {original}" for copy, original in first)
    verb = "repeats" if count == 1 else "repeat"
    yield Finding(
        "warn" if share > DUPLICATES_WARN else "note",
        DUPLICATES,
        scan.name,
        f"{_pairs(count)} ({share:.2%}) {verb} an earlier one",
        places,
        "remove them, unless their weight is wanted" if share > DUPLICATES_WARN else None,
        count,
    )


def overlap_findings(held: CorpusScan, other: CorpusScan, met: HeldOut) -> Iterator[Finding]:
    """Pairs of `held` that stand in `other` too."""
    found = met.found(other.name)
    same = [*found["exact"], *found["normalised"]]
    share = len(same) / max(1, held.checked)
    pair = f"{other.name} ↔ {held.name}"
    if same:
        apart = f", {len(found['normalised']):,} of them but for case, blanks or character forms" if found["normalised"] else ""
        yield Finding(
            "stop" if share >= LEAK_STOP else "warn",
            OVERLAP,
            pair,
            f"{_pairs(len(same))} of {held.name} ({share:.1%}) in {other.name} too{apart}",
            _met_places(held, other, sorted(same)),
            f"remove them from {other.name}: scores on {held.name} would be flattered",
            len(same),
        )
    if found["near"]:
        near = len(found["near"])
        yield Finding(
            "warn" if near > 0.01 * held.checked else "note",
            OVERLAP,
            pair,
            f"{_pairs(near)} of {held.name} ({near / held.checked:.1%}) at most one word apart from a pair of {other.name}",
            _met_places(held, other, found["near"]),
            count=near,
        )
    if found["one side"]:
        sides = len(found["one side"])
        yield Finding(
            "note",
            OVERLAP,
            pair,
            f"{_pairs(sides)} of {held.name} ({sides / held.checked:.1%}) with one side in {other.name}, the other different",
            _met_places(held, other, found["one side"]),
            count=sides,
        )
    if met.compared and met.compared < met.size:
        text = f"only the first {MAX_NEAR_PAIRS:,} pairs of {held.name} were compared word by word"
        yield Finding("note", OVERLAP, pair, text)


def _met_places(held: CorpusScan, other: CorpusScan, met: list[tuple[int, int]]) -> tuple[str, ...]:
    return tuple(f"{held.place(line, 0)} = {other.place(where, 0)}" for line, where in met[:KEPT_PLACES])


def _pairs(count: int) -> str:
    return f"{count:,} pair" if count == 1 else f"{count:,} pairs"


def swapped_findings(scans: Mapping[str, CorpusScan]) -> Iterator[Finding]:
    """Held-out corpora whose sides are the wrong way round, as the training data has them."""
    for name, scan in scans.items():
        learned = [other for other in _of_train(scans) if other is not scan and other.direction == scan.direction]
        named = corpus_swapped(*scan.words, *scan.direction)
        if not named and any(swapped_against(scan.words, other.words) for other in learned):
            yield Finding(
                "warn",
                LANGUAGES,
                name,
                "source and target look swapped beside those of train",
                tuple(scan.paths),
                f"swap source and target of data.{name}",
            )


def _of_train(scans: Mapping[str, CorpusScan]) -> list[CorpusScan]:
    return [scan for name, scan in scans.items() if split_of(name) == "train"]


def unknown_finding(corpus: str, share: float, count: int, letters: str = "") -> Finding:
    """Tokens that the vocabulary does not know."""
    many = share > UNKNOWN_WARN
    remedy = "use tokenizer.bytes: fallback, or a larger vocabulary" if many else None
    problem = f"{share:.1%} of the tokens are unknown{letters}"
    return Finding("warn" if many else "note", VOCABULARY, corpus, problem, remedy=remedy, count=count)


def vocabulary_findings(scans: Mapping[str, CorpusScan], config: Config) -> Iterator[Finding]:
    """Unknown tokens, and batches that do not hold the longest pair."""
    learned = set[str]().union(*(scan.characters for scan in _of_train(scans)))
    for name, scan in scans.items():
        assert scan.tokens is not None
        share = scan.tokens.unknown_share
        unseen = sorted(mark for mark in scan.characters - learned if not mark.isspace()) if learned else []
        if share > UNKNOWN_NOTE:
            shown = " ".join(unseen[:SHOWN_CHARACTERS])
            letters = (
                f"; characters that train does not have: {shown}{' …' if len(unseen) > SHOWN_CHARACTERS else ''}"
                if unseen
                else ""
            )
            yield unknown_finding(name, share, sum(scan.tokens.unknown), letters)
    longest = min(max((scan.tokens.longest for scan in scans.values() if scan.tokens), default=0), config.data.max_length) + 1
    if longest > config.training.batch_tokens:
        yield Finding(
            "warn",
            VOCABULARY,
            "",
            f"training.batch_tokens={config.training.batch_tokens} holds not even the longest sentence of {longest} tokens",
            remedy=f"raise it above {longest}, or lower data.max_length",
        )


def vocabulary_size_findings(config: Config, size: int) -> Iterator[Finding]:
    """A learned vocabulary that is smaller than what was asked for."""
    wanted = config.tokenizer.vocabulary_size
    if config.tokenizer.path is None and size < wanted and config.tokenizer.kind not in ("word", "character"):
        problem = f"the data yields only {size:,} pieces where tokenizer.vocabulary_size asks for {wanted:,}"
        yield Finding("note", VOCABULARY, "train", problem)
