"""A document for training: one text, pair or conversation; its digests and its split."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from finetune.artefacts.other_documents import HeldOut
from finetune.models.template import Piece
from finetune.prepare.step import Result, Step
from finetune.text.shown import masked
from finetune.text.spellings import one_spelling

DIGEST_BYTES = 16
PART_OF_DIGITS = 16
"""Hexadecimal digits of the hash of a document's name that its texts carry."""
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Document:
    """One text, pair or conversation, ready to become tokens."""

    id: str
    """SHA-256 (hex) of the source text in one spelling: decides the split. Translations of one
    sentence share it, whatever the language."""
    content: bytes
    """Digest of the whole content: exact duplicates share it."""
    text_digests: frozenset[bytes]
    """Digests of every text that must not be in two splits."""
    card: str
    language: str
    where: str
    record: str
    """Hash of the record it was made from (finetune.spec.withdrawn.record_hash)."""
    contributor: str | None
    """Contributor of the record, if the card has a column for that."""
    pieces: tuple[Piece, ...]
    splittable: bool
    """True if it may be cut where a row ends (plain text only)."""
    target: str
    """The text in `language` that is supervised, without any mark-up: what is counted."""
    reference: str | None = None
    """The last answer (translation, chat)."""
    source: str | None = None
    """The text to translate, or the question."""
    direction: str | None = None
    """`eng_Latn>hau_Latn` for a translation."""
    tested: bool | None = None
    """True: put into the test split by card or recipe; False: kept out; None: its hash decides."""
    names: tuple[str, ...] = ()
    """Names of people in its texts, if the card has a column for that."""
    part_of: str = ""
    """Hash of the name of the document (file, book, sheet) that its record is a part of."""
    held_out: HeldOut | None = None
    """Its document or card, if that is held out as a whole."""

    @property
    def shown(self) -> str:
        """Its texts as a person reads them in a list: source and target, one per line."""
        return "\n".join(text for text in (self.source, self.target) if text)

    @property
    def texts(self) -> tuple[str, ...]:
        """Text for deduplication: target, and the source that it answers or translates."""
        if self.source is None or self.source == self.target:
            return (self.target,)
        return (self.target, self.source)

    @property
    def form(self) -> str:
        """Form of training: only documents of one form can be duplicates of each other."""
        return self.direction or ("text" if self.source is None else "chat")

    @property
    def prompt(self) -> str | None:
        """Prompt for `reference`, in the chat format: everything before it."""
        if self.reference is None:
            return None
        return "".join(text for text, _ in self.pieces[:-1])


def digest(*texts: str) -> bytes:
    """Return 16 bytes that stand for texts (BLAKE2b; the number of texts counts)."""
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for text in texts:
        data = text.encode()
        hasher.update(len(data).to_bytes(8, "little"))
        hasher.update(data)
    return hasher.digest()


def text_id(text: str) -> str:
    """Return the SHA-256 (hex) of a text in UTF-8, in one of its equivalent spellings."""
    return hashlib.sha256(one_spelling(text).encode()).hexdigest()


def id_of(anchor: str) -> str:
    """Return the id of a document by the text that decides its split.

    A sentence that stands on two cards may be masked on one of them only, because numbers are
    those of the languages of a card. Its id is of the text with the numbers of all countries
    masked, so that it is the same on both.
    """
    return text_id(masked(anchor))


def place_of(text_hash: str) -> float:
    """Return the number in [0, 1) that the first 52 bits of a SHA-256 (hex) are.

    >>> place_of("8" + "0" * 63)
    0.5
    """
    return int(text_hash[:13], 16) / 16**13


def split_of(
    document_id: str, *, validation_share: float, test_share: float, tested: bool | None = None
) -> Split:
    """Return the split of a document; `document_id` is the SHA-256 (hex) of its source text.

    `tested`: whether it is in the test split, where card or recipe decide.

    It depends on that text alone: the same text falls into the same split in every recipe,
    whatever else is in the corpus, and however many languages it is translated into.

    It is a number in [0, 1): test below `test_share`, then validation, then
    train. A larger share only moves texts out of train, never from test into train.

    >>> split_of("0" * 64, validation_share=0.05, test_share=0.1)
    'test'
    """
    place = place_of(document_id)
    if place < test_share if tested is None else tested:
        return "test"
    # Counted from the other end, so that another test share does not move validation texts.
    return "validation" if place >= 1 - validation_share else "train"


def lowest_hashes(*, count: int, seed: int) -> Step:
    """Return the step that lets `count` documents pass: those of the lowest hash.

    The hash is of the source text, so the same sentences are chosen in every language. A heap of
    the lowest, so that what is not chosen never stays in memory.
    """

    def choose(documents: Iterator[Document]) -> Iterator[Result]:
        heap: list[tuple[int, bytes, int, Document]] = []
        for place, document in enumerate(documents):
            key = hashlib.sha256(f"{seed}:{document.id}".encode()).digest()
            # The place decides between equal documents, of which the earlier stays.
            entry = (-int.from_bytes(key, "big"), document.content, -place, document)
            if len(heap) < count:
                heapq.heappush(heap, entry)
            else:
                yield Result(heapq.heappushpop(heap, entry)[-1], "max-documents")
        for *_, document in sorted(heap, key=lambda entry: (-entry[0], entry[1], -entry[2])):
            yield Result(document)

    return choose
