"""Opening of an adapter: what a folder or repository states is found, and anything else refused."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.api.adapters.open_adapter import open_adapter
from finetune.artefacts.adapter_source import AdapterSource
from finetune.errors import InputError, RecipeError, ReleaseError, StoreError
from finetune.output.console import Console
from finetune.pipeline.store import Store
from tests.support.adapter_folder import CARD, COMMIT, files_of, write_peft, write_release
from tests.support.hub_server import HubServer
from tests.support.stored_base import store_base
from tests.support.surroundings import Variables
from tests.support.tiny import write_tiny_model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `base/model` and `train/adapter`, which names `org/base` at a commit."""
    return write_peft(tmp_path_factory.mktemp("made"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store."""
    return Store(tmp_path / "store")


@pytest.fixture
def hub(variables: Variables, tmp_path: Path) -> Iterator[HubServer]:
    """A server that speaks the Hub's protocol."""
    with HubServer() as server:
        variables(HF_ENDPOINT=server.url, HF_HOME=str(tmp_path / "hf"))
        yield server


def opened(source: str | Path, store: Store, **settings: Path) -> AdapterSource:
    return open_adapter(source, store=store, console=Console(out=io.StringIO()), **settings)


def test_a_release_states_its_prompts_licence_and_languages(made, store, tmp_path) -> None:
    """Its base is found by the checksum of the weights, whatever the store calls it."""
    kept = store_base(store, made / "base/model", hub_id="another/name")
    source = opened(write_release(made, tmp_path / "r"), store)
    assert source.base == kept.path / "model"
    assert (source.name, source.base_id) == ("amina/hausa-lora", "tiny/base")
    assert (source.chat_template, source.system_prompt) == ("chatml", "none")
    assert (source.licence, source.languages) == ("cc-by-4.0", ("hau_Latn",))
    assert {"README.md", "NOTICE", "provenance/recipe.json"} <= set(source.shipped)


def test_a_plain_peft_folder_names_its_base_by_commit(made, store) -> None:
    """The base of another commit in the store is not taken for it; nothing else is known."""
    other = write_tiny_model(store.root.parent / "other", hidden_size=32)
    wanted = store_base(store, made / "base/model", hub_id="org/base", revision=COMMIT)
    store_base(store, other, hub_id="org/base", revision="b" * 40)
    source = opened(made / "train", store)
    assert source.base == wanted.path / "model"
    assert (source.recipe, source.chat_template, source.languages) == (None, None, ())


def test_a_base_can_be_named(made, store) -> None:
    """The case of a base that is neither in the store nor on a hub."""
    assert opened(made / "train/adapter", store, base=made / "base").base == made / "base/model"


def test_another_base_than_that_of_the_release_is_refused(made, store, tmp_path) -> None:
    """Of the same architecture, so that only the checksums tell."""
    other = Path(shutil.copytree(made / "base/model", tmp_path / "other"))
    content = (other / "model.safetensors").read_bytes()
    (other / "model.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ReleaseError) as refused:
        opened(write_release(made, tmp_path / "r"), store, base=other)
    assert refused.value.codes == ("not-the-base-of-the-adapter",)


def test_a_release_whose_weights_were_changed_is_refused(made, store, tmp_path) -> None:
    """By the list of checksums; a card that people edited is no such change."""
    store_base(store, made / "base/model", hub_id="tiny/base")
    folder = write_release(made, tmp_path / "r")
    (folder / "README.md").write_text(CARD + "More.\n")
    opened(folder, store)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 99}))
    with pytest.raises(ReleaseError) as refused:
        opened(folder, store)
    assert refused.value.codes == ("adapter-not-as-released",)


@pytest.mark.parametrize(
    ("named", "code"),
    [("nothing here", "no-such-adapter"), ("empty", "no-adapter-in-folder")],
)
def test_what_is_no_adapter_is_refused_in_words(named, code, store, tmp_path) -> None:
    """No recipe, no adapter, no name on the Hub."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError) as refused:
        opened(tmp_path / named, store)
    assert refused.value.codes == (code,)


def test_an_adapter_of_the_hub_is_opened_at_its_commit_and_then_offline(
    hub, made, store, variables
) -> None:
    """With its base from the Hub, and the card; the second time without any request."""
    base = hub.add("org/base", files_of(made / "base/model"))
    adapter = files_of(made / "train/adapter")
    config = json.loads(adapter["adapter_config.json"]) | {"revision": base}
    adapter["adapter_config.json"] = json.dumps(config).encode()
    commit = hub.add("amina/lora", adapter | {"evil.py": b"import os", "optimizer.pt": b"x"})
    source = opened("amina/lora", store)
    assert (source.name, source.commit, source.base_revision) == ("amina/lora", commit, base)
    assert source.licence == "cc-by-4.0"
    assert {"evil.py", "optimizer.pt"}.isdisjoint(files_of(source.adapter))
    hub.requests.clear()
    variables(HF_HUB_OFFLINE="1")
    assert opened(f"amina/lora@{commit}", store).base == source.base
    assert hub.requests == []


def test_offline_the_message_names_the_commit_that_is_here(hub, made, store, variables) -> None:
    """The newest commit cannot be asked for then."""
    store_base(store, made / "base/model", hub_id="org/base", revision=COMMIT)
    commit = hub.add("amina/lora", files_of(made / "train/adapter"))
    opened("amina/lora", store)
    variables(HF_HUB_OFFLINE="1")
    with pytest.raises(StoreError) as refused:
        opened("amina/lora", store)
    assert refused.value.codes == ("no-network", "name-the-commit")
    assert f"amina/lora@{commit}" in str(refused.value)


def test_pickled_weights_are_not_fetched(hub, made, store) -> None:
    """They can run code when they are opened."""
    config = (made / "train/adapter/adapter_config.json").read_bytes()
    hub.add("amina/lora", {"adapter_config.json": config, "adapter_model.bin": b"pickle"})
    with pytest.raises(InputError) as refused:
        opened("amina/lora", store)
    assert refused.value.codes == ("adapter-without-safetensors",)
    assert not list(store.root.rglob("*.bin"))
