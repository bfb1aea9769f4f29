"""Encoded segments on disk, for packed sequences; a few numbers of each stay in memory.

A segment is a document, or a part of one that was split. n tokens per segment, S segments.
"""

from __future__ import annotations

import os
from array import array
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from finetune.models.encode import Encoded

_TOKEN = np.dtype("<u4")


class Tokens:
    """Owns a file of segments, numbered 0, 1, ... in the order they came."""

    def __init__(self, path: Path) -> None:
        self._closing = ExitStack()
        self._file = self._closing.enter_context(path.open("w+b"))
        self._offsets = array("Q", [0])
        self._documents = array("Q")
        self._lengths = array("I")
        self._supervised_tokens = array("I")
        self._supervised_bytes = array("I")

    def __enter__(self) -> Tokens:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.close()

    def __len__(self) -> int:
        return len(self._documents)

    def add(self, encoded: Encoded, *, document: int) -> None:
        """Append a segment of a document (its number in the spool). OSError if the disk is full."""
        data = encoded.tokens_n.astype(_TOKEN).tobytes() + encoded.supervised_n.tobytes()
        self._file.write(data)
        self._offsets.append(self._offsets[-1] + len(data))
        self._documents.append(document)
        self._lengths.append(len(encoded.tokens_n))
        self._supervised_tokens.append(int(encoded.supervised_n.sum()))
        self._supervised_bytes.append(encoded.supervised_bytes)

    def flush(self) -> None:
        """Write out what is still in memory; needed once between the last `add` and `read`."""
        self._file.flush()

    def read(self, segment: int) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """Return a segment's tokens_n and supervised_n.

        Not through a memory map, so that what was read does not count as memory in use.
        """
        start, length = self._offsets[segment], self._lengths[segment]
        data = os.pread(self._file.fileno(), self._offsets[segment + 1] - start, start)
        return (
            np.frombuffer(data, _TOKEN, count=length),
            np.frombuffer(data, np.uint8, offset=length * _TOKEN.itemsize),
        )

    @property
    def documents_S(self) -> NDArray[np.uint64]:
        """The document of each segment."""
        return np.frombuffer(self._documents, dtype=np.uint64)

    @property
    def lengths_S(self) -> NDArray[np.uint32]:
        """Tokens of each segment."""
        return np.frombuffer(self._lengths, dtype=np.uint32)

    @property
    def supervised_tokens_S(self) -> NDArray[np.uint32]:
        """Targets in each segment."""
        return np.frombuffer(self._supervised_tokens, dtype=np.uint32)

    @property
    def supervised_bytes_S(self) -> NDArray[np.uint32]:
        """UTF-8 bytes of text that the targets spell."""
        return np.frombuffer(self._supervised_bytes, dtype=np.uint32)
