"""Reader of web pages: one document a paragraph, list item, cell or heading; or the same page in
several languages, paired by its structure.

Through lxml, which repairs what is broken as browsers do. Entities become letters, comments and
programs are left out, and the order of letters stays as it is stored, whatever the direction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Any

from finetune.errors import DataError
from finetune.readers.guards import no_nul
from finetune.readers.numbered_lines import whole_utf8
from finetune.readers.record import Record
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

MAX_PAGE_BYTES = 64 * 2**20
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
SECTIONS = frozenset({"article", "section", "header", "footer", "aside", "nav"})
LISTED = frozenset({"li", "dd", "dt", "td", "th"})
BLOCKS = frozenset(
    {*HEADINGS, *SECTIONS, *LISTED, "address", "blockquote", "body", "caption", "center", "details"}
    | {"dialog", "dir", "div", "dl", "fieldset", "figcaption", "figure", "form", "hgroup", "hr"}
    | {"html", "legend", "main", "menu", "ol", "optgroup", "option", "p", "pre", "search"}
    | {"summary", "table", "tbody", "tfoot", "thead", "tr", "ul"}
)
"""Elements that begin and end a text; all others stand inside a line."""
WITHOUT_WORDS = frozenset(
    {"head", "script", "style", "template", "noscript", "iframe", "object", "svg", "math"}
    | {"canvas", "audio", "video"}
)
_SPACES = re.compile(r"[ \t\r\n\f]+")  # not the no-break space, which is a letter to somebody


@dataclass(frozen=True, slots=True)
class Block:
    """One text of a page, and where in the page it stands."""

    line: int
    section: int
    """Which `article`, `section` ... it is in: they are numbered as they begin; 0 is none."""
    heading: bool
    listed: bool
    """Whether it is in a list or table."""
    text: str


def read_html(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """Texts of pages, or pairs of texts of the same page in several languages.

    For pairs, `columns` says a part of the path that tells the language, and the pages of a
    language are paired in the order of the card. Sections (`article`, `section` ...) are paired in
    order. Within two sections texts are paired one by one if both have as many headings or as
    many paragraphs and list items in the same order; otherwise those of the section are one text.
    """
    if corpus.kind == "text":
        for file in files:
            for block in page_of(file).blocks:
                yield Record(f"{file.name}:{block.line}", {"text": block.text})
        return
    for pages in _translations(files, corpus):
        read = {language: page_of(file) for language, file in pages.items()}
        counts = {language: page.sections for language, page in read.items()}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{pages[x].name} has {count}" for x, count in counts.items())
            raise DataError(
                f"these pages cannot be paired, as their numbers of sections differ: {told}; "
                "mark up what belongs together as <article> or <section>"
            )
        for number in range(max(counts.values()) + 1):
            for heading in (True, False):
                sides = {x: page.part(number, heading=heading) for x, page in read.items()}
                yield from _paired(sides, pages)


@dataclass(frozen=True, slots=True)
class Page:
    """The texts of a page in order."""

    blocks: Sequence[Block]
    sections: int
    """How many sections it has, those without a text included."""

    def part(self, section: int, *, heading: bool) -> list[Block]:
        """Return the headings of a section, or its other texts."""
        return [b for b in self.blocks if b.section == section and b.heading == heading]


def page_of(file: SourceFile) -> Page:
    """Return the texts of a page. DataError if it is none that can be read whole."""
    from lxml import etree

    reading = _Reading(file.name)
    walker = etree.iterwalk(_parsed(file), events=("start", "end"))
    for event, element in walker:
        if element.tag in WITHOUT_WORDS:
            if event == "start":
                walker.skip_subtree()
            else:
                reading.words.append(_line(element.tail))
        elif event == "start":
            reading.open(element)
        else:
            reading.close(element)
    return Page(reading.blocks, reading.begun)


@dataclass(slots=True)
class _Reading:
    """Where the walk through a page is, and what it has found."""

    name: str
    blocks: list[Block] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    """Open blocks."""
    sections: list[int] = field(default_factory=lambda: [0])
    begun: int = 0
    line: int = 1

    def open(self, element: Any) -> None:
        if element.tag in BLOCKS:
            self._end_of_text(element)
            self.inside.append(element.tag)
        if element.tag in SECTIONS:
            self.begun += 1
            self.sections.append(self.begun)
        self.words.append("\n" if element.tag == "br" else _line(element.text, inside=self.inside))

    def close(self, element: Any) -> None:
        if element.tag in BLOCKS:
            self._end_of_text(element)
            self.inside.pop()
        if element.tag in SECTIONS:
            self.sections.pop()
        self.words.append(_line(element.tail, inside=self.inside))

    def _end_of_text(self, element: Any) -> None:
        text = re.sub(r" *\n *", "\n", re.sub(" +", " ", "".join(self.words))).strip(" \n")
        self.words.clear()
        if text:
            heading = not HEADINGS.isdisjoint(self.inside)
            listed = not LISTED.isdisjoint(self.inside)
            text = no_nul(text, where=f"{self.name}:{self.line}")
            self.blocks.append(Block(self.line, self.sections[-1], heading, listed, text))
        self.line = element.sourceline or self.line


def _line(text: str | None, *, inside: Sequence[str] = ()) -> str:
    """Return text as it is shown: a line end is a space, but not in `pre`."""
    return (text or "") if "pre" in inside else _SPACES.sub(" ", text or "")


def _parsed(file: SourceFile) -> Any:
    from lxml import etree

    data = whole_utf8(file, max_bytes=MAX_PAGE_BYTES, too_large="split it", thing="page")
    no_nul(data[: data.find(b"\0") + 1].decode("utf-8", "replace"), where=file.name)
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data.removeprefix(b"\xef\xbb\xbf"), parser)
    except etree.LxmlError as error:
        raise DataError(f"{file.name}: is not a page that can be read ({error})") from None
    for problem in parser.error_log:
        if problem.level_name == "FATAL":  # reading stopped there, and the rest would be lost
            raise DataError(
                f"{file.name}:{problem.line}: the page cannot be read beyond here "
                f"({problem.message}); save it again from a browser"
            )
    if root is None:
        raise DataError(f"{file.name}: is empty; is it a web page?")
    return root


def _translations(
    files: Sequence[SourceFile], corpus: CorpusBlock
) -> Iterator[dict[str, SourceFile]]:
    """Yield language -> page for each page that exists in several languages."""
    sides: dict[str, list[SourceFile]] = {language: [] for language in corpus.languages}
    for file in files:
        parts = PurePosixPath(file.name).parts
        told = [language for language in sides if corpus.columns[language] in parts]
        if len(told) != 1:
            raise DataError(
                f"{file.name}: its path tells {len(told)} languages; `columns` must name, for each "
                "language, a folder or file name that only its pages have"
            )
        sides[told[0]].append(file)
    counts = {language: len(pages) for language, pages in sides.items()}
    if len(set(counts.values())) > 1:
        told_counts = ", ".join(f"{language} {count}" for language, count in counts.items())
        raise DataError(f"the languages have different numbers of pages in the card: {told_counts}")
    for pages in zip(*sides.values(), strict=True):
        yield dict(zip(sides, pages, strict=True))


def _paired(
    sides: Mapping[str, Sequence[Block]], pages: Mapping[str, SourceFile]
) -> Iterator[Record]:
    """Yield records of the same part of a page in every language."""
    if len({tuple(block.listed for block in side) for side in sides.values()}) > 1:
        # translators split or joined paragraphs here: the whole is still a translation
        sides = {x: [_joined(side)] if side else [] for x, side in sides.items()}
    for row in zip_longest(*sides.values()):
        fields = {x: block and block.text for x, block in zip(sides, row, strict=True)}
        first, block = next((x, b) for x, b in zip(sides, row, strict=True) if b)
        yield Record(f"{pages[first].name}:{block.line}", fields)


def _joined(side: Sequence[Block]) -> Block:
    first = side[0]
    text = "\n".join(block.text for block in side)
    return Block(first.line, first.section, first.heading, first.listed, text)
