"""Reader of Parquet tables, the format of fetched Hub data sets too."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from finetune.errors import DataError, first_line
from finetune.messages import problem, sentence
from finetune.readers.guards import library, opened
from finetune.readers.parquet_layout.parquet_footer import Footer, read_footer
from finetune.readers.parquet_layout.parquet_pages import largest_pages
from finetune.readers.record import Unit
from finetune.readers.tables import record_of, wanted_columns
from finetune.readers.tabular.column_names import no_column
from finetune.sources.files import SourceFile
from finetune.sources.inflated import damaged_or_bomb
from finetune.spec.card import CorpusBlock

BATCH_ROWS = 1024
BATCH_BYTES = 256 * 2**20
"""Unpacked bytes of the rows that are read at once; each column has a page of its own."""
MAX_PAGE_BYTES = 256 * 2**20
"""Of a page of a Parquet table, unpacked. Programs that write them make it a megabyte or so."""
MAX_PAGE_VALUES = 10_000_000
"""Values in a page whose rows hold lists."""
MAX_ROWS_PER_BYTE = 50


def read_parquet(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Rows of Parquet files; only the needed columns are read."""
    for file in files:
        number = 0
        with opened(file) as stream, _clear(file):
            footer = read_footer(stream)
            names = _top_columns(file, footer.names, corpus)
            rows = _batch_rows(file, stream, footer, names)
            with _table(stream, footer) as table:
                for batch in table.iter_batches(batch_size=rows, columns=names):
                    for row in batch.to_pylist():
                        number += 1
                        at = file.place(part=sentence("row {number:d}", number=number))
                        yield record_of(at, row, corpus)


def _table(stream: BinaryIO, footer: Footer) -> Any:
    """Return pyarrow's table of a file, with the checked footer in the place of its own."""
    parquet = library("pyarrow.parquet", form="parquet")
    metadata = parquet.read_metadata(io.BytesIO(footer.rewritten))
    return parquet.ParquetFile(stream, metadata=metadata)


def _batch_rows(file: SourceFile, stream: BinaryIO, footer: Footer, names: Sequence[str]) -> int:
    """Return the number of rows to read at once, so that they fit whatever their pages unpack to.

    Raises DataError for a page that is larger than a table needs, and for a file of few bytes that
    states many rows.
    """
    size_bytes = stream.seek(0, 2)
    if footer.rows > max(1_000_000, MAX_ROWS_PER_BYTE * size_bytes):
        sizes = sentence("states {rows} rows in {size} bytes", rows=footer.rows, size=size_bytes)
        raise damaged_or_bomb(file.place(), sizes)
    largest = largest_pages(stream, footer, names)
    if largest.bytes > MAX_PAGE_BYTES or largest.repeated > MAX_PAGE_VALUES:
        sizes = sentence(
            "unpacks from {packed} bytes to pages of {unpacked} bytes",
            packed=size_bytes,
            unpacked=largest.bytes,
        )
        raise damaged_or_bomb(file.place(), sizes)
    by_size = BATCH_BYTES // max(1, largest.bytes)
    by_values = MAX_PAGE_VALUES // max(1, largest.repeated)
    return max(1, min(BATCH_ROWS, by_size, by_values))


@contextmanager
def _clear(file: SourceFile) -> Iterator[None]:
    """Turn exceptions on a damaged table into DataError."""
    arrow = library("pyarrow", form="parquet")
    try:
        yield
    except DataError:
        raise
    except (arrow.ArrowException, OSError, ValueError, KeyError, OverflowError) as error:
        raise DataError(
            problem(
                "damaged-parquet",
                "is not a Parquet file that can be read: {why}",
                at=file.place(),
                why=first_line(error),
            )
        ) from None


def parquet_columns(file: SourceFile) -> list[str]:
    """Return the names of the columns of a Parquet file; DataError if it is none."""
    with opened(file) as stream, _clear(file):
        return list(read_footer(stream).names)


def _top_columns(file: SourceFile, there: Sequence[str], corpus: CorpusBlock) -> list[str]:
    """Return the columns of the table to read; `translation` holds `translation.ha`."""
    tops = set()
    for column in wanted_columns(corpus):
        top = column if column in there else column.partition(".")[0]
        if top not in there:
            raise no_column(file.place(), column, there)
        tops.add(top)
    return sorted(tops)
