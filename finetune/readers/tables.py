"""Files -> records, streaming. A reader is `read(files, *, corpus) -> Iterator[Record]`.

Fields of a record are named by their role in the card (`text`, `hau_Latn`, `messages`,
`instruction`, ...). Everything wrong raises DataError with the file and the line.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from finetune.errors import DataError
from finetune.readers.numbered_lines import MAX_LINE_BYTES, numbered_lines, whole_utf8
from finetune.readers.record import Record
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

PARQUET_BATCH_ROWS = 1024
MAX_MESSAGES_BYTES = 64 * 2**20
EXTENSION = frozenset({"message", "description", "placeholders"})
"""Keys of one message of a browser extension: {"key": {"message": "text", ...}}."""


def read_text(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """One document a line. Blank lines between documents are no documents."""
    for file in files:
        for number, line in numbered_lines(file, encoding=corpus.encoding):
            if line and not line.isspace():
                yield Record(f"{file.name}:{number}", {"text": line})


def read_jsonl(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """One JSON object a line; a column may be a path (`translation.ha`)."""
    for file in files:
        for number, line in numbered_lines(file, encoding=corpus.encoding):
            where = f"{file.name}:{number}"
            if line and not line.isspace():
                yield record_of(where, _json_object(line, where), corpus)


def read_csv(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """Comma-separated values with a header line; quoted fields may hold line ends."""
    return _delimited(files, corpus, delimiter=",", quoting=csv.QUOTE_MINIMAL)


def read_tsv(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """Tab-separated values with a header line; quotation marks are ordinary characters."""
    return _delimited(files, corpus, delimiter="\t", quoting=csv.QUOTE_NONE)


def read_parquet(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """Rows of Parquet files; only the needed columns are read."""
    import pyarrow as arrow
    from pyarrow import parquet

    for file in files:
        try:
            with parquet.ParquetFile(file.path) as table:
                names = _top_columns(file.name, table.schema_arrow.names, corpus)
                number = 0
                for batch in table.iter_batches(batch_size=PARQUET_BATCH_ROWS, columns=names):
                    for row in batch.to_pylist():
                        number += 1
                        yield record_of(f"{file.name}: row {number}", row, corpus)
        except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"{file.name}: not a Parquet file that can be read: {error}") from None


def parquet_columns(file: SourceFile) -> list[str]:
    """Return the names of the columns of a Parquet file; DataError if it is none."""
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        return list(parquet.read_schema(file.path).names)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{file.name}: not a Parquet file that can be read: {error}") from None


def csv_columns(file: SourceFile) -> list[str]:
    """Return the names in the first line of a table with commas."""
    return next(csv.reader([_first_line(file)]), [])


def tsv_columns(file: SourceFile) -> list[str]:
    """Return the names in the first line of a table with tabs."""
    return next(csv.reader([_first_line(file)], delimiter="\t"), [])


def jsonl_columns(file: SourceFile) -> list[str]:
    """Return the keys of the first record; DataError if it is none."""
    try:
        record = json.loads(_first_line(file))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file.name}:1: not JSON: {error}") from None
    return list(record) if isinstance(record, dict) else []


def _first_line(file: SourceFile) -> str:
    lines = (line for _, line in numbered_lines(file, encoding="utf-8"))
    return next((line for line in lines if line.strip()), "")


def read_messages(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """JSON files of key -> text, one file a language, grouped by file name and paired by key.

    Objects inside objects are read too: their keys are joined by dots, without the part that is
    the language's own (`{"ha": {"menu": {"open": ...}}}` has the key `menu.open`). A key that a
    language lacks gives a record with None there, so that it is counted.
    """
    for name, sides in _grouped(files, corpus).items():
        texts = {x: _messages(file, without=corpus.columns[x]) for x, file in sides.items()}
        keys = dict.fromkeys(key for side in texts.values() for key in side)
        for key in keys:
            fields = {language: side.get(key) for language, side in texts.items()}
            yield Record(f"{name}: {key}", fields)


def wanted_columns(corpus: CorpusBlock) -> dict[str, str]:
    """Return the columns that are read, and the role of each."""
    if corpus.kind == "parallel":
        roles: tuple[str, ...] = tuple(corpus.languages)
    elif corpus.kind == "chat":
        roles = (
            ("messages",) if "messages" in corpus.columns else ("instruction", "input", "answer")
        )
    else:
        roles = ("text",)
    roles += ("contributor", "names")
    return {corpus.columns[role]: role for role in roles if role in corpus.columns}


def record_of(where: str, row: Mapping[str, Any], corpus: CorpusBlock) -> Record:
    """Return a row as a record, fields by role; DataError for a column that is not there."""
    fields = {}
    for column, role in wanted_columns(corpus).items():
        value: Any = row
        for part in (column,) if column in row else column.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise _no_column(where, column, list(row))
            value = value[part]
        fields[role] = value
    contributor = fields.pop("contributor", None)
    names = _names(fields.pop("names", None))
    return Record(where, fields, None if contributor is None else str(contributor), names)


def _names(value: Any) -> tuple[str, ...]:
    """Return the names in a cell: a list, or text with semicolons or line ends between them.

    >>> _names("A. B.; C"), _names(["A", None]), _names(None)
    (('A. B.', 'C'), ('A',), ())
    """
    parts = value if isinstance(value, list) else re.split(r"[;\n]", str(value or ""))
    return tuple(name for part in parts if part and (name := str(part).strip()))


def _no_column(where: str, column: str, there: Sequence[str]) -> DataError:
    shown = ", ".join(map(repr, there)) or "none"
    return DataError(
        f"{where}: no column {column!r}; the columns there are {shown}; "
        "correct `columns` in the card"
    )


def _top_columns(where: str, there: Sequence[str], corpus: CorpusBlock) -> list[str]:
    """Return the columns of the table to read; `translation` holds `translation.ha`."""
    tops = set()
    for column in wanted_columns(corpus):
        top = column if column in there else column.partition(".")[0]
        if top not in there:
            raise _no_column(where, column, there)
        tops.add(top)
    return sorted(tops)


def _json_object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
        if "\\u" in text:  # only an escape can hold half of a surrogate pair
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise DataError(f"{where}:{error.colno}: not JSON: {error.msg}") from None
    except UnicodeEncodeError:
        raise DataError(
            f"{where}: holds half of a surrogate pair (a lone \\ud800-\\udfff escape), which is no "
            "character; export the file again"
        ) from None
    except (RecursionError, ValueError) as error:  # too deep, or a number of too many digits
        raise DataError(f"{where}: cannot be read as JSON: {error}") from None
    if not isinstance(value, dict):
        raise DataError(
            f"{where}: a JSON {type(value).__name__}, but a record must be an object "
            '({"column": "text"})'
        )
    return value


def _delimited(
    files: Sequence[SourceFile], corpus: CorpusBlock, *, delimiter: str, quoting: int
) -> Iterator[Record]:
    for file in files:
        lines = numbered_lines(file, encoding=corpus.encoding)
        csv.field_size_limit(MAX_LINE_BYTES)
        # quoting is an int until Python 3.12, which has no Literal for it that mypy takes
        rows = csv.reader(
            (line + "\n" for _, line in lines),
            delimiter=delimiter,
            quoting=quoting,  # type: ignore[arg-type]
            strict=True,
        )
        header: list[str] | None = None
        start = 1
        try:
            for row in rows:
                where, start = f"{file.name}:{start}", rows.line_num + 1
                if header is None:
                    header = row
                elif row:
                    yield record_of(where, _fields(header, row, where), corpus)
        except csv.Error as error:
            raise DataError(f"{file.name}:{start}: {error}; check the quotation marks") from None


def _fields(header: Sequence[str], row: Sequence[str], where: str) -> dict[str, str]:
    if len(row) != len(header):
        raise DataError(
            f"{where}: {len(row)} fields, but the header names {len(header)}; "
            "quote a field that holds the separator"
        )
    return dict(zip(header, row, strict=True))


def _grouped(files: Sequence[SourceFile], corpus: CorpusBlock) -> dict[str, dict[str, SourceFile]]:
    """Return file name -> language -> file. A path must tell exactly one language."""
    groups: dict[str, dict[str, SourceFile]] = {}
    for file in files:
        path = PurePosixPath(file.name)
        found = [x for x in corpus.languages if corpus.columns[x] in path.parts]
        if len(found) != 1:
            raise DataError(
                f"{file.name}: its path tells {len(found)} languages; `columns` must name, for "
                "each language, a folder that only its files lie in"
            )
        side = groups.setdefault(path.name, {})
        if found[0] in side:
            raise DataError(
                f"{file.name}: {found[0]} has two files {path.name!r}, so texts cannot be paired"
            )
        side[found[0]] = file
    for name, side in groups.items():
        missing = [x for x in corpus.languages if x not in side]
        if missing:
            raise DataError(f"{name}: no such file for {', '.join(missing)}; list it in the card")
    return groups


def _messages(file: SourceFile, *, without: str) -> dict[str, str]:
    """Return key -> text of a file; the key `without`, at any depth, is no part of a key."""
    question = "is it a file of messages?"
    data = whole_utf8(file, max_bytes=MAX_MESSAGES_BYTES, too_large=question)
    text = data.decode("utf-8-sig")
    found: dict[str, str] = {}
    for key, message in _flat(_whole_json(text, file.name), file=file, without=without):
        if key in found:
            raise DataError(f"{file.name}: {key}: stands there twice; which one is it?")
        found[key] = message
    return found


def _whole_json(text: str, name: str) -> dict[str, Any]:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:  # with its line, which _json_object does not know
        raise DataError(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        raise DataError(f"{name}: cannot be read as JSON: {error}") from None
    return _json_object(text, name)


def _flat(
    messages: Mapping[str, Any], *, file: SourceFile, without: str
) -> Iterator[tuple[str, str]]:
    waiting = [("", messages)]  # a stack and no recursion: a file nests as deep as it likes
    while waiting:
        path, inner = waiting.pop()
        deeper = []
        for name, found in inner.items():
            key = f"{path}.{name}" if path else name
            wrapped = isinstance(found, Mapping) and "message" in found and set(found) <= EXTENSION
            value = found["message"] if wrapped else found
            if isinstance(value, str):
                yield key, value
            elif isinstance(value, Mapping):
                deeper.append((path if name == without else key, value))
            else:
                raise DataError(
                    f"{file.name}: {key}: {type(value).__name__} where a text belongs; "
                    "`messages` files hold key -> text"
                )
        waiting += reversed(deeper)
