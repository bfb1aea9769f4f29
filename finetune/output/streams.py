"""Standard streams: closed, full, or in another encoding."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_HANDLER = "finetune.escaped"


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""Write what an encoding does not have as \uXXXX, which JSON reads as well."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (units[i : i + 2] for i in range(0, len(units), 2))
    return "".join(f"\\u{pair.hex()}" for pair in pairs), error.end


def prepare_streams() -> None:
    """Make every stream one that can be written to.

    A closed one (`>&-`) becomes the null device: its number would go to the next file that is
    opened, and what is printed would go into that file. A letter that the encoding does not have
    is escaped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, _null(number, mode="r" if number == 0 else "w"))
    codecs.register_error(_HANDLER, _escaped)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _watched(sys.stdout)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_HANDLER)


def output_failure() -> OSError | None:
    """Return why standard output could not be written to; None if all was written.

    BrokenPipeError: its reader has ended, as in `finetune runs | head -1`.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    except ValueError:  # closed by the program itself
        return None
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, _WatchedFile) else None


def give_up_output() -> None:
    """Let nothing more be written to streams that fail, so that Python ends in silence."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)
                stream.flush()


class _WatchedFile(io.FileIO):
    """Remembers a failed write: the handler of the error may not know the file."""

    failure: OSError | None = None

    def write(self, data: Buffer, /) -> int:
        """Write bytes; return how many were written."""
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            raise


def _watched(stream: Any) -> Any:
    try:
        raw = _WatchedFile(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, line_buffering=stream.isatty()
    )


def _null(number: int, *, mode: str) -> IO[str]:
    """Open the null device as a standard stream, under the number that the stream has."""
    flags = os.O_RDONLY if mode == "r" else os.O_WRONLY
    descriptor = os.open(os.devnull, flags)
    if descriptor != number:
        os.dup2(descriptor, number)
        os.close(descriptor)
    return open(number, mode, encoding="utf-8", closefd=False)
