"""The stage `base` for another model or adapter that a recipe names."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.results import BaseResult, parse_result
from finetune.errors import FinetuneError, RecipeError
from finetune.models.base import run
from finetune.output.console import Console
from finetune.sources.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from finetune.spec.recipe import Recipe
from finetune.spec.sections.compared_model import COMPARED
from tests.support.compared_models import write_translation_model
from tests.support.evaluate_job import write_adapter
from tests.support.hub_server import HubServer
from tests.support.problems import raises
from tests.support.results import base_result
from tests.support.surroundings import Variables
from tests.support.tiny import write_tiny_model


def job_of(tmp_path: Path, model: dict[str, Any]) -> Job:
    """Return the job that makes what stands beside the base `model` in the recipe."""
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
    inputs = {"base": Artifact("base", "b", tmp_path / "base", base_result())}
    return Job(recipe, phase, {}, inputs, workspace, console, content={COMPARED: model["name"]})


def test_a_compared_model_is_checked_and_kept_as_a_base_is(tmp_path) -> None:
    """The content of the artefact names the model; its own id and licence stand in the result."""
    folder = write_translation_model(tmp_path / "nllb")
    model = {"name": "nllb", "model": str(folder), "hub_id": "org/nllb", "licence": "cc-by-nc-4.0"}
    job = job_of(tmp_path, model)
    result = parse_result(run(job), BaseResult, path=job.workspace)
    assert (result.hub_id, result.licence) == ("org/nllb", "cc-by-nc-4.0")
    assert (job.workspace / "model/tokenizer.json").is_file()


def test_an_adapter_is_kept_alone_where_it_is_one_of_the_base(tmp_path) -> None:
    """Of a training run as of a release: its two files, and no second copy of the base."""
    write_tiny_model(tmp_path / "base/model")
    write_adapter(tmp_path / "run/adapter", scale=0.5)
    job = job_of(tmp_path, {"name": "old", "adapter": str(tmp_path / "run"), "licence": "mit"})
    result = parse_result(run(job), BaseResult, path=job.workspace)
    assert (result.hub_id, result.licence, result.source) == ("local/old", "mit", "folder adapter")
    assert {path.name for path in job.workspace.rglob("*") if path.is_file()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }


def test_an_adapter_on_a_model_of_its_own_is_kept_beside_it(tmp_path) -> None:
    """Both are checked, and the folder of the model is that of a base."""
    folder = tmp_path / "other"
    write_tiny_model(folder)
    write_adapter(tmp_path / "old", scale=0.5)
    model = {"name": "old", "model": str(folder), "hub_id": "org/other", "licence": "mit"}
    job = job_of(tmp_path, {**model, "adapter": str(tmp_path / "old")})
    assert parse_result(run(job), BaseResult, path=job.workspace).hub_id == "local/old"
    assert (job.workspace / "model/model.safetensors").is_file()
    assert (job.workspace / "adapter/adapter_model.safetensors").is_file()


def test_an_adapter_of_another_base_is_refused_when_it_is_fetched(tmp_path) -> None:
    """Not after base and adapter have been measured."""
    write_tiny_model(tmp_path / "base/model", hidden_size=32)
    write_adapter(tmp_path / "old", scale=0.5)
    job = job_of(tmp_path, {"name": "old", "adapter": str(tmp_path / "old")})
    with pytest.raises(RecipeError) as refused:
        run(job)
    assert refused.value.codes == ("adapter-of-another-base",)


def test_a_translation_model_takes_no_adapter(tmp_path) -> None:
    """Nothing here attaches one to an encoder-decoder."""
    folder = write_translation_model(tmp_path / "nllb")
    write_adapter(tmp_path / "old", scale=0.5)
    model = {"name": "nllb", "model": str(folder), "hub_id": "org/nllb", "licence": "mit"}
    with pytest.raises(RecipeError) as refused:
        run(job_of(tmp_path, {**model, "adapter": str(tmp_path / "old")}))
    assert refused.value.codes == ("unknown-kind",)


@pytest.fixture
def hub(variables: Variables, tmp_path: Path) -> Iterator[HubServer]:
    """A server that speaks the Hub's protocol."""
    with HubServer() as server:
        variables(HF_ENDPOINT=server.url, HF_HOME=str(tmp_path / "hf"))
        yield server


def test_an_adapter_of_the_hub_is_taken_at_its_commit(hub, tmp_path) -> None:
    """Not at what was uploaded later; its commit stands in the result, and nothing else is kept."""
    write_tiny_model(tmp_path / "base/model")
    write_adapter(tmp_path / "made", scale=0.5)
    made = tmp_path / "made"
    files = {name: (made / name).read_bytes() for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS)}
    sha = hub.add("org/old-lora", {**files, "README.md": b"# old"})
    (repo,) = hub.repos.values()
    repo.commit({**files, ADAPTER_WEIGHTS: b"another"}, "later")
    named = {"name": "old", "adapter": "org/old-lora", "adapter_revision": sha, "licence": "mit"}
    job = job_of(tmp_path, named)
    result = parse_result(run(job), BaseResult, path=job.workspace)
    assert (result.hub_id, result.revision) == ("org/old-lora", sha)
    assert result.source == f"Hub org/old-lora@{sha}"
    kept = {path.name: path.read_bytes() for path in job.workspace.rglob("*") if path.is_file()}
    assert kept == files


def test_a_pickled_adapter_of_the_hub_is_refused(hub, tmp_path) -> None:
    """Such weights can run code when they are loaded."""
    write_tiny_model(tmp_path / "base/model")
    write_adapter(tmp_path / "made", scale=0.5)
    config = (tmp_path / "made" / ADAPTER_CONFIG).read_bytes()
    sha = hub.add("org/old-lora", {ADAPTER_CONFIG: config, "adapter_model.bin": b"pickle"})
    named = {"name": "old", "adapter": "org/old-lora", "adapter_revision": sha, "licence": "mit"}
    with raises(FinetuneError, code="no-safetensors"):
        run(job_of(tmp_path, named))
    assert not list((tmp_path / "work").rglob("*.bin"))
