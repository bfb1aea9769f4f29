"""Reader of USX files, the XML form of USFM: the same steps through other marks.

Verses and chapters are marks between texts, as in USFM.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from finetune.errors import DataError
from finetune.messages import problem, sentence
from finetune.readers.fieldwork.usfm import units_of_books
from finetune.readers.fieldwork.usfm_markers import Step, is_setting, kind_of_paragraph
from finetune.readers.guards import no_nul, too_much
from finetune.readers.reasons import COMMENT, NOTE, PERIPHERAL, PICTURE
from finetune.readers.record import Unit
from finetune.readers.xml_stream import elements, local
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

MAX_DEPTH = 100
_NOT_IN_LINE = {"note": NOTE, "figure": PICTURE}


def read_usx(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Verses or paragraphs, or pairs, as finetune.readers.fieldwork.usfm."""
    return units_of_books(files, corpus, _steps)


def _steps(file: SourceFile, _: CorpusBlock) -> Iterator[Step]:
    """Yield the steps through a file. DataError for one that is no USX."""
    root = ""
    for around, element in elements(file, "book", "chapter", "para", "row", form="usx"):
        root = local(around[0]) if around else ""
        name = local(element)
        style = element.get("style", "")
        if name == "book":
            yield Step("book", None, element.get("code", ""))
            yield from _beside(file, element, PERIPHERAL)
        elif name == "chapter":
            if element.get("number"):
                yield Step("chapter", None, element.get("number", ""))
        elif name == "row" or kind_of_paragraph(style) == "text":
            if any(local(one) == "sidebar" for one in around):
                yield from _whole(file, element)
            else:
                yield Step("paragraph", None, style)
                yield from _inline(file, element)
        elif kind_of_paragraph(style) == "title":
            yield from _whole(file, element)
        elif not is_setting(style):
            yield from _beside(file, element, COMMENT if style == "rem" else PERIPHERAL)
    if root not in ("usx", "usfm"):
        raise DataError(problem("no-usx", "is not a USX file", at=file.place()))


def _whole(file: SourceFile, element: Element) -> Iterator[Step]:
    """Yield a paragraph as a title, and its notes."""
    inside = list(_inline(file, element))
    yield from (step for step in inside if step.kind == "left")
    text = " ".join("".join(step.text for step in inside if step.kind == "text").split())
    if text:
        yield Step("title", None, text)


def _beside(file: SourceFile, element: Element, reason: str) -> Iterator[Step]:
    text = " ".join("".join(element.itertext()).split())
    if text:
        yield Step("left", None, no_nul(text, at=file.place()), reason)


def _inline(file: SourceFile, element: Element, depth: int = 0) -> Iterator[Step]:
    """Yield the texts, verses and notes of a paragraph."""
    if depth > MAX_DEPTH:
        what, instead = sentence("elements inside each other"), sentence("export it again")
        raise too_much(file.place(), what=what, limit=MAX_DEPTH, instead=instead)
    if element.text:
        yield Step("text", None, no_nul(element.text, at=file.place()))
    for child in element:
        name = local(child)
        if name == "verse":
            if child.get("number"):
                yield Step("verse", None, child.get("number", ""))
        elif name in _NOT_IN_LINE:
            yield from _beside(file, child, _NOT_IN_LINE[name])
        elif name in ("optbreak", "cell"):
            yield Step("text", None, " ")
            yield from _inline(file, child, depth + 1)
        elif not is_setting(child.get("style", "")):
            yield from _inline(file, child, depth + 1)
        if child.tail:
            yield Step("text", None, no_nul(child.tail, at=file.place()))
