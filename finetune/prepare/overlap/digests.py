"""A set of digests in a fifth of the memory of Python's own.

Digests with the same first two bytes stand behind each other in one byte array, which is searched
as a whole. Measured with a million: 21 bytes a digest and 1.4 µs to look one up and add it, where
`set[bytes]` takes 91 to 150 bytes and 0.3 µs.
"""

from __future__ import annotations

DIGEST_BYTES = 16
_PREFIX_BYTES = 2
_REST_BYTES = DIGEST_BYTES - _PREFIX_BYTES


class Digests:
    """Digests of 16 bytes that were seen; like a set, but nothing is ever removed."""

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
