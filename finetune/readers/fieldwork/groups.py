"""Groups of what belongs together, by joining two at a time (union-find)."""

from __future__ import annotations


def root_of(owner: list[int], at: int) -> int:
    """Return the first member of a group; `owner`: one of its group for each member."""
    while owner[at] != at:
        owner[at] = owner[owner[at]]
        at = owner[at]
    return at


def join(owner: list[int], one: int, other: int) -> None:
    """Make the groups of two members one.

    >>> owner = [0, 1, 2]
    >>> join(owner, 1, 2)
    >>> [root_of(owner, at) for at in range(3)]
    [0, 1, 1]
    """
    first, second = sorted((root_of(owner, one), root_of(owner, other)))
    owner[second] = first
