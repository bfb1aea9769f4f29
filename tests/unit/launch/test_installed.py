"""Installed packages and the commit of the code."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from finetune.errors import InputError
from finetune.launch import installed
from finetune.launch.installed import UNKNOWN, Commit, closure, source_commit


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    source_commit.cache_clear()
    yield
    source_commit.cache_clear()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the package seems to be installed."""
    monkeypatch.setattr(installed, "__file__", str(tmp_path / "finetune/launch/installed.py"))
    (tmp_path / "finetune").mkdir()
    return tmp_path


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_checkout_has_a_commit_and_says_if_it_was_changed(elsewhere: Path) -> None:
    """A file beside the package is no change of it."""
    (elsewhere / "finetune/a.py").write_text("1")
    git(elsewhere, "init", "-q")
    git(elsewhere, "add", ".")
    git(elsewhere, "commit", "-qm", "x")
    (elsewhere / "notes.txt").write_text("x")
    head = git(elsewhere, "rev-parse", "HEAD")
    assert source_commit() == Commit(head, changed=False)
    source_commit.cache_clear()
    (elsewhere / "finetune/a.py").write_text("2")
    assert source_commit() == Commit(head, changed=True)


def test_a_package_in_an_environment_inside_another_repository_is_no_checkout(
    elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit of a person's own project is not ours."""
    git(tmp_path, "init", "-q")
    inner = tmp_path / ".venv/site-packages/finetune/launch"
    monkeypatch.setattr(installed, "__file__", str(inner / "installed.py"))
    monkeypatch.setattr(metadata, "distribution", lambda _: _Stated(None))
    assert source_commit() == Commit(UNKNOWN)


@pytest.mark.parametrize(
    ("stated", "commit"),
    [
        ({"url": "x", "vcs_info": {"vcs": "git", "commit_id": "a" * 40}}, "a" * 40),
        ({"url": "x", "vcs_info": {"commit_id": "main"}}, UNKNOWN),
        ({"url": "file:///srv/x", "dir_info": {}}, UNKNOWN),
    ],
)
def test_a_package_from_git_states_its_commit(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, stated: dict[str, object], commit: str
) -> None:
    """In its metadata (PEP 610); a folder of this machine is not named."""
    monkeypatch.setattr(metadata, "distribution", lambda _: _Stated(json.dumps(stated)))
    assert source_commit() == Commit(commit)


class _Stated:
    def __init__(self, text: str | None) -> None:
        self.text = text

    def read_text(self, _: str) -> str | None:
        return self.text


def test_packages_that_are_not_installed_are_an_error_or_omitted() -> None:
    """As the caller asks."""
    assert closure(["no-such-package-x"], absent=True) == {}
    with pytest.raises(InputError):
        closure(["no-such-package-x"])
