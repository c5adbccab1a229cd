"""What tests of pages need: text that wants to be run, and a page taken apart."""

from __future__ import annotations

import html.parser

HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "\"><svg/onload=alert(1)>'",
    "</style><script>alert(1)</script>",
    "javascript:alert(1) &lt;b&gt; &amp;",
    "<!-- --!><b>x</b>",
    "\x00\x1b[31m\u202e\u2028 [bold]text[/bold]",
]


class Page(html.parser.HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data
