"""One claim about many cases, checked in one test that lists every case where it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

Case = TypeVar("Case")


def assert_every(
    cases: Iterable[Case], claim: Callable[[Case], None], *, name: Callable[[Case], str] = str
) -> None:
    """Call `claim` with each case; fail with the name and the reason of every one that raises.

    Fails without cases too: a claim about nothing is not checked.
    """
    failures: list[str] = []
    count = 0
    for case in cases:
        count += 1
        try:
            claim(case)
        except Exception as error:
            failures.append(f"{name(case)}: {type(error).__name__}: {error}")
    assert count, "there is no case"
    assert not failures, f"{len(failures)} of {count} cases fail:\n" + "\n".join(failures)
