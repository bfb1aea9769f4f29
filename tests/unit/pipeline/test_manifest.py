"""The manifest: no bit of it changes unseen, and nothing in it is believed unlooked-at."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune import __version__
from finetune.errors import StoreError
from finetune.output.small_files import UnreadableError
from finetune.pipeline.manifest import (
    MANIFEST,
    SCHEMA,
    NewerError,
    key_of,
    parse_manifest,
    read_manifest,
)
from finetune.pipeline.plan import STAGES
from finetune.pipeline.store import STAGE_FOLDERS, Store
from tests.support.artefacts import as_of_schema_1, finished
from tests.support.problems import raises

CONTENT = {"stage": "prepare", "content": {"name": "ɗan ƙasa"}}


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    folder = tmp_path / "my store" / "prepare" / key_of(CONTENT)
    folder.mkdir(parents=True)
    (folder / "a.npy").write_bytes(b"abc")
    return finished(folder, result={"loss": float("nan"), "n": 1e-05}, content=CONTENT)


def test_each_flipped_bit_of_a_manifest_is_noticed(artefact: Path) -> None:
    """One bit in every byte: it is unreadable, of a newer version, or its digest differs."""
    content, chance = (artefact / MANIFEST).read_bytes(), random.Random(0)
    assert parse_manifest(content).result["n"] == 1e-05
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << chance.randrange(8)
        with pytest.raises((UnreadableError, NewerError)):
            parse_manifest(bytes(flipped))


def edited(artefact: Path, **changes: object) -> None:
    path = artefact / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes, indent=1), "utf-8")


@pytest.mark.parametrize(
    "changes",
    [
        {"result": []},
        {"finished": "yesterday"},
        {"finished": 1e300},
        {"files": ["a"]},
        {"files": {"a.npy": {"size_bytes": "3", "sha256": ""}}},
        {"files": {"a.npy": {"size_bytes": -1, "sha256": "0" * 64}}},
        *({"files": {n: {"size_bytes": 1, "sha256": "0" * 64}}} for n in ("../x", "/etc/passwd")),
        *({"files": {n: {"size_bytes": 1, "sha256": "0" * 64}}} for n in ("a/../../x", "", "a//b")),
        {"files": {MANIFEST: {"size_bytes": 1, "sha256": "0" * 64}}},
        {"inputs": {"base": "../../base"}},
        {"key": 5},
        {"schema": 0},
        {"more": 1},
    ],
)
def test_a_manifest_of_another_shape_is_refused_with_the_way_out(artefact: Path, changes) -> None:
    """Wrong types, names that lead outside and unknown keys, without a digest to detect them."""
    as_of_schema_1(artefact, **changes)
    with raises(StoreError, code="unreadable-manifest", at=str(artefact)) as error:
        read_manifest(artefact)
    remedy = str(error.value.problems[0].facts["remedy"])
    assert f"--remove prepare/{artefact.name}" in remedy
    assert f"--store '{artefact.parents[1]}'" in remedy  # as a shell takes it


@pytest.mark.parametrize(
    "changes",
    [{"result": {}}, {"schema": 1}, {"digest": None}, {"digest": "0" * 64}, {"name": "x"}],
)
def test_what_was_edited_by_hand_is_refused(artefact: Path, changes) -> None:
    """Also where the digest was taken out, or an older schema is claimed."""
    edited(artefact, **changes)
    with raises(StoreError, code="unreadable-manifest", at=str(artefact)):
        read_manifest(artefact)


ODD: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "torn": lambda m: m[: len(m) // 2],
    "null": lambda _: b"null",
    "list": lambda _: b"[]",
    "number": lambda _: b"3",
    "mapping": lambda _: b"{}",
    "binary": lambda _: bytes(range(256)),
    "latin-1": lambda m: m.replace("ɗ".encode(), b"\xe9"),
    "deep": lambda _: b'{"a":' * 100_000,
    "long number": lambda m: m.replace(b'"started": ', b'"started": ' + b"9" * 5000),
    "large": lambda m: m + b" " * 17 * 2**20,
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_content_is_a_sentence(artefact: Path, odd: str) -> None:
    """Whatever a disk, another program or a stranger put there."""
    path = artefact / MANIFEST
    path.write_bytes(ODD[odd](path.read_bytes()))
    with raises(StoreError, code="unreadable-manifest", at=str(artefact)):
        read_manifest(artefact)


@pytest.mark.parametrize("odd", ["folder", "pipe", "device", "missing", "dangling"])
def test_what_is_no_file_is_not_opened(artefact: Path, odd: str) -> None:
    """A pipe is not waited for and a device not read."""
    import os

    path = artefact / MANIFEST
    path.unlink()
    if odd == "folder":
        path.mkdir()
    elif odd == "pipe":
        os.mkfifo(path)
    elif odd in ("device", "dangling"):
        path.symlink_to("/dev/zero" if odd == "device" else "nowhere")
    with raises(StoreError, code="unreadable-manifest", at=str(artefact)):
        read_manifest(artefact)


def test_a_newer_manifest_says_which_version_wrote_it_and_what_to_do(artefact: Path) -> None:
    """It is not called damaged, and no message proposes to remove it."""
    edited(artefact, schema=SCHEMA + 1, version="9.4", more={})
    with raises(StoreError, code="newer-manifest", at=str(artefact)) as error:
        read_manifest(artefact)
    why = error.value.problems[0].facts["why"].facts
    assert (why["version"], why["own"]) == ("9.4", __version__)
    assert "--remove" not in str(error.value)


def test_an_artefact_under_another_name_is_not_taken(artefact: Path) -> None:
    """Moved or copied to another key or stage, it says whose manifest it has."""
    for name in ("prepare/" + "0" * 16, "train/" + artefact.name):
        other = artefact.parents[1] / name
        other.parent.mkdir(exist_ok=True)
        artefact.rename(other)
        its = {"stage": "prepare", "key": key_of(CONTENT)}
        with raises(StoreError, code="manifest-of-other-artefact", at=str(other), **its):
            Store(artefact.parents[1]).find(*name.split("/"))
        other.rename(artefact)


def test_a_manifest_of_before_the_digest_is_read(artefact: Path) -> None:
    """Stores of earlier versions go on being used."""
    as_of_schema_1(artefact)
    assert read_manifest(artefact).made_of == CONTENT["content"]


def test_every_stage_has_its_folder_in_the_store() -> None:
    """The store searches the folders that the stages write."""
    assert set(STAGE_FOLDERS) == set(STAGES)


@pytest.mark.parametrize("name", ["name", "version"])
def test_no_text_of_a_manifest_can_act_on_a_terminal(artefact: Path, name: str) -> None:
    """Its printed form has no escape sequence and no line break."""
    for text in ("\x1b[2J", "a\nb", "\u202eabc", "x" * 200):
        as_of_schema_1(artefact, **{name: text})
        with pytest.raises(StoreError) as error:
            read_manifest(artefact)
        assert text not in str(error.value)


def test_the_warning_of_an_odd_artefact_is_one_line(tmp_path: Path, capsys) -> None:
    """Also for a folder whose name would act on a terminal; it is reported once."""
    (tmp_path / "train" / "a\n\x1b[2Jb").mkdir(parents=True)
    store = Store(tmp_path)
    assert store.artifacts() == store.artifacts() == []
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said
