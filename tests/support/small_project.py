"""A project of a recipe, a card and a random base that no stage needs long for."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.support.small_model import write_small_model
from tests.support.small_recipe import CARD, RECIPE


def write_small_project(folder: Path) -> Path:
    """Write a recipe with a local base and one card, whose title no old encoding has."""
    for name in ("data_cards", "recipes", "model"):
        (folder / name).mkdir()
    words = "benn\nñaar\n".encode()
    (folder / "data_cards/words.txt").write_bytes(words)
    card = CARD.replace("0" * 64, hashlib.sha256(words).hexdigest())
    card = card.replace("  contact: someone\n", "  not_established: [who wrote ƙ and 𞤀]\n")
    (folder / "data_cards/words.md").write_text(card, encoding="utf-8")
    recipe = RECIPE.replace("model: org/model", "model: ./model\n  hub_id: org/model")
    (folder / "recipes/r.yaml").write_text(recipe)
    write_small_model(folder / "model")
    return folder
