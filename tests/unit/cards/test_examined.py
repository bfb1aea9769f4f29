"""Cached examinations of texts, and their expiry."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from finetune.cards.check import examined
from finetune.cards.check.examined import examine
from finetune.spec.load import load_card
from tests.support.surroundings import Constants

OLD = time.time() - 3600
TEXT = "Nanga def ci suba si, maa ngi fi rekk.\n" * 40


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Cards whose texts are really read, in order; nothing is remembered before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    read: list[Path] = []
    real = examined.look

    def look(card, **settings):
        read.append(card.path)
        return real(card, **settings)

    monkeypatch.setattr(examined, "look", look)
    return read


def write(folder: Path, text: str = TEXT) -> Path:
    """Write a card with one text file, both an hour old."""

    (folder / "a.txt").write_text(text, encoding="utf-8")
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    path = folder / "a.md"
    path.write_text(
        "---\nlanguage: [wo]\nlicense: cc-by-4.0\npretty_name: A\ncorpus:\n  kind: text\n"
        "  languages: [wol_Latn]\n  format: text\n"
        f"  source: {{kind: files, files: [{{path: a.txt, sha256: {sha256}}}]}}\n---\n",
        encoding="utf-8",
    )
    for file in (path, folder / "a.txt"):
        os.utime(file, (OLD, OLD))
    return path


@pytest.fixture(autouse=True)
def _settled(constants: Constants) -> None:
    """The inode's time of a test file is always now."""
    constants(examined, SETTLED_SECONDS=-1.0)


def test_an_unchanged_card_is_examined_once(looks: list[Path], tmp_path: Path) -> None:
    """The second time its texts are not read, and what is found is the same."""
    path = write(tmp_path)
    first, second = examine(load_card(path)), examine(load_card(path))
    assert len(looks) == 1
    assert second.look.records == first.look.records == 40
    assert {k: v.covered for k, v in (second.languages or {}).items()} == {
        k: v.covered for k, v in (first.languages or {}).items()
    }


@pytest.mark.parametrize("what", ["text", "card"])
def test_a_changed_file_is_examined_again(looks: list[Path], tmp_path: Path, what: str) -> None:
    """Another text, or another word in the card."""
    path = write(tmp_path)
    examine(load_card(path))
    if what == "text":
        write(tmp_path, TEXT + "Jërëjëf.\n")
    else:
        path.write_text(path.read_text(encoding="utf-8").replace("name: A", "name: B"))
    examine(load_card(path))
    assert len(looks) == 2


def test_no_text_is_remembered(looks: list[Path], tmp_path: Path) -> None:
    """Neither of a plain card nor of one with an example to show, which is read each time."""
    path = write(tmp_path, TEXT + "ଓଡ଼ିଆ ଲେଖା\n" * 30)
    for _ in range(2):
        assert examine(load_card(path)).has_examples
    assert len(looks) == 2
    path = write(tmp_path)
    examine(load_card(path))
    kept = [p.read_text() for p in (tmp_path / "user-cache/finetune").rglob("*.json")]
    assert kept
    assert not [text for text in kept if "Nanga" in text]


def test_a_damaged_memory_costs_time_alone(looks: list[Path], tmp_path: Path) -> None:
    """A torn file is as good as none."""
    path = write(tmp_path)
    examine(load_card(path))
    [kept] = (tmp_path / "user-cache/finetune/examined-cards").iterdir()
    kept.write_text('{"key"')
    assert examine(load_card(path)).look.records == 40
    assert len(looks) == 2


def test_a_file_that_was_just_written_is_not_remembered(
    looks: list[Path], tmp_path: Path, constants: Constants
) -> None:
    """It may change again within one tick of the clock."""
    constants(examined, SETTLED_SECONDS=60.0)
    path = write(tmp_path)
    for _ in range(2):
        examine(load_card(path))
    assert len(looks) == 2
