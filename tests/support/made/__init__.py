"""Files of many formats, written by hand with a seed, whose texts are known.

Each text has a mark of its own (`u17`), so that a search through the raw bytes counts the texts of
a file without the product and without a library that reads the format.
"""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_MARK = re.compile(r"u\d+z")
_WORDS = ("Benn", "ñaar", "ɓera", "ƙofa", "ᱥᱟᱱᱛᱟᱲ", "نن", "tɔ́nnɛ", "waaw,", "déet.", "kër")


@dataclass
class Made:
    """A file, the card's corpus block, and what must be read of it."""

    block: dict[str, Any]
    data: bytes = b""
    records: list[dict[str, Any]] = field(default_factory=list)
    """Fields of the records in order."""
    left: list[tuple[str, str]] = field(default_factory=list)
    """(reason, text) of what is rejected."""


class Texts:
    """Texts, each with a mark that no other has."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.made = 0

    def next(self) -> str:
        """Return a new text of some words."""
        self.made += 1
        words = [self.rng.choice(_WORDS) for _ in range(self.rng.randint(1, 4))]
        words.insert(self.rng.randint(0, len(words)), f"u{self.made}z")
        return " ".join(words)


def marks_in(data: bytes) -> set[str]:
    """Return the marks in the bytes of a file, or of the members of an archive."""
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {mark for name in archive.namelist() for mark in marks_in(archive.read(name))}
    codec = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    return set(_MARK.findall(data.decode(codec, "replace")))


def marks_of(texts: list[str]) -> Counter[str]:
    """Return how often each mark stands in texts."""
    return Counter(mark for text in texts for mark in _MARK.findall(text))
