"""Text of one paragraph of a Word file as it is shown, and what of it is rejected.

Tracked changes are accepted. Content controls, links, fields and smart tags are looked through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from finetune.readers.documents.word_parts import (
    Styles,
    children,
    font_of,
    is_hidden,
    is_on,
    local,
    style_of,
    value,
)
from finetune.readers.reasons import (
    DELETED,
    DRAWN,
    EMBEDDED,
    EQUATION,
    HIDDEN,
    PERIPHERAL,
    PICTURE,
    PLACEHOLDER,
    RUBY,
)

DELETIONS = frozenset({"del", "moveFrom"})
OTHER_FORM = ""
"""Stands for the reason of what is there a second time, in another form."""
_SPACES = re.compile(r"[ \t\r\n\f\v]+")  # not the no-break space
_SIGNS = {"br": " ", "cr": " ", "tab": " ", "ptab": " ", "noBreakHyphen": "-"}
_LEFT_OUT = {
    "del": DELETED,
    "moveFrom": DELETED,
    "rt": RUBY,
    "?oMath": EQUATION,
    "?oMathPara": EQUATION,
}
_SETTINGS = re.compile(r"(Pr|PrEx|PrChange)$")


@dataclass(slots=True)
class Line:
    """Text of a paragraph, and its other texts."""

    words: list[str] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=dict)
    """Reason -> texts that are rejected."""
    boxes: list[tuple[Any, str | None]] = field(default_factory=list)
    """Text boxes in it, each with the reason to leave it out."""
    fonts: set[str | None] = field(default_factory=set)
    fields: list[bool] = field(default_factory=list)
    """For each open field, whether its instruction is being read."""

    @property
    def text(self) -> str:
        """The text in one line."""
        return one_line("".join(self.words))

    def add(self, text: str, reason: str | None) -> None:
        """Add a piece of text."""
        if reason is None and any(self.fields):
            reason = HIDDEN
        if reason is None:
            self.words.append(text)
        else:
            self.left.setdefault(reason, []).append(text)


def one_line(text: str) -> str:
    """Return text with one space for any white space, no-break spaces excepted.

    >>> one_line(" a\\n b\\u00a0c ")
    'a b\\xa0c'
    """
    return _SPACES.sub(" ", text).strip(" ")


def line_of(paragraph: Any, styles: Styles, *, reason: str | None) -> Line:
    """Return the texts of a paragraph; `reason`: to reject all of it."""
    line = Line()
    style = style_of(paragraph, "p")
    if style in styles.hidden:
        reason = reason or HIDDEN
    elif style in styles.contents:  # headings once more, with the numbers of pages
        reason = reason or PERIPHERAL
    _walk(paragraph, line, styles, reason)
    return line


def ends_deleted(paragraph: Any) -> bool:
    """Return whether the end of a paragraph was deleted: the next one continues it."""
    marks = [mark for settings in children(paragraph, "pPr") for mark in children(settings, "rPr")]
    return any(children(mark, *DELETIONS) for mark in marks)


def is_placeholder(settings: Any) -> bool:
    """Return whether the settings of a content control state that it is not filled in."""
    return any(is_on(shown) for shown in children(settings, "showingPlcHdr"))


def paragraphs_in(element: Any, reason: str | None) -> Iterator[tuple[Any, str | None]]:
    """Yield the paragraphs of a text box, each with the reason to leave it out."""
    for child in element:
        name = local(child)
        if name == "p":
            yield child, reason
        elif name == "?AlternateContent":
            yield from paragraphs_in(_form(child), reason)
        else:
            inside = reason if reason is not None else _reason(name, child, Styles())
            yield from paragraphs_in(child, inside)


def _walk(element: Any, line: Line, styles: Styles, reason: str | None) -> None:
    for child in element:
        name = local(child)
        if name == "?AlternateContent":
            _walk(_form(child), line, styles, reason)
        elif name == "txbxContent":
            line.boxes.append((child, reason))
        elif name.startswith("?") or not _SETTINGS.search(name):
            _piece(name, child, line, reason)
            inside = reason if reason is not None else _reason(name, child, styles)
            if name == "r":
                line.fonts.add(font_of(child))
            _walk(child, line, styles, inside)


def _reason(name: str, element: Any, styles: Styles) -> str | None:
    """Return why the texts in an element are rejected, None if they are not."""
    if name in _LEFT_OUT:
        return _LEFT_OUT[name]
    if name == "sdt" and any(map(is_placeholder, children(element, "sdtPr"))):
        return PLACEHOLDER
    if name == "r":
        hidden = is_hidden(element)
        hidden = style_of(element, "r") in styles.hidden if hidden is None else hidden
        return HIDDEN if hidden else None
    return None


def _piece(name: str, piece: Any, line: Line, reason: str | None) -> None:
    if name == "t":
        line.add(piece.text or "", reason)
    elif name == "delText":
        line.add(piece.text or "", DELETED)
    elif name in _SIGNS:
        line.add(_SIGNS[name], reason)
    elif name == "sym":
        line.add(_symbol(value(piece, "char")), reason)
    elif name == "fldChar":
        _field(value(piece, "fldCharType"), line)
    elif name == "?t":  # of an equation, which has a reason, or of a drawing
        line.add(f"{piece.text or ''} ", reason or DRAWN)
    elif name == "?oMath":
        line.add(" ", None)
    elif name in ("?docPr", "?textpath"):
        _described(name, piece, line, reason)
    elif name in ("altChunk", "subDoc"):
        line.add(" ", EMBEDDED)


def _described(name: str, piece: Any, line: Line, reason: str | None) -> None:
    """Add the description of a picture, or text that is drawn along a line."""
    if name == "?docPr" and piece.get("descr"):
        line.add(f"{piece.get('descr')} ", reason or PICTURE)
    if name == "?textpath" and piece.get("string"):
        line.add(f"{piece.get('string')} ", reason or DRAWN)


def _field(kind: str | None, line: Line) -> None:
    if kind == "begin":
        line.fields.append(True)
    elif kind == "separate" and line.fields:
        line.fields[-1] = False
    elif kind == "end" and line.fields:
        line.fields.pop()


def _symbol(code: str | None) -> str:
    """Return the character of a symbol; private ones stay, so that later checks see them.

    >>> _symbol("0253"), _symbol(None), _symbol("D800")
    ('ɓ', '', '')
    """
    try:
        number = int(code or "", 16)
        character = chr(number)
    except (ValueError, OverflowError):
        return ""
    return "" if number < 0x20 or 0xD800 <= number < 0xE000 else character


def _form(alternatives: Any) -> Any:
    """Return the first form of what is there in several forms."""
    forms = [one for one in alternatives if local(one) in ("?Choice", "?Fallback")]
    return forms[0] if forms else ()
