"""Reader of Toolbox and Shoebox texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import PurePosixPath

from finetune.errors import DataError
from finetune.messages import Place, Sentence, problem, sentence
from finetune.readers.fieldwork.usfm_markers import is_usfm
from finetune.readers.guards import SHOWN, SHOWN_CHARACTERS, listed, no_nul, too_much
from finetune.readers.numbered_lines import MAX_LINE_BYTES, head_lines, numbered_lines
from finetune.readers.record import Unit
from finetune.readers.tables import record_of, wanted_columns
from finetune.sources.files import SourceFile
from finetune.sources.zipped import uncompressed_name
from finetune.spec.card import CorpusBlock
from finetune.spec.formats import PLAIN
from finetune.spec.values.table_keys import Encoding

RECORD = "record"
"""Role of the marker that begins a record, in `columns`."""
MAX_MARKERS = 10_000
MAX_RECORD_LINES = 10_000
LOOK_LINES, MIN_LINES, MIN_SHARE = 200, 6, 0.8
"""First lines that are looked at, the fewest of them, and the share that begins with a marker."""
DATABASES = (".db", ".dic", ".tbt")
"""Suffixes that Toolbox gives its files, beside those of plain text."""
_LINE = re.compile(r"\\[a-z][a-z0-9_]{0,9}(?=\s|$)")
_MARKER = re.compile(r"\\(\S+)(?:\s+(.*))?$", re.DOTALL)


def is_toolbox(file: SourceFile) -> bool:
    """Return whether a file is called plain text, or as a database, and has a marker per line.

    Toolbox itself writes `\\_sh` into the first line.
    """
    if PurePosixPath(uncompressed_name(file.name)).suffix.lower() not in (
        *PLAIN.suffixes,
        *DATABASES,
    ):
        return False
    head = [line.strip() for line in head_lines(file, lines=LOOK_LINES)]
    if head and head[0].startswith("\\_sh "):
        return True
    markers = Counter(found[0] for line in head if (found := _LINE.match(line)))
    enough = len(head) >= MIN_LINES and markers.total() >= MIN_SHARE * len(head)
    return enough and len(markers) > 1 and max(markers.values()) > 1


def read_toolbox(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    r"""Records of Toolbox and Shoebox text files (`\tx ...`); `columns` names the markers.

    The first marker of the file begins a record, as Toolbox has it, or the one that `columns`
    names as `record`. Lines of one marker within a record are joined: Toolbox wraps them.
    """
    wanted = wanted_columns(corpus)
    for file in files:
        if is_usfm(file, corpus.encoding):
            raise DataError(
                problem(
                    "is-usfm",
                    "is a USFM file, as Paratext writes them; write `format: usfm` in the card",
                    at=file.place(),
                )
            )
        given = corpus.columns.get(RECORD)
        seen: set[str] = set()
        records = _toolbox_records(file, corpus.encoding, given)
        first = next(records, None)
        second = next(records, None)
        if (
            first
            and not second
            and given is None
            and any(len(first[1].get(x, ())) > 1 for x in wanted)
        ):
            raise _unclear(file, corpus, list(wanted))
        for at, row in chain(filter(None, (first, second)), records):
            if len(seen) < MAX_MARKERS:
                seen |= set(row)
            fields = {name: _joined(row[name]) if name in row else None for name in wanted}
            if any(fields.values()):
                yield record_of(at, fields, corpus)
        missing = [name for name in (*wanted, *([given] if given else ())) if name not in seen]
        if missing and len(seen) < MAX_MARKERS:
            raise _no_marker(file, missing[0], seen)


def _no_marker(file: SourceFile, marker: str, seen: set[str]) -> DataError:
    return DataError(
        problem(
            "no-marker",
            "has no marker {marker}; its markers: {markers}; correct `columns` in the card",
            at=file.place(),
            marker="\\" + marker,
            markers=_listed_markers(seen),
        )
    )


def _unclear(file: SourceFile, corpus: CorpusBlock, wanted: Sequence[str]) -> DataError:
    """Return the error for a file whose first marker comes once, and a wanted one often."""
    counts: Counter[str] = Counter()
    before: dict[str, None] = {}
    for _, marker, _ in _marked_lines(file, corpus.encoding):
        counts[marker] += 1
        if not set(wanted) & set(counts):
            before[marker] = None
    likely = [name for name in before if name and counts[name] > 1] or list(wanted)
    example = f"columns: {{record: {likely[-1][:SHOWN_CHARACTERS]}}}"
    return DataError(
        problem(
            "record-marker-unclear",
            "its first marker comes once, so all of it would be one record; write the marker that "
            "begins each record in the card, e.g. {example}; candidates: {markers}",
            at=file.place(),
            example=example,
            markers=_listed_markers(set(likely)),
        )
    )


def _listed_markers(markers: set[str]) -> list[str] | Sentence:
    if not markers:
        return sentence("none")
    return [f"\\{marker[:SHOWN_CHARACTERS]}" for marker in sorted(markers)[:SHOWN]]


def toolbox_markers(file: SourceFile, *, encoding: Encoding = "utf-8") -> list[str]:
    """Return the markers of a Toolbox file in the order in which they come."""
    markers: dict[str, None] = {}
    for number, marker, _ in _marked_lines(file, encoding):
        markers |= {marker: None} if marker else {}
        if len(markers) > MAX_MARKERS:
            what, at = sentence("markers"), file.place(number)
            raise too_much(at, what=what, limit=MAX_MARKERS, instead=_IS_IT)
    return list(markers)


def toolbox_understood(file: SourceFile, *, corpus: CorpusBlock) -> list[tuple[Sentence, Sentence]]:
    """Return the marker that begins a record, and the others that are not read."""
    counts = Counter(marker for _, marker, _ in _marked_lines(file, corpus.encoding) if marker)
    begin = corpus.columns.get(RECORD) or next(iter(counts), "")
    read = {begin, *wanted_columns(corpus)}
    others = [f"\\{name} ({count})" for name, count in counts.items() if name not in read]
    words = sentence("{marker} (records: {count})", marker="\\" + begin, count=counts[begin])
    return [
        (sentence("a record begins with"), words),
        (sentence("markers that are not read"), listed(others)),
    ]


_IS_IT = sentence("is it a Toolbox file?")


def _marked_lines(file: SourceFile, encoding: Encoding) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, marker, text); the marker is empty for a line that continues another.

    DataError for text before the first marker.
    """
    marker = ""
    for number, line in numbered_lines(file, encoding=encoding):
        text = no_nul(line.strip(), at=file.place(number))
        marked = _MARKER.match(text)
        if not text or (marked and marked[1].startswith("_")):  # the header of the program
            continue
        if marked is None and not marker:
            raise DataError(
                problem(
                    "no-marker",
                    "does not begin with a marker (\\tx ...); is it a Toolbox file?",
                    at=file.place(number),
                )
            )
        if marked is not None:
            marker = marked[1]
            text = (marked[2] or "").strip()
            yield number, marker, text
        else:
            yield number, "", text


def _toolbox_records(
    file: SourceFile, encoding: Encoding, given: str | None
) -> Iterator[tuple[Place, Mapping[str, Sequence[Sequence[str]]]]]:
    """Yield the fields of each record by marker, with their lines.

    What stands before the first record is one too.

    `given`: the marker that begins a record, if it is not the first of the file.
    """
    row: dict[str, list[list[str]]] = {}
    begin, marker = given or "", ""
    size = lines = 0
    at = file.place(1)
    for number, marked, text in _marked_lines(file, encoding):
        marker = marked or marker
        begin = begin or marker
        if marked == begin and row:
            yield at, row
            row, size, lines = {}, 0, 0
        at = at if row else file.place(number)
        fields = row.setdefault(marker, [])
        if marked:
            fields.append([])
        fields[-1].append(text)
        size += len(text)
        lines += 1
        if size > MAX_LINE_BYTES or lines > MAX_RECORD_LINES:
            raise _long_record(at, begin)
    if row:
        yield at, row


def _long_record(at: Place, first: str) -> DataError:
    return too_much(
        at,
        what=sentence("characters in one record, or {lines} lines", lines=MAX_RECORD_LINES),
        limit=MAX_LINE_BYTES,
        instead=sentence("{marker} must begin each record", marker="\\" + first[:SHOWN_CHARACTERS]),
    )


def _joined(fields: Sequence[Sequence[str]]) -> str:
    return " ".join(line for lines in fields for line in lines if line)
