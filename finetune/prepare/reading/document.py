"""What flows through the stage: a document for training, a rejection."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

Piece = tuple[str, bool]
"""Text, and whether its tokens are training targets."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A text that is not used, and why."""

    card: str
    language: str
    reason: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """One text, pair or conversation, ready to become tokens."""

    id: str
    """SHA-256 (hex) of the source text: decides the split. Translations of one sentence share
    it, whatever the language."""
    content: bytes
    """Digest of the whole content: exact duplicates share it."""
    sides: frozenset[bytes]
    """Digests of every text that must not be on two sides of a split."""
    card: str
    language: str
    where: str
    record: str
    """Hash of the record it was made from (finetune.spec.withdrawn.record_hash)."""
    contributor: str | None
    """Who gave the record, if the card has a column for that."""
    pieces: tuple[Piece, ...]
    splittable: bool
    """Whether it may be cut where a row ends (plain text only)."""
    learned: str
    """The text in `language` that is learned, without any mark-up: what is counted."""
    reference: str | None = None
    """The last answer (translation, chat)."""
    source: str | None = None
    """The text to translate, or the question."""
    direction: str | None = None
    """`eng_Latn>hau_Latn` for a translation."""

    @property
    def texts(self) -> tuple[str, ...]:
        """What copies are looked for in: what is learned, and what it answers or translates."""
        if self.source is None or self.source == self.learned:
            return (self.learned,)
        return (self.learned, self.source)

    @property
    def form(self) -> str:
        """How it is trained: only documents of one form can be duplicates of each other."""
        return self.direction or ("text" if self.source is None else "chat")

    @property
    def prompt(self) -> str | None:
        """What a model is given for `reference`, laid out: all that stands before it."""
        if self.reference is None:
            return None
        return "".join(text for text, _ in self.pieces[:-1])


def digest(*texts: str) -> bytes:
    """Return 16 bytes that stand for texts (BLAKE2b; the number of texts counts)."""
    hasher = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode()
        hasher.update(len(data).to_bytes(8, "little"))
        hasher.update(data)
    return hasher.digest()


def text_id(text: str) -> str:
    """Return the SHA-256 (hex) of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()
