"""Reader of PDF files with a text layer: one text per page, as far as it can be guessed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from finetune.errors import DataError
from finetune.messages import Place, Sentence, phrase, problem, sentence
from finetune.readers.documents.pdf_lines import heads_of, joined, words_of
from finetune.readers.guards import (
    SPLIT,
    bounded,
    clear,
    library,
    no_nul,
    refuse_legacy_font,
    too_much,
)
from finetune.readers.reasons import PAGE_HEAD, SCANNED
from finetune.readers.record import Record, Rejection, Unit
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock
from finetune.text.shown import shown

PDF = sentence("a PDF file")
MAX_PAGES = 20_000
MAX_OPERATIONS = 1_000_000
"""Drawing steps of a page, with all that it draws by name; a dense page has ten thousand."""
MAX_PAGE_CHARACTERS = 4_000_000
MAX_CHARACTERS = 256 * 2**20
"""Of all files of a card: a word that is cut on one page may stand on any other."""
MAX_PICTURES = 1000
SHOWN = 3
"""Pages that are shown, and examples."""


@dataclass(slots=True)
class _Page:
    """Text of a page."""

    at: Place
    lines: list[str] = field(default_factory=list)
    is_scanned: bool = False
    """True for a page that has a picture and no text."""


def read_pdf(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """One text per page, without its head and foot, and with cut words joined.

    The rules are those of finetune/readers/documents/pdf_lines.py. A page that is only a picture is
    rejected; DataError for a file of nothing else.
    """
    library("pypdf", form="pdf")
    del corpus  # a PDF has no columns
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of every oddity of a file
    read: list[list[_Page]] = []
    characters = 0
    for file in files:
        read.append([])
        for page in _pages(file):
            read[-1].append(page)
            characters += sum(map(len, page.lines))
            if characters > MAX_CHARACTERS:
                what = sentence("characters in the files of a card")
                raise too_much(page.at, what=what, limit=MAX_CHARACTERS, instead=SPLIT)
    parted = [_without_heads(pages) for pages in read]
    words = words_of(lines for pages in parted for _, lines, _ in pages)
    for pages in parted:
        for page, lines, heads in pages:
            yield from (Rejection(page.at, PAGE_HEAD, head) for head in heads)
            if page.is_scanned:
                yield Rejection(page.at, SCANNED)
            whole, edits = joined(lines, words)
            if whole:
                yield Record(page.at, {"text": "\n".join(whole)}, changes=edits)


def pdf_understood(file: SourceFile, *, corpus: CorpusBlock) -> list[tuple[Sentence, Sentence]]:
    """Return that the text is a guess, its first pages, and what the rules did, with words."""
    units = list(read_pdf([file], corpus=corpus))
    pages = [one for one in units if isinstance(one, Record)]
    heads = [one.text for one in units if isinstance(one, Rejection) and one.reason == PAGE_HEAD]
    edits = [f"{edit.before} > {edit.after}" for page in pages for edit in page.changes]
    guess = sentence(
        "a guess from the places of letters; compare some pages with the file, and bring the "
        "document that it was made from, if there is one"
    )
    return [
        (sentence("text"), guess),
        *(
            (page.place.part or PDF, phrase(shown(page.fields["text"], most=80)))
            for page in pages[:SHOWN]
        ),
        (sentence("heads, feet and numbers of pages"), _some(heads)),
        (sentence("cut words that were joined"), _some(edits)),
    ]


def _some(texts: Sequence[str]) -> Sentence:
    """Return how many texts there are, with the first ones."""
    if not texts:
        return sentence("none")
    first = [shown(text) for text in dict.fromkeys(texts)]
    return sentence("{count}: {first!r}", count=len(texts), first=first[:SHOWN])


def _without_heads(pages: Sequence[_Page]) -> list[tuple[_Page, list[str], list[str]]]:
    """Return pages with their lines, and the lines of their heads and feet."""
    heads = heads_of([page.lines for page in pages])
    return [(page, *heads.parted(at, page.lines)) for at, page in enumerate(pages)]


def _pages(file: SourceFile) -> Iterator[_Page]:
    """Yield the pages of a file. DataError for one that has no text at all."""
    import pypdf

    with bounded(file) as stream:
        with clear(file.place(), PDF):
            reader = pypdf.PdfReader(stream)
            if reader.is_encrypted:
                raise DataError(
                    problem(
                        "password",
                        "is protected by a password; save it without",
                        at=file.place(),
                    )
                )
            pages = len(reader.pages)
        if pages > MAX_PAGES:
            what = sentence("pages")
            raise too_much(file.place(), what=what, limit=MAX_PAGES, instead=SPLIT)
        empty = True
        for number in range(pages):
            page = _page(file, reader, number)
            empty = empty and not page.lines
            yield page
    if empty:
        raise DataError(
            problem(
                "scan",
                "has no text in its pages ({pages}), only pictures (a scan); have its text "
                "recognised (OCR) and corrected by a speaker first",
                at=file.place(),
                pages=pages,
            )
        )


def _page(file: SourceFile, reader: Any, number: int) -> _Page:
    """Return a page of a PDF file; `number` from 0."""
    at = file.place(part=sentence("page {number:d}", number=number + 1))
    with clear(at, PDF):
        page = reader.pages[number]
        text = no_nul(_page_text(page, at), at=at)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        fonts = _fonts(page) if lines else []
        scanned = not lines and _has_picture(page)
    for font in fonts:
        refuse_legacy_font(font, at=at)
    return _Page(at, lines, scanned)


def _page_text(page: Any, at: Place) -> str:
    """Return the text of a page. DataError for one that draws itself over and over."""
    steps = characters = 0
    instead = sentence("export the text alone")

    def step(*_: Any) -> None:
        nonlocal steps
        steps += 1
        if steps > MAX_OPERATIONS:
            what = sentence("drawing steps in one page")
            raise too_much(at, what=what, limit=MAX_OPERATIONS, instead=instead)

    def drawn(text: str, *_: Any) -> None:
        nonlocal characters
        characters += len(text)
        if characters > MAX_PAGE_CHARACTERS:
            what = sentence("characters in one page")
            raise too_much(at, what=what, limit=MAX_PAGE_CHARACTERS, instead=instead)

    return page.extract_text(visitor_operand_before=step, visitor_text=drawn) or ""


def _resource(page: Any, name: str) -> Any:
    resources = page.get("/Resources")
    found = resources.get_object().get(name) if resources else None
    return found.get_object() if found else {}


def _fonts(page: Any) -> list[str]:
    names = (font.get_object().get("/BaseFont") for font in _resource(page, "/Font").values())
    return [str(name).removeprefix("/") for name in names if name]


def _has_picture(page: Any) -> bool:
    drawn = list(_resource(page, "/XObject").values())[:MAX_PICTURES]
    return any(one.get_object().get("/Subtype") == "/Image" for one in drawn)
