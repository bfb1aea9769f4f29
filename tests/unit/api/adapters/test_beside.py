"""Adapters beside that of a recipe: only on the same base, by the surest fact recorded of it."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finetune.api.adapters.beside import adapters_beside
from finetune.artefacts.job import Artifact
from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.sources.weight_index import weights_sha256
from finetune.spec.sections.base_model import Base
from tests.support.stored_base import store_base
from tests.support.tiny import write_tiny_model
from tests.support.trained_adapter import write_trained

COMMIT = "1" * 40


@dataclass(frozen=True)
class _Place:
    store: Store
    base: Artifact
    adapter: Path

    def beside(self, *words: str) -> dict[str, Any]:
        section = Base(model="./base", hub_id="org/base", revision=COMMIT, licence="mit")
        project: Any = SimpleNamespace(recipe=SimpleNamespace(base=section))
        console = Console(out=io.StringIO())
        return adapters_beside(
            words, project=project, base=self.base, store=self.store, console=console
        )


@pytest.fixture
def place(tmp_path: Path) -> _Place:
    """Return a store with a base, and a copy of an adapter on it that records no base's bytes."""
    base, adapter = write_trained(tmp_path / "trained", new_tokens=False)
    store = Store(tmp_path / "store")
    return _Place(store, store_base(store, base, hub_id="org/base", revision=COMMIT), adapter)


def record(folder: Path, sums: dict[str, str]) -> None:
    """Write what a release states of its base."""
    stated = {"base": {"repo": "org/base", "revision": COMMIT, "weights_sha256": sums}}
    (folder / "training_data.json").write_text(json.dumps(stated), encoding="utf-8")


def test_the_checksums_of_the_base_decide(place: _Place, tmp_path: Path) -> None:
    """With those of this base an adapter is taken, with others it is refused, whatever the name."""
    record(place.adapter, weights_sha256(place.base.path / "model"))
    assert place.beside(f"two={place.adapter}")["two"].adapter == place.adapter
    write_tiny_model(tmp_path / "other", initializer_range=0.1)
    record(place.adapter, weights_sha256(tmp_path / "other"))
    with pytest.raises(RecipeError) as refused:
        place.beside(f"two={place.adapter}")
    assert refused.value.codes == ("adapter-on-other-base",)


def test_without_checksums_key_or_name_and_commit_decide(place: _Place) -> None:
    """The key of the base in the store before the name that an adapter gives it."""
    assert place.beside(f"two={place.adapter}")
    manifest = place.adapter.parent / "manifest.json"
    for key, fits in ((place.base.key, True), ("0" * 16, False)):
        manifest.write_text(json.dumps({"inputs": {"base": f"base/{key}"}}), encoding="utf-8")
        if fits:
            assert place.beside(f"two={place.adapter}")
        else:
            with pytest.raises(RecipeError):
                place.beside(f"two={place.adapter}")
    manifest.unlink()
    config = place.adapter / "adapter_config.json"
    text = config.read_text("utf-8").replace("org/base", "org/elsewhere")
    config.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as refused:
        place.beside(f"two={place.adapter}")
    assert refused.value.codes == ("adapter-on-other-base",)
    assert refused.value.problems[0].facts["theirs"] == "org/elsewhere"


@pytest.mark.parametrize("word", ["two", "=x", "base=x", "adapter=x", "a.b=x", "a b=x"])
def test_a_name_is_needed_that_is_not_taken(place: _Place, word: str) -> None:
    """Systems of the recipe keep their names; a name is a word that can be typed."""
    with pytest.raises(RecipeError) as refused:
        place.beside(word)
    assert refused.value.codes == ("no-name-of-adapter",)


def test_a_name_is_used_once(place: _Place) -> None:
    shutil.copytree(place.adapter, place.adapter.with_name("copy"))
    with pytest.raises(RecipeError) as refused:
        place.beside(f"two={place.adapter}", f"two={place.adapter.with_name('copy')}")
    assert refused.value.codes == ("no-name-of-adapter",)
