"""The forms of a person's pictures, clips and recordings: a table that names them, or a folder of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from headway.config import CorpusConfig
from headway.data.files import resolve
from headway.data.media_examples import MediaExample, path_of, read_media, read_rows
from headway.data.media_files import media_kind_of
from headway.data.tables import TABLES
from headway.errors import DataError, UsageError
from headway.starter.form import Form, Unit, json_line

FILE = (
    "file", "path", "image", "picture", "photo", "audio", "recording", "video", "clip", "filename", "file_name", "filepath",
    "file_path", "image_path", "audio_path", "video_path", "wav",
)  # fmt: skip
CAPTIONS = ("captions", "caption", "text", "sentences", "sentence", "description", "title", "english")
TRANSCRIPT = ("text", "transcript", "transcription", "sentence", "sentences", "words", "normalized_text")
LABEL = ("label", "labels", "class", "category", "target", "tag", "text")
QUESTION = ("question", "questions", "query")
ANSWERS = ("answers", "answer", "label", "target")
SENTENCE = ("source", "sentence", "text", "english", "en")
TRANSLATION = ("target", "translation", "german", "de")
_NAMES = f"a table ({', '.join(TABLES)}) with a column of paths of files, which count from its folder, and one of"


def _written(example: MediaExample, **texts: object) -> tuple[str]:
    """The row of what is written elsewhere, and so names the file by its whole path."""
    return (json_line(file=os.path.abspath(os.fsdecode(example.file)), **texts),)


def _captioned(corpus: CorpusConfig, documents: str) -> Iterator[Unit]:
    """A file with all its captions, or with its transcript."""
    for one in read_media(corpus):
        longest = max(one.answers, key=len, default="")
        yield Unit(_key(one), (longest,), _written(one, text=_list(one.answers)))


def _asked(corpus: CorpusConfig, documents: str) -> Iterator[Unit]:
    """A file with a text beside it and what is answered; all that is asked of a file goes where it goes."""
    for one in read_media(corpus):
        longest = max(one.answers, key=len, default="")
        yield Unit(_key(one), (one.question, longest), _written(one, question=one.question, text=_list(one.answers)))


def _labelled(corpus: CorpusConfig, documents: str) -> Iterator[Unit]:
    """A file with its label, whose words do not count."""
    for (name, *_), answers, line in read_rows(corpus, labels=True):
        label = "\n".join(answers)
        one = MediaExample(path_of(corpus, name), "", (label,), line, name)
        yield Unit(_key(one), ("file",), _written(one, label=label), label)


def _key(example: MediaExample) -> str:
    return os.path.abspath(os.fsdecode(example.file))


def _list(answers: tuple[str, ...]) -> str | list[str]:
    return answers[0] if len(answers) == 1 else list(answers)


MEDIA_FORMS: dict[str, Form] = {
    "captioning": Form(
        "files", f"{_NAMES} captions, or a folder with a .txt beside each file", _captioned,
        columns=(FILE, CAPTIONS), written=("file", "text"), whole="files", folder=("text",),
    ),
    "speech_recognition": Form(
        "files", f"{_NAMES} transcripts, or a folder with a .txt beside each file", _captioned,
        columns=(FILE, TRANSCRIPT), written=("file", "text"), whole="files", folder=("text",),
    ),
    "visual_question_answering": Form(
        "questions", f"{_NAMES} questions and one of answers", _asked,
        columns=(FILE, QUESTION, ANSWERS), written=("file", "question", "text"), whole="files",
    ),
    "multimodal_translation": Form(
        "sentences", f"{_NAMES} sentences and one of translations", _asked,
        columns=(FILE, SENTENCE, TRANSLATION), written=("file", "question", "text"), whole="files",
    ),
    "media_classification": Form(
        "files", f"{_NAMES} labels, or a folder with a folder of files for each label", _labelled,
        columns=(FILE, LABEL), written=("file", "label"), whole="files", folder=("folder", "text"),
    ),
}  # fmt: skip


def folder_columns(path: str, form: Form) -> tuple[str, str]:
    """What is read of a folder: its files, and the .txt beside each or the names of their folders.

    Raises UsageError where the task needs a table, DataError where the folder holds no files of media or not what they say.
    """
    if not form.folder:
        raise UsageError("is a folder", where=path, remedy=f"give {form.looks}")
    place = resolve(path)
    files = [file for file in place.rglob("*") if media_kind_of(file) is not None and file.is_file()]
    if not files:
        problem = "holds no file with an ending of a picture, clip or recording"
        raise DataError(problem, where=path, remedy="such as .jpg, .png, .mp4, .wav or .flac")
    with_text = [file for file in files if file.with_suffix(".txt").is_file()]
    in_folders = [file for file in files if file.parent != place]
    if "folder" in form.folder and in_folders and not with_text:
        _refuse_loose(path, [file for file in files if file.parent == place], "in no folder, whose name would be its label")
        return "file", "folder"
    if not with_text:
        raise DataError("does not tell what its files show or say", where=path, remedy=f"give {form.looks}")
    _refuse_loose(path, [file for file in files if not file.with_suffix(".txt").is_file()], "without a .txt beside it")
    return "file", "text"


def _refuse_loose(path: str, files: list[Path], what: str) -> None:
    if files:
        first = min(files).relative_to(resolve(path))
        problem = f"{len(files)} {'file is' if len(files) == 1 else 'files are'} {what}: {first}"
        raise DataError(problem, where=path, remedy="add what is missing, or move them away")
