"""The stage `base` for another model that a recipe names."""

from __future__ import annotations

import io

from finetune.artefacts.job import Job
from finetune.artefacts.results import BaseResult, parse_result
from finetune.models.base import run
from finetune.output.console import Console
from finetune.spec.recipe import Recipe
from finetune.spec.sections.compared_model import COMPARED
from tests.support.compared_models import write_translation_model


def test_a_compared_model_is_checked_and_kept_as_a_base_is(tmp_path) -> None:
    """The content of the artefact names the model; its own id and licence stand in the result."""
    folder = write_translation_model(tmp_path / "nllb")
    model = {"name": "nllb", "model": str(folder), "hub_id": "org/nllb", "licence": "cc-by-nc-4.0"}
    recipe = Recipe.model_validate(
        {
            "name": "toy",
            "base": {"model": "./model", "hub_id": "org/tiny", "licence": "apache-2.0"},
            "corpora": [{"card": "toy"}],
            "train": {"max_steps": 1, "batch_tokens": 512},
            "evaluate": {"models": [model]},
            "release": "none",
        }
    )
    workspace = tmp_path / "work"
    workspace.mkdir()
    console, phase = Console(out=io.StringIO()), recipe.training_phases[0]
    job = Job(recipe, phase, {}, {}, workspace, console, content={COMPARED: "nllb"})
    result = parse_result(run(job), BaseResult, path=workspace)
    assert (result.hub_id, result.licence) == ("org/nllb", "cc-by-nc-4.0")
    assert (workspace / "model/tokenizer.json").is_file()
