"""A small project whose base is a folder of placeholder files, with a site: planned, never run.

Nothing of it needs torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.support.small_recipe import CARD, RECIPE

SITE = """\
name: here
description: A cluster.
sbatch: ["#SBATCH --partition=batch"]
train: {time_limit: "04:00:00"}
debug: {sbatch: ["#SBATCH --partition=short"], steps: 2}
"""
WORDS = "benn\nñaar\nñett\n"


def write_light_project(folder: Path) -> Path:
    """Write model folder, card, recipe and site; return the recipe's path."""
    (folder / "model").mkdir(parents=True)
    (folder / "model/config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    (folder / "model/tokenizer.json").write_text("{}", encoding="utf-8")
    (folder / "model/model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (folder / "data_cards").mkdir()
    (folder / "data_cards/words.txt").write_text(WORDS, encoding="utf-8")
    checksum = hashlib.sha256(WORDS.encode()).hexdigest()
    (folder / "data_cards/words.md").write_text(CARD.replace("0" * 64, checksum), "utf-8")
    (folder / "recipes").mkdir()
    recipe = folder / "recipes/tiny.yaml"
    recipe.write_text(
        RECIPE.replace("model: org/model", "model: ./model\n  hub_id: org/model"), "utf-8"
    )
    (folder / "site.yaml").write_text(SITE, encoding="utf-8")
    return recipe
