"""Releases that cannot be made again: each input is named, and foreign ones lead nowhere."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import InputError, RecipeError
from finetune.release.provenance.reproduce import get_ready
from finetune.release.provenance.workplace import lay_recipe, read_index
from finetune.spec.withdrawn import add_withdrawn
from tests.support.hub_server import HubServer
from tests.support.problems import raises
from tests.support.provenance_folder import change, provenance_job, written
from tests.support.release_job import RECIPE, card

PAIRS = b"en\tha\nopen\tbude\n"


def card_with_text(name: str = "school-hau", **corpus: Any) -> Any:
    file = {"path": f"{name}.tsv", "sha256": hashlib.sha256(PAIRS).hexdigest()}
    return card(name, corpus=corpus | {"source": {"kind": "files", "files": [file]}})


@pytest.fixture
def release(tmp_path: Path) -> Path:
    hidden = card_with_text("asked", access={"kind": "ask", "conditions": "ask us"})
    gone = card_with_text("gone", status="withdrawn")
    cards = {one.name: one for one in (card_with_text(), hidden, gone)}
    corpora = [RECIPE["corpora"][0] | {"card": name} for name in cards]
    return written(provenance_job(tmp_path / "made", cards=cards, corpora=corpora))


def problems_of(release: Path, folder: Path, *files: Path, **options: bool) -> set[tuple[str, str]]:
    """Return (code, key) of each problem."""
    with pytest.raises(InputError) as refused:
        get_ready(release, folder, files=files, **options)
    return {(p.code, p.place.key if p.place else p.facts["name"]) for p in refused.value.problems}


def test_everything_that_cannot_be_had_is_named_at_once(release: Path, tmp_path: Path) -> None:
    """Texts, weights, a restricted card, a withdrawn one, versions; and nothing is computed."""
    found = problems_of(release, tmp_path / "work")
    versions = {(code, key) for code, key in found if code == "other-version"}
    assert found - versions == {
        ("card-restricted", "asked"),
        ("card-withdrawn", "gone"),
        ("input-not-given", "school-hau"),
        ("input-not-given", "base.model"),
    }
    assert ("other-version", "torch") in versions
    assert not (tmp_path / "work/store").exists()


def test_who_was_given_a_restricted_card_may_use_it(release: Path, tmp_path: Path) -> None:
    """The card is found by what it states, its texts by their checksum; another card is not."""
    given = tmp_path / "given"
    given.mkdir()
    (given / "any-name.txt").write_bytes(PAIRS)
    (given / "asked.md").write_text((release / "provenance/data_cards/school-hau.md").read_text())
    found = problems_of(release, tmp_path / "work", given, accept_versions=True)
    assert ("card-restricted", "asked") in found
    assert ("input-not-given", "school-hau") not in found

    from finetune.release.provenance.card_facts import card_facts, card_text

    hidden = card_with_text("asked", access={"kind": "ask", "conditions": "ask us"})
    (given / "asked.md").write_text(card_text(card_facts(hidden), "Other words below.\n"))
    found = problems_of(release, tmp_path / "work", given, accept_versions=True)
    assert found == {("card-withdrawn", "gone"), ("input-not-given", "base.model")}


def test_texts_that_were_withdrawn_since_are_not_trained_on(tmp_path: Path) -> None:
    """The maker's own folder has the texts, and a card with a longer withdrawal list."""
    cards = {"school-hau": card_with_text()}
    release = written(provenance_job(tmp_path / "made", cards=cards))
    given = tmp_path / "given"
    given.mkdir()
    (given / "pairs.tsv").write_bytes(PAIRS)
    path = given / "school-hau.md"
    path.write_text((release / "provenance/data_cards/school-hau.md").read_text())
    found = problems_of(release, tmp_path / "work", given, accept_versions=True)
    assert found == {("input-not-given", "base.model")}
    add_withdrawn(path, ["1" * 64], day=date(2026, 12, 1))
    found = problems_of(release, tmp_path / "work", given, accept_versions=True)
    assert found == {("input-not-given", "base.model"), ("withdrawn-since", "school-hau")}


def test_a_base_that_the_hub_does_not_have_is_named(tmp_path: Path, variables: Any) -> None:
    """With its key, beside the text that is missing."""
    base = {"model": "org/none", "revision": "1" * 40, "licence": "mit"}
    cards = {"school-hau": card_with_text()}
    release = written(provenance_job(tmp_path / "made", cards=cards, base=base))
    with HubServer() as hub:
        variables(HF_ENDPOINT=hub.url, HF_TOKEN=hub.token("me"), HF_HOME=str(tmp_path / "hf"))
        found = problems_of(release, tmp_path / "work", accept_versions=True)
    assert found == {("hub-not-found", "base.model"), ("input-not-given", "school-hau")}


def test_a_folder_with_something_else_is_left_alone(release: Path, tmp_path: Path) -> None:
    """No file of it is touched; the folder of the same release is continued in."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    with raises(InputError, code="folder-of-something-else"):
        get_ready(release, tmp_path / "mine", files=())
    for _ in range(2):
        problems_of(release, tmp_path / "work")
    change(release, "provenance.json", lambda index: index["packages"].clear())
    with raises(InputError, code="folder-of-something-else"):
        get_ready(release, tmp_path / "work", files=())


OUTSIDE: list[dict[str, Any]] = [
    {"base": {"model": "/etc/passwd.gguf"}},
    {"base": {"model": "./inputs/../../other.gguf"}},
    {"base": {"model": "~/model"}},
    {"evaluate": {"prompts": ["/etc/passwd"]}},
    {"evaluate": {"tasks": ["/etc/secret.yaml"]}},
    {"train": {"start_from": "/srv/model"}},
    {"prepare": {"evaluation_sets": [{"name": "x", "path": "/etc/hosts", "sha256": "0" * 64}]}},
]


@pytest.mark.parametrize("settings", OUTSIDE, ids=str)
def test_no_path_of_a_foreign_recipe_leads_out_of_the_folder(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """It is refused by its key, before the file is opened."""
    release = written(provenance_job(tmp_path / "made"))

    def spoil(recipe: dict[str, Any]) -> None:
        for section, values in settings.items():
            recipe[section] |= values

    change(release, "recipe.json", spoil)
    (tmp_path / "work").mkdir()
    with raises(InputError, code="path-out-of-release"):
        lay_recipe(release, read_index(release), tmp_path / "work")


@pytest.mark.parametrize(
    "entry",
    [
        {"key": "base.model", "folder": "inputs/../..", "files": {}},
        {"key": "base.model", "folder": "/etc", "files": {}},
        {"key": "base.model", "folder": "inputs/a", "files": {"../../x": "0" * 64}},
        {"key": "base.model", "folder": "inputs/a", "files": {"x": "0" * 63}},
    ],
    ids=str,
)
def test_no_input_of_a_foreign_index_leads_out_of_the_folder(
    tmp_path: Path, entry: dict[str, Any]
) -> None:
    """The index is no index then."""
    release = written(provenance_job(tmp_path / "made"))
    change(release, "provenance.json", lambda index: index.update(inputs=[entry]))
    with raises(InputError, code="unreadable-provenance"):
        read_index(release)


def test_a_foreign_card_is_read_by_the_reader_of_cards(tmp_path: Path) -> None:
    """Its problems are named with file and key: a path that leaves its folder."""
    release = written(provenance_job(tmp_path / "made"))
    path = release / "provenance/data_cards/school-hau.md"
    path.write_text(path.read_text().replace("pairs.tsv", "../../../pairs.tsv"))
    change(release, "recipe.json", lambda _: None)
    with pytest.raises(InputError) as refused:
        get_ready(release, tmp_path / "work", files=(), accept_versions=True)
    assert "path-outside" in refused.value.codes


def test_what_leaves_the_machine_is_not_taken_over(tmp_path: Path) -> None:
    """Trackers, a hub and judgements of the recipe are switched off; training stays as it is."""
    release = written(provenance_job(tmp_path / "made", run={"trackers": ["wandb"], "threads": 2}))
    (tmp_path / "work").mkdir()
    path = lay_recipe(release, read_index(release), tmp_path / "work")
    recipe = json.loads(path.read_text())
    assert recipe["run"]["trackers"] == []
    assert recipe["run"]["threads"] == 2
    assert "publish" not in recipe
    assert recipe["base"]["model"] == str(tmp_path / "work/inputs/base-model")


def test_a_recipe_that_is_none_is_refused_by_its_place(tmp_path: Path) -> None:
    """With the key, as any recipe."""
    release = written(provenance_job(tmp_path / "made"))
    change(release, "recipe.json", lambda recipe: recipe.update(colour="red"))
    (tmp_path / "work").mkdir()
    with pytest.raises(RecipeError) as refused:
        lay_recipe(release, read_index(release), tmp_path / "work")
    assert refused.value.problems[0].place.key == "colour"
