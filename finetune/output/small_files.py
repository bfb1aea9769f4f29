"""Bounded reading of small files: regular files only, a size limit, validated JSON.

A file on disk may come from another version, another program or a stranger. Leases, manifests,
locks and lists of facts are read through here, so that none of them is trusted unchecked.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from finetune.messages import Sentence, sentence

MAX_BYTES = 4 * 2**20
_Model = TypeVar("_Model")


class UnreadableError(ValueError):
    """Fault of a file, without its path; its reader adds path and remedy."""

    @property
    def why(self) -> Any:
        """The reason: a sentence, or text."""
        return self.args[0]


def read_bytes(path: Path, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the content of a regular file (or of a link to one).

    The bound holds for what is read, not for the size that the system states: a device states 0.

    Raises:
        UnreadableError: a folder, pipe, device or socket, or more than `max_bytes`.
        OSError: not there, no permission, or the disk failed.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnreadableError(_larger(max_bytes))
    return content


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file (or a link to one) for reading; never waits for a pipe.

    Raises:
        UnreadableError: a folder, pipe, device or socket.
        OSError: not there, no permission, or the disk failed.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):  # before opening: that of a device can do something
        raise UnreadableError(sentence("is {kind}, not a file", kind=_kind(mode)))
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # never waits for a pipe's writer
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):  # changed since
        os.close(descriptor)
        raise UnreadableError(sentence("is {kind}, not a file", kind=_kind(mode)))
    return open(descriptor, "rb")  # noqa: PTH123, a descriptor has no path


def read_json(path: Path, model: type[_Model], *, max_bytes: int = MAX_BYTES) -> _Model:
    """Return the JSON of a file as a value of `model`: a pydantic model, dataclass or plain type.

    Raises:
        UnreadableError: as `read_bytes`; not UTF-8, not JSON, nested too deeply, or of another
            shape than the model, naming the place inside.
        OSError: as `read_bytes`.
    """
    return parse_json(read_bytes(path, max_bytes=max_bytes), model)


def parse_json(content: bytes | str, model: type[_Model]) -> _Model:
    """Return JSON as a value of `model`; UnreadableError as `read_json`.

    >>> parse_json('{"steps": 3}', dict[str, int])
    {'steps': 3}
    """
    try:
        value: _Model = _adapter(cast(Hashable, model)).validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(_key(str(part)) for part in first["loc"])
        said = first["msg"][:200]
        raise UnreadableError(f"{place}: {said}" if place else said) from None
    return value


@lru_cache(maxsize=64)
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def _key(name: str) -> str:
    """Spell a key that a stranger wrote, so that it cannot move the cursor."""
    return name if name.isprintable() and len(name) <= 80 else repr(name[:80])


def _kind(mode: int) -> Sentence:
    kinds = (
        (stat.S_ISDIR, sentence("a folder")),
        (stat.S_ISFIFO, sentence("a named pipe")),
        (stat.S_ISCHR, sentence("a device")),
        (stat.S_ISBLK, sentence("a device")),
        (stat.S_ISSOCK, sentence("a socket")),
    )
    return next((words for test, words in kinds if test(mode)), sentence("no regular file"))


def _larger(max_bytes: int) -> Sentence:
    if max_bytes >= 2**20:
        return sentence("is larger than {mib} MiB", mib=max_bytes // 2**20)
    return sentence("is larger than {size} bytes", size=max_bytes)
