"""A packed split onto disk, in the format of finetune.packed.

Files are written from beginning to end and never through a memory map: on a full disk that is an
error, where a map dies by a signal. N rows, T tokens a row, D segments.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from finetune.packed import DOCUMENT_DTYPE
from finetune.prepare.document import Document
from finetune.prepare.encode import Encoded

BLOCK_ROWS = 256
ARRAYS: dict[str, np.dtype[Any]] = {
    "tokens": np.dtype("<u4"),
    "segments": np.dtype("<i4"),
    "supervised": np.dtype("|u1"),
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of tokens for one row, and which document of the split it belongs to."""

    document: int
    encoded: Encoded
    language: int
    card: int
    item: dict[str, str | None] | None
    """Its line of items.jsonl (validation and test)."""


def item_of(document: Document) -> dict[str, str | None]:
    """Return the line of items.jsonl of a document."""
    return {
        "id": document.id,
        "card": document.card,
        "language": document.language,
        "direction": document.direction,
        "prompt": document.prompt,
        "reference": document.reference,
        "source": document.source,
    }


def write_split(
    directory: Path, segments: Sequence[Segment], *, rows: Sequence[Sequence[int]], row_tokens: int
) -> dict[str, int]:
    """Write a split folder; `rows` hold numbers of `segments`. Return its counts."""
    directory.mkdir(parents=True)
    with ExitStack() as stack:
        files = {
            name: stack.enter_context((directory / f"{name}.npy").open("wb")) for name in ARRAYS
        }
        for name, dtype in ARRAYS.items():
            _write_header(files[name], dtype, shape=(len(rows), row_tokens))
        for begin in range(0, len(rows), BLOCK_ROWS):
            block = rows[begin : begin + BLOCK_ROWS]
            for name, array in _block(segments, block, row_tokens).items():
                files[name].write(array.tobytes())
    records = _records(segments, rows)
    with (directory / "documents.npy").open("wb") as file:
        np.save(file, records, allow_pickle=False)
    _write_items(directory, segments, rows)
    return {
        "documents": len({segment.document for segment in segments}),
        "rows": len(rows),
        "tokens": int(records["length"].sum()),
        "supervised_tokens": int(records["supervised_tokens"].sum()),
    }


def _write_header(file: IO[bytes], dtype: np.dtype[Any], *, shape: tuple[int, int]) -> None:
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _block(
    segments: Sequence[Segment], rows: Sequence[Sequence[int]], row_tokens: int
) -> dict[str, Any]:
    arrays = {name: np.zeros((len(rows), row_tokens), dtype) for name, dtype in ARRAYS.items()}
    for place, row in enumerate(rows):
        start = 0
        for number, index in enumerate(row, start=1):
            encoded = segments[index].encoded
            end = start + len(encoded.tokens_n)
            arrays["tokens"][place, start:end] = encoded.tokens_n
            arrays["segments"][place, start:end] = number
            arrays["supervised"][place, start:end] = encoded.supervised_n
            start = end
    return arrays


def _records(segments: Sequence[Segment], rows: Sequence[Sequence[int]]) -> Any:
    records = np.zeros(sum(map(len, rows)), dtype=DOCUMENT_DTYPE)
    number = 0
    for place, row in enumerate(rows):
        start = 0
        for index in row:
            segment = segments[index]
            encoded = segment.encoded
            length = len(encoded.tokens_n)
            records[number] = (
                segment.document,
                place,
                start,
                length,
                int(encoded.supervised_n.sum()),
                encoded.supervised_bytes,
                segment.language,
                segment.card,
            )
            start, number = start + length, number + 1
    return records


def _write_items(
    directory: Path, segments: Sequence[Segment], rows: Sequence[Sequence[int]]
) -> None:
    if not any(segment.item for segment in segments):
        return
    with (directory / "items.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            for index in row:
                file.write(json.dumps(segments[index].item, ensure_ascii=False) + "\n")
