"""`headway init`: a person's own data in; a commented configuration, and a split to train and to test on, out.

The sizes in it follow the amount of data. Examples are held out by the digest of their source, so a source that comes twice is
never on both sides, and the same files are always split the same way.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import get_args

from headway.config import LANGUAGE, OF_MEDIA, WITHOUT_TARGET, CorpusConfig, LabelKind, load_config
from headway.data.lines import read_lines
from headway.data.preprocessing import is_blank
from headway.errors import DataError, ResourceError, UsageError
from headway.languages import writes_spaces
from headway.starter.advice import Counts, advise
from headway.starter.form import Form
from headway.starter.forms import FORMS, files_of_a_part, own_corpus
from headway.starter.media import look_through
from headway.starter.page import Plan, starter_yaml
from headway.starter.split import last_digests, split

__all__ = ["Counts", "advise", "files_of_a_part", "write_starter"]

FEWEST = 20  # examples
LONG_WORD = 20  # characters of a mean word: longer ones are no words
FEW_NUMBERS = 10  # more different ones than these are no names of classes


def write_starter(
    files: Sequence[str],
    directory: Path,
    *,
    task: str = "translation",
    columns: Sequence[str] | None = None,
    labels: str | None = None,
    source_language: str | None = None,
    target_language: str | None = None,
    validation: Sequence[str] | None = None,
    test: Sequence[str] | None = None,
) -> Path:
    """Writes ``DIRECTORY/config.yaml``; without `validation`, splits the examples into files beside it.

    Args:
        files: the data: two line files of pairs, or one file.
        columns: what is read of a table, where the names of its columns do not tell.
        labels: what a classifier answers with; default: what the labels look like.

    Returns: the path of the YAML.
    Raises:
        DataError: a file is missing or damaged, or there are too few examples, or all have the same label.
        UsageError: the files do not fit the task, the directory is not empty, or a language or column cannot be told.
        ResourceError: it cannot be written.
    """
    form, directory = _form_of(task, labels), _new(Path(directory))
    languages = _languages(files, task, source_language, target_language)
    own = own_corpus(task, files, columns)
    documents = _documents(str(own.source)) if task in WITHOUT_TARGET and own.path is None else "file"
    counts, marks = _count(form, own, documents, languages, told=source_language is not None)
    _refuse_few(counts.pairs, form.noun, 1 if validation else FEWEST, files[0])
    kind = labels or _label_kind(marks)
    _refuse_one_label(task, kind, marks, files[0])
    media = look_through(task, _files(form, own), counts.pairs) if task in OF_MEDIA else None
    corpora: dict[str, CorpusConfig | None] = {"train": own}
    for name, given in (("validation", validation), ("test", test)):
        corpora[name] = _whole(form, own_corpus(task, given, columns), documents) if given else None
    last = (0, 0) if validation else last_digests(form, own, documents, counts.pairs)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not validation:
            corpora |= split(form, own, documents, last, directory, languages, with_test=not test)
        plan = Plan(
            task=task,
            noun=form.noun,
            directory=directory,
            languages=languages,
            corpora=corpora,
            counts=counts,
            documents=documents,
            labels=kind,
            unanswerable="unanswerable" in marks,
            media=media,
        )
        path = directory / "config.yaml"
        path.write_text(starter_yaml(plan), encoding="utf-8")
    except OSError as error:
        raise ResourceError(f"cannot be written: {error.strerror}", where=str(error.filename or directory)) from error
    load_config(path)
    return path


def _form_of(task: str, labels: str | None) -> Form:
    """Raises UsageError where there is no such task, or where it has no such labels."""
    if task not in FORMS:
        near = difflib.get_close_matches(task, FORMS, n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(FORMS)}"
        raise UsageError(f"there is no task {task!r}", where="--task", remedy=remedy)
    if labels is not None and ("classification" not in task or labels not in get_args(LabelKind)):
        remedy = f"classification answers with {', '.join(get_args(LabelKind))}"
        raise UsageError(f"--labels {labels} is not for --task {task}", remedy=remedy)
    return FORMS[task]


def _new(directory: Path) -> Path:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError("is not a new or empty directory", where=str(directory), remedy="nothing was written; name another one")
    return directory


def _languages(files: Sequence[str], task: str, source: str | None, target: str | None) -> tuple[str, str]:
    """Those of both sides, which differ in translation alone."""
    if task == "translation" and len(files) == 2:
        source = source or _language_of(files[0], "--source-language")
        target = target or _language_of(files[1], "--target-language")
    source = source or "en"
    target = target or source
    for language in (source, target):
        if not re.match(LANGUAGE, language):
            raise UsageError(f"{language!r} is no language code", remedy="give one such as en, pt-BR or zh_Hant")
    in_two = (task == "translation" and len(files) == 2) or task == "multimodal_translation"
    if in_two and source == target:
        remedy = "name them: --source-language en --target-language de"
        raise UsageError(f"source and target are both {source!r}", remedy=remedy)
    return source, target


def _language_of(path: str, option: str) -> str:
    """`train.de`, `train.de.gz` → de"""
    name = Path(path).name
    found = re.search(r"\.([A-Za-z]{2,3}(?:[-_][A-Za-z]{2,4})?)(?:\.(?:gz|xz|zst|txt))?$", name)
    if found is None or found[1].lower() in ("txt", "tsv", "csv", "gz", "xz", "zst"):
        raise UsageError(f"the name {name!r} does not tell a language", where=path, remedy=f"say it: {option} de")
    return found[1]


def _documents(path: str) -> str:
    """ "paragraph" where blank lines part enough of them, else "line"."""
    paragraphs = (1 for full, _ in groupby(read_lines(path), key=lambda line: bool(line.strip())) if full)
    return "paragraph" if sum(islice(paragraphs, FEWEST)) == FEWEST else "line"


def _count(
    form: Form, corpus: CorpusConfig, documents: str, languages: tuple[str, str], *, told: bool
) -> tuple[Counts, Counter[str]]:
    """Examples and their words, and the marks of examples. Raises UsageError where nobody told that text has no spaces."""
    examples = words = longest = characters = 0
    marks: Counter[str] = Counter()
    for unit in form.read(corpus, documents):
        if any(map(is_blank, unit.texts)):
            continue
        here = max(map(_words, unit.texts, languages))
        examples, words, longest = examples + 1, words + here, max(longest, here)
        characters += max(map(len, unit.texts))
        marks[unit.mark] += 1
    if not told and languages[0] == "en" and characters > LONG_WORD * words:
        problem = "has hardly a blank between words, so it is not English"
        raise UsageError(problem, where=str(corpus.path or corpus.source), remedy="say what it is: --source-language zh")
    return Counts(examples, longest, words / max(examples, 1)), marks


def _whole(form: Form, corpus: CorpusConfig, documents: str) -> CorpusConfig:
    """The corpus, read once: it is there, and whole."""
    sum(1 for _ in form.read(corpus, documents))
    return corpus


def _files(form: Form, corpus: CorpusConfig) -> list[str]:
    """The files that the examples are about, which are what keeps them together."""
    return list(dict.fromkeys(unit.key for unit in form.read(corpus, "file")))


def _words(text: str, language: str) -> int:
    return text.count(" ") + 1 if writes_spaces(language) else len(text)


def _label_kind(labels: Counter[str]) -> LabelKind:
    """What labels look like: many numbers, several with commas between them that come in other company too, or one."""
    if len(labels) > FEW_NUMBERS and all(map(_is_number, labels)):
        return "number"
    parts = {part.strip() for label in labels for part in label.split(",")} - {""}
    return "several" if len(parts) < len(labels) and any("," in label for label in labels) else "one"


def _refuse_few(examples: int, noun: str, least: int, path: str) -> None:
    if examples < least:
        problem = f"holds {examples} {noun} with text; {least} are the least to hold some out"
        raise DataError(problem, where=path, remedy="give more")


def _refuse_one_label(task: str, kind: str, labels: Counter[str], path: str) -> None:
    if "classification" in task and kind != "several" and len(labels) == 1:
        remedy = "there is nothing to tell apart: add examples with other labels, or say where they are: --columns TEXT,LABEL"
        raise DataError(f"all examples have the same label ({next(iter(labels))[:40]!r})", where=path, remedy=remedy)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
