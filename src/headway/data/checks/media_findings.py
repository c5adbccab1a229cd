"""Judgement of files: what was counted → findings in words, each with its places and its remedy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headway.config import Config
from headway.data.checks import findings as judge
from headway.data.checks.labels import LABELS, label_findings
from headway.data.checks.media import TOO_LONG_SOUND, Looked, MediaScan, by_reason, is_learned
from headway.data.checks.report import Finding, Level
from headway.data.checks.scan import KEPT_PLACES
from headway.data.media_preparation import UNREADABLE

FILES, SIZES, CONTENT, CAPTIONS, SPELLING = "files", "sizes", "content", "answers a file", "spelling"
FLAT_WARN = 0.1
NOUNS = {"image": "pictures", "video": "clips", "audio": "recordings"}


def media_findings(scans: dict[str, MediaScan], config: Config) -> Iterator[Finding]:
    """Judgement of all corpora, of which those of train come first."""
    for scan in scans.values():
        yield from _unreadable(scan, config)
        yield from _dropped(scan, config.data.accept_dropped)
        for fault, places in scan.faults.items():
            if places.count:
                yield judge.fault_finding(scan.name, fault, places)
        yield from _cramped(scan)
        yield from _copies(scan)
        yield from _sizes(scan, config)
        yield from _answers(scan)
    yield from _overlaps(scans)
    yield from label_findings(scans, config, "files")


def _share(scan: MediaScan) -> float:
    return sum(places.count for places in scan.dropped.values()) / max(1, len(scan.checked))


def _too_many(scan: MediaScan, accepted: float) -> bool:
    """Whether training would stop for what is left out; of a part that was opened nothing is concluded but what is not there."""
    return _share(scan) > accepted if scan.opened_all else scan.missing / len(scan.places) > accepted


def _unreadable(scan: MediaScan, config: Config) -> Iterator[Finding]:
    """Files that cannot be read, by the reason. A set that is judged by is whole or not at all."""
    accepted, level, remedy = config.data.accept_dropped, "warn", "mend them, or take them out of the manifest"
    if not is_learned(scan):
        level, remedy = "stop", f"{remedy}: a set that is judged by is whole or not at all"
    elif config.media.bad_files == "stop":
        level, remedy = "stop", f"{remedy}, or set media.bad_files: skip"
    elif _too_many(scan, accepted):
        level, remedy = "stop", f"{_share(scan):.1%} in all, accepted: {accepted:.1%}: {remedy}, or raise data.accept_dropped"
    for reason, places in by_reason(scan):
        number, total = len(places), len(scan.files)
        of = f"{number:,} of {total:,} {'file' if total == 1 else 'files'}"
        problem = f"{of} {reason}" if number == 1 else f"{of} cannot be read: each {reason}"
        kind: Level = "stop" if level == "stop" else "warn"
        yield Finding(kind, FILES, scan.name, problem, tuple(places[:KEPT_PLACES]), remedy, number)


def _dropped(scan: MediaScan, accepted: float) -> Iterator[Finding]:
    """What training leaves out besides."""
    too_many = is_learned(scan) and _too_many(scan, accepted)
    for reason, places in scan.dropped.items():
        if reason == UNREADABLE or (reason == TOO_LONG_SOUND and not is_learned(scan)):  # these are answered in windows
            continue
        raised = "media.longest_seconds or data.accept_dropped" if reason == TOO_LONG_SOUND else "data.accept_dropped"
        remedy = f"{_share(scan):.1%} in all, accepted: {accepted:.1%}: mend or remove them, or raise {raised}"
        problem = f"{places.count:,} of {len(scan.checked):,} examples would be dropped: {reason}"
        kind: Level = "stop" if too_many else "note"
        yield Finding(kind, judge.DROPPED, scan.name, problem, tuple(places.first), remedy if too_many else None, places.count)


def _cramped(scan: MediaScan) -> Iterator[Finding]:
    """What the loss of CTC leaves out without a word."""
    count = scan.cramped.count
    if count and is_learned(scan):
        problem = f"{count:,} {'recording has' if count == 1 else 'recordings have'} fewer positions than what is said has tokens"
        cure = (
            "CTC learns nothing of them: lower media.subsampling or media.hop_ms, raise tokenizer.vocabulary_size, or remove them"
        )
        yield Finding(
            "warn", SPELLING, scan.name, f"{problem} ({count / len(scan.checked):.1%})", tuple(scan.cramped.first), cure, count
        )


def _copies(scan: MediaScan) -> Iterator[Finding]:
    count, conflicts = scan.copies.count, scan.conflicts.count
    if conflicts:
        problem = f"{conflicts:,} {'file stands' if conflicts == 1 else 'files stand'} twice with different labels"
        cure = "keep the right one of each: nothing can tell them apart"
        yield Finding("warn", LABELS, scan.name, problem, tuple(scan.conflicts.first), cure, conflicts)
    if count:
        share = count / max(1, len(scan.checked))
        many = share > judge.DUPLICATES_WARN
        what = "example is a copy" if count == 1 else "examples are copies"
        problem = f"{count:,} {what} of others ({share:.1%}), byte by byte"
        remedy = "keep each once: what stands often is learned by heart" if many else None
        yield Finding("warn" if many else "note", judge.DUPLICATES, scan.name, problem, tuple(scan.copies.first), remedy, count)


def _sizes(scan: MediaScan, config: Config) -> Iterator[Finding]:
    """What the files are like; those that are held out are like those of train, or a finding tells it."""
    read, noun = scan.read, NOUNS[config.media.kind]
    if not read:
        return
    if flat := [scan.places[path] for path, looked in scan.files.items() if looked.flat]:
        share = len(flat) / len(read)
        problem = f"{len(flat):,} of {len(read):,} {noun} {'has' if len(flat) == 1 else 'have'} one colour all over"
        cure = "look at them: they may have been damaged when they were written" if share > FLAT_WARN else None
        level: Level = "warn" if share > FLAT_WARN else "note"
        yield Finding(level, CONTENT, scan.name, problem, tuple(flat[:KEPT_PLACES]), cure, len(flat))
    if not is_learned(scan):
        return
    opened = f"of the {noun}" if scan.opened_all else f"of the {len(read):,} that were opened"
    yield from _lengths(scan, config, opened) if config.media.hears else _pixels(scan, config, opened)
    longest = max(looked.positions for looked in read)
    if longest > config.training.batch_tokens:
        problem = f"training.batch_tokens={config.training.batch_tokens} holds not even the largest file of {longest:,} positions"
        yield Finding("warn", SIZES, scan.name, problem, remedy=f"raise it above {longest}")


def _pixels(scan: MediaScan, config: Config, opened: str) -> Iterator[Finding]:
    read = sorted(scan.read, key=lambda looked: looked.size[0] * looked.size[1])
    (high, wide), (highest, widest) = read[len(read) // 2].size, read[-1].size
    shrunk = sum(looked.shrunk for looked in read)
    size = config.media.size
    to = f"media.patches={config.media.patches}" if size is None else f"media.size={list(size)}"
    told = f"{shrunk:,} ({shrunk / len(read):.0%}) are scaled down to {to}"
    problem = f"the median {opened} is {wide} × {high}, the largest {widest} × {highest} pixels; "
    yield Finding("note", SIZES, scan.name, problem + (told if shrunk else "none is scaled down"))


def _lengths(scan: MediaScan, config: Config, opened: str) -> Iterator[Finding]:
    read, settings = scan.read, config.media
    seconds = np.array([looked.seconds for looked in read])
    problem = f"the median {opened} is {np.median(seconds):.1f} seconds, the longest {seconds.max():.1f}"
    problem += "" if not scan.opened_all else f"; {_duration(float(seconds.sum()))} in all"
    beyond = int((seconds > settings.longest_seconds).sum())
    problem += f"; {beyond:,} beyond media.longest_seconds={settings.longest_seconds:g}" if beyond else ""
    yield Finding("note", SIZES, scan.name, problem)
    low = {path: looked.rate for path, looked in scan.files.items() if 0 < looked.rate < settings.sample_rate}
    if low:
        least = min(low.values())
        problem = f"{len(low):,} of {len(read):,} recordings have fewer samples a second than media.sample_rate="
        problem += f"{settings.sample_rate}: the fewest are {least:,}"
        places = tuple(scan.places[path] for path in list(low)[:KEPT_PLACES])
        cure = f"nothing is heard there above {least // 2:,} Hz; media.sample_rate: {least} says so, and is faster"
        yield Finding("note", SIZES, scan.name, problem, places, cure if len(low) > len(read) / 2 else None, len(low))


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"


def _answers(scan: MediaScan) -> Iterator[Finding]:
    counts = [len(one.answers) for one in scan.examples]
    if not scan.classifies and max(counts) > 1:
        problem = f"{np.mean(counts):.1f} answers an example, {min(counts)} to {max(counts)}: an epoch learns one of each"
        yield Finding("note", CAPTIONS, scan.name, problem)


def _overlaps(scans: dict[str, MediaScan]) -> Iterator[Finding]:
    """Files that are held out and stand in train too, by their content or by their path."""
    for held in scans.values():
        for train in scans.values():
            if not is_learned(held) and is_learned(train):
                yield from _overlap(held, train)


def _overlap(held: MediaScan, train: MediaScan) -> Iterator[Finding]:
    learned = {looked.digest: path for path, looked in train.files.items() if looked.digest}
    unknown = Looked(None)
    both = []
    for path, place in held.places.items():
        same = path if path in train.places else learned.get(held.files.get(path, unknown).digest)
        if same is not None:
            both.append(f"{place} = {train.places[same]}")
    if both:
        share = len(both) / len(held.places)
        yield Finding(
            "stop" if share >= judge.LEAK_STOP else "warn",
            judge.OVERLAP,
            held.name,
            f"{len(both):,} of its {len(held.places):,} files stand in {train.name} too ({share:.1%})",
            tuple(both[:KEPT_PLACES]),
            f"remove them from {train.name}: scores on {held.name} would be flattered",
            len(both),
        )
