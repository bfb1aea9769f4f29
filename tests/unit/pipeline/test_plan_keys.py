"""The keys of all shipped recipes: what exists is found again after a change of code."""

from __future__ import annotations

import json
import os
from pathlib import Path

from finetune.pipeline import plan
from finetune.spec.load import load_project

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "tests/golden/plan_keys.json"
"""Stage and key of every step. It changes only with a stage version or a field of a card or recipe,
in one commit with a line in the CHANGELOG: FINETUNE_WRITE_GOLDEN=1 pytest -k keys_of_shipped"""


def test_the_keys_of_shipped_recipes_are_those_that_were_written_down() -> None:
    """No artefact of a shipped recipe is computed anew because code moved or was rewritten."""
    found = {
        path.name: [f"{step.stage.name}/{step.key}" for step in plan.steps_of(load_project(path))]
        for path in sorted(ROOT.glob("recipes/*.yaml"))
    }
    if os.environ.get("FINETUNE_WRITE_GOLDEN"):
        KEPT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    kept = json.loads(KEPT.read_text("utf-8"))
    changed = {name: keys for name, keys in found.items() if kept.get(name) != keys}
    assert not changed
    assert found.keys() == kept.keys()
