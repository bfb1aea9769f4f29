"""Shards of a measurement that is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.evaluate.measurement import FOLDER, forget

pytestmark = pytest.mark.heavy


def test_nothing_of_a_measurement_is_left_behind(tmp_path: Path) -> None:
    """Neither its shards nor what a kill left of those that were being removed."""
    for name in (FOLDER, f"{FOLDER}.0123456789ab.removed"):
        (tmp_path / name / "base").mkdir(parents=True)
        (tmp_path / name / "base/0-00000.jsonl").write_text("{}\n")
    forget(tmp_path)
    forget(tmp_path)
    assert list(tmp_path.iterdir()) == []
