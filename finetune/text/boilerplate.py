"""Lines that stand at the head or foot of many texts: page headers, menus, copyright notices."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

EDGE_LINES = 3
"""How many lines at each end are looked at; a refrain in the middle is nobody's header."""
MAX_LINES = 1_000_000
"""Distinct lines that are remembered, about 100 bytes each; later new ones are not counted."""


@dataclass(slots=True)
class RepeatedLines:
    """Counts the first and last lines of the texts of a card, as they come.

    The first `limit` texts with a line keep it, so that nothing is lost altogether.
    """

    limit: int
    times: dict[int, int] = field(default_factory=dict)

    def without(self, text: str) -> str:
        """Return a text without such lines at its ends, and count those that it has."""
        if not self.limit or "\n" not in text:
            return text
        lines = text.split("\n")
        edges = {
            *range(min(EDGE_LINES, len(lines))),
            *range(max(0, len(lines) - EDGE_LINES), len(lines)),
        }
        seen = {at: key for at in edges if (key := self._key(lines[at])) is not None}
        often = {at for at, key in seen.items() if self.times.get(key, 0) >= self.limit}
        for key in set(seen.values()):
            if key in self.times or len(self.times) < MAX_LINES:
                self.times[key] = self.times.get(key, 0) + 1
        if not often:
            return text
        return "\n".join(line for at, line in enumerate(lines) if at not in often).strip()

    @staticmethod
    def _key(line: str) -> int | None:
        """Return a number for a line, the same whatever page number it has."""
        bare = "".join(c for c in line.casefold() if not c.isdigit()).strip()
        if not bare:
            return None
        return int.from_bytes(hashlib.blake2b(bare.encode(), digest_size=8).digest(), "little")
