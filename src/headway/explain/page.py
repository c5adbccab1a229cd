"""An explanation as a web page that stands alone: words to point at, maps of every head, how the answer was found."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from unicodedata import east_asian_width

import numpy as np
from numpy.typing import NDArray

from headway.explain.alignment import shown_links, words_of
from headway.explain.attention import stacks
from headway.explain.explanation import Explanation
from headway.explain.heads import HeadReport
from headway.explain.lens import Sureness
from headway.explain.neighbours import Neighbours
from headway.explain.search import Node, SearchTree
from headway.explain.seen import Seen, png
from headway.explain.sides import Side
from headway.explain.subject import Subject
from headway.pages.charts import Series, bar_chart, figure, number
from headway.pages.document import data_block, facts, page, table, text

NAMES = {
    "integrated_gradients": "integrated gradients", "gradient_x_input": "gradient × input", "occlusion": "occlusion",
    "encoder self_attention": "self-attention of the encoder", "decoder self_attention": "self-attention of the decoder",
    "decoder cross_attention": "cross-attention",
}  # fmt: skip
ROWS = {"encoder": "source", "decoder": "said"}  # a decoder looks where it says something
ASSETS = ["explain.css", "explain.js"]
MEDIA_ASSETS = ["explain.css", "explain_media.css", "explain_media.js", "explain.js"]
MOST_BARS = 48
LARGEST_NUMBER = 32767
COLUMN, LINE = 96, 17  # of the tree of a search


def explanation_page(explanation: Explanation, title: str) -> str:
    """The whole page."""
    subject = explanation.subject
    parts = [
        _asked(explanation),
        _words(subject),
        *([_alignment(explanation)] if explanation.links else []),
        _sure(explanation),
        _lens(explanation),
        *([_tree(explanation.tree)] if explanation.tree and explanation.tree.nodes else []),
        *([_neighbours(explanation.neighbours, "file" if subject.seen else "text")] if explanation.neighbours else []),
        _complete(explanation),
        data_block("explanation", page_data(explanation)),
    ]
    warnings = [] if explanation.equal else [_different(explanation)]
    heading = f"{subject.task.replace('_', ' ')}, {subject.model.parameter_count():,} parameters, computed in float32"
    return page(title, heading, parts, warnings=warnings, assets=MEDIA_ASSETS if subject.seen else ASSETS)


def heads_page(report: HeadReport, title: str) -> str:
    """Every head with what the loss rises by without it."""
    shown = report.heads[:MOST_BARS]
    bars = Series("", [], [one.rise for one in shown], [one.low for one in shown], [one.high for one in shown])
    more = f"the first {MOST_BARS} of {len(report.heads)}; " if len(report.heads) > MOST_BARS else ""
    chart = bar_chart(
        "What the loss rises by without each head", [one.name for one in shown], bars, report.unit, note=f"{more}95 % intervals"
    )
    rows = [
        (one.name, f"{one.rise:+.4f}", f"{one.low:+.4f} … {one.high:+.4f}", "" if one.low <= 0 <= one.high else "yes")
        for one in report.heads
    ]
    listed = table(("head", "rise of the loss", "95 % interval", "outside of noise"), rows)
    heading = (
        f"{report.examples:,} examples of the {report.split} set; the loss with all heads is {report.loss:.4f} ({report.unit})"
    )
    return page(title, heading, [chart, f"<h2>All heads</h2>\n{listed}"])


def _different(explanation: Explanation) -> str:
    shown = f"{explanation.difference:.1e}"
    return f"The scores on this page differ from those of the answer by up to {shown}, more than float32 explains."


def _asked(explanation: Explanation) -> str:
    subject = explanation.subject
    read = {"text": subject.text}
    if subject.seen:
        name, tab, beside = subject.text.partition("\t")
        read = {"file": name, **({"text": beside} if tab else {})}
    shown = {**read, "answer": subject.answer or "(empty)"}
    rows = {name: "<br>".join(map(text, words.split("\n"))) for name, words in shown.items()}
    rows["answer"] = f"<b>{rows['answer']}</b>"
    listed = "".join(f'<dt>{name}<dd dir="auto">{words}' for name, words in rows.items())
    told = f"<dl class=asked>{listed}</dl>"
    return f"<div class=asked-media><div id=seen></div>{told}</div>" if subject.seen else told


def _words(subject: Subject) -> str:
    """What explain.js fills: choices, the words, the map, the heads."""
    how = "The words of the\nlower lines are shaded by their share."
    if subject.seen:
        what = "stretch of time" if subject.seen.kind == "audio" else "patch"
        how = f"""The more a {what} counts, the
clearer it is seen; an orange edge speaks against the answer. Point at a {what}: what looked at it is shaded."""
    return f"""<section aria-labelledby=words-title>
<h2 id=words-title>What it is due to, and where the model looked</h2>
<p class=soft>Point at a word of the upper line, or go to it with Tab and the arrow keys; a click holds it. {how}</p>
<div id=controls></div>
<div id=strips></div>
<p id=told class=soft aria-live=polite></p>
<figure id=map>
<figcaption><span id=map-title></span></figcaption>
<div class=wide><canvas id=matrix role=img></canvas></div>
</figure>
<div id=heads></div>
</section>"""


def _alignment(explanation: Explanation) -> str:
    """The words of both sides, one above the other, with a line for each link: the thicker, the surer."""
    source, target = explanation.subject.source, explanation.subject.target
    assert source is not None
    assert target is not None
    read, said = words_of(source), words_of(target)[1:]
    upper, lower = _spread(read), _spread(said)
    lines = [
        f'<path class=link d="M{upper[one.source]:.0f} 24L{lower[one.target]:.0f} 78" stroke-width="{0.5 + 2.5 * one.share:.2f}" '
        f'data-tip="{text(f"{said[one.target]} ← {read[one.source]}: {100 * one.share:.0f} %")}"/>'
        for one in explanation.links
    ]
    words = [
        f'<text class=name x="{x:.0f}" y="{y}" text-anchor="middle">{text(word)}</text>'
        for row, places, y in ((read, upper, 18), (said, lower, 92))
        for word, x in zip(row, places, strict=True)
    ]
    width = max(upper[-1:] + lower[-1:], default=0) + 60
    drawn = f'<svg class=long viewBox="0 0 {width:.0f} 104" width="{width:.0f}" height="104" role="img" aria-label="alignment">'
    rows = [(said, read, f"{100 * share:.1f} %") for said, read, share in shown_links(explanation.links, source, target)]
    note = "by the mean over all layers and heads of the cross-attention"
    svg = f"<div class=wide>{drawn}{''.join(lines)}{''.join(words)}</svg></div>"
    return figure("Words that belong together", svg, table(("said", "read", "share"), rows, texts=2), note=note)


def _spread(words: Sequence[str]) -> list[float]:
    """The middle of each word in a line."""
    middles, at = [], 12.0
    for word in words:
        width = 8.0 * sum(2 if east_asian_width(character) in "WF" else 1 for character in word)
        middles.append(at + width / 2)
        at += width + 16
    return middles


def _sure(explanation: Explanation) -> str:
    figures = explanation.subject.scale == "value"
    rows: list[tuple[str, ...]] = []
    for output, sure in zip(explanation.subject.outputs, explanation.sureness, strict=True):
        said = f"{output.text} (given)" if output.given else output.text
        if figures:
            rows.append((said, number(sure.value)))
        else:
            others = ", ".join(f"{one.text} {100 * one.value:.1f} %" for one in sure.likeliest)
            rows.append((said, others, f"{100 * sure.value:.2f} %", f"{sure.entropy:.2f}", str(sure.rank)))
    head = ("said", "value") if figures else ("said", "likeliest", "probability", "entropy, bits", "rank")
    return f"<h2>How sure it was</h2>\n{table(head, rows, texts=1 if figures else 2)}"


def _lens(explanation: Explanation) -> str:
    """A row for each layer from the last to the first, a column for each output."""
    said = [output.text for output in explanation.subject.outputs]
    layers = list(reversed(list(enumerate(explanation.lens, 1))))
    if explanation.subject.scale == "value":
        shown = table(("", *said), [(f"layer {layer}", *(number(one.value) for one in found)) for layer, found in layers])
        return f"<h2>What each layer would have said</h2>\n{shown}"
    rows = [f"<tr><th scope=row>layer {layer}{''.join(map(_lens_cell, found))}</tr>" for layer, found in layers]
    head = "".join(f"<th scope=col>{text(one)}" for one in said)
    note = "Its states read out as if they were the last; the darker, the surer. Underlined: the answer is its first choice."
    return (
        f"<h2>What each layer would have said</h2>\n<p class=soft>{note}</p>\n<div class=wide><table class=lens-table>"
        f"{''.join(rows)}<tr><th>said{head}</tr></table></div>"
    )


def _lens_cell(sure: Sureness) -> str:
    best = sure.likeliest[0]
    tip = text(f"{best.text}: {100 * best.value:.1f} %; the answer: {100 * sure.value:.1f} %, rank {sure.rank}")
    right = " right" if sure.rank == 1 else ""
    return f'<td class="lens shade{min(9, int(10 * best.value))}{right}" data-tip="{tip}">{text(best.text)}'


def _tree(tree: SearchTree) -> str:
    endings = [(str(place), one.text, number(one.score), number(one.behind)) for place, one in enumerate(tree.endings, 1)]
    listed = table(("", "answer", "score", "behind the best"), endings, texts=2)
    return f"<h2>How the answer was searched for</h2>\n{_tree_figure(tree)}\n{listed}"


def _tree_figure(tree: SearchTree) -> str:
    """Steps from left to right, in each the continuations that were weighed, the likeliest on top."""
    places: list[tuple[float, float]] = []
    ranks: dict[int, int] = {}
    for node in tree.nodes:
        rank = ranks[node.step] = ranks.get(node.step, -1) + 1
        places.append((COLUMN * node.step + 8.0, LINE * rank + 20.0))
    best = _path(tree.nodes, tree.endings[0].node) if tree.endings else set()
    lines, words = [], []
    for number_, (node, (x, y)) in enumerate(zip(tree.nodes, places, strict=True)):
        won = " won" if number_ in best else ""
        if node.parent is not None:
            a, b = places[node.parent]
            lines.append(f'<path class="branch{won}" d="M{a + COLUMN - 26:.0f} {b - 4:.0f}L{x - 4:.0f} {y - 4:.0f}"/>')
        shown = node.text if len(node.text) <= 9 else f"{node.text[:8]}…"
        tip = text(f"{node.text}: log-probability {node.log_probability:.3f} so far; {node.fate}")
        words.append(f'<text class="node {node.fate}{won}" x="{x:.0f}" y="{y:.0f}" data-tip="{tip}">{text(shown)}</text>')
    width, height = COLUMN * (max(ranks) + 1) + 16, LINE * (max(ranks.values()) + 1) + 24
    svg = (
        f'<div class=wide><svg class=long viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="the tree of the search">{"".join(lines)}{"".join(words)}</svg></div>'
    )
    rows = [
        (str(at), one.text, str(one.step), "" if one.parent is None else str(one.parent), f"{one.log_probability:.4f}", one.fate)
        for at, one in enumerate(tree.nodes)
    ]
    listed = table(("number", "said", "step", "after number", "log-probability", "fate"), rows, texts=2)
    return figure("Continuations that were weighed", svg, listed, note="bold: the answer; struck out: dropped")


def _neighbours(found: Neighbours, read: str) -> str:
    """Training examples, nearest first."""
    parts = ["<h2>Training examples that are near</h2>"]
    for title, some in ((f"To the {read}", found.of_text), ("To the answer", found.of_answer)):
        if some:
            rows = [(one.source, one.answer, one.place, f"{one.similarity:.3f}") for one in some]
            parts.append(f"<h3>{title}</h3>{table((read, 'answer', 'place', 'cosine'), rows, texts=3)}")
    return "\n".join(parts)


def _path(nodes: Sequence[Node], last: int) -> set[int]:
    found: set[int] = set()
    place: int | None = last
    while place is not None:
        found.add(place)
        place = nodes[place].parent
    return found


def _complete(explanation: Explanation) -> str:
    rows = []
    for one in explanation.attributions:
        steps = f"{min(one.steps)}–{max(one.steps)}" if one.method == "integrated_gradients" and one.steps else ""
        known = [np.median(one.errors), one.errors.max()] if len(one.errors) else []
        rows.append((NAMES[one.method], steps, *(f"{100 * error:.2f} %" for error in known)))
    made = {f"outputs that are attributed, of {len(explanation.subject.outputs)}": str(len(explanation.attributed))}
    if explanation.difference is not None:
        made["largest difference from the scores of the answer"] = f"{explanation.difference:.1e}"
    bare = "without any word: every token but marks an average word"
    if explanation.subject.seen:
        usual = "energy of each band" if explanation.subject.seen.kind == "audio" else "colour"
        bare = f"with nothing to be told apart: the usual {usual} everywhere, and an average word for each word of a text"
    note = (
        f"An attribution shares out the difference between the score of the output and its score {bare}. "
        "The completeness error says how far the shares are from adding up to it."
    )
    complete = table(("method", "steps", "completeness error, median", "largest"), rows)
    return f"<h2>How far attributions can be trusted</h2>\n<p class=soft>{note}</p>\n{complete}\n{facts(made)}"


def page_data(explanation: Explanation) -> dict[str, Any]:
    """What explain.js reads: the words of each line, and every map as bytes."""
    subject = explanation.subject
    lines = {"said": {"pieces": [one.text for one in subject.outputs], "marks": [False] * len(subject.outputs)}}
    lines |= {name: _line(side) for name, side in (("source", subject.source), ("target", subject.target)) if side}
    read = [name for name in lines if name != "said"]
    unit = "nats" if subject.scale == "log_probability" else ""
    views = [
        _view("due to", NAMES[one.method], "said", read, one.values) | {"only": one.outputs, "signed": True, "unit": unit}
        for one in explanation.attributions
    ]
    for kind, layers in reversed(stacks(explanation.maps).items()):
        columns = ["target"] if kind == "decoder self_attention" else ["source"]
        views.append(_view("looked at", NAMES[kind], ROWS[kind.split()[0]], columns, np.stack(layers)))
    for stack, reached in explanation.rollout.items():
        columns = read if stack == "decoder" else ["source"]
        views.append(_view("looked at", f"rollout through the {stack}", ROWS[stack], columns, reached))
    return {"lines": lines, "views": views, **({"media": _media(subject.seen)} if subject.seen else {})}


def _media(seen: Seen) -> dict[str, Any]:
    return {
        "kind": seen.kind,
        "count": len(seen),
        "grid": list(seen.grid),
        "names": seen.names,
        "seconds": seen.seconds,
        "pictures": [png(one) for one in seen.pictures],
    }


def _view(group: str, name: str, rows: str, columns: list[str], values: NDArray[Any]) -> dict[str, Any]:
    """A map as signed numbers of two bytes, the low one first; `scale` is what 1 stands for."""
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    rounded = np.round(values.astype(np.float64) / largest * LARGEST_NUMBER).astype("<i2")
    encoded = base64.b64encode(rounded.tobytes()).decode()
    about = {"group": group, "name": name, "rows": rows, "columns": columns}
    return {**about, "shape": list(values.shape), "scale": largest / LARGEST_NUMBER, "bytes": encoded}


def _line(side: Side) -> dict[str, Any]:
    return {"pieces": side.pieces, "marks": side.marks}
