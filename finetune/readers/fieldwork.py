"""Readers of what linguists bring from the field: ELAN tiers and Toolbox texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from finetune.errors import DataError
from finetune.readers.guards import bounded, library, no_nul
from finetune.readers.numbered_lines import Encoding, numbered_lines
from finetune.readers.record import Record
from finetune.readers.tables import record_of, wanted_columns
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

_MARKER = re.compile(r"\\(\S+)(?:\s+(.*))?$", re.DOTALL)


def read_elan(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """Annotations of ELAN tiers; `columns` names the tiers, paired by their time.

    The first tier of `columns` is what there is a record for; `contributor: PARTICIPANT` takes the
    speaker from it.
    """
    tiers = [
        name
        for name, role in wanted_columns(corpus).items()
        if role not in ("contributor", "names")
    ]
    for file in files:
        recording = _recording(file)
        missing = [tier for tier in tiers if tier not in recording.tiers]
        if missing:
            there = ", ".join(map(repr, recording.tiers))
            raise DataError(
                f"{file.name}: no tier {missing[0]!r}; the tiers there are {there}; correct "
                "`columns` in the card"
            )
        yield from _annotations(file, recording, tiers, corpus)


def elan_tiers(file: SourceFile) -> list[str]:
    """Return the names of the tiers; DataError if it is no file of ELAN."""
    return list(_recording(file).tiers)


def _recording(file: SourceFile) -> Any:
    pympi = library("pympi", form="elan")
    _checked_xml(file)
    try:
        return pympi.Elan.Eaf(str(file.path))
    except (KeyError, ValueError, TypeError, AttributeError, SyntaxError) as error:
        raise _unreadable(file, error) from None


def _annotations(
    file: SourceFile, recording: Any, tiers: Sequence[str], corpus: CorpusBlock
) -> Iterator[Record]:
    try:
        found = {
            tier: {(a[0], a[1]): a[2] for a in recording.get_annotation_data_for_tier(tier)}
            for tier in tiers
        }
        speaker = recording.tiers[tiers[0]][2].get("PARTICIPANT")
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise _unreadable(file, error) from None
    for begin, end in sorted(found[tiers[0]]):
        where = f"{file.name}: {begin / 1000:.3f} s"
        row: dict[str, Any] = {"PARTICIPANT": speaker}
        for tier in tiers:
            text = found[tier].get((begin, end))
            row[tier] = None if text is None else no_nul(text, where=where)
        yield record_of(where, row, corpus)


def _checked_xml(file: SourceFile) -> None:
    """Let defusedxml read the file first: the library for ELAN takes any XML."""
    bounded(file)
    defused = library("defusedxml.ElementTree", form="elan")
    from defusedxml.common import DefusedXmlException

    try:
        root = None
        for event, element in defused.iterparse(file.path, events=("start", "end")):
            root = element if root is None else root
            if event == "end" and element is not root:
                element.clear()
    except DefusedXmlException as error:
        raise DataError(
            f"{file.name}: defines entities of its own ({type(error).__name__}), which ELAN never "
            "writes and an attack does; export the file again"
        ) from None
    except (SyntaxError, LookupError, ValueError) as error:
        raise _unreadable(file, error) from None
    if root is None or root.tag != "ANNOTATION_DOCUMENT":
        raise DataError(f"{file.name}: is not a file of ELAN (.eaf)")


def _unreadable(file: SourceFile, error: Exception) -> DataError:
    return DataError(
        f"{file.name}: is not an ELAN file that can be read ({str(error)[:120]}); open it in ELAN "
        "and save it again"
    )


def read_toolbox(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    r"""Records of Toolbox and Shoebox text files (`\tx ...`); `columns` names the markers.

    The first marker of the file begins a record, as Toolbox has it. Lines of one marker within a
    record are joined: Toolbox wraps them.
    """
    wanted = wanted_columns(corpus)
    for file in files:
        seen: set[str] = set()
        for where, row in _toolbox_records(file, corpus.encoding):
            seen |= set(row)
            fields = {name: row.get(name) for name in wanted}
            if any(fields.values()):
                yield record_of(where, fields, corpus)
        missing = [name for name in wanted if name not in seen]
        if missing:
            there = ", ".join(f"\\{name}" for name in sorted(seen)) or "none"
            raise DataError(
                f"{file.name}: no marker \\{missing[0]}; the markers there are {there}; correct "
                "`columns` in the card"
            )


def toolbox_markers(file: SourceFile) -> list[str]:
    """Return the markers of a Toolbox file in the order in which they come."""
    found: dict[str, None] = {}
    for _, row in _toolbox_records(file, "utf-8"):
        found |= dict.fromkeys(row)
    return list(found)


def _toolbox_records(
    file: SourceFile, encoding: Encoding
) -> Iterator[tuple[str, Mapping[str, str]]]:
    row: dict[str, str] = {}
    first = marker = ""
    where = f"{file.name}:1"
    for number, line in numbered_lines(file, encoding=encoding):
        text = no_nul(line.strip(), where=f"{file.name}:{number}")
        found = _MARKER.match(text)
        if not text or (found and found[1].startswith("_")):  # the header of the program
            continue
        if found is None and not marker:
            raise DataError(
                f"{file.name}:{number}: begins with no marker (\\tx ...); is it a Toolbox file?"
            )
        if found is not None:
            marker = found[1]
            first = first or marker
            if marker == first and row:
                yield where, row
                row = {}
            where = where if row else f"{file.name}:{number}"
            text = (found[2] or "").strip()
        row[marker] = f"{row.get(marker, '')} {text}".strip()
    if row:
        yield where, row
