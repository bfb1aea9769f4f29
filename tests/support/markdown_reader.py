"""Rendering of a Markdown file by a CommonMark parser: visible text, links, effects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

from finetune.output.terminal import one_line

_READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@dataclass(frozen=True, slots=True)
class Read:
    """A document as it is shown."""

    text: str
    """Rendered text: one line per block, cells beside each other with tabs between."""
    links: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    html: tuple[str, ...] = ()
    kinds: tuple[str, ...] = field(default=())
    """Every token of the document, in order."""


def read(text: str) -> Read:
    """Return what a document shows, links to, loads and holds of HTML."""
    tokens = list(_all(_READER.parse(text)))
    return Read(
        text="".join(map(_shown, tokens)),
        links=tuple(str(t.attrs["href"]) for t in tokens if t.type == "link_open"),
        images=tuple(str(t.attrs["src"]) for t in tokens if t.type == "image"),
        html=tuple(t.content for t in tokens if t.type in ("html_block", "html_inline")),
        kinds=tuple(t.type for t in tokens),
    )


def _all(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        if token.type != "image":
            yield from _all(token.children or [])


def _shown(token: Token) -> str:
    if token.type in ("text", "code_inline", "fence", "code_block"):
        return token.content
    if token.type in ("softbreak", "hardbreak", "paragraph_close", "heading_close", "tr_close"):
        return "\n"
    return "\t" if token.type in ("td_close", "th_close") else ""


def words_of(text: str) -> str:
    """Return a text as a reader knows it: one space between words, controls as escapes."""
    words = [one_line(w) for w in re.split("[ \t\n\r\f\v\x85\u2028\u2029]+", text) if w]
    return " ".join(words)


def html_of(text: str) -> str:
    """Return a document as HTML, with the blocks of HTML that it holds."""
    return str(MarkdownIt("commonmark", {"html": True}).enable(["table"]).render(text))
