"""Results from the training texts, kept for the parts and shards of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

MOST_BYTES = 2**31
"""As much as the n-gram model of one language may take."""


@dataclass(slots=True)
class Kept:
    """Values by key. Where they are too large together, those that were made first are dropped."""

    most_bytes: int = MOST_BYTES
    _found: dict[Hashable, tuple[Any, int]] = field(default_factory=dict, init=False)

    def get(self, key: Hashable, make: Callable[[], tuple[Any, int]]) -> Any:
        """Return the value of a key; `make()` gives it with its size in bytes.

        >>> kept = Kept(most_bytes=5)
        >>> [kept.get(key, lambda: (print("made"), 3)) for key in ("a", "a", "b", "a")]
        made
        made
        made
        [None, None, None, None]
        """
        if key not in self._found:
            value, size_bytes = make()
            while self._found and self._held() + size_bytes > self.most_bytes:
                del self._found[next(iter(self._found))]
            self._found[key] = value, size_bytes
        return self._found[key][0]

    def _held(self) -> int:
        return sum(size for _, size in self._found.values())
