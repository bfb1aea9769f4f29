"""The folder `provenance` as a release writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.release.leaks import Private, scan
from finetune.release.provenance.card_facts import card_facts, card_sha256
from finetune.release.provenance.workplace import read_index
from finetune.release.provenance.write_provenance import NOT_INCLUDED
from finetune.spec.load import load_card
from tests.support.hostile_text import SECRETS
from tests.support.provenance_folder import KEYS, provenance_job, written
from tests.support.published import snapshot
from tests.support.release_job import RECIPE, card

USER, HOST, FOLDER = "aminatou", "node0427", "/lustre/project/x"
PRIVATE = Private((FOLDER,), (USER, HOST))
PUBLIC = ("amina/hausa-lora", f"{USER}@example.org")


def test_two_writings_of_the_same_release_are_the_same_bytes(tmp_path: Path) -> None:
    """Nothing in it depends on when or in which order it is written."""
    folders = [written(provenance_job(tmp_path / name)) for name in ("a", "b")]
    first, second = map(snapshot, folders)
    assert first == second
    assert {name for name in first if name.startswith("provenance/")} == {
        "provenance/SHA256SUMS",
        "provenance/data_cards/school-hau.md",
        "provenance/provenance.json",
        "provenance/recipe.json",
        *(f"provenance/manifests/{role}-{key}.json" for role, key in KEYS.items()),
        f"provenance/manifests/evaluate-{'f' * 16}.json",
    }


def test_an_index_says_what_went_in(tmp_path: Path) -> None:
    """Versions, commit, machine of the training, files of the base, cards and artefacts."""
    index = read_index(written(provenance_job(tmp_path)))
    assert index.trained_on["packages"] == {"torch": "2.13.0"}
    assert {"torch", "finetune-lowres"} <= set(index.packages)
    assert index.finetune.commit
    [base] = index.inputs
    assert (base.key, base.files) == ("base.model", {"model.safetensors": "a" * 64})
    assert {one.role: one.key for one in index.artefacts}["train"] == KEYS["train"]
    assert all(one.manifest for one in index.artefacts)


def test_a_card_of_open_access_reads_back_as_it_was(tmp_path: Path) -> None:
    """All that it states, and the text below."""
    job = provenance_job(tmp_path)
    folder = written(job)
    original = job.cards["school-hau"]
    read = load_card(folder / "provenance/data_cards/school-hau.md")
    assert card_facts(read) == card_facts(original)
    assert read.body == original.body or not original.body


@pytest.mark.parametrize(
    ("corpus", "why"),
    [
        ({"access": {"kind": "ask", "conditions": "CONDITIONS"}}, "restricted"),
        ({"permitted_uses": ["train-models", "publish-models"]}, "restricted"),
        ({"status": "withdrawn"}, "withdrawn"),
    ],
)
def test_a_restricted_card_is_named_and_not_shown(
    tmp_path: Path, corpus: dict[str, object], why: str
) -> None:
    """Id, licence and checksum stand there; nothing of the card, also not in manifests."""
    source = {"kind": "files", "files": [{"path": "SECRET-NAME.tsv", "sha256": "e" * 64}]}
    hidden = card("hidden", corpus=corpus | {"source": source, "contact": "CONTACT"})
    job = provenance_job(tmp_path, cards={"hidden": hidden, "school-hau": card()})
    folder = written(job)
    note = {one.card: one for one in read_index(folder).cards}["hidden"]
    assert (note.left_out, note.licence, note.sha256) == (why, "mit", card_sha256(hidden))
    files = snapshot(folder / "provenance")
    assert "data_cards/hidden.md" not in files
    words = ("SECRET-NAME", "CONTACT", "CONDITIONS")
    assert [n for n, c in files.items() if any(word.encode() in c for word in words)] == []
    content = json.loads(files[f"manifests/prepare-{KEYS['prepare']}.json"])["content"]["content"]
    assert content["cards"]["hidden"] == content["withdrawn"]["hidden"] == NOT_INCLUDED
    assert content["cards"]["school-hau"] != NOT_INCLUDED


def test_no_planted_user_host_folder_or_secret_is_in_any_byte(tmp_path: Path) -> None:
    """In recipe, card, manifest: replaced by signs; what people published on purpose stays."""
    token = SECRETS["Hugging Face"]
    planted = f"by {USER} on {HOST} in {FOLDER}/{USER}/base and /home/{USER}/x with {token}"
    spoken = card(body=f"{planted}\n", corpus={"contact": f"{USER}@example.org"})
    base = RECIPE["base"] | {"model": f"{FOLDER}/{USER}/base"}
    release = RECIPE["release"] | {"summary": planted}
    job = provenance_job(tmp_path, cards={spoken.name: spoken}, base=base, release=release)
    path = job.inputs["train"].path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"result": {planted: [planted]}}))
    folder = written(job, private=PRIVATE, public=PUBLIC)
    files = {p.name: p for p in (folder / "provenance").rglob("*") if p.is_file()}
    scan(files, private=PRIVATE, public=PUBLIC)
    for name, path in files.items():
        text = path.read_text().replace(PUBLIC[1], "")
        for word in (USER, HOST, FOLDER, token):
            assert word not in text, name
    recipe = json.loads(files["recipe.json"].read_text())
    assert recipe["base"]["model"] == "./inputs/base-model"
    assert "[folder]" in recipe["release"]["summary"]
    assert PUBLIC[1] in files["school-hau.md"].read_text()


def test_where_a_release_is_published_is_no_part_of_its_recipe(tmp_path: Path) -> None:
    """A folder hub on this machine is named nowhere."""
    publish = {"hub": "directory", "directory": "/srv/some/hub"}
    folder = written(provenance_job(tmp_path, publish=publish))
    assert "/srv/some/hub" not in (folder / "provenance/recipe.json").read_text()
