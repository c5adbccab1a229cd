"""Files of media in a report: where those of an evaluation stand, and small pictures of some of them."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence

from headway.config import Config, CorpusConfig
from headway.data.media_examples import path_of
from headway.data.media_files import UnreadableMedia, read_clip, read_picture
from headway.data.readers import corpus_paths
from headway.errors import HeadwayError
from headway.evaluation.outcome_record import AnswerRecord

SIDE = 64  # pixels
MOST_FILES = 120  # that are decoded for a report
MOST_BYTES = 600_000  # of all pictures


def line_of(one: AnswerRecord, parts: Sequence[CorpusConfig]) -> str:
    """The line that `headway predict` takes of an example of media, its path as it counts from here; empty where it is gone."""
    name, tab, beside = one.source.partition("\t")
    for part in parts:
        if len(parts) > 1 and one.file is not None and str(corpus_paths(part)[0]) != one.file:
            continue
        if os.path.isfile(path := path_of(part, name)):
            return f"{path}{tab}{beside}"
    return ""


class Thumbnails:
    """Small pictures of pictures and clips, as long as the page does not grow too large by them."""

    def __init__(self, config: Config) -> None:
        self._settings = config.media
        self._known: dict[str, str] = {}
        self._bytes = 0

    def of(self, line: str) -> str:
        """A data: URL; empty for sound, for what cannot be read, and where the page has enough of them."""
        path = line.partition("\t")[0]
        if not self._settings.sees or not path:
            return ""
        if path not in self._known:
            if len(self._known) >= MOST_FILES or self._bytes >= MOST_BYTES:
                return ""
            self._known[path] = self._made(path)
            self._bytes += len(self._known[path])
        return self._known[path]

    def _made(self, path: str) -> str:
        try:
            color = self._settings.color
            pixels = read_clip(path, frames=1, color=color) if self._settings.kind == "video" else read_picture(path, color=color)
        except (UnreadableMedia, HeadwayError):
            return ""
        from PIL import Image

        image, buffer = Image.fromarray(pixels[0].squeeze()), io.BytesIO()
        image.thumbnail((SIDE, SIDE))
        image.save(buffer, "JPEG", quality=80)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
