"""Readers of translators' files: TMX, PO, XLIFF.

XML goes through defusedxml, which refuses entities; elements are forgotten as they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from finetune.errors import DataError
from finetune.readers.guards import bounded, library, no_nul
from finetune.readers.record import Record
from finetune.readers.tables import record_of, wanted_columns
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

LANG = "{http://www.w3.org/XML/1998/namespace}lang"
CODE = frozenset({"bpt", "ept", "it", "ph", "x", "bx", "ex", "ut", "sc", "ec", "mrk-code"})
"""Inline elements that hold the markup of the translated file, and no words."""


def read_tmx(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """Units of a translation memory; `columns` says the code of each language there (`fr-FR`)."""
    wanted = wanted_columns(corpus)
    for file in files:
        for number, unit in enumerate(_elements(file, "tu", form="tmx"), start=1):
            sides: dict[str, str] = {}
            for variant in _named(unit, "tuv"):
                code = variant.get(LANG) or variant.get("lang") or ""
                for segment in _named(variant, "seg")[:1]:
                    sides.setdefault(code.lower(), _text(segment))
            where = f"{file.name}: unit {number}"
            row = {column: _side(sides, column) for column in wanted}
            yield record_of(where, {c: _clean(text, where) for c, text in row.items()}, corpus)


def tmx_languages(file: SourceFile) -> list[str]:
    """Return the language codes in a translation memory, in the order in which they come."""
    codes: dict[str, None] = {}
    for unit in _elements(file, "tu", form="tmx"):
        for variant in _named(unit, "tuv"):
            codes[variant.get(LANG) or variant.get("lang") or ""] = None
    return list(codes)


def _side(sides: Mapping[str, str], code: str) -> str | None:
    """Return the text of a language: its exact code, or the only one that it begins.

    >>> _side({"fr-fr": "oui", "en": "yes"}, "fr")
    'oui'
    """
    wanted = code.lower()
    if wanted in sides:
        return sides[wanted]
    near = [text for there, text in sides.items() if there.partition("-")[0] == wanted]
    return near[0] if len(near) == 1 else None


def read_po(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """Entries of gettext catalogues: columns `msgid` and `msgstr`; fuzzy and obsolete ones count
    as untranslated, plural forms as entries of their own."""
    polib = library("polib", form="po")
    for file in files:
        bounded(file)
        try:
            catalogue = polib.pofile(file.path.read_text("utf-8-sig"))
        except (OSError, ValueError, UnicodeDecodeError) as error:
            raise DataError(
                f"{file.name}: is not a PO file that can be read ({str(error)[:120]}); save it as "
                "UTF-8 from the program it comes from"
            ) from None
        for entry in catalogue:
            if entry.obsolete:
                continue
            where = f"{file.name}:{entry.linenum}"
            for source, target in _forms(entry):
                row = {
                    "msgid": _clean(source, where),
                    "msgstr": None if entry.fuzzy else _clean(target, where),
                }
                yield record_of(where, row, corpus)


def _forms(entry: Any) -> Iterator[tuple[str, str]]:
    if not entry.msgid_plural:
        yield entry.msgid, entry.msgstr
        return
    for form, text in sorted(entry.msgstr_plural.items()):
        yield (entry.msgid if form == 0 else entry.msgid_plural), text


def read_xliff(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """Units of XLIFF 1.2 and segments of 2.0: columns `source` and `target`."""
    for file in files:
        for number, unit in enumerate(
            _elements(file, "trans-unit", "segment", form="xliff"), start=1
        ):
            where = f"{file.name}: unit {number}"
            row: dict[str, str | None] = {"source": None, "target": None}
            for name in row:
                for side in _named(unit, name)[:1]:
                    row[name] = _clean(_text(side), where)
            yield record_of(where, row, corpus)


def _elements(file: SourceFile, *names: str, form: str) -> Iterator[Element]:
    """Yield elements of a name as they are closed, and forget them: memory stays small."""
    defused = library("defusedxml.ElementTree", form=form)
    found = False
    with _clear(file):
        parents: list[Element] = []
        for event, element in defused.iterparse(
            file.path, events=("start", "end"), forbid_dtd=False, forbid_entities=True
        ):
            if event == "start":
                parents.append(element)
                continue
            parents.pop()
            if _local(element) in names:
                found = True
                yield element
                element.clear()
                if parents:
                    parents[-1].remove(element)
    if not found:
        raise DataError(f"{file.name}: holds no <{'> or <'.join(names)}>; is it this kind of file?")


@contextmanager
def _clear(file: SourceFile) -> Iterator[None]:
    from defusedxml.common import DefusedXmlException

    try:
        yield
    except DefusedXmlException as error:
        raise DataError(
            f"{file.name}: defines entities of its own ({type(error).__name__}), which no "
            "translator's program writes and an attack does; export the file again"
        ) from None
    except (ParseError, LookupError, ValueError) as error:
        raise DataError(
            f"{file.name}: is not XML that can be read ({error}); export the file again"
        ) from None
    except OSError as error:
        raise DataError(f"{file.name}: cannot be read: {error.strerror}") from None


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _named(parent: Element, name: str) -> list[Element]:
    return [child for child in parent if _local(child) == name]


def _text(element: Element) -> str:
    """Return the words of an element: without the markup that inline elements stand for."""
    words: list[str] = []
    # a stack and no recursion: a hostile file nests as deep as it likes
    waiting: list[Element | str] = [element]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            words.append(part)
            continue
        words.append(part.text or "")
        for child in reversed(part):
            waiting.append(child.tail or "")
            if _local(child) not in CODE:
                waiting.append(child)
    return "".join(words)


def _clean(text: str | None, where: str) -> str | None:
    return None if text is None else no_nul(text, where=where)
