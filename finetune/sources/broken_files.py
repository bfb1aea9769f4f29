"""Exceptions on damaged files, for the readers of all formats: those of libraries become
DataError, and no message quotes personal data."""

from __future__ import annotations

import csv
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar

from finetune.errors import DataError, FinetuneError, first_line
from finetune.messages import Place, Sentence, phrase, problem, sentence
from finetune.text.shown import shown_problem

Found = TypeVar("Found")
LIBRARY_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError),
    *(OSError, RuntimeError, SyntaxError, TypeError, ValueError),
    *(csv.Error, struct.error, zipfile.BadZipFile, zlib.error),
)
"""Besides errors of their own, which readers translate: they name the expected kind of file."""


def explained_columns(columns_of: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """Return a function for the columns of a file, with library errors as DataError."""
    return explained_keys(columns_of)


def explained_keys(found: Callable[..., Found]) -> Callable[..., Found]:
    """Return a function for what is found in a file, with library errors as DataError."""

    @wraps(found)
    def look(file: Any, **stated: Any) -> Found:
        try:
            return found(file, **stated)
        except FinetuneError as error:
            raise _masked(error) from None
        except LIBRARY_ERRORS as error:
            raise _damaged(error, Place(file.name), after=False) from None

    return look


def explained(read: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Return a reader with library errors as DataError, at the last record."""

    @wraps(read)
    def records(files: Any, *, corpus: Any) -> Iterator[Any]:
        last: Place | None = None
        try:
            for record in read(files, corpus=corpus):
                last = record.place
                yield record
        except FinetuneError as error:
            raise _masked(error) from None
        except LIBRARY_ERRORS as error:
            first = Place(files[0].name if files else "")
            raise _damaged(error, last or first, after=last is not None) from None

    return records


def _damaged(error: BaseException, at: Place, *, after: bool) -> Exception:
    why: Sentence = phrase(f"{type(error).__name__}: {first_line(error, max_characters=120)}")
    if isinstance(error, MemoryError):
        why = sentence("it needs more memory than this machine has")
    if after:
        what = problem(
            "damaged-file",
            "the file cannot be read beyond here ({why}); open it in the program it comes from and "
            "save it again",
            at=at,
            why=why,
        )
    else:
        what = problem(
            "damaged-file",
            "the file cannot be read ({why}); open it in the program it comes from and save it "
            "again",
            at=at,
            why=why,
        )
    return DataError(shown_problem(what))


def _masked(error: FinetuneError) -> FinetuneError:
    """Return an error whose problems quote no personal data of the file."""
    return type(error)(*map(shown_problem, error.problems))
