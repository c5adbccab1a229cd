"""What a translation looked at, as a picture: the cross-attention of every layer and head.

    L layers   H heads   S source pieces and the end   T target pieces and the end

Row t of a map is where the model looked when it produced target piece t, so it belongs to the query of the piece before.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headway.errors import ModelError, UsageError
from headway.explain.sides import END

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from headway.explain.request import Direction

_log = logging.getLogger(__name__)

COLOURS = ("#ffffff", "#e3ecf6", "#b4cde6", "#7aa6d2", "#4378b8", "#254b8e", "#12235a")
_INK, _FAINT = "#1b2333", "#8a93a6"
MOST_PIECES = 250
_MOST_HEADS = 64  # a grid of more small maps than this shows nothing


def draw_attention(
    run: str | os.PathLike[str],
    text: str,
    path: str | os.PathLike[str],
    decoding: Mapping[str, Any] | None = None,
    *,
    layer: int | None = None,
    direction: Direction = (None, None),
) -> str:
    """Translates a sentence and draws what each produced piece looked at. Returns the translation.

    Args:
        run: a run directory or a model directory.
        path: the picture; its ending chooses the format (.png, .svg, .pdf).
        decoding: settings that differ from those of the configuration, such as ``beam_size``.
        layer: of the large map, counted from 0 or from the end with -1; default: the last.
        direction: the languages that are written and read, for a model of several directions.

    Raises: UsageError for an empty or too long text, a direction or layer that is not there; ModelError for a model without
        cross-attention.
    """
    from headway.explain.attention import attention_maps, stacks
    from headway.explain.subjects import subject_of
    from headway.inference.direction import choose_direction
    from headway.model_dir import load_model

    loaded = load_model(run)
    if loaded.config.media.kind != "text":
        raise UsageError(
            "a picture shows words, and this model reads files", where="-o", remedy="name a page: -o explanation.html"
        )
    if not loaded.model.encoder or not loaded.model.decoder:
        problem, remedy = "has no cross-attention, which a picture shows", "name a page: -o explanation.html"
        raise ModelError(problem, where=str(run), remedy=remedy)
    subject = subject_of(loaded, " ".join(text.split()), decoding or {}, direction)
    assert subject.source is not None
    assert subject.target is not None
    if max(len(subject.source), len(subject.target)) > MOST_PIECES + 1:
        problem = f"the text or its answer has more than {MOST_PIECES} pieces, which is all that a picture shows"
        raise UsageError(problem, where="TEXT", remedy="give one sentence")
    data = loaded.config.in_direction(choose_direction(loaded.config.data, *direction)).data
    figure = attention_figure(
        stacks(attention_maps(subject))["decoder cross_attention"],
        subject.source.pieces[:-1],
        subject.target.pieces[1:],
        source=subject.text,
        target=subject.answer,
        languages=(data.source_language, data.target_language),
        layer=layer,
    )
    _save(figure, Path(path))
    return subject.answer


def attention_figure(
    layers: Sequence[np.ndarray],
    source_pieces: Sequence[str],
    target_pieces: Sequence[str],
    *,
    source: str,
    target: str,
    languages: tuple[str, str] = ("", ""),
    layer: int | None = None,
) -> Figure:
    """A large map, the mean over the heads of one layer, and beside it a small one for every head of every layer.

    Args:
        layers: [H, T, S] of each layer, the end of sentence last on both sides.
        source_pieces, target_pieces: the labels, without the end.
        source, target: the sentences of the title.
        layer: of the large map; default: the last.
    """
    from matplotlib import rc_context

    from headway.explain.fonts import families_for

    chosen = len(layers) - 1 if layer is None else layer
    if not -len(layers) <= chosen < len(layers):
        known = f"0 to {len(layers) - 1}"
        raise UsageError(f"layer={layer} is not there", where="layer", remedy=f"the decoder's layers are {known}")
    shown = "".join((*source_pieces, *target_pieces, source, target, END))
    chinese = [language for language in languages if language[:2] in ("zh", "ja", "ko")]
    families, missing = families_for(shown, chinese[0] if chinese else "")
    if missing:
        some = missing[:10] + ("…" if len(missing) > 10 else "")
        _log.warning("no installed font can show %s; install one for its script (such as fonts-noto-cjk) and draw again", some)
    with rc_context({"font.family": families, "text.color": _INK, "axes.edgecolor": _FAINT, "axes.labelcolor": _INK}):
        return _figure(layers, [*source_pieces, END], [*target_pieces, END], (source, target), languages, chosen % len(layers))


class _Page:
    """A picture on which everything is placed in inches from its upper left corner.

    So cells are square and letters keep their size however long a sentence is.
    """

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=150, facecolor="white")

    def text(self, x: float, y: float, words: str, *, size: float = 7.5, colour: str = _FAINT, upright: bool = False) -> None:
        at = (x / self.width, 1 - y / self.height)
        self.figure.text(
            *at, words, fontsize=size, color=colour, va="center",
            rotation=90 if upright else 0, ha="right" if upright else "left",
        )  # fmt: skip

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        box = (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)


def _figure(
    layers: Sequence[np.ndarray],
    source_pieces: Sequence[str],
    target_pieces: Sequence[str],
    sentences: tuple[str, str],
    languages: tuple[str, str],
    chosen: int,
) -> Figure:
    T, S, gap = len(target_pieces), len(source_pieces), 0.09
    cell = max(0.12, min(0.42, 15 / max(S, T)))
    points = max(4.0, min(11.0, 30 * cell))
    letter = points / 72 * 0.66
    left = 0.45 + letter * max(map(_columns, target_pieces))
    above = 0.30 + letter * max(map(_columns, source_pieces)) * 0.94
    map_width, map_height = S * cell, T * cell
    small_width, small_height = _small(map_width, map_height, len(layers))
    every_head = sum(len(weights) for weights in layers) <= _MOST_HEADS
    columns = max(len(weights) for weights in layers) if every_head else 1
    side = left + map_width + 1.05
    width = max(4.5, side + columns * (small_width + gap) + 0.3)
    lines = _title_lines(sentences, languages, width)
    top = 0.35 + 0.27 * len(lines) + above
    page = _Page(width, top + max(map_height, len(layers) * (small_height + gap)) + 0.55)

    for number, (name, line) in enumerate(lines):
        page.text(0.22, 0.34 + 0.27 * number, name, size=9)
        page.text(0.62, 0.34 + 0.27 * number, line, size=12, colour=_INK)
    image = _draw_large(
        page.axes(left, top, map_width, map_height), layers[chosen].mean(axis=0), source_pieces, target_pieces, points
    )
    _draw_bar(page.figure, image, page.axes(left + map_width + 0.16, top, 0.11, min(map_height, 2.2)))
    for row, weights in enumerate(layers):
        y = top + row * (small_height + gap)
        for column, weights_TS in enumerate(weights if every_head else weights.mean(axis=0, keepdims=True)):
            small = page.axes(side + column * (small_width + gap), y, small_width, small_height)
            _draw_small(small, weights_TS, chosen=row == chosen)
        colour = _INK if row == chosen else _FAINT
        page.text(side - 0.08, y + small_height / 2, f"layer {row + 1}", colour=colour, upright=True)
    page.text(side, top - 0.12, "heads →, 0 to 1" if every_head else "mean of heads, 0 to 1")
    note = f"cross-attention of layer {chosen + 1}, mean over {len(layers[chosen])} heads · {END} end of sentence"
    page.text(left, page.height - 0.2, note)
    return page.figure


def _draw_large(axes: Any, weights_TS: np.ndarray, columns: Sequence[str], rows: Sequence[str], points: float) -> Any:
    most = max(0.1, float(weights_TS.max()))
    image = axes.imshow(weights_TS, cmap=_colours(), vmin=0, vmax=most, aspect="auto", interpolation="nearest")
    axes.xaxis.tick_top()
    upright = max(map(_columns, columns)) <= 2  # such as Chinese, a character a piece
    axes.set_xticks(range(len(columns)), columns, fontsize=points, rotation=0 if upright else 90, va="bottom")
    axes.set_yticks(range(len(rows)), rows, fontsize=points)
    axes.set_xticks([edge - 0.5 for edge in range(1, len(columns))], minor=True)
    axes.set_yticks([edge - 0.5 for edge in range(1, len(rows))], minor=True)
    axes.grid(which="minor", color="#eef1f6", linewidth=0.6)
    axes.tick_params(which="both", length=0, pad=4, labelcolor=_INK)
    for label in (axes.get_xticklabels()[-1], axes.get_yticklabels()[-1]):
        label.set_color(_FAINT)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
    return image


def _draw_small(axes: Any, weights_TS: np.ndarray, *, chosen: bool) -> None:
    axes.imshow(weights_TS, cmap=_colours(), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_linewidth(1.1 if chosen else 0.4)
        spine.set_edgecolor(_INK if chosen else "#c5ccd8")


def _draw_bar(figure: Any, image: Any, axes: Any) -> None:
    bar = figure.colorbar(image, cax=axes)
    bar.outline.set_linewidth(0.4)
    axes.tick_params(labelsize=7.5, length=2, width=0.4, colors=_FAINT)


def _colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("headway", COLOURS)


def _small(width: float, height: float, rows: int) -> tuple[float, float]:
    """Width and height of a small map: shaped like the large one, and all rows together about as high, within reason."""
    scale = min(1.5, max(0.7, height / rows - 0.09)) / max(width, height)
    return max(0.25, width * scale), max(0.25, height * scale)


def _columns(text: str) -> int:
    """Width in half-width letters: a Chinese character is two wide."""
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _title_lines(sentences: tuple[str, str], languages: tuple[str, str], width: float) -> list[tuple[str, str]]:
    """(language, line) of both sentences, broken where the picture ends."""
    room = max(24, int((width - 0.9) / 0.098))
    lines: list[tuple[str, str]] = []
    for language, sentence in zip(languages, sentences, strict=True):
        line, name = "", language
        for character in sentence:
            if _columns(line) >= room:
                cut = line.rfind(" ") if " " in line[room // 2 :] else len(line)
                lines.append((name, line[:cut]))
                line, name = line[cut:].lstrip(), ""
            line += character
        lines.append((name, line))
    return lines


def _save(figure: Figure, path: Path) -> None:
    from headway.data.files import written_aside

    suffix = path.suffix.lower().lstrip(".") or "png"
    if suffix not in ("png", "svg", "pdf"):
        raise UsageError(f"cannot draw a .{suffix} picture", where=str(path), remedy="name it .png, .svg or .pdf")
    with written_aside(path) as aside:
        figure.savefig(aside, format=suffix)
