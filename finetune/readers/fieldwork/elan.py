"""Reader of ELAN annotation files.

An annotation of a tier that subdivides or translates another one has no time of its own: all of
them that belong to one annotation with a time are one text, joined in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from finetune.errors import DataError
from finetune.messages import Sentence, problem, sentence
from finetune.readers.fieldwork.tiers import (
    Annotation,
    Tier,
    facts_of_tiers,
    taken,
    units_of_tiers,
    with_patterns,
)
from finetune.readers.guards import SPLIT, bounded, too_much, unreadable
from finetune.readers.record import Unit
from finetune.readers.units import rejected
from finetune.readers.xml_stream import elements, local
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

MAX_ANNOTATIONS = 1_000_000
"""Annotations and time slots of a recording, which is read as a whole."""
MAX_TIME_DIGITS = 15
"""Of a time in milliseconds: more cannot be divided, and no recording is so long."""
MAX_TIER_DEPTH = 100


def read_elan(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Annotations of ELAN tiers; `columns` names the tiers (finetune/readers/fieldwork/tiers.py).

    `contributor: PARTICIPANT` takes the speaker from the first tier.
    """
    for file in files:
        recording = _recording(file)
        tiers, damaged = _tiers(file, recording)
        for tier in taken(file, tiers, corpus):
            yield from map(rejected, damaged.get(tier.name, ()))
        yield from units_of_tiers(file, tiers, corpus)


def elan_tiers(file: SourceFile) -> list[str]:
    """Return the names of the tiers, and patterns for those of several speakers (`tx@*`).

    DataError if it is no ELAN file.
    """
    return with_patterns(_recording(file).tiers)


def elan_understood(file: SourceFile, *, corpus: CorpusBlock) -> list[tuple[Sentence, Sentence]]:
    """Return which tiers are read, and which others have text, with words for it."""
    return facts_of_tiers(file, _tiers(file, _recording(file))[0], corpus)


@dataclass(frozen=True, slots=True)
class _Value:
    """An annotation as it stands in its tier."""

    id: str
    text: str
    entry: str | None
    """Entry of a controlled vocabulary that it takes."""
    slots: tuple[str, str] | None = None
    """First and last time slot; None for one that belongs to another."""
    parent: str = ""
    previous: str | None = None


@dataclass(slots=True)
class _Recording:
    """Contents of a file."""

    slots: dict[str, int | None] = field(default_factory=dict)
    """Time slot -> milliseconds, None without a time; in the order of time."""
    tiers: dict[str, list[_Value]] = field(default_factory=dict)
    speakers: dict[str, str | None] = field(default_factory=dict)
    languages: dict[str, str | None] = field(default_factory=dict)
    """Name of a tier -> its language, as the file refers to it."""
    by_id: dict[str, _Value] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    """Annotation -> its place among those of the same tier and parent."""
    vocabulary: dict[str, str] = field(default_factory=dict)
    """Entry of a controlled vocabulary -> its text."""

    def root(self, annotation: str) -> tuple[str, tuple[int, ...]]:
        """Return the annotation with a time that one belongs to, and the way down from there.

        KeyError for one that is not there, ValueError if it belongs to itself.
        """
        way: list[int] = []
        while self.by_id[annotation].slots is None:
            way.append(self.places[annotation])
            annotation = self.by_id[annotation].parent
            if len(way) > MAX_TIER_DEPTH:
                raise ValueError(f"the annotation {annotation[:40]!r} belongs to itself")
        return annotation, tuple(reversed(way))


def _recording(file: SourceFile) -> _Recording:
    with bounded(file):
        pass
    recording = _Recording()
    root = ""
    wanted = ("TIME_SLOT", "TIER", "CV_ENTRY_ML")
    for around, element in elements(file, *wanted, form="elan"):
        root = local(around[0]) if around else ""
        try:
            if local(element) == "TIME_SLOT":
                value = element.get("TIME_VALUE")
                if value is not None and len(value) > MAX_TIME_DIGITS:
                    raise ValueError(f"the time {value[:30]!r}... is too long")
                slot = element.attrib["TIME_SLOT_ID"]
                recording.slots[slot] = None if value is None else int(value)
            elif local(element) == "TIER":
                _read_tier(recording, element)
            else:
                values = (one.text for one in element if local(one) == "CVE_VALUE")
                recording.vocabulary[element.get("CVE_ID", "")] = next(values, None) or ""
        except (KeyError, ValueError) as error:
            raise _damaged(file, error) from None
        if len(recording.by_id) + len(recording.slots) > MAX_ANNOTATIONS:
            what = sentence("annotations and times")
            raise too_much(file.place(), what=what, limit=MAX_ANNOTATIONS, instead=SPLIT)
    if root != "ANNOTATION_DOCUMENT":
        raise DataError(problem("no-elan-file", "is not an ELAN file (.eaf)", at=file.place()))
    return recording


def _read_tier(recording: _Recording, tier: Element) -> None:
    name = tier.attrib["TIER_ID"]
    recording.speakers[name] = tier.get("PARTICIPANT")
    recording.languages[name] = tier.get("LANG_REF")
    values = recording.tiers.setdefault(name, [])
    for annotation in (one for outer in tier if local(outer) == "ANNOTATION" for one in outer):
        kind = local(annotation)
        if kind not in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION"):
            continue
        own, entry = annotation.attrib["ANNOTATION_ID"], annotation.get("CVE_REF")
        texts = (one.text for one in annotation if local(one) == "ANNOTATION_VALUE")
        text = next(texts, None) or ""
        if kind == "REF_ANNOTATION":
            parent = annotation.attrib["ANNOTATION_REF"]
            previous = annotation.get("PREVIOUS_ANNOTATION")
            value = _Value(own, text, entry, parent=parent, previous=previous)
        else:
            slots = (annotation.attrib["TIME_SLOT_REF1"], annotation.attrib["TIME_SLOT_REF2"])
            value = _Value(own, text, entry, slots)
        values.append(value)
        recording.by_id[own] = value
    _number(recording, values)


def _number(recording: _Recording, values: Sequence[_Value]) -> None:
    """Number the annotations of each parent in their order: each names the previous one."""
    siblings: dict[str, list[_Value]] = {}
    for value in values:
        if value.slots is None:
            siblings.setdefault(value.parent, []).append(value)
    for group in siblings.values():
        following = {value.previous: value for value in group if value.previous}
        starts = [value for value in group if not value.previous]
        ordered = {starts[0].id: starts[0]} if starts else {}
        while ordered and (after := following.get(next(reversed(ordered)))) is not None:
            if after.id in ordered:
                break
            ordered[after.id] = after
        whole = ordered.values() if len(ordered) == len(group) else group
        recording.places |= {value.id: place for place, value in enumerate(whole)}


def _tiers(
    file: SourceFile, recording: _Recording
) -> tuple[dict[str, Tier], dict[str, list[DataError]]]:
    """Return the tiers by name, and what is wrong with single annotations of each."""
    times = _milliseconds(recording.slots)
    damaged: dict[str, list[DataError]] = {}
    tiers = {}
    for name, values in recording.tiers.items():
        found: dict[str, list[tuple[tuple[int, ...], str]]] = {}
        for value in values:
            try:
                root, way = recording.root(value.id)
                for slot in recording.by_id[root].slots or ():
                    times[slot]
            except (KeyError, ValueError) as error:
                damaged.setdefault(name, []).append(_damaged(file, error))
                continue
            text = value.text or recording.vocabulary.get(value.entry or "", "")
            found.setdefault(root, []).append((way, text))
        annotations = [_joined(root, texts, recording, times) for root, texts in found.items()]
        annotations.sort(key=lambda one: (one.begin, one.end))
        tiers[name] = Tier(name, recording.speakers[name], recording.languages[name], annotations)
    return tiers, damaged


def _joined(
    root: str,
    texts: Sequence[tuple[tuple[int, ...], str]],
    recording: _Recording,
    times: Mapping[str, float],
) -> Annotation:
    """Return what a tier has for one annotation with a time as one."""
    begin, end = (times[slot] for slot in recording.by_id[root].slots or ())
    ordered = [text for _, text in sorted(texts, key=lambda one: one[0])]
    text = ordered[0] if len(ordered) == 1 else " ".join(filter(None, map(str.strip, ordered)))
    return Annotation(begin, max(begin, end), text, root)


def _milliseconds(slots: Mapping[str, int | None]) -> dict[str, float]:
    """Return the time of every slot; one without a time lies evenly between its neighbours.

    >>> _milliseconds({"a": 0, "b": None, "c": 100, "d": None})
    {'a': 0, 'b': 50.0, 'c': 100, 'd': 100}
    """
    times: dict[str, float] = {}
    waiting: list[str] = []
    last = 0
    for name, value in slots.items():
        waiting.append(name)
        if value is not None:
            step = (value - last) / len(waiting)
            times |= {slot: last + step * at for at, slot in enumerate(waiting[:-1], start=1)}
            times[name] = last = value
            waiting = []
    return times | dict.fromkeys(waiting, last)


def _damaged(file: SourceFile, error: Exception) -> DataError:
    return unreadable(file.place(), what=sentence("an ELAN file"), why=str(error)[:120])
