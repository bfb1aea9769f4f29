"""The job of the stage `base`."""

from __future__ import annotations

import io
from pathlib import Path

from finetune.artefacts.job import Job
from finetune.output.console import Console
from finetune.spec.recipe import Recipe


def base_job(model: str, workspace: Path, **settings: str) -> Job:
    recipe = Recipe.model_validate(
        {
            "name": "r",
            "base": {"model": model, "hub_id": "org/base", "licence": "apache-2.0"} | settings,
            "corpora": [{"card": "c"}],
            "train": {"max_steps": 1},
            "release": {"repo": "org/adapter"},
        }
    )
    workspace.mkdir(exist_ok=True)
    return Job(recipe, recipe.training_phases[0], {}, {}, workspace, Console(out=io.StringIO()))
