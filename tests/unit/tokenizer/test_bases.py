"""A base is found where a recipe would find it; what is missing is reported, all at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.errors import RecipeError
from finetune.pipeline.store import Request, Store
from finetune.tokenizer.bases import open_bases
from tests.support.results import base_result
from tests.support.vocabularies import byte_fallback

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def folder(path: Path, *, config: dict[str, object] | None = None) -> Path:
    path.mkdir(parents=True)
    byte_fallback().save(str(path / "tokenizer.json"))
    if config is not None:
        (path / "config.json").write_text(json.dumps(config))
    return path


def fetched(store: Store, *, key: str, revision: str = COMMIT) -> None:
    def run(workspace: Path) -> dict[str, object]:
        folder(workspace / "model", config={"max_position_embeddings": 2048})
        return base_result(hub_id="org/model", source=f"Hub org/model@{revision}")

    request = Request(stage="base", key=key, name="test", content={}, inputs={})
    store.build(request, run)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({"max_position_embeddings": 4096}, 4096),
        ({"text_config": {"max_position_embeddings": 512}}, 512),
        ({}, None),
        (None, None),
    ],
)
def test_a_folder_gives_tokenizer_and_context(tmp_path, store, config, context):
    """The context is what config.json states, at its top or of its text model, or unknown."""
    made = folder(tmp_path / "models" / "mine", config=config)
    [(name, one)] = open_bases([str(made)], store=store).items()
    assert name == one.name == "mine"
    assert one.context_tokens == context
    assert one.vocabulary.kind == "byte fallback"


def test_a_context_without_limit_is_none(tmp_path, store):
    """transformers writes 10**30 where a tokenizer has no limit; that is no context."""
    made = folder(tmp_path / "mine")
    (made / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 10**30}))
    assert open_bases([str(made)], store=store)["mine"].context_tokens is None
    (made / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 1024}))
    assert open_bases([str(made)], store=store)["mine"].context_tokens == 1024


def test_a_hub_id_is_found_in_the_store(store):
    """By its id, or id and commit; the newest if only the id is given."""
    other = COMMIT[::-1]
    fetched(store, key="a" * 20, revision=other)
    fetched(store, key="b" * 20)
    bases = open_bases(["org/model", f"org/model@{other}"], store=store)
    assert bases["org/model"].source == f"Hub org/model@{COMMIT}"
    assert bases[f"org/model@{other}"].source == f"Hub org/model@{other}"
    assert bases["org/model"].context_tokens == 2048


def test_a_recipe_names_its_base(tmp_path, store):
    """The base of a recipe is audited, at its commit."""
    fetched(store, key="a" * 20)
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"name: r\nbase: {{model: org/model, revision: {COMMIT}, licence: mit}}\n"
        "corpora: [{card: c}]\ntrain: {max_steps: 1}\nrelease: {repo: o/r}\n"
    )
    assert list(open_bases([str(recipe)], store=store)) == ["org/model"]


def test_two_folders_of_one_name_keep_apart(tmp_path, store):
    """The second is shown as it was written."""
    one, two = folder(tmp_path / "a" / "model"), folder(tmp_path / "b" / "model")
    assert list(open_bases([str(one), str(two)], store=store)) == ["model", str(two)]


@pytest.mark.heavy
@pytest.mark.usefixtures("workdir")
def test_all_that_is_wrong_is_said_at_once(tmp_path, store):
    """Each base with what to do; nothing is opened by running code or going to a network."""
    empty = tmp_path / "empty"
    empty.mkdir()
    torn = folder(tmp_path / "torn")
    (torn / "tokenizer.json").write_text("{")
    (tmp_path / "weights.gguf").write_bytes(b"GGUF no")
    folder(tmp_path / "mine" / "model")
    fetched(store, key="a" * 20)
    names = ["./none", str(empty), str(torn), "mine/model", "org/modal", "./weights.gguf"]
    names += ["package:no-such-package/x.gguf", "./none.gguf"]
    with pytest.raises(RecipeError) as caught:
        open_bases(names, store=store)
    of_name = dict(zip(names, caught.value.problems, strict=True))
    assert {name: found.code for name, found in of_name.items()} == {
        "./none": "no-folder",
        str(empty): "no-tokenizer",
        str(torn): "damaged-model",
        "mine/model": "base-not-fetched",
        "org/modal": "base-not-fetched",
        "./weights.gguf": "damaged-tokenizer",
        "package:no-such-package/x.gguf": "package-missing",
        "./none.gguf": of_name["./none.gguf"].code,
    }
    assert all(str(found).startswith(f"--base {name}: ") for name, found in of_name.items())
    assert "write ./mine/model" in str(of_name["mine/model"])
    assert f"Hub models there: org/model@{COMMIT}" in str(of_name["org/modal"])
    assert "./none.gguf" in str(of_name["./none.gguf"]).removeprefix("--base ./none.gguf: ")
