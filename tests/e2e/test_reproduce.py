"""A published release, made again on a machine that has nothing but its texts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from finetune.cli import main
from tests.support.hub_server import HubServer
from tests.support.project import RECIPE, write_project
from tests.support.provenance_folder import change
from tests.support.published import snapshot
from tests.support.surroundings import Inside, Variables

REPO, WEIGHTS = "org/tiny-lora", "adapter_model.safetensors"


@dataclass
class Published:
    """A release on a hub, and what its maker keeps."""

    hub: HubServer
    texts: Path
    release: Path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("maker")
    recipe = write_project(folder)
    with HubServer() as hub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_TOKEN", hub.token("org"))
        patch.setenv("HF_HOME", str(folder / "hf"))
        patch.chdir(folder)
        commit = hub.add("org/tiny-base", snapshot(folder / "model"))
        text = RECIPE.replace("  model: ./model\n  hub_id: org/tiny-base", "  model: org/tiny-base")
        recipe.write_text(text.replace(f'"{"0" * 39}1"', f'"{commit}"'))
        assert main(["run", "recipes/tiny.yaml"]) == 0
        assert main(["publish", "recipes/tiny.yaml", "--hub", "huggingface"]) == 0
        [release] = (folder / ".finetune/release").iterdir()
        shutil.copytree(release, folder / "kept")
        shutil.rmtree(folder / ".finetune")
        shutil.rmtree(folder / "model")
        yield Published(hub, folder / "data_cards", folder / "kept")


@pytest.fixture
def here(published: Published, tmp_path: Path, inside: Inside, variables: Variables) -> Path:
    """Return the folder of another person, who has access to the hub."""
    inside(tmp_path)
    variables(
        HF_ENDPOINT=published.hub.url,
        HF_TOKEN=published.hub.token("org"),
        HF_HOME=str(tmp_path / "hf"),
    )
    return tmp_path


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
def test_a_release_of_the_hub_made_again_in_an_empty_store_has_the_same_weights(
    published: Published, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Base from the hub, texts by their checksums: every key, count, score and byte is equal."""
    assert main(["reproduce", REPO, "--files", str(published.texts), "--json"]) == 0
    lines = [one for one in records(capsys) if one.get("table") == "comparison"]
    assert {one["state"] for one in lines} == {"equal"}
    said = [one["what"] for one in lines]
    assert [what for what in said if what.startswith("key of ")] == [
        f"key of {stage}" for stage in ("base", "prepare", "train", "baseline", "evaluate")
    ]
    assert f"bytes of {WEIGHTS}" in said
    assert any("bits per byte" in what for what in said)
    work = here / "reproduced-tiny-lora"
    [made] = (work / "store/train").glob(f"*/adapter/{WEIGHTS}")
    assert made.read_bytes() == published.hub.files(REPO)[WEIGHTS]


@pytest.mark.slow
def test_another_recipe_than_that_of_the_release_is_seen_before_anything_is_computed(
    published: Published, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder whose recipe has another learning rate, with checksums that hold."""
    release = here / "other"
    shutil.copytree(published.release, release)
    change(release, "recipe.json", lambda recipe: recipe["train"].update(learning_rate=1e-3))
    arguments = ["reproduce", str(release), "--files", str(published.texts)]
    assert main([*arguments, "--json"]) == 2
    [error] = [one for one in records(capsys) if one["record"] == "error"]
    assert {one["code"] for one in error["problems"]} == {"other-key"}
    assert {one["facts"]["stage"] for one in error["problems"]} == {"train", "evaluate"}
    assert not (here / "reproduced-other/store").exists()
