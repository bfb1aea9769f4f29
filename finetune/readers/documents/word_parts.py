"""Parts of a Word file: which member is what, and the styles."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune.messages import phrase, sentence
from finetune.readers.guards import clear, too_much
from finetune.readers.office_archive import member
from finetune.sources.files import SourceFile

WORD = sentence("a Word file")
MAX_PART_BYTES = 32 * 2**20
"""Of a part that is read as a whole: styles and relations. They have kilobytes."""
MAX_ELEMENTS = 500_000
"""Elements in one paragraph, or outside of any: all of them are in memory at once."""
MAX_STYLE_DEPTH = 50
_SPACES = frozenset(
    (
        "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "http://purl.oclc.org/ooxml/wordprocessingml/main",  # ISO/IEC 29500 strict
    )
)
_OFF = frozenset({"0", "false", "off"})
NORMAL = "\0Normal"
"""Stands for the style of that name among the ids of styles, none of which holds NUL."""


@dataclass(frozen=True, slots=True)
class Styles:
    """Fonts and hidden styles of a file."""

    fonts: Mapping[str | None, str | None] = field(default_factory=dict)
    """Fonts of the styles of paragraphs by id; of the default as "", and of `Normal`."""
    hidden: frozenset[str] = frozenset()
    """Ids of styles whose text is hidden."""
    contents: frozenset[str] = frozenset()
    """Ids of the styles of tables of contents, indexes and lists of figures, which Word makes."""


def relations(archive: zipfile.ZipFile, file: SourceFile, *, of: str) -> list[tuple[str, str, str]]:
    """Return (id, kind, member) of what a member (the archive itself: "") names as its parts."""
    folder, name = posixpath.split(of)
    root = part(archive, file, posixpath.join(folder, "_rels", f"{name}.rels"))
    found = []
    for relation in [] if root is None else root:
        if relation.get("TargetMode") != "External":
            kind = str(relation.get("Type")).rpartition("/")[2]
            target = posixpath.join("/", folder, str(relation.get("Target")))
            place = posixpath.normpath(target).lstrip("/")
            found.append((str(relation.get("Id")), kind, place))
    return found


def part(archive: zipfile.ZipFile, file: SourceFile, name: str | None) -> Any:
    """Return the root element of a small member, or None if there is none."""
    content = member(archive, name, max_bytes=MAX_PART_BYTES, file=file) if name else None
    if content is None:
        return None
    at = file.place(part=phrase(name))
    if content.count(b"<") > MAX_ELEMENTS:
        what, instead = sentence("elements"), sentence("save it again")
        raise too_much(at, what=what, limit=MAX_ELEMENTS, instead=instead)
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    with clear(at, WORD):
        return etree.fromstring(content, parser)


_CONTENTS = re.compile(r"(?:toc|contents|index) ?[1-9]|table of figures", re.IGNORECASE)
"""Names of styles in every language of Word; only their ids are translated."""


def styles_of(archive: zipfile.ZipFile, file: SourceFile, name: str | None) -> Styles:
    """Return the fonts and the hidden ones of the styles in a member."""
    fonts: dict[str | None, str | None] = {}
    hidden: dict[str, bool | None] = {}
    contents: set[str] = set()
    based: dict[str, str] = {}
    root = part(archive, file, name)
    for style in [] if root is None else children(root, "style"):
        font = font_of(style)
        own = value(style, "styleId") or ""
        hidden[own] = is_hidden(style)
        based[own] = next((value(one) or "" for one in children(style, "basedOn")), "")
        called = next((value(one) or "" for one in children(style, "name")), "")
        if called == "Normal":
            fonts[NORMAL] = font
        if _CONTENTS.fullmatch(called):
            contents.add(own)
        if value(style, "type") != "paragraph":
            continue
        fonts.setdefault(value(style, "styleId"), font)
        if value(style, "default") in ("1", "true", "on"):
            fonts[""] = font
    unseen = frozenset(own for own in hidden if _inherits(own, hidden, based))
    return Styles(fonts, unseen, frozenset(contents))


def _inherits(style: str, hidden: Mapping[str, bool | None], based: Mapping[str, str]) -> bool:
    """Return whether a style, or the one that it is based on, hides its text."""
    for _ in range(MAX_STYLE_DEPTH):
        if hidden.get(style) is not None:
            return bool(hidden[style])
        style = based.get(style, "")
    return False


def local(element: Any) -> str:
    """Return the name of an element of Word, `?NAME` for one of another kind."""
    space, _, name = str(element.tag).rpartition("}")
    return name if space[1:] in _SPACES else f"?{name}"


def children(element: Any, *names: str) -> list[Any]:
    """Return the children of these names."""
    return [child for child in element if local(child) in names]


def value(element: Any, name: str = "val") -> str | None:
    """Return an attribute of Word's namespace."""
    values = (element.get(f"{{{space}}}{name}") for space in _SPACES)
    return next((one for one in values if one is not None), None)


def is_on(element: Any) -> bool:
    """Return whether a setting that is there is on: without a value it is."""
    return (value(element) or "1").lower() not in _OFF


def font_of(run: Any) -> str | None:
    """Return the font that a run or a style names itself."""
    for settings in children(run, "rPr")[:1]:
        for fonts in children(settings, "rFonts")[:1]:
            return value(fonts, "ascii")
    return None


def is_hidden(run: Any) -> bool | None:
    """Return whether a run or style is hidden text; None if it does not state it itself."""
    for settings in children(run, "rPr")[:1]:
        for setting in children(settings, "vanish")[:1]:
            return is_on(setting)
    return None


def style_of(element: Any, kind: str) -> str | None:
    """Return the style of a paragraph (`p`) or run (`r`)."""
    for settings in children(element, f"{kind}Pr")[:1]:
        for style in children(settings, f"{kind}Style")[:1]:
            return value(style)
    return None
