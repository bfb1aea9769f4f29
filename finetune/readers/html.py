"""Reader of web pages: one document per paragraph, list item, cell or heading; or the same page in
several languages, paired by its structure.

Parsing is lxml's, which repairs damaged pages as browsers do. Entities become letters, comments and
scripts are ignored, and letters keep their stored order in every writing direction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from finetune.errors import DataError
from finetune.messages import phrase, problem, sentence
from finetune.readers.guards import SPLIT, no_nul, too_much
from finetune.readers.numbered_lines import whole_utf8
from finetune.readers.reasons import (
    DELETED,
    DRAWN,
    EQUATION,
    HIDDEN,
    PERIPHERAL,
    PICTURE,
    RUBY,
    STATED_OTHER,
)
from finetune.readers.record import Record, Rejection, Unit
from finetune.readers.translated.language_files import of_one_language
from finetune.readers.translated.tags import fits_tag
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

MAX_PAGE_BYTES = 64 * 2**20
MAX_TAGS = 2_000_000
"""A page is read as a whole; one of a thousand paragraphs has some thousand tags."""
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
REJECTED: Mapping[str, str] = {
    "head": PERIPHERAL,  # of it the title
    **dict.fromkeys(("noscript", "template", "iframe", "object", "canvas", "audio"), HIDDEN),
    **dict.fromkeys(("video", "datalist", "noframes"), HIDDEN),
    "svg": DRAWN,
    "math": EQUATION,
    "del": DELETED,
    "rt": RUBY,
    "rtc": RUBY,
}
"""Elements whose text is rejected, with the reason."""
WHOLE_PAGE = frozenset({"html", "body"})
"""Elements that state the language of a site's template, which is often another than the text's."""
WITHOUT_WORDS = frozenset({"script", "style", "rp"})
"""Elements without text: what is in them is for the browser."""
PICTURES = frozenset({"img", "area", "input"})
_NOT_SHOWN = re.compile(
    r"(?i)(?:^|;)\s{0,9}(?:display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden)"
)
_SPACES = re.compile(r"[ \t\r\n\f]+")  # not the no-break space, which some orthographies use


@dataclass(frozen=True, slots=True)
class Block:
    """One text of a page with its place."""

    line: int
    section: int
    """Number of its `article`, `section` ..., in order of their start; 0 is none."""
    heading: bool
    listed: bool
    """True if it is in a list or table."""
    text: str


def read_html(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Texts of pages, or pairs of texts of the same page in several languages.

    For pairs, `columns` names a part of the path that gives the language, and the pages of a
    language are paired in the order of the card. Sections (`article`, `section` ...) are paired in
    order. Within two sections texts are paired one by one if both have as many headings or as
    many paragraphs and list items in the same order; otherwise those of the section are one text.
    A text inside an element that states another language is rejected.
    """
    if corpus.kind == "text":
        for file in files:
            page = page_of(file, language=corpus.languages[0])
            for block in page.blocks:
                yield Record(file.place(block.line), {"text": block.text})
            yield from page.rejected
        return
    for pages in _translations(files, corpus):
        read = {x: page_of(file, language=x) for x, file in pages.items()}
        for page in read.values():
            yield from page.rejected
        counts = {language: page.sections for language, page in read.items()}
        if len(set(counts.values())) > 1:
            of_pages = [phrase(f"{pages[x].name} ({count})") for x, count in counts.items()]
            raise DataError(
                problem(
                    "pages-not-parallel",
                    "these pages cannot be paired, as their numbers of sections differ: {counts}; "
                    "mark up corresponding parts as <article> or <section>",
                    counts=of_pages,
                )
            )
        for number in range(max(counts.values()) + 1):
            for heading in (True, False):
                parts = {x: page.part(number, heading=heading) for x, page in read.items()}
                yield from _paired(parts, pages)


@dataclass(frozen=True, slots=True)
class Page:
    """The texts of a page in order."""

    blocks: Sequence[Block]
    sections: int
    """Number of sections, those without a text included."""
    rejected: Sequence[Rejection] = ()
    """Texts that are not shown in the running text."""

    def part(self, section: int, *, heading: bool) -> list[Block]:
        """Return the headings of a section, or its other texts."""
        return [b for b in self.blocks if b.section == section and b.heading == heading]


def page_of(file: SourceFile, *, language: str) -> Page:
    """Return the texts of a page. DataError for a page that cannot be read to its end."""
    from lxml import etree

    reading = _Reading(file, language)
    walker = etree.iterwalk(_parsed(file), events=("start", "end"))
    for event, element in walker:
        reason = reading.reason(element)
        if reason is not None or element.tag in WITHOUT_WORDS:
            if event == "start":
                walker.skip_subtree()
                reading.reject(element, reason)
            else:
                reading.words.append(_line(element.tail, inside=reading.inside))
        elif event == "start":
            reading.open(element)
        else:
            reading.close(element)
    return Page(reading.blocks, reading.begun, reading.rejected)


@dataclass(slots=True)
class _Reading:
    """Position of the walk through a page, and the blocks so far."""

    file: SourceFile
    language: str
    blocks: list[Block] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    """Open blocks."""
    foreign: list[bool] = field(default_factory=lambda: [False])
    """Of each open block: True if it, or the nearest around it, states another language."""
    sections: list[int] = field(default_factory=lambda: [0])
    begun: int = 0
    line: int = 1

    def reason(self, element: Any) -> str | None:
        """Return the reason to reject the text of an element; None if there is none."""
        if element.get("hidden") is not None or _NOT_SHOWN.search(element.get("style", "")):
            return HIDDEN
        return REJECTED.get(element.tag)

    def reject(self, element: Any, reason: str | None) -> None:
        """Take down the texts of an element that is not read."""
        if reason is None:
            return
        if element.tag == "head":
            texts = [one.text or "" for one in element.iterfind("title")]
        else:
            texts = list(_texts(element))
        self._rejected(" ".join(texts), reason, element)

    def _rejected(self, text: str, reason: str, element: Any) -> None:
        shown = " ".join(text.split())
        if any(map(str.isalnum, shown)):
            at = self.file.place(element.sourceline or self.line)
            self.rejected.append(Rejection(at, reason, no_nul(shown, at=at)))

    def open(self, element: Any) -> None:
        if element.tag in PICTURES:
            self._rejected(element.get("alt") or "", PICTURE, element)
        if element.tag in BLOCKS:
            self._end_of_text(element)
            self.inside.append(element.tag)
            self.foreign.append(self._is_foreign(element))
        if element.tag in SECTIONS:
            self.begun += 1
            self.sections.append(self.begun)
        self.words.append("\n" if element.tag == "br" else _line(element.text, inside=self.inside))

    def close(self, element: Any) -> None:
        if element.tag in BLOCKS:
            self._end_of_text(element)
            self.inside.pop()
            self.foreign.pop()
        if element.tag in SECTIONS:
            self.sections.pop()
        self.words.append(_line(element.tail, inside=self.inside))

    def _is_foreign(self, element: Any) -> bool:
        tag = element.get("lang") or element.get("xml:lang")
        if not tag or element.tag in WHOLE_PAGE:
            return self.foreign[-1]
        return fits_tag(self.language, tag) is False

    def _end_of_text(self, element: Any) -> None:
        text = re.sub(r" ?\n ?", "\n", re.sub(" +", " ", "".join(self.words))).strip(" \n")
        self.words.clear()
        if text and self.foreign[-1]:
            at = self.file.place(self.line)
            self.rejected.append(Rejection(at, STATED_OTHER, no_nul(text, at=at)))
        elif text:
            heading = not HEADINGS.isdisjoint(self.inside)
            listed = not LISTED.isdisjoint(self.inside)
            text = no_nul(text, at=self.file.place(self.line))
            self.blocks.append(Block(self.line, self.sections[-1], heading, listed, text))
        self.line = element.sourceline or self.line


def _texts(element: Any) -> Iterator[str]:
    """Yield the texts in an element, descriptions of pictures included."""
    for one in element.iter():
        if one.tag in PICTURES and one.get("alt"):
            yield one.get("alt")
        if one.tag not in WITHOUT_WORDS and one.text:
            yield one.text
        if one is not element and one.tail:
            yield one.tail


def _line(text: str | None, *, inside: Sequence[str] = ()) -> str:
    """Return text as it is shown: a line end is a space, but not in `pre`."""
    return (text or "") if "pre" in inside else _SPACES.sub(" ", text or "")


def _parsed(file: SourceFile) -> Any:
    from lxml import etree

    save_as = sentence("save the page as UTF-8")
    data = whole_utf8(file, max_bytes=MAX_PAGE_BYTES, too_large=SPLIT, save_as=save_as)
    no_nul(data[: data.find(b"\0") + 1].decode("utf-8", "replace"), at=file.place())
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        if data.count(b"<") > MAX_TAGS:
            raise too_much(file.place(), what=sentence("tags"), limit=MAX_TAGS, instead=SPLIT)
        root = etree.fromstring(data.removeprefix(b"\xef\xbb\xbf"), parser)
    except etree.LxmlError as error:
        raise _damaged(file, line=None, why=str(error)) from None
    for fault in parser.error_log:
        if fault.level_name == "FATAL":  # parsing stopped there, and the rest would be lost
            raise _damaged(file, line=fault.line, why=fault.message)
    if root is None:
        raise DataError(problem("empty-file", "is empty; is it a web page?", at=file.place()))
    return root


def _damaged(file: SourceFile, *, line: int | None, why: str) -> DataError:
    return DataError(
        problem(
            "damaged-page",
            "the page cannot be read from here on ({why}); save it again from a browser",
            at=file.place(line),
            why=why,
        )
    )


def _translations(
    files: Sequence[SourceFile], corpus: CorpusBlock
) -> Iterator[dict[str, SourceFile]]:
    """Yield language -> page for each page that exists in several languages."""
    of_language: dict[str, list[SourceFile]] = {language: [] for language in corpus.languages}
    for file in files:
        of_language[of_one_language(file.name, corpus)].append(file)
    counts = {language: len(pages) for language, pages in of_language.items()}
    if len(set(counts.values())) > 1:
        of_languages = [phrase(f"{language} ({count})") for language, count in counts.items()]
        raise DataError(
            problem(
                "unequal-pages",
                "the languages have different numbers of pages in the card: {counts}",
                counts=of_languages,
            )
        )
    for pages in zip(*of_language.values(), strict=True):
        yield dict(zip(of_language, pages, strict=True))


def _paired(
    parts: Mapping[str, Sequence[Block]], pages: Mapping[str, SourceFile]
) -> Iterator[Record]:
    """Yield records of the same part of a page in every language."""
    if len({tuple(block.listed for block in blocks) for blocks in parts.values()}) > 1:
        # translators split or joined paragraphs here: the whole is still a translation
        parts = {x: [_joined(blocks)] if blocks else [] for x, blocks in parts.items()}
    for row in zip_longest(*parts.values()):
        fields = {x: block and block.text for x, block in zip(parts, row, strict=True)}
        first, block = next((x, b) for x, b in zip(parts, row, strict=True) if b)
        # a part that the first page lacks is of the same document
        document = next(iter(pages.values())).name
        yield Record(pages[first].place(block.line), fields, part_of=document)


def _joined(blocks: Sequence[Block]) -> Block:
    first = blocks[0]
    text = "\n".join(block.text for block in blocks)
    return Block(first.line, first.section, first.heading, first.listed, text)
