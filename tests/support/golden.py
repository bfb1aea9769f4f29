"""Golden files: expected texts, rewritten where FINETUNE_WRITE_GOLDEN is 1."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden"


def assert_golden(name: str, text: str) -> None:
    """Fail unless a text is what the golden file `name` has."""
    path = FOLDER / name
    if os.environ.get("FINETUNE_WRITE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
