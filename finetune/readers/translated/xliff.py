"""Reader of XLIFF 1.2 and 2.x, and of the segments of Trados (sdlxliff)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from finetune.messages import Place, Sentence
from finetune.readers.guards import no_nul
from finetune.readers.record import Rejection, Unit
from finetune.readers.tables import record_of
from finetune.readers.translated.inline import Words, words_of
from finetune.readers.translated.segments import inner_units, unit_place, units_around
from finetune.readers.translated.states import admitted, reason_of
from finetune.readers.translated.tags import facts_of_tags, refuse_contradictions
from finetune.readers.xml_stream import local, named
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

SOURCE, TARGET = "source", "target"
UNITS = ("trans-unit", "unit", "segment")
TAGS = {
    # column -> attribute of `file` (1.2), of `xliff` (2.x)
    SOURCE: ("source-language", "srcLang"),
    TARGET: ("target-language", "trgLang"),
}
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True, slots=True)
class _Segment:
    """A text and its translation, as they stand in a file."""

    at: Place
    source: Words | None
    target: Words | None
    reason: str | None
    """Reason to reject it."""


def read_xliff(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Units of XLIFF 1.2 and segments of 2.x: columns `source` and `target`.

    States before `translated`, machine translations and what is not for translation are rejected
    (finetune.readers.translated.states). Raises DataError for a file in other languages than the
    card states.
    """
    for file in files:
        number = 0
        for around, unit in units_around(file, *UNITS, form="xliff"):
            _refuse_languages(around, unit, corpus, at=file.place())
            for segment in _segments(around, unit, file, number=number):
                number += 1
                yield from _of_segment(segment, corpus)


def xliff_understood(file: SourceFile, *, corpus: CorpusBlock) -> list[tuple[Sentence, Sentence]]:
    """Return the languages that a file states, with words for it."""
    return facts_of_tags(xliff_languages(file), corpus.columns)


def xliff_languages(file: SourceFile) -> dict[str, str]:
    """Return column -> language tag, as the first file in an XLIFF document states them."""
    around, _ = next(units_around(file, *UNITS, form="xliff"))
    return _tags(around)


def _tags(around: Sequence[Element]) -> dict[str, str]:
    found = {}
    for column, names in TAGS.items():
        for element in around[:2]:
            for name in names:
                if tag := element.get(name):
                    found[column] = tag
    return found


def _refuse_languages(
    around: Sequence[Element], unit: Element, corpus: CorpusBlock, *, at: Place
) -> None:
    tags = _tags(around)
    for column in (SOURCE, TARGET):
        for element in named(unit, column)[:1]:
            if tag := element.get(_LANG):
                tags[column] = tag
    refuse_contradictions(tags, columns=corpus.columns, at=at)


def _of_segment(segment: _Segment, corpus: CorpusBlock) -> Iterator[Unit]:
    sides = {SOURCE: segment.source, TARGET: segment.target}
    texts = {name: words.text if words else None for name, words in sides.items()}
    for text in texts.values():
        no_nul(text or "", at=segment.at)
    if segment.reason and not admitted(segment.reason, corpus.admit):
        shown = "\n".join(text for text in texts.values() if text)
        yield Rejection(segment.at, segment.reason, shown)
        return
    yield record_of(segment.at, texts, corpus)
    inner = {name: words.inner if words else () for name, words in sides.items()}
    yield from inner_units(inner, segment.at, corpus=corpus)


def _segments(
    around: Sequence[Element], unit: Element, file: SourceFile, *, number: int
) -> Iterator[_Segment]:
    fixed = _fixed(around, unit)
    if local(unit) == "trans-unit":
        yield from _of_trans_unit(unit, file, number=number, fixed=fixed)
        return
    data = {
        one.get("id", ""): one.text or ""
        for store in named(unit, "originalData")
        for one in named(store, "data")
    }
    parts = [unit] if local(unit) == "segment" else list(unit)
    for part in parts:
        if local(part) not in ("segment", "ignorable"):
            continue
        number += 1
        source, target = _words(part, SOURCE, data), _words(part, TARGET, data)
        if local(part) == "ignorable":
            if any(words and words.text for words in (source, target)):
                yield _Segment(unit_place(file, number), source, target, "unpaired-text")
            else:
                number -= 1
            continue
        sub_state = part.get("subState", "")
        reason = fixed or reason_of(state=part.get("state"), origins=(sub_state,))
        yield _Segment(unit_place(file, number), source, target, reason)


def _words(part: Element, name: str, data: Mapping[str, str] | None = None) -> Words | None:
    found = named(part, name)
    return words_of(found[0], data=data) if found else None


def _fixed(around: Sequence[Element], unit: Element) -> str | None:
    """Return the reason that holds for all of a unit: it is not for translation."""
    for element in (unit, *reversed(around)):
        if value := element.get("translate"):
            return "not-for-translation" if value == "no" else None
    return None


def _of_trans_unit(
    unit: Element, file: SourceFile, *, number: int, fixed: str | None
) -> Iterator[_Segment]:
    """Yield a unit of 1.2, in segments if source and target have the same ones."""
    number += 1
    sources = named(unit, "seg-source") or named(unit, SOURCE)
    targets = named(unit, TARGET)
    approved = unit.get("approved") == "yes"
    of_target = targets[0] if targets else None
    whole = fixed or _reason(of_target, approved=approved)
    parts = _marked(sources), _marked(targets)
    definitions = {
        one.get("id"): one for one in unit.iter() if local(one) == "seg" and one.get("id")
    }
    if len(parts[0]) > 1 and list(parts[0]) == list(parts[1]):
        for count, (mid, source) in enumerate(parts[0].items()):
            at = unit_place(file, number + count)
            reason = whole or _defined(definitions.get(mid))
            yield _Segment(at, words_of(source), words_of(parts[1][mid]), reason)
        return
    reasons = [reason for one in definitions.values() if (reason := _defined(one))]
    reason = whole or next(iter(reasons), None)
    source_words = _words(unit, SOURCE)
    target_words = words_of(of_target) if of_target is not None else None
    yield _Segment(unit_place(file, number), source_words, target_words, reason)


def _reason(target: Element | None, *, approved: bool) -> str | None:
    if target is None:
        return None
    qualifier = target.get("state-qualifier")
    return reason_of(state=target.get("state"), qualifier=qualifier, approved=approved)


def _defined(segment: Element | None) -> str | None:
    """Return the reason in the properties that Trados writes for a segment."""
    if segment is None:
        return None
    return reason_of(state=segment.get("conf"), origins=(segment.get("origin"),))


def _marked(sides: Sequence[Element]) -> dict[str, Element]:
    """Return the outermost segments that a side is marked up in, by their number."""
    found: dict[str, Element] = {}
    waiting = list(sides[:1])
    while waiting:
        part = waiting.pop()
        if local(part) == "mrk" and part.get("mtype") == "seg":
            found[part.get("mid", "")] = part
        else:
            waiting += reversed(part)
    return found
