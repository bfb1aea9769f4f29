"""The page on GPUs states what the code does."""

from __future__ import annotations

import os

from tests.support.gpu_matrix import PAGE, with_tables


def test_the_tables_are_those_of_the_code() -> None:
    """Write them anew with FINETUNE_WRITE_GOLDEN=1, and read the difference."""
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("FINETUNE_WRITE_GOLDEN") == "1":
        PAGE.write_text(with_tables(page), encoding="utf-8")
        page = with_tables(page)
    assert page == with_tables(page)
