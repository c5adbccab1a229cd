"""The frame of every page that Headway writes: one file, no request, no script but our own, all text from data escaped.

A page is made of parts, which are HTML. What goes into a part from outside goes through `text`; figures for scripts go
through `data_block`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from headway.visible import visible


@cache
def asset(name: str) -> str:
    """A style or a script of this room."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def text(raw: str) -> str:
    """Text from data, for HTML: markup is shown as it is written, and control characters as their codes."""
    return escape(visible(raw), quote=True)


def data_block(name: str, values: Any) -> str:
    """Figures that a script of the page reads: JSON in which nothing can end the block."""
    encoded = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    encoded = encoded.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair, as JSON writes it
    for character in "<>&\u2028\u2029":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="{escape(name, quote=True)}">{encoded}</script>'


def page(
    title: str,
    heading: str,
    parts: Sequence[str],
    *,
    warnings: Sequence[str] = (),
    assets: Sequence[str] = (),
    wide: bool = False,
) -> str:
    """The whole page.

    Args:
        title, heading: text, the second below the first.
        parts: HTML, one below the other.
        warnings: text, shown above the parts.
        assets: more styles and scripts, by the names of their files in this room.
        wide: as wide as the window, for large figures.
    """
    names = ("page.css", "page.js", *assets)
    style = "\n".join(asset(name) for name in names if name.endswith(".css"))
    script = "\n".join(asset(name) for name in names if name.endswith(".js"))
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src blob: data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="referrer" content="no-referrer">',
            f"<title>{text(title)}</title>\n<style>{style}</style>\n</head>",
            f"<body{' class=wide-page' if wide else ''}>\n<main>",
            f'<h1>{text(title)}</h1>\n<p class="soft">{text(heading)}</p>',
            *(f'<p class="warning">{text(warning)}</p>' for warning in warnings),
            *parts,
            f"</main>\n<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """A table of text; all columns but the first `texts` hold numbers and stand to the right."""

    def row(cells: Sequence[str], tag: str) -> str:
        return (
            "<tr>"
            + "".join(f"<{tag}{'' if i < texts else ' class=number'}>{text(cell)}" for i, cell in enumerate(cells))
            + "</tr>"
        )

    return (
        '<div class="wide"><table>\n' + "\n".join([row(head, "th"), *(row(cells, "td") for cells in rows)]) + "\n</table></div>"
    )


def facts(values: Mapping[str, str]) -> str:
    """Names and what they stand for, as a table of two columns."""
    rows = "\n".join(f"<tr><td>{text(name)}<td><code>{text(value)}</code></tr>" for name, value in values.items())
    return f'<div class="wide"><table>\n{rows}\n</table></div>'
