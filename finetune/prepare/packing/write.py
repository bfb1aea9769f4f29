"""A packed split onto disk, in the format of finetune.artefacts.packed_split.

Files are written from beginning to end and never through a memory map: on a full disk that is an
error, where a map dies by a signal. N rows, T tokens per row, S segments of all splits, D segments
of this one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.packed_split import DOCUMENT_DTYPE, LEDGER_LINES
from finetune.prepare.packing.pack import Rows
from finetune.prepare.packing.tokens import Tokens
from finetune.prepare.reading.document import SPLITS, Document, Split
from finetune.prepare.reading.spool import Spool

BLOCK_TOKENS = 2**18
"""Tokens in memory while packed sequences are written."""
ARRAYS: dict[str, np.dtype[Any]] = {
    "tokens": np.dtype("<u4"),
    "segments": np.dtype("<i4"),
    "supervised": np.dtype("|u1"),
}


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of a split, in the order of their documents' hashes."""

    tokens: Tokens
    numbers_D: NDArray[np.int64]
    """Place of each in `tokens`."""
    documents_D: NDArray[np.int64]
    """Number of its document within the split."""
    languages_D: NDArray[np.int16]
    cards_D: NDArray[np.int16]

    @property
    def lengths_D(self) -> NDArray[np.int64]:
        """Tokens of each."""
        return self.tokens.lengths_S[self.numbers_D].astype(np.int64)

    @property
    def groups_D(self) -> NDArray[np.int64]:
        """A number for each pair of language and card."""
        return self.languages_D.astype(np.int64) << 16 | self.cards_D

    @property
    def ledger_lines(self) -> NDArray[np.int64]:
        """Line of each document in the ledger, from 0: it has one per encoded document."""
        documents_S = self.tokens.documents_S
        _, first = np.unique(self.documents_D, return_index=True)
        lines = np.searchsorted(np.unique(documents_S), documents_S[self.numbers_D[first]])
        return lines.astype(np.int64)

    @property
    def num_documents(self) -> int:
        """Number of their documents."""
        return int(self.documents_D[-1]) + 1 if len(self.documents_D) else 0


def split_segments(
    split: Split, spool: Spool, tokens: Tokens, *, cards: Sequence[str], languages: Sequence[str]
) -> Segments:
    """Return the segments of a split; documents are numbered by the order of their hashes."""
    documents_S = tokens.documents_S.astype(np.int64)
    numbers = np.flatnonzero(spool.split_numbers()[documents_S] == SPLITS.index(split))
    numbers = numbers[spool.in_hash_order(documents_S[numbers])]
    documents = documents_S[numbers]
    kinds = spool.kind_numbers()[documents]
    cards_of_kinds = [_place(cards, kind.card) for kind in spool.kinds]
    languages_of_kinds = [_place(languages, kind.language) for kind in spool.kinds]
    is_next = np.ones(len(documents), dtype=np.int64)
    is_next[1:] = documents[1:] != documents[:-1]
    return Segments(
        tokens=tokens,
        numbers_D=numbers,
        documents_D=np.cumsum(is_next) - 1,
        languages_D=np.array(languages_of_kinds, dtype=np.int16)[kinds],
        cards_D=np.array(cards_of_kinds, dtype=np.int16)[kinds],
    )


def _place(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else -1  # of another phase, never encoded


def item_of(document: Document) -> dict[str, str | None]:
    """Return the line of items.jsonl of a document."""
    whole = {"held_out": document.held_out} if document.held_out else {}
    return whole | {
        "id": document.id,
        "card": document.card,
        "language": document.language,
        "document": document.part_of,
        "direction": document.direction,
        "prompt": document.prompt,
        "reference": document.reference,
        "source": document.source,
    }


def write_split(
    directory: Path,
    segments: Segments,
    *,
    rows: Rows,
    row_tokens: int,
    item: Callable[[int], dict[str, str | None]] | None = None,
) -> dict[str, int]:
    """Write a split folder; `rows` hold places in `segments`. Return its counts.

    `item` returns the line of items.jsonl of a segment (validation and test).
    """
    directory.mkdir(parents=True)
    block_rows = max(1, BLOCK_TOKENS // row_tokens)
    tokens = supervised = 0
    with ExitStack() as stack:
        files = {
            name: stack.enter_context((directory / f"{name}.npy").open("wb"))
            for name in (*ARRAYS, "documents")
        }
        for name, dtype in ARRAYS.items():
            _write_header(files[name], dtype, shape=(len(rows), row_tokens))
        _write_header(files["documents"], DOCUMENT_DTYPE, shape=(len(rows.members_n),))
        for first in range(0, len(rows), block_rows):
            last = min(first + block_rows, len(rows))
            arrays = _block(segments, rows, (first, last), row_tokens=row_tokens)
            for name, array in arrays.items():
                files[name].write(array.tobytes())
            tokens += int(arrays["documents"]["length"].sum(dtype=np.int64))
            supervised += int(arrays["documents"]["supervised_tokens"].sum(dtype=np.int64))
    if item is None:
        np.save(directory / LEDGER_LINES, segments.ledger_lines)
    else:
        _write_items(directory, segments.numbers_D[rows.members_n], item)
    return {
        "documents": segments.num_documents,
        "rows": len(rows),
        "tokens": tokens,
        "supervised_tokens": supervised,
    }


def _write_header(
    file: IO[bytes], dtype: np.dtype[Any], *, shape: tuple[int] | tuple[int, int]
) -> None:
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _block(
    segments: Segments, rows: Rows, place: tuple[int, int], *, row_tokens: int
) -> dict[str, NDArray[Any]]:
    """Return the arrays and the records of rows `place[0]` to `place[1]`."""
    first, last = place
    shape = (last - first, row_tokens)
    arrays: dict[str, NDArray[Any]] = {n: np.zeros(shape, dtype) for n, dtype in ARRAYS.items()}
    begin, end = rows.starts[first], rows.starts[last]
    records = _records(segments, rows.members_n[begin:end])
    at = 0
    for row in range(first, last):
        start = 0
        for number in range(1, int(rows.starts[row + 1] - rows.starts[row]) + 1):
            tokens_n, supervised_n = segments.tokens.read(
                int(segments.numbers_D[rows.members_n[begin + at]])
            )
            stop = start + len(tokens_n)
            arrays["tokens"][row - first, start:stop] = tokens_n
            arrays["segments"][row - first, start:stop] = number
            arrays["supervised"][row - first, start:stop] = supervised_n
            records["row"][at], records["start"][at] = row, start
            start, at = stop, at + 1
    return arrays | {"documents": records}


def _records(segments: Segments, members: NDArray[np.int64]) -> NDArray[np.void]:
    """Return the records of segments, but for where they stand."""
    numbers = segments.numbers_D[members]
    records = np.zeros(len(members), dtype=DOCUMENT_DTYPE)
    records["document"] = segments.documents_D[members]
    records["length"] = segments.tokens.lengths_S[numbers]
    records["supervised_tokens"] = segments.tokens.supervised_tokens_S[numbers]
    records["supervised_bytes"] = segments.tokens.supervised_bytes_S[numbers]
    records["language"] = segments.languages_D[members]
    records["card"] = segments.cards_D[members]
    return records


def _write_items(
    directory: Path,
    numbers_D: NDArray[np.int64],
    item: Callable[[int], dict[str, str | None]],
) -> None:
    with (directory / "items.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for number in numbers_D:
            file.write(json.dumps(item(int(number)), ensure_ascii=False) + "\n")
