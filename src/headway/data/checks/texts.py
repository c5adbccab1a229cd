"""The pre-flight of text that has no partner: documents, or texts with labels → figures and findings.

Every corpus is read once, held-out ones first.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from headway.config import OF_MEDIA, WITHOUT_TARGET, Config, CorpusConfig
from headway.data.checks import findings as judge
from headway.data.checks.labels import label_findings
from headway.data.checks.lines import hash_text, normalise
from headway.data.checks.report import CorpusFigures, Finding, Level, split_of
from headway.data.checks.scan import FAULTS, KEPT_PLACES, Places
from headway.data.dialogues import DialoguePreparation, read_dialogues
from headway.data.labelled import Labelled, LabelledPreparation
from headway.data.media_preparation import LabelledMediaPreparation, MediaPreparation
from headway.data.pairs import EMPTY_TARGET, PairPreparation
from headway.data.preparation import Read, texts_of
from headway.data.preprocessing import Preprocessor, is_blank
from headway.data.progress import PairsProgress
from headway.data.questions import QuestionPreparation, drop_reason, read_questions
from headway.data.readers import corpus_name, corpus_paths, read_pairs
from headway.data.tagged import TaggedPreparation, read_to_learn
from headway.data.texts import Text, TextPreparation, read_texts
from headway.data.tokenizer import UNK_ID, Tokenizers

QUICK_PIECES = 2_000  # documents, or pieces of long ones, of each corpus
TELLING_CHARACTERS = 40  # shorter lines may well be written twice
MOST_HASHES = 4_000_000  # lines and documents that are remembered, some 60 bytes each
LEAK_WARN, LEAK_STOP = 0.05, 0.5
DUPLICATES_WARN = 0.1
EMPTY, ANSWERS = "empty", "answers"

# Who reads the corpora of a task: as `TASKS` has it, which stands above the data.
READERS: dict[str, Read] = {
    "translation": PairPreparation.read,
    "summarisation": PairPreparation.read,
    "dialogue": DialoguePreparation.read,
    **dict.fromkeys(WITHOUT_TARGET, TextPreparation.read),
    "classification": LabelledPreparation.read,
    "pair_classification": LabelledPreparation.read,
    "tagging": TaggedPreparation.read,
    "question_answering": QuestionPreparation.read,
    "sentence_embedding": PairPreparation.read,
    **dict.fromkeys(OF_MEDIA, MediaPreparation.read),
    "media_classification": LabelledMediaPreparation.read,
}
# What the tokenizer of a task learns from: likewise.
LEARNED_FROM: dict[str, Read] = {
    **READERS,
    **dict.fromkeys(OF_MEDIA, texts_of(MediaPreparation)),
    "media_classification": texts_of(LabelledMediaPreparation),
}


class Seen(NamedTuple):
    """An example as it is checked."""

    text: Text
    labels: tuple[str, ...] = ()
    dropped: str | None = None  # why training cannot use it
    answered: bool = True
    name: str = ""  # where a line is not enough to find it
    context: str = ""  # what is learned with it: the same text after another context is no copy
    answer: str = ""  # a text of its own, which is to be written


class TextScan:
    """What is known of one corpus after its documents have passed through `add`."""

    def __init__(self, name: str, corpus: CorpusConfig, config: Config, tokenizers: Tokenizers | None) -> None:
        self.name, self.path = name, str(corpus_paths(corpus)[0])
        self._exact_lines = corpus.path is None  # in a table a line of a text is no line of the file
        self._preprocessor = Preprocessor(config.data.preprocessing, config.data.source_language)
        self._tokenizer = tokenizers.source if tokenizers else None
        self.documents = self.duplicates = 0
        self.dropped: dict[str, Places] = {}
        self.unanswered = Places()
        self.words = self.tokens = self.unknown = self.longest = 0
        self.faults = {fault: Places() for fault in FAULTS}
        self.first_duplicates: list[str] = []
        self.lines: dict[int, int] = {}  # hash of a telling line → where it stands
        self.whole = False  # whether it was read to its end
        self.labels: Counter[str] = Counter()
        self.first_of_label: dict[str, int] = {}
        self._whole: dict[int, int] = {}
        self._tokens_of_document = 0

    def add(self, seen: Seen) -> None:
        text = seen.text
        for label in seen.labels:
            self.labels[label] += 1
            self.first_of_label.setdefault(label, text.line)
        place = f"{self.path}:{text.line}" + (f" ({seen.name})" if seen.name else "")
        blank = is_blank(text.source)
        self.documents += text.ends
        if reason := seen.dropped or (EMPTY if blank and text.ends else None):
            self.dropped.setdefault(reason, Places()).add(place)
        if not seen.answered:
            self.unanswered.add(place)
        self.words += len(text.source.split())
        if self._tokenizer is not None:
            ids = self._tokenizer.encode(self._preprocessor.apply(text.source))
            self.tokens, self.unknown = self.tokens + len(ids), self.unknown + ids.count(UNK_ID)
            self._tokens_of_document += len(ids)
            self.longest = max(self.longest, self._tokens_of_document)
            self._tokens_of_document *= not text.ends
        if not blank and len(self._whole) < MOST_HASHES:
            first = self._whole.setdefault(hash_text(f"{seen.context}\n{text.source}"), text.line)
            if first != text.line:
                self.duplicates += 1
                if len(self.first_duplicates) < KEPT_PLACES:
                    self.first_duplicates.append(f"{self.path}:{text.line} (as at {first})")
        for number, line in enumerate(text.source.split("\n")):
            where = text.line + number if self._exact_lines else text.line
            if len(line) >= TELLING_CHARACTERS and len(self.lines) < MOST_HASHES:
                self.lines.setdefault(hash_text(normalise(line)), where)
            self._note_faults(line, f"{self.path}:{where}")
        self._note_faults(seen.answer, place)

    def _note_faults(self, text: str, place: str) -> None:
        for fault, pattern in FAULTS.items():
            if pattern.search(text) is not None:
                self.faults[fault].add(place)

    def figures(self) -> CorpusFigures:
        count, counted = max(1, self.documents), self._tokenizer is not None
        return CorpusFigures(
            name=self.name,
            files=(self.path,),
            pairs=self.documents,
            checked=self.documents,
            dropped={reason: places.count for reason, places in self.dropped.items()},
            duplicates=self.duplicates,
            source_words=self.words / count,
            source_tokens=self.tokens / count if counted else None,
            longest=self.longest if counted else None,
            unknown_share=self.unknown / max(1, self.tokens) if counted else None,
        )


def scan_texts(name: str, corpus: CorpusConfig, config: Config, tokenizers: Tokenizers | None, *, quick: bool) -> TextScan:
    """Read a corpus, or its beginning. Raises DataError where it cannot be read."""
    scan = TextScan(name, corpus, config, tokenizers)
    limit = QUICK_PIECES if quick else None
    with PairsProgress(f"checking {corpus_name(corpus)}", None) as progress:
        texts = _read(corpus, config, learned=split_of(name) == "train")
        for seen in itertools.islice(texts, limit):
            scan.add(seen)
            progress.advance(1)
        scan.whole = next(texts, None) is None
    scan.documents = max(scan.documents, 1)  # the quick look at one long document does not reach its end
    return scan


def _read(corpus: CorpusConfig, config: Config, *, learned: bool) -> Iterator[Seen]:
    if config.task in WITHOUT_TARGET:
        yield from map(Seen, read_texts(corpus, config.data.documents))
    elif config.task == "summarisation":
        for pair in read_pairs(corpus):
            dropped = EMPTY_TARGET if is_blank(pair.target) else None
            yield Seen(Text(pair.source, pair.line), dropped=dropped, answer=pair.target)
    elif config.task == "question_answering":
        for one in read_questions(corpus):
            yield Seen(Text(one.source, one.line), (), drop_reason(one), bool(one.answers), one.name)
    elif config.task == "dialogue":
        for pair in read_dialogues(corpus, config.data.history_turns):
            yield Seen(Text(pair.target, pair.line), context=pair.source)
    elif config.task == "tagging":
        for sentence in (read_to_learn if learned else TaggedPreparation.read)(corpus, config.data):
            yield Seen(Text(sentence.source, sentence.line), tuple(dict.fromkeys(sentence.tags)))
    else:
        for example in READERS[config.task](corpus, config.data):
            # Examples of a task that is new here have no labels.
            named = isinstance(example, Labelled) and config.data.labels != "number"
            yield Seen(Text(example.source, example.line), example.labels if named else ())


def text_findings(scans: dict[str, TextScan], config: Config) -> Iterator[Finding]:
    """Judgement of all corpora, of which those of train come first."""
    for scan in scans.values():
        yield from _dropped(scan, config.data.accept_dropped)
        for fault, places in scan.faults.items():
            if places.count:
                yield judge.fault_finding(scan.name, fault, places)
        if scan.duplicates:
            many = scan.duplicates / scan.documents > DUPLICATES_WARN
            problem = f"{scan.duplicates:,} documents are copies of others ({scan.duplicates / scan.documents:.1%})"
            places_of = tuple(scan.first_duplicates)
            yield Finding(
                "warn" if many else "note", judge.DUPLICATES, scan.name, problem, places_of, count=scan.duplicates,
                remedy="keep each once: what stands often is learned by heart" if many else None,
            )  # fmt: skip
    yield from _overlaps(scans)
    yield from label_findings(scans, config, "texts")
    yield from _unanswered(scans, config.data.unanswerable)


def _dropped(scan: TextScan, accepted: float) -> Iterator[Finding]:
    share = sum(places.count for places in scan.dropped.values()) / scan.documents
    level: Level = "stop" if share > accepted else "note"
    remedy = f"{share:.1%} in all, accepted: {accepted:.1%}: mend or remove them, or raise data.accept_dropped"
    for reason, places in scan.dropped.items():
        problem = f"{places.count:,} of {scan.documents:,} texts would be dropped: {reason}"
        first = tuple(places.first)
        yield Finding(level, judge.DROPPED, scan.name, problem, first, remedy if level == "stop" else None, places.count)


def _unanswered(scans: dict[str, TextScan], may_be_none: bool) -> Iterator[Finding]:
    """Questions without an answer, where each is to have one; and a corpus to learn from that has no other."""
    train = _of_train(scans)
    nothing_else = bool(train) and all(scan.whole and scan.unanswered.count == scan.documents for scan in train)
    for name, scan in scans.items():
        count, learned = scan.unanswered.count, split_of(name) == "train"
        problem, places = f"{count:,} of {scan.documents:,} questions have no answer", tuple(scan.unanswered.first)
        if learned and nothing_else:
            yield Finding("stop", ANSWERS, name, problem, places, "give questions with answers: there is none to learn", count)
        elif count and not may_be_none:
            remedy = "set data.unanswerable: true, or remove them: the model is to answer every question"
            yield Finding("warn", ANSWERS, name, problem, places, remedy, count)


def _of_train(scans: dict[str, TextScan]) -> list[TextScan]:
    return [scan for name, scan in scans.items() if split_of(name) == "train"]


def _overlaps(scans: dict[str, TextScan]) -> Iterator[Finding]:
    for name, held in scans.items():
        for train in _of_train(scans):
            if held.lines and split_of(name) != "train":
                yield from _overlap(held, train)


def _overlap(held: TextScan, train: TextScan) -> Iterator[Finding]:
    both = [key for key in held.lines if key in train.lines]
    share = len(both) / len(held.lines)
    if both:
        level: Level = "stop" if share > LEAK_STOP else "warn" if share > LEAK_WARN else "note"
        lines = f"lines of {TELLING_CHARACTERS} characters or more"
        yield Finding(
            level,
            judge.OVERLAP,
            held.name,
            f"{len(both):,} of its {len(held.lines):,} {lines} stand in {train.name} ({share:.1%})",
            tuple(f"{held.path}:{held.lines[key]} ({train.path}:{train.lines[key]})" for key in both[:KEPT_PLACES]),
            f"remove them from {train.name}: scores on text that was learned say nothing" if level != "note" else None,
            len(both),
        )
