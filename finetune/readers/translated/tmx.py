"""Reader of translation memories (TMX 1.1 to 1.4b)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.readers.guards import listed, no_nul
from finetune.readers.record import Rejection, Unit
from finetune.readers.tables import record_of, wanted_columns
from finetune.readers.translated.inline import Words, words_of
from finetune.readers.translated.segments import inner_units, unit_place, units_named
from finetune.readers.translated.states import MACHINE, admitted, is_machine
from finetune.readers.translated.tags import refuse_contradictions
from finetune.readers.xml_stream import named
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

LANG = "{http://www.w3.org/XML/1998/namespace}lang"
ORIGINS = ("creationid", "changeid", "creationtool")
_ORIGIN_KINDS = ("origin", "author", "mt", "status", "source", "creator")
"""Parts of the type of a `prop` that says where a text is from."""


@dataclass(frozen=True, slots=True, eq=False)
class _Variant:
    """A text of a unit in one language."""

    code: str
    words: Words | None
    """None without a `seg`."""
    machine: bool


def read_tmx(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Units of a translation memory; `columns` names the code of each language (`fr-FR`).

    The first text of a language is paired; further ones are counted, and so are texts without a
    language and machine translations. Texts inside codes (`sub`) are paired if both sides have as
    many. Raises DataError for a language that no unit has.
    """
    wanted = wanted_columns(corpus)
    seen: dict[str, None] = {}
    for file in files:
        refuse_contradictions({c: c for c in wanted}, columns=corpus.columns, at=file.place())
        for number, unit in enumerate(units_named(file, "tu", form="tmx"), start=1):
            at = unit_place(file, number)
            variants = [_variant(variant, at) for variant in named(unit, "tuv")]
            seen |= dict.fromkeys(one.code for one in variants)
            machine = is_machine(*_origins(unit))
            yield from _of_unit(variants, at, machine=machine, corpus=corpus)
    lacking = [code for code in wanted if not any(_is_of(there, code) for there in seen)]
    if files and lacking:
        raise DataError(
            problem(
                "no-column",
                "has no column {column!r}; its columns: {columns}; correct `columns` in the card",
                at=files[0].place(),
                column=lacking[0],
                columns=listed(seen),
            )
        )


def tmx_languages(file: SourceFile) -> list[str]:
    """Return the language codes in a translation memory, in the order in which they come."""
    codes: dict[str, None] = {}
    for unit in units_named(file, "tu", form="tmx"):
        for variant in named(unit, "tuv"):
            codes[_code(variant)] = None
    return list(codes)


def _of_unit(
    variants: Sequence[_Variant], at: Place, *, machine: bool, corpus: CorpusBlock
) -> Iterator[Unit]:
    first = {column: _chosen(variants, column, at) for column in wanted_columns(corpus)}
    for variant in variants:
        text = variant.words.text if variant.words else ""
        if not variant.code:
            yield Rejection(at, "no-language", text)
        elif variant not in first.values() and any(_is_of(variant.code, c) for c in first):
            yield Rejection(at, "another-variant", text)
    texts = {c: v.words.text for c, v in first.items() if v and v.words}
    row = {column: texts.get(column) for column in first}
    machine = machine or any(one.machine for one in first.values() if one)
    if machine and not admitted(MACHINE, corpus.admit):
        yield Rejection(at, MACHINE, "\n".join(text for text in row.values() if text))
        return
    yield record_of(at, row, corpus)
    inner = {c: v.words.inner if v and v.words else () for c, v in first.items()}
    yield from inner_units(inner, at, corpus=corpus)


def _chosen(variants: Sequence[_Variant], column: str, at: Place) -> _Variant | None:
    """Return the text of a column: of its exact code, or of the only code that it begins.

    Raises DataError for several such codes.
    """
    of_column = [one for one in variants if _is_of(one.code, column)]
    exact = [one for one in of_column if one.code.lower() == column.lower()]
    codes = list(dict.fromkeys(one.code.lower() for one in of_column))
    if not exact and len(codes) > 1:
        raise DataError(
            problem(
                "ambiguous-code",
                "{column!r} fits several languages of the file: {codes}; write one of them in "
                "`columns`",
                at=at,
                column=column,
                codes=codes,
            )
        )
    return next(iter([*exact, *of_column]), None)


def _variant(element: Element, at: Place) -> _Variant:
    segment = next(iter(named(element, "seg")), None)
    words = None
    if segment is not None:
        words = words_of(segment)
        no_nul(words.text, at=at)
    return _Variant(_code(element), words, is_machine(*_origins(element)))


def _origins(element: Element) -> list[str | None]:
    props = (
        prop.text
        for prop in named(element, "prop")
        if any(kind in prop.get("type", "").lower() for kind in _ORIGIN_KINDS)
    )
    return [*(element.get(name) for name in ORIGINS), *props]


def _code(variant: Element) -> str:
    return variant.get(LANG) or variant.get("lang") or ""


def _is_of(code: str, column: str) -> bool:
    """Return whether the code of a text is that of a column, or begins with it.

    >>> _is_of("fr-FR", "fr"), _is_of("fr", "fr-FR"), _is_of("frr", "fr")
    (True, False, False)
    """
    there, wanted = code.lower().replace("_", "-"), column.lower().replace("_", "-")
    return there == wanted or there.startswith(f"{wanted}-")
