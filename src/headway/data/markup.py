"""HTML taken apart: what is no text stays as it is, character for character; what is text stands in passages without tags.

A passage is what a block, such as a paragraph or a cell, says; the inline tags in it (`b`, `a`, `span`, `img`, what is unknown)
are nodes of a tree that know their places in its text. Anything can be read, in time that is linear in it: what no browser
would take for a tag is text, an element that is not closed ends with the one around it, a stray end is a place.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(eq=False)
class Node:
    """An inline element, an empty one, a comment.

    Attributes:
        begin, end: its places in the text of its passage.
        opening, closing: its tags as they were written; either may be missing.
        whole: of what is not translated: all of it, as it was written.
    """

    begin: int
    end: int
    opening: str = ""
    closing: str = ""
    whole: str = ""
    children: list[Node] = field(default_factory=list)


@dataclass(eq=False)
class Passage:
    """Text without tags, entities resolved, and the nodes that were in it, in order."""

    text: str
    nodes: list[Node] = field(default_factory=list)

    def masked(self, character: str) -> str:
        """The same text with this character in place of each that is not translated."""
        parts, done = [], 0
        for node in walk(self.nodes):
            if node.whole:
                parts += [self.text[done : node.begin], character * (node.end - node.begin)]
                done = node.end
        return "".join([*parts, self.text[done:]])


VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"])
BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "base",
        "blockquote",
        "body",
        "caption",
        "center",
        "col",
        "colgroup",
        "dd",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "frame",
        "frameset",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "head",
        "header",
        "hgroup",
        "hr",
        "html",
        "legend",
        "li",
        "link",
        "main",
        "menu",
        "meta",
        "nav",
        "noframes",
        "ol",
        "optgroup",
        "option",
        "p",
        "param",
        "search",
        "section",
        "select",
        "source",
        "summary",
        "table",
        "tbody",
        "td",
        "template",
        "tfoot",
        "th",
        "thead",
        "title",
        "tr",
        "track",
        "ul",
        "video",
        "audio",
        "canvas",
        "iframe",
        "object",
        "svg",
        "math",
        "script",
        "style",
        "noscript",
        "pre",
        "textarea",
        "button",
    ]
)
UNREAD = frozenset(["script", "style", "textarea", "iframe", "noframes", "xmp"])  # their content is no HTML
UNTRANSLATED = frozenset(["pre", "code", "kbd", "samp", "var", "math", "svg", "canvas", "template"])
LONGEST_SHOWN = 40  # characters of what is not translated and yet shown to the model, for a name says something
ATTEMPTS = 8  # at tags that turn out to have no end; then there are no more tags
_OPEN = re.compile(r"<([a-zA-Z][^\s/>]*+)((?:=\s*+\"[^\"]*+\"|=\s*+'[^']*+'|[^>])*+)>")
_CLOSE = re.compile(r"</([a-zA-Z][^\s/>]*+)[^>]*+>")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_KEPT = re.compile(
    r"""\btranslate\s*+=\s*+["']?no\b|\bclass\s*+=\s*+(?:"[^"]*\bnotranslate\b|'[^']*\bnotranslate\b|notranslate\b)""", re.I
)


@dataclass(frozen=True)
class _Token:
    kind: str  # text, open, close, point (an empty element or a comment), other (what belongs to no passage)
    raw: str
    name: str = ""
    untranslated: bool = False


def read_markup(text: str) -> list[str | Passage]:
    """What stays as it is, and passages, in order."""
    reader = _Reader()
    tokens = list(_tokens(text))
    place = 0
    while place < len(tokens):
        place = reader.take(tokens, place)
    reader.end_passage()
    return reader.parts


def walk(nodes: list[Node]) -> Iterator[Node]:
    """All nodes below, each before its children."""
    waiting = list(reversed(nodes))
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)


def escape(text: str) -> str:
    """Text as HTML has it."""
    return html.escape(text, quote=False).replace("\u00a0", "&nbsp;")


def _unescape(text: str) -> str:
    """Entities with their semicolon; what looks otherwise is taken as it stands. NUL, which HTML has not, is dropped."""
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text).replace("\0", "") if "&" in text or "\0" in text else text


# ---- characters to tokens --------------------------------------------------------------------------------------------


def _tokens(text: str) -> Iterator[_Token]:
    begin = place = failures = 0
    while failures < ATTEMPTS and (place := text.find("<", place)) >= 0:
        token = _tag_at(text, place)
        if token is None:
            failures += text[place + 1 : place + 2].isalpha() or text[place + 1 : place + 2] in ("/", "!", "?")
            place += 1
            continue
        if begin < place:
            yield _Token("text", text[begin:place])
        yield token
        begin = place = place + len(token.raw)
    if begin < len(text):
        yield _Token("text", text[begin:])


def _tag_at(text: str, place: int) -> _Token | None:
    """What begins with the `<` at this place; None for a mere character."""
    if text.startswith("<!--", place):
        end = text.find("-->", place + 4)
        return _Token("point", text[place : end + 3 if end >= 0 else len(text)])
    if text.startswith(("<!", "<?"), place):
        end = text.find(">", place)
        return _Token("other", text[place : end + 1]) if end >= 0 else None
    if found := _CLOSE.match(text, place):
        name = found[1].lower()
        return _Token("other" if name in BLOCKS else "close", found[0], name)
    found = _OPEN.match(text, place)
    if found is None:
        return None
    name, inside = found[1].lower(), found[2]
    if name in UNREAD:
        end_tag = re.compile(rf"</{re.escape(name)}(?=[\s/>])[^>]*+>?", re.I).search(text, found.end())
        return _Token("other", text[place : end_tag.end() if end_tag else len(text)], name)
    empty = name in VOID or inside.endswith("/")
    kept = not empty and (name in UNTRANSLATED or _KEPT.search(inside) is not None)
    kind = "open" if kept else "other" if name in BLOCKS else "point" if empty else "open"
    return _Token(kind, found[0], name, untranslated=kept)


# ---- tokens to passages ----------------------------------------------------------------------------------------------


class _Reader:
    """Passages as they grow."""

    def __init__(self) -> None:
        self.parts: list[str | Passage] = []
        self._begin_passage()

    def _begin_passage(self) -> None:
        self._texts: list[str] = []
        self._length = 0
        self._roots: list[Node] = []
        self._open: list[tuple[str, Node]] = []
        self._names: Counter[str] = Counter()

    def take(self, tokens: list[_Token], place: int) -> int:
        """One token, or several that belong together; returns the place of the next."""
        token = tokens[place]
        if token.kind == "text":
            self._say(_unescape(token.raw))
        elif token.untranslated:
            return self._take_whole(tokens, place)
        elif token.kind == "other" or (token.name == "br" and not _goes_on(tokens, place)):
            self.end_passage()
            self.parts.append(token.raw)
        elif token.kind == "point":
            self._add(Node(self._length, self._length, token.raw))
        elif token.kind == "open":
            node = Node(self._length, self._length, token.raw)
            self._add(node)
            self._open.append((token.name, node))
            self._names[token.name] += 1
        else:
            self._close(token)
        return place + 1

    def end_passage(self) -> None:
        while self._open:
            self._open.pop()[1].end = self._length
        if self._texts or self._roots:
            self.parts.append(Passage("".join(self._texts), self._roots))
        self._begin_passage()

    def _say(self, text: str) -> None:
        self._texts.append(text)
        self._length += len(text)

    def _add(self, node: Node) -> None:
        (self._open[-1][1].children if self._open else self._roots).append(node)

    def _close(self, token: _Token) -> None:
        if self._names[token.name]:
            while True:
                name, node = self._open.pop()
                self._names[name] -= 1
                node.end = self._length
                if name == token.name:
                    node.closing = token.raw
                    return
        if self._open:
            self._add(Node(self._length, self._length, token.raw))
        else:  # it was opened in an earlier passage
            self._roots = [Node(0, self._length, "", token.raw, children=self._roots)]

    def _take_whole(self, tokens: list[_Token], place: int) -> int:
        """An element that is not translated, to its end or the end of all."""
        name, depth, end = tokens[place].name, 1, place + 1
        while end < len(tokens) and depth:
            token = tokens[end]
            closes = token.kind in ("close", "other") and token.name == name and token.raw.startswith("</")
            depth += (
                token.name == name and token.kind in ("open", "other") and not token.raw.startswith("</") and token.raw[-2] != "/"
            )
            depth -= closes
            end += 1
        whole = "".join(token.raw for token in tokens[place:end])
        if name in BLOCKS:
            self.end_passage()
            self.parts.append(whole)
            return end
        shown = "".join(_unescape(token.raw) for token in tokens[place:end] if token.kind == "text")
        begin = self._length
        if len(shown) <= LONGEST_SHOWN:
            self._say(shown)
        self._add(Node(begin, self._length, whole=whole))
        return end


def _goes_on(tokens: list[_Token], place: int) -> bool:
    """Whether a sentence goes on behind a `br`: with a small letter."""
    behind = tokens[place + 1].raw.lstrip() if place + 1 < len(tokens) and tokens[place + 1].kind == "text" else ""
    return behind[:1].islower()
