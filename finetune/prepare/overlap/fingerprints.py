"""Fingerprints of evaluation sets: hashes of character n-grams, from which no text can be read.

The file: one line of JSON (format, version, n-gram, number of texts and of n-grams), then for each
text the number of its n-grams (little-endian uint32), then all n-grams (uint64), text by text.
N texts, G n-grams.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.output.small_files import UnreadableError, open_regular
from finetune.prepare.overlap.shingles import comparable, gram_hashes
from finetune.readers.guards import listed
from finetune.readers.numbered_lines import numbered_lines
from finetune.readers.tabular.column_names import positions
from finetune.readers.tabular.table_shape import Stated, body, shape_of
from finetune.sources.files import SourceFile

GRAM = 16
"""Characters of an n-gram: about three words, so that chance meetings are rare."""
FORMAT, VERSION = "finetune-fingerprint", 3
BATCH_TEXTS = 1000


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The n-grams of the texts of a set."""

    counts_N: NDArray[np.uint32]
    grams_G: NDArray[np.uint64]
    """Of each text its different n-grams, sorted; text by text."""

    @property
    def texts(self) -> int:
        """Number of texts."""
        return len(self.counts_N)


def fingerprint_of(texts: Iterator[str]) -> Fingerprint:
    """Return the fingerprint of texts; those without a letter or digit are skipped."""
    counts: list[int] = []
    parts: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
    while batch := list(islice(texts, BATCH_TEXTS)):
        for grams in grams_of(batch):
            counts.append(len(grams))
            parts.append(grams)
    return Fingerprint(np.array(counts, dtype=np.uint32), np.concatenate(parts))


def grams_of(texts: Sequence[str]) -> Iterator[NDArray[np.uint64]]:
    """Yield the different n-grams of each text, sorted; a shorter text is its own only one."""
    kept = [text for text in comparable(texts) if any(map(str.isalnum, text))]
    if not kept:
        return
    hashes_G, starts = gram_hashes(kept, gram=GRAM)
    for grams in np.split(hashes_G, starts[1:]):
        yield np.unique(grams)


def texts_of_file(path: Path, *, columns: Sequence[str]) -> Iterator[str]:
    """Yield the texts of a set: of a table those of the columns, else the lines.

    Raises DataError with file and line for what cannot be read, or lacks a column.
    """
    lines = numbered_lines(SourceFile(path=path, name=path.name), encoding="utf-8", strict=True)
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        yield from _of_records(path, lines, columns)
    elif suffix in (".csv", ".tsv"):
        yield from _of_rows(path, columns, separator="," if suffix == ".csv" else "\t")
    else:
        yield from (line for _, line in lines if line.strip())


def write_fingerprint(found: Fingerprint, path: Path) -> None:
    """Write a fingerprint file. Raises DataError if the file is there, or cannot be written."""
    header = {
        **{"format": FORMAT, "version": VERSION, "gram": GRAM},
        **{"texts": found.texts, "grams": len(found.grams_G)},
    }
    try:
        with path.open("xb") as file:
            file.write(json.dumps(header).encode() + b"\n")
            file.write(found.counts_N.astype("<u4").tobytes())
            file.write(found.grams_G.astype("<u8").tobytes())
    except FileExistsError:
        raise DataError(
            problem("already-exists", "exists already; name another file", at=Place(path))
        ) from None
    except OSError as error:
        raise DataError(
            problem(
                "cannot-be-written",
                "cannot be written: {why}",
                at=Place(path),
                why=error.strerror,
            )
        ) from None


def read_fingerprint(path: Path) -> Fingerprint:
    """Read a fingerprint file. Raises DataError if it is none, damaged, or of another version."""
    try:
        with open_regular(path) as file:
            header = _header(path, file.readline(4096))
            counts = np.frombuffer(file.read(4 * header["texts"]), dtype="<u4")
            grams = np.frombuffer(file.read(8 * header["grams"] + 1), dtype=np.uint8)
    except OSError as error:
        raise DataError(
            problem(
                "cannot-be-read",
                "cannot be read: {why}",
                at=Place(path.name),
                why=error.strerror,
            )
        ) from None
    except UnreadableError as error:
        raise DataError(
            problem(
                "unreadable-fingerprint",
                "{why}; name a fingerprint file",
                at=Place(path.name),
                why=error.why,
            )
        ) from None
    whole = len(counts) == header["texts"] and len(grams) == 8 * header["grams"]
    if not whole or int(counts.sum(dtype=np.uint64)) != header["grams"]:
        raise _damaged(path)
    return Fingerprint(counts.astype(np.uint32), grams.view("<u8").astype(np.uint64))


def _header(path: Path, line: bytes) -> dict[str, int]:
    try:
        header: Any = json.loads(line)
        known = (header["format"], header["version"], header["gram"]) == (FORMAT, VERSION, GRAM)
        sizes = {name: int(header[name]) for name in ("texts", "grams")}
        largest = path.stat().st_size
    except (ValueError, KeyError, TypeError):
        raise DataError(
            problem(
                "no-fingerprint",
                "is no fingerprint; make one with `finetune cards fingerprint`",
                at=Place(path.name),
            )
        ) from None
    if not known:
        raise DataError(
            problem(
                "fingerprint-of-other-version",
                "is a fingerprint of another version ({version!r}, n-grams of {gram!r}); make it "
                "again with `finetune cards fingerprint`",
                at=Place(path.name),
                version=header["version"],
                gram=header["gram"],
            )
        )
    if any(not 0 <= size <= largest for size in sizes.values()):
        raise _damaged(path)
    return sizes


def _damaged(path: Path) -> DataError:
    return DataError(
        problem(
            "damaged-fingerprint",
            "is incomplete; make it again with `finetune cards fingerprint`",
            at=Place(path.name),
        )
    )


def _of_records(
    path: Path, lines: Iterator[tuple[int, str]], columns: Sequence[str]
) -> Iterator[str]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                problem("not-json", "not JSON: {why}", at=Place(path.name, number), why=str(error))
            ) from None
        for column in columns:
            if not isinstance(record, dict) or column not in record:
                raise DataError(
                    problem(
                        "no-field",
                        "no {field!r}; correct `columns`",
                        at=Place(path.name, number),
                        field=column,
                    )
                )
            if isinstance(record[column], str) and record[column].strip():
                yield record[column]


def _of_rows(path: Path, columns: Sequence[str], *, separator: str) -> Iterator[str]:
    file = SourceFile(path=path, name=path.name)
    stated = Stated(wanted=tuple(columns))
    shape = shape_of(file, stated, usual=separator)
    if shape is None:
        return
    places = [positions(column, shape.names) for column in columns]
    if [] in places:
        raise DataError(
            problem(
                "no-column-of-set",
                "no column {column!r}; there are: {columns}",
                at=Place(path.name, 1),
                column=columns[places.index([])],
                columns=listed(shape.names),
            )
        )
    for row in body(file, stated, shape):
        if row.broken:
            raise DataError(
                problem("no-csv", "{why}", at=Place(path.name, row.line), why=row.broken)
            )
        if row.line >= shape.first_line:
            cells = row.cells
            yield from (cells[at] for [at, *_] in places if at < len(cells) and cells[at].strip())
