"""Exact overlap: duplicates in a corpus, and held-out texts in training data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from finetune.prepare.reading.document import DIGEST_BYTES, digest
from finetune.prepare.reading.drafts import Draft
from finetune.prepare.reading.spool import Spool
from finetune.prepare.step import Decision, Result
from finetune.text.spellings import one_spelling

_PREFIX_BYTES = 2
_REST_BYTES = DIGEST_BYTES - _PREFIX_BYTES


class Seen(Protocol):
    """A set of digests that grows."""

    def __contains__(self, digest: bytes, /) -> bool:
        """Return whether a digest was added."""

    def add(self, digest: bytes, /) -> None:
        """Remember a digest."""


class Digests:
    """A set of digests in a fifth of the memory of Python's own.

    Digests with the same first two bytes stand behind each other in one byte array, which is
    searched as a whole. Measured with a million: 21 bytes per digest and 1.4 µs to look one up and
    add it, where `set[bytes]` takes 91 to 150 bytes and 0.3 µs.
    """

    def __init__(self) -> None:
        self._shelves: list[bytearray | None] = [None] * 256**_PREFIX_BYTES
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, digest: bytes) -> bool:
        shelf = self._shelves[digest[0] << 8 | digest[1]]
        if shelf is None:
            return False
        rest = digest[_PREFIX_BYTES:]
        at = shelf.find(rest)
        while at % _REST_BYTES and at >= 0:  # the end of one digest and the start of the next
            at = shelf.find(rest, at + 1)
        return at >= 0

    def add(self, digest: bytes) -> None:
        """Remember a digest. ValueError if it has another length."""
        if len(digest) != DIGEST_BYTES:
            raise ValueError(f"{digest.hex()}: not a digest of {DIGEST_BYTES} bytes")
        if digest in self:
            return
        number = digest[0] << 8 | digest[1]
        shelf = self._shelves[number]
        if shelf is None:
            shelf = self._shelves[number] = bytearray()
        shelf += digest[_PREFIX_BYTES:]
        self._count += 1


def once(seen: Seen, *, is_test: Callable[[Draft], bool]) -> Callable[[Draft], Result]:
    """Return the step that rejects a draft whose texts occurred before on the same side.

    The same text in two cards is one, whatever they say its language is, and so are equivalent
    spellings of it (finetune.text.spellings); the same pair in another direction is another. A copy
    for training of a text of the test (`is_test`) is left to `held_out`, so that the test keeps its
    texts in whatever order they come.
    """

    def look(draft: Draft) -> Result:
        use = draft.entry.use
        said = [
            *draft.roles,
            *map(one_spelling, draft.texts),
            *(["test"] if is_test(draft) else []),
        ]
        key = digest(use, *said) if use == "text" else digest(use, _source(draft), *said)
        if key in seen:
            return Result(draft, "duplicate")
        seen.add(key)
        return Result(draft)

    return look


def _source(draft: Draft) -> str:
    return str(draft.entry.corpus.source)


def held_out(spool: Spool) -> Iterator[Decision]:
    """Yield every document that would train on a held-out text, to be rejected.

    Two documents may share one text only (one translation of two English texts; a translation
    that is also a plain text of another phase), so that their hashes put them into different
    splits. No text of test, in any language or phase, stays in validation or train, and none of
    validation in train.
    """
    test = Digests()
    for number, digests in spool.text_digests():
        if spool.split_of(number) == "test":  # what is held out first keeps all its texts
            _remember(test, digests)
    validation = Digests()
    for number, digests in spool.text_digests():
        if spool.split_of(number) != "validation":
            continue
        if _meets(digests, test):  # no longer held out, in any phase
            yield Decision(number, "in-evaluation")
        else:
            _remember(validation, digests)
    for number, digests in spool.text_digests():
        in_train = spool.split_of(number) == "train"
        if in_train and (_meets(digests, test) or _meets(digests, validation)):
            yield Decision(number, "in-evaluation")


def _meets(digests: Iterable[bytes], held: Digests) -> bool:
    return any(digest in held for digest in digests)


def _remember(held: Digests, digests: Iterable[bytes]) -> None:
    for one in digests:
        held.add(one)
