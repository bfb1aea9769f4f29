"""Documents on disk while a corpus is prepared; only a few numbers of each stay in memory.

Everything is written once from beginning to end, and read back in order or one by one. Nothing
here outlives the stage: `Spool` deletes its folder, and what a kill leaves lies in a `.partial`.
"""

from __future__ import annotations

import json
import os
import shutil
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.prepare.reading.document import DIGEST_BYTES, SPLITS, Document, Split

_FIELDS = tuple(field.name for field in fields(Document))


@dataclass(frozen=True, slots=True)
class Kind:
    """Properties shared by many documents."""

    phase: str
    """The phase they belong to; those of others than the job's are only held against it."""
    card: str
    language: str
    form: str
    """Form of training (`Document.form`)."""


class Spool:
    """Owns a folder with the documents of a job; numbered 0, 1, ... in the order they came."""

    def __init__(self, folder: Path, *, phase: str) -> None:
        self.folder = folder
        self.phase = phase
        self.kinds: list[Kind] = []
        self._kind_numbers: dict[Kind, int] = {}
        self._offsets = array("Q", [0])
        self._sources = array("Q")  # of the hash of the source text, the first 8 bytes
        self._contents = array("Q")  # of the digest of the content, the first 8 bytes
        self._kinds = array("H")
        self._splits = bytearray()
        self._rejected = bytearray()
        self._text_counts = bytearray()
        self._digests_each = array("H")
        self._closing = ExitStack()
        folder.mkdir()
        self._documents = self._closing.enter_context((folder / "documents.jsonl").open("w+b"))
        self._digests = self._closing.enter_context((folder / "digests").open("w+b"))

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._closing.close()
        finally:
            shutil.rmtree(self.folder)

    def __len__(self) -> int:
        return len(self._sources)

    def add(self, document: Document, split: Split, *, phase: str) -> None:
        """Append a document. OSError if the disk is full."""
        kind = Kind(phase, document.card, document.language, document.form)
        line = json.dumps(
            [getattr(document, name) for name in _FIELDS],
            ensure_ascii=False,
            separators=(",", ":"),
            default=_plain,
        ).encode()
        self._documents.write(line + b"\n")
        self._digests.write(b"".join(sorted(document.text_digests)))
        self._offsets.append(self._offsets[-1] + len(line) + 1)
        self._sources.append(int(document.id[:16], 16))
        self._contents.append(int.from_bytes(document.content[:8], "big"))
        self._kinds.append(self._kind(kind))
        self._splits.append(SPLITS.index(split))
        self._rejected.append(0)
        self._text_counts.append(len(document.texts))
        self._digests_each.append(len(document.text_digests))

    def _kind(self, kind: Kind) -> int:
        if kind not in self._kind_numbers:
            self._kind_numbers[kind] = len(self.kinds)
            self.kinds.append(kind)
        return self._kind_numbers[kind]

    def split_of(self, number: int) -> Split:
        """Return the split of a document."""
        return SPLITS[self._splits[number]]

    def split_number(self, number: int) -> int:
        """Return the place in SPLITS of the split of a document."""
        return self._splits[number]

    def kind_number(self, number: int) -> int:
        """Return the place in `kinds` of what a document has in common with others."""
        return self._kinds[number]

    def text_count(self, number: int) -> int:
        """Return how many texts a document has (`Document.texts`)."""
        return self._text_counts[number]

    def text_counts(self) -> NDArray[np.uint8]:
        """Return for each document how many texts it has."""
        return np.frombuffer(self._text_counts, dtype=np.uint8)

    def kind_of(self, number: int) -> Kind:
        """Return what a document has in common with others."""
        return self.kinds[self._kinds[number]]

    def is_own(self, number: int) -> bool:
        """Return whether a document is of the job's own phase."""
        return self.kind_of(number).phase == self.phase

    def read(self, number: int) -> Document:
        """Return one document."""
        self._documents.flush()
        start, end = self._offsets[number], self._offsets[number + 1]
        return _document(os.pread(self._documents.fileno(), end - start, start))

    def drop(self, number: int) -> None:
        """Reject a document."""
        self._rejected[number] = 1

    def is_rejected(self, number: int) -> bool:
        """Return whether a document was rejected."""
        return self._rejected[number] == 1

    def standing(self) -> NDArray[np.bool_]:
        """Return for each document, of any phase, whether it was kept."""
        return np.frombuffer(self._rejected, dtype=np.uint8) == 0

    def left(self) -> NDArray[np.bool_]:
        """Return for each document whether it is of the job's own phase and was kept."""
        own_of_kind = np.array([kind.phase == self.phase for kind in self.kinds], dtype=bool)
        return np.asarray(own_of_kind[self.kind_numbers()] & self.standing(), dtype=bool)

    def documents(self, numbers: NDArray[np.bool_]) -> Iterator[tuple[int, Document]]:
        """Yield the documents that `numbers` selects (one truth value per document)."""
        self._documents.flush()
        with (self.folder / "documents.jsonl").open("rb") as file:
            for number, line in enumerate(file):
                if numbers[number]:
                    yield number, _document(line)

    def text_digests(self) -> Iterator[tuple[int, list[bytes]]]:
        """Yield each document's digests of texts that must not be in two splits."""
        self._digests.flush()
        with (self.folder / "digests").open("rb") as file:
            for number, count in enumerate(self._digests_each):
                data = file.read(count * DIGEST_BYTES)
                yield (
                    number,
                    [data[at : at + DIGEST_BYTES] for at in range(0, len(data), DIGEST_BYTES)],
                )

    def kind_numbers(self) -> NDArray[np.uint16]:
        """Return for each document its place in `kinds`."""
        return np.frombuffer(self._kinds, dtype=np.uint16)

    def split_numbers(self) -> NDArray[np.uint8]:
        """Return for each document its place in SPLITS."""
        return np.frombuffer(self._splits, dtype=np.uint8)

    def in_hash_order(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return numbers of documents (with repetitions) ordered by source, then by content.

        The order does not depend on that of cards or files, but for documents that are equal.
        """
        sources = np.frombuffer(self._sources, dtype=np.uint64)[numbers]
        contents = np.frombuffer(self._contents, dtype=np.uint64)[numbers]
        return np.lexsort((numbers, contents, sources))


def _plain(value: Any) -> Any:
    """Return what JSON has no word for as text."""
    if isinstance(value, frozenset):
        return sorted(digest.hex() for digest in value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"a document cannot hold a {type(value).__name__}")


def _document(line: bytes) -> Document:
    facts = dict(zip(_FIELDS, json.loads(line), strict=True))
    facts["content"] = bytes.fromhex(facts["content"])
    facts["text_digests"] = frozenset(map(bytes.fromhex, facts["text_digests"]))
    facts["pieces"] = tuple((text, wanted) for text, wanted in facts["pieces"])
    facts["names"] = tuple(facts["names"])
    return Document(**facts)
