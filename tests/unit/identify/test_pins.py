"""A model file of the user is pinned by its checksum, and travels with the recipe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.cluster.bundle.bundle import Contents, write_bundle
from finetune.cluster.bundle.wheels import packages_of
from finetune.cluster.chain.snapshot import absolute
from finetune.errors import InputError, RecipeError
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.sources import lock as outside
from finetune.sources.lock import check_files
from finetune.spec.load import Project, load_project
from tests.support.fasttext_file import write_model
from tests.support.problems import raises
from tests.support.small_recipe import CARD, RECIPE
from tests.support.surroundings import Inside

pytest.importorskip("fasttext", reason="the extra `fasttext` is not installed")
WORDS = {"__label__wol_Latn": ["ab"], "__label__en": ["the"]}


@pytest.fixture
def project(tmp_path: Path, inside: Inside) -> Callable[[str], Project]:
    """Return a function from the path of a model file to a project whose recipe names it."""
    inside(tmp_path)
    Path("data_cards").mkdir()
    Path("data_cards/words.txt").write_text("benn\n")
    sha256 = hashlib.sha256(b"benn\n").hexdigest()
    Path("data_cards/words.md").write_text(CARD.replace("0" * 64, sha256))

    def made(path: str, sha256: str | None = None) -> Project:
        Path(path).parent.mkdir(exist_ok=True)
        actual = write_model(Path(path), WORDS)
        model = f"{{fasttext: {path}, sha256: '{sha256 or actual}'}}"
        text = f"prepare: {{identify: {{models: [{model}, franc]}}}}\n"
        Path("tiny.yaml").write_text(RECIPE + text)
        return load_project(Path("tiny.yaml"))

    return made


def test_a_key_holds_the_checksum_and_not_the_path(project: Callable[[str], Project]) -> None:
    """The same file in another place gives the same keys; another file gives others."""

    def prepare_key(loaded: Project) -> str:
        [step] = [s for s in steps_of(loaded) if s.stage.name == "prepare"]
        assert "one/a.bin" not in str(step.content)
        return step.key

    here, there = (prepare_key(project(f"{folder}/a.bin")) for folder in ("one", "two"))
    assert here == there
    changed = load_project(
        Path("tiny.yaml"), overrides=["prepare.identify.models=[franc, py3langid]"]
    )
    assert prepare_key(changed) != here


def test_the_lock_holds_versions_and_checksums(project: Callable[[str], Project]) -> None:
    """Language-identification models are pinned like every other download."""
    found = outside.identify_entries(project("models/a.bin"))
    assert found["language model franc"]["package"].startswith("pyfranc==")
    sha256 = hashlib.sha256(Path("models/a.bin").read_bytes()).hexdigest()
    assert found["language model a.bin"] == {"kind": "file", "sha256": sha256}


def test_another_file_than_the_recipe_says_is_refused_early(
    project: Callable[..., Project],
) -> None:
    """`check`, `submit` and `bundle` look at the file before anything starts."""
    with pytest.raises(InputError) as caught:
        check_files(project("models/a.bin", "1" * 64))
    [problem] = caught.value.problems
    assert (problem.code, problem.facts["stated"]) == ("wrong-checksum", "1" * 64)
    loaded = project("models/a.bin")
    Path("models/a.bin").unlink()
    with pytest.raises(InputError) as caught:
        check_files(loaded)
    [problem] = caught.value.problems
    assert (problem.code, problem.facts["path"]) == ("no-file", "models/a.bin")


def test_a_snapshot_names_the_file_where_it_is(project: Callable[[str], Project]) -> None:
    """The recipe of a chain finds the file from any folder."""
    recipe = absolute(project("models/a.bin").recipe)
    [model] = recipe.prepare.identify.files
    assert Path(model.fasttext).is_absolute()
    assert Path(model.fasttext).is_file()


def test_a_bundle_carries_the_file(project: Callable[[str], Project], tmp_path: Path) -> None:
    """It lies at the same relative path; one outside the project is refused."""
    opened = open_project(project("models/a.bin").path, purpose="bundle")
    contents = Contents(opened, steps=(), store=Store(tmp_path / "s"), site=None, wheels=False)
    write_bundle(tmp_path / "bundle", contents)
    copied = tmp_path / "bundle/project/models/a.bin"
    assert copied.read_bytes() == Path("models/a.bin").read_bytes()
    outside_of_it = str(tmp_path.parent / "outside.bin")
    elsewhere = open_project(project(outside_of_it).path, purpose="bundle")
    contents = Contents(elsewhere, steps=(), store=Store(tmp_path / "s"), site=None, wheels=False)
    with raises(RecipeError, code="outside-this-folder", path=outside_of_it):
        write_bundle(tmp_path / "other", contents)


def test_packages_that_models_need_are_among_the_wheels(
    project: Callable[[str], Project],
) -> None:
    """The reader of fastText files is an extra, and is packed where a recipe has such a file."""
    assert {"fasttext-predict", "pyfranc"} <= set(packages_of(project("models/a.bin")))
