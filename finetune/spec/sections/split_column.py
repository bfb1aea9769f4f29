"""Column of a table with the split of each record."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from finetune.spec.section import Section

TEST_WORDS = frozenset({"test", "testing", "eval", "evaluation", "held-out", "heldout"})
OTHER_WORDS = frozenset(
    {"train", "training", "validation", "valid", "val", "dev", "devel", "development"}
)
"""Usual values of the records that are trained on, or chosen by."""


class SplitColumn(Section):
    """Column of a table with the split of each record."""

    column: str
    """Name of the column."""
    value: str = "test"
    """Its value in the records of the test split; case does not count."""
    others: list[str] = Field(default_factory=list)
    """All its other values. Default: `train`, `validation`, `dev` and their usual spellings. A
    record with another value is malformed, so that a misspelt one is never trained on."""

    def is_test(self, value: Any) -> bool | None:
        """Return whether a record of a value is one of the test; None for no value of the column.

        >>> split = SplitColumn(column="split")
        >>> split.is_test("Test "), split.is_test("dev"), split.is_test("tset")
        (True, False, None)
        """
        said = plain_value(value)
        if said == plain_value(self.value):
            return True
        return False if said in (set(map(plain_value, self.others)) or OTHER_WORDS) else None


def plain_value(value: Any) -> str:
    """Return a value for comparison: numbers and truth values too.

    >>> plain_value(" Test"), plain_value(True), plain_value(1.0)
    ('test', 'true', '1')
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(str(value).casefold().split())
