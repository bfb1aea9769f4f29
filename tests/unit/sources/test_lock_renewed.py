"""`fetch` renews a lock; every other verb holds to it."""

from __future__ import annotations

import hashlib
import re
import shlex
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.sources.lock_file import lock_changes, lock_path, read_lock
from tests.support.small_model import write_small_model
from tests.support.small_recipe import CARD
from tests.support.surroundings import Inside

RECIPE = """\
name: tiny
base: {model: ./model, hub_id: org/base, licence: apache-2.0}
corpora: [{card: words}]
train: {max_steps: 3, batch_tokens: 512}
release: {repo: org/tiny}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: Inside) -> Path:
    """Return a recipe that was fetched and locked; the base is a folder that nothing opens."""
    inside(tmp_path)
    monkeypatch.setattr("finetune.verbs.data.fetch.execute", lambda *_, **__: {})
    for name in ("data_cards", "recipes"):
        Path(name).mkdir()
    write_small_model(Path("model"))
    Path("recipes/tiny.yaml").write_text(RECIPE)
    _write_words("benn\n")
    assert main(["fetch", "recipes/tiny.yaml"]) == 0
    return Path("recipes/tiny.yaml")


def _write_words(text: str) -> None:
    Path("data_cards/words.txt").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    Path("data_cards/words.md").write_text(CARD.replace("0" * 64, digest))


def _advice(said: str) -> list[str]:
    """Return the command that a message advises."""
    found = re.search(r"(?:run|with): finetune (fetch [^\n;]*)", said)
    assert found, said
    return shlex.split(found[1])


def _refused_then_renewed(recipe: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """Check is refused, the command of the message is run, check passes; return what it said."""
    capsys.readouterr()
    assert main(["check", str(recipe), *more]) == 2
    command = _advice(capsys.readouterr().err)
    assert main(command) == 0
    said = capsys.readouterr().out
    assert main(["check", str(recipe), *more]) == 0
    return said


def test_a_purposeful_change_of_a_corpus_is_locked_anew(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused, then renewed by the command of the message; other pins stay."""
    before = read_lock(recipe)
    _write_words("benn\nñaar\n")
    said = _refused_then_renewed(recipe, capsys)
    assert re.search(r"changed in the lock: card words: words\.txt: [0-9a-f]{12}\.\.\. -> ", said)
    after = read_lock(recipe)
    assert before is not None
    assert after is not None
    assert before["base"] == after["base"]
    assert "base" not in said.partition("changed in the lock")[2]


def test_a_base_that_changed_is_locked_anew(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder's files are pins as well."""
    Path("model/config.json").write_text('{"model_type": "llama", "x": 1}')
    assert "base: config.json: " in _refused_then_renewed(recipe, capsys)


def test_a_change_by_set_is_locked_anew_by_what_is_reported(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command of the message has the same --set, else it would change nothing."""
    write_small_model(Path("other model"))
    Path("other model/more.json").write_text("{}")
    _refused_then_renewed(recipe, capsys, "--set", "base.model='./other model'")


def test_a_folder_with_thousands_of_files_is_no_model(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A home in place of a model is refused before hours of reading."""
    for number in range(1001):
        Path(f"model/{number}").touch()
    assert main(["check", str(recipe)]) == 2
    assert "more than 1,000 files" in capsys.readouterr().err


ODD = {
    "another format": b'{"lock": 2, "entries": {}}',
    "no format": b"{}",
    "a format that is text": b'{"lock": "1", "entries": {}}',
    "torn": b'{"lock": 1, "entr',
    "empty": b"",
    "null": b"null",
    "a list": b"[1]",
    "entries of another shape": b'{"lock": 1, "entries": {"base": 3}}',
    "entries missing": b'{"lock": 1}',
    "entries null": b'{"lock": 1, "entries": null}',
    "nested deeply": b'{"lock": 1, "entries": ' + b"[" * 100_000,
    "a long number": b'{"lock": ' + b"9" * 5000 + b"}",
    "no UTF-8": b'{"lock": 1, "x": "\xff"}',
    "zeros": bytes(100),
    "large": b" " * (5 * 2**20),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_lock_that_cannot_be_used_is_named_and_written_anew(
    recipe: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damaged or of another version: `check` refuses, `fetch` mends."""
    whole = lock_path(recipe).read_bytes()
    lock_path(recipe).write_bytes(ODD[kind])
    assert "the lock is rewritten" in _refused_then_renewed(recipe, capsys)
    assert lock_path(recipe).read_bytes() == whole


def test_a_file_that_changed_without_its_card_stops_fetch_too(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Renewing a lock is no way around the checksum of a card."""
    Path("data_cards/words.txt").write_text("other\n")
    lock = lock_path(recipe).read_bytes()
    assert main(["fetch", str(recipe)]) == 2
    assert "finetune cards update" in capsys.readouterr().err
    assert lock_path(recipe).read_bytes() == lock


def test_a_folder_in_place_of_the_lock_is_named(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither verb ends in a traceback."""
    lock_path(recipe).unlink()
    lock_path(recipe).mkdir()
    for verb in ("check", "fetch"):
        assert main([verb, str(recipe)]) in (1, 2)
        assert "tiny.lock.json" in capsys.readouterr().err


def test_an_unchanged_lock_is_not_touched(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fetching twice writes and states nothing."""
    before = lock_path(recipe).stat()
    assert main(["fetch", str(recipe)]) == 0
    after = lock_path(recipe).stat()  # reading may change the time of access
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "changed in the lock" not in capsys.readouterr().out


def test_changes_are_reported_pin_by_pin() -> None:
    """New, gone and other pins, in order."""
    before = {"a": {"kind": "hub", "revision": "1" * 41}, "b": {"sha256": "x"}}
    after = {"a": {"kind": "hub", "revision": "2" * 41}, "c": {"files": {"f.txt": "y"}}}
    assert list(lock_changes(before, after)) == [
        "a: revision: 111111111111... -> 222222222222...",
        "b: sha256: x -> nothing",
        "c: f.txt: nothing -> y",
    ]
