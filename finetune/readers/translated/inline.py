"""Words of a segment: without the codes inside it, with the placeholders that a person sees."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from finetune.readers.xml_stream import local

HALVES = frozenset({"bpt", "ept", "it", "bx", "ex", "sc", "ec", "sm", "em", "cp"})
"""Beginnings and ends of formatting, and control characters: no words."""
ALONE = frozenset({"ph", "x", "ut"})
"""Codes that stand for something by themselves: a placeholder, a line break, a picture."""
MAX_VISIBLE_CHARACTERS = 80
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_MARKUP = re.compile(r"<[^<>]*>|&\w{1,10};|\\")
_BREAK = re.compile(r"<br\s*/?>|<p\s*/>", re.IGNORECASE)
_BREAKS = frozenset({"lb", "pb", "xlf:lb", "xlf:pb", "x-html-br", "x-br", "x-lb", "br"})
_FORMATS = frozenset(
    {"bold", "italic", "underlined", "link", "image", "fmt", "fnote", "index", "b", "i", "u"}
)
_FORMAT_IDS = re.compile(r"(?:START|CLOSE|TAG)_")
_INDENTED = re.compile(r"(?:(?<![ \t\r])[ \t\r]++)?\n[ \t]{2,}+(?:\r[ \t\r]*+(?=\n[ \t]{2}))?")


@dataclass(frozen=True, slots=True)
class Words:
    """A segment as text, and the texts inside its codes."""

    text: str
    inner: tuple[str, ...] = ()
    """Texts of `sub`: the title of a link, a footnote."""


def words_of(element: Element, *, data: Mapping[str, str] | None = None) -> Words:
    """Return the words of a segment of TMX or XLIFF.

    Formatting goes. A code that stands alone stays as what it shows: its content or its visible
    form (`%s`, `{0}`, `{{name}}`) unless that is markup, a line break as one, any other as `{id}`.
    Lines that only the file's indentation broke are joined. `data`: `originalData` of XLIFF 2.
    """
    texts: list[str] = []
    segments = [element]
    for segment in segments:
        text, subs = _line_of(segment, data or {})
        texts.append(text)
        segments += subs
    return Words(texts[0], tuple(text for text in texts[1:] if text))


def _line_of(segment: Element, data: Mapping[str, str]) -> tuple[str, list[Element]]:
    """Return the text of a segment, and the segments inside its codes."""
    line = _Line(kept=segment.get(_SPACE) == "preserve")
    inner: list[Element] = []
    # a stack and no recursion: a hostile file nests without bound
    waiting: list[Element | str] = [segment]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            line.add(part)
            continue
        name = local(part)
        if name in ALONE or name in HALVES:
            line.code(_shown(part, data) if name in ALONE else "")
            inner += [child for child in part if local(child) == "sub"]
            continue
        line.add(part.text or "")
        for child in reversed(part):
            waiting += (child.tail or "", child)
    return "".join(line.parts).strip(), inner


@dataclass(slots=True)
class _Line:
    """Words so far; a code that goes takes one of the two spaces around it along."""

    kept: bool
    parts: list[str] = field(default_factory=list)
    gone: bool = False

    def add(self, text: str) -> None:
        if not self.kept:
            text = _INDENTED.sub(" ", text)
        if self.gone and text.startswith(" ") and (not self.parts or self.parts[-1][-1].isspace()):
            text = text[1:]
        if text:
            self.parts.append(text)
            self.gone = False

    def code(self, shown: str) -> None:
        if shown:
            self.parts.append(shown)
        self.gone = not shown


def _shown(code: Element, data: Mapping[str, str]) -> str:
    """Return what a code that stands alone shows to a reader of the text."""
    own = (code.text or "") + "".join(child.tail or "" for child in code)
    native = (
        data.get(code.get("dataRef", ""))
        or own
        or code.get("equiv-text")
        or code.get("disp")
        or code.get("equiv")
        or ""
    )
    kinds = {code.get(name, "").lower() for name in ("ctype", "type", "subType")}
    number = code.get("id") or code.get("x") or code.get("i") or "?"
    if kinds & _BREAKS or _BREAK.fullmatch(native.strip()) or number == "LINE_BREAK":
        return "\n"
    if native:
        visible = len(native) <= MAX_VISIBLE_CHARACTERS and not _MARKUP.search(native)
        return native if visible else ""
    html = any(kind.startswith(("x-html-", "xlf:")) for kind in kinds)
    if html or kinds & _FORMATS or _FORMAT_IDS.match(number):
        return ""
    return f"{{{number[:MAX_VISIBLE_CHARACTERS]}}}"
