"""What the data of each task is: how it is read, what of it is held out as a whole, and how that is written down again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from headway.config import CorpusConfig, DataConfig
from headway.data.dialogues import history, read_conversations
from headway.data.labelled import TAB, read_joined
from headway.data.questions import Question, read_questions
from headway.data.readers import read_pairs
from headway.data.tables import TABLES, ending
from headway.data.tagged import read_tagged
from headway.data.texts import read_texts
from headway.errors import UsageError
from headway.starter.columns import Column, choose_columns, choose_numbers
from headway.starter.form import Form, Unit, json_line
from headway.starter.media_forms import MEDIA_FORMS, folder_columns

PLAIN = "plain text"  # what any other ending stands for
ANY = (PLAIN, ".json", *TABLES)
HISTORY: int = DataConfig.model_fields["history_turns"].default


def _pairs(corpus: CorpusConfig, documents: str) -> Iterator[Unit]:
    for source, target, *_ in read_pairs(corpus):
        yield Unit(source, (source, target), (source + "\n", target + "\n"))


def _summaries(corpus: CorpusConfig, documents: str) -> Iterator[Unit]:
    for text, summary, *_ in read_pairs(corpus):
        yield Unit(text, (text, summary), (json_line(text=text, summary=summary),))


def _labelled(corpus: CorpusConfig, documents: str) -> Iterator[Unit]:
    for text, label, *_ in read_pairs(corpus, numbers=True):
        yield Unit(text, (text,), (json_line(text=text, label=label),), label)


def _labelled_pairs(corpus: CorpusConfig, documents: str) -> Iterator[Unit]:
    """Two texts with a label; an example goes where its first text goes."""
    for joined, label, *_ in read_joined(corpus):
        first, _, second = joined.partition(TAB)
        yield Unit(first, (joined,), (json_line(first=first, second=second, label=label),), label)


def _alike(corpus: CorpusConfig, documents: str) -> Iterator[Unit]:
    for first, second, *_ in read_pairs(corpus):
        yield Unit(first, (first, second), (json_line(first=first, second=second),))


def _tagged(corpus: CorpusConfig, documents: str) -> Iterator[Unit]:
    for sentence in read_tagged(corpus):
        lines = "".join(f"{word}\t{tag}\n" for word, tag in zip(sentence.words, sentence.tags, strict=True))
        yield Unit(sentence.source, (sentence.source,), (lines + "\n",))


def _questions(corpus: CorpusConfig, documents: str) -> Iterator[Unit]:
    """A passage is written with the first of its questions."""
    for passage, asked in itertools.groupby(read_questions(corpus), key=lambda question: question.passage):
        group = list(asked)
        written = json_line(context=passage, qas=[_record(question) for question in group])
        for question in group:
            yield Unit(passage, (question.source,), (written,), "" if question.answers else "unanswerable")
            written = ""


def _record(question: Question) -> dict[str, object]:
    answers = [{"text": answer.text, "answer_start": answer.start} for answer in question.answers]
    return {"id": question.name, "question": question.question, "answers": answers, "is_impossible": not answers}


def _answers(corpus: CorpusConfig, documents: str) -> Iterator[Unit]:
    """A conversation is written with the first answer in it."""
    for said, _ in read_conversations(corpus):
        written = json_line(turns=said)
        for place in range(1, len(said)):
            yield Unit("\n".join(said), (history(said[:place], HISTORY), said[place]), (written,))
            written = ""


def _texts(corpus: CorpusConfig, documents: str) -> Iterator[Unit]:
    for text in read_texts(corpus, documents):
        yield Unit(text.source, (text.source,), (json_line(text=text.source),))


TEXT = ("text", "sentence", "source", "content", "document", "article", "body", "review", "question")
FIRST = ("first", "sentence1", "text1", "premise", "question1", "question")
SECOND = ("second", "sentence2", "text2", "hypothesis", "question2", "sentence")
LABEL = ("label", "labels", "class", "category", "target", "intent", "score", "rating")
SUMMARY = ("summary", "highlights", "headline", "title", "abstract", "target")
TURNS = ("turns", "dialogue", "dialog", "utterances", "messages", "conversation")
_TABLE = f"a table ({', '.join(TABLES)}) with a column of texts"
_LINES = "two text files, line n of one belonging to line n of the other"
_PLAIN_TEXT = Form("documents", f"a text file, or {_TABLE}", _texts, ANY, columns=(TEXT,), written=("text",))

FORMS: dict[str, Form] = {
    "translation": Form("pairs", _LINES, _pairs, ANY, files=(2,), whole="sentences"),
    "summarisation": Form(
        "pairs", f"{_TABLE} and one of summaries, or {_LINES}", _summaries,
        files=(1, 2), columns=(TEXT, SUMMARY), written=("text", "summary"),
    ),
    "dialogue": Form(
        "answers", "a .jsonl file, an object with a list of utterances on each line", _answers, (".jsonl",),
        columns=(TURNS,), written=("turns",), whole="conversations",
    ),
    "language_model": _PLAIN_TEXT,
    "masked_language_model": _PLAIN_TEXT,
    "span_corruption": _PLAIN_TEXT,
    "denoising": _PLAIN_TEXT,
    "classification": Form(
        "texts", f"{_TABLE} and one of labels", _labelled, columns=(TEXT, LABEL), written=("text", "label")
    ),
    "pair_classification": Form(
        "pairs", f"a table ({', '.join(TABLES)}) with two columns of texts and one of labels", _labelled_pairs,
        columns=(FIRST, SECOND, LABEL), written=("first", "second", "label"),
    ),
    "sentence_embedding": Form(
        "pairs", f"{_LINES}; or a table ({', '.join(TABLES)}) with two columns of texts", _alike, ANY,
        files=(1, 2), columns=(FIRST, SECOND), written=("first", "second"),
    ),
    "tagging": Form(
        "sentences", "a CoNLL file, a word and its tag on each line and a blank line after each sentence", _tagged,
        takes=(PLAIN, ".tsv"), written=(0, 1), ending=".conll", whole="sentences",
    ),
    "question_answering": Form(
        "questions", "SQuAD's .json, or a passage of it on each line of a .jsonl", _questions, (".json", ".jsonl"),
        written=("context",), whole="passages",
    ),
    **MEDIA_FORMS,
}  # fmt: skip


def files_of_a_part(task: str, named: Sequence[str]) -> int:
    """How many of the files that are named are one part of the data: two where they are line files of pairs."""
    in_twos = task in FORMS and 2 in FORMS[task].files
    return 2 if in_twos and not (1 in FORMS[task].files and named and ending(named[0]) in TABLES) else 1


def own_corpus(task: str, files: Sequence[str], columns: Sequence[str] | None) -> CorpusConfig:
    """A person's own data as a configuration names it.

    Raises UsageError where the files or the columns are not those of the task; DataError where they cannot be read.
    """
    form = FORMS[task]
    if len(files) not in form.files:
        wanted = " or ".join(("one file", "two files")[number - 1] for number in form.files)
        problem = f"reads {wanted} before the directory, not {len(files)}: {', '.join(files) or 'none is named'}"
        raise UsageError(problem, where=f"init --task {task}", remedy=f"give {form.looks}")
    if len(files) == 2:
        return _valid({"source": files[0], "target": files[1]})
    (path,) = files
    if task in MEDIA_FORMS and Path(path).is_dir():
        return _table(path, folder_columns(path, form))
    kind = ending(path) if ending(path) in ANY else PLAIN
    if kind not in form.takes:
        raise UsageError(
            f"{kind if kind == PLAIN else f'a {kind} file'} is not what {task} reads", where=path, remedy=f"give {form.looks}"
        )
    if task == "question_answering":
        chosen: list[Column] = ["context"]
    elif task == "tagging":
        chosen = choose_numbers(path, columns)
    elif kind not in TABLES:
        return _valid({"source": path})
    else:
        chosen = choose_columns(path, form.columns, columns)
    return _table(path, chosen)


def written_corpus(form: Form, paths: Sequence[str]) -> CorpusConfig:
    """What `init` wrote, as a configuration names it."""
    return _table(paths[0], form.written) if form.written else _valid({"source": paths[0], "target": paths[1]})


def _table(path: str, columns: Sequence[Column]) -> CorpusConfig:
    keys = ("source", "second", "target") if len(columns) == 3 else ("source", "target")
    return _valid({"path": path, **dict(zip(keys, columns, strict=False))})


def _valid(values: dict[str, Column]) -> CorpusConfig:
    try:
        return CorpusConfig.model_validate(values)
    except ValidationError as error:
        problem = f"{', '.join(repr(value) for value in values.values())}: {error.errors()[0]['msg']}"
        raise UsageError(problem, remedy="give the paths of two line files" if "path" not in values else None) from None
