"""Trackers get the metrics under TensorBoard's names, continue their run, and stop no training."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finetune.errors import MissingPackageError
from finetune.spec.tables.extras import lacking, refuse_missing_trackers
from finetune.train.curves.trackers import TRACKERS, Guarded, RunName, opened
from finetune.train.metrics import Metrics
from finetune.train.state import Progress
from tests.support.problems import raises

NAMES = [
    "epochs/hau_Latn",
    "train/learning_rate",
    "train/loss",
    "train/tokens_per_second",
    "validation/hau_Latn",
    "validation/mean",
]
PROGRAM = """
import os, sys
from pathlib import Path
from finetune.train.curves.trackers import RunName, opened
name, folder, step = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
guarded = opened([name], RunName("probe", "0123456789abcdef", folder), say=print)
assert guarded.trackers, "not opened"
guarded.log({"train/loss": 2.0 / step, "validation/mean": 1.5}, step)
assert guarded.trackers, "failed"
guarded.close()
"""


class Kept:
    """A tracker that keeps what it gets, and fails after some steps."""

    def __init__(self, *, fails_after: int = 1000) -> None:
        self.values: list[tuple[int, dict[str, float]]] = []
        self.fails_after = fails_after
        self.closed = False

    def log(self, values: Mapping[str, float], step: int) -> None:
        if len(self.values) >= self.fails_after:
            raise OSError("no space left")
        self.values.append((step, dict(values)))

    def close(self) -> None:
        self.closed = True


def test_all_trackers_get_the_same_names(tmp_path: Path) -> None:
    """Those of TensorBoard: loss, learning rate, speed, each validation by language."""
    kept, said = Kept(), []
    guarded = Guarded({"kept": kept}, say=said.append)
    with Metrics(tmp_path, resumed=Progress(), tensorboard=False, trackers=guarded) as board:
        board.train_step(1, loss=2.0, learning_rate=1e-3, tokens=100, seconds=0.5)
        board.validation(1, scores={"hau_Latn": 1.25}, epochs={"hau_Latn": 0.5}, seconds=0.5)
    names = sorted(name for _, values in kept.values for name in values)
    assert names == NAMES
    assert kept.values[0][1]["train/tokens_per_second"] == 200.0
    assert kept.closed
    assert not said


def test_a_tracker_that_fails_is_switched_off_once(tmp_path: Path) -> None:
    """One warning; the others and metrics.jsonl go on."""
    failing, kept, said = Kept(fails_after=1), Kept(), []
    guarded = Guarded({"failing": failing, "kept": kept}, say=said.append)
    with Metrics(tmp_path, resumed=Progress(), tensorboard=False, trackers=guarded) as board:
        for step in range(1, 5):
            board.train_step(step, loss=2.0)
    assert [one.facts["name"] for one in said] == ["failing"]
    assert "no space left" in str(said[0])
    assert len(kept.values) == 4
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4


def test_a_tracker_that_cannot_begin_is_a_warning(tmp_path: Path) -> None:
    """A folder that cannot be made costs the tracker, not the training."""
    (tmp_path / "file").write_text("")
    said: list[Any] = []
    guarded = opened(["wandb"], RunName("p", "key", tmp_path / "file"), say=said.append)
    assert not guarded.trackers
    assert [one.facts["name"] for one in said] == ["wandb"]


def test_a_tracker_that_is_not_installed_is_refused_with_the_line_of_pip() -> None:
    """Before anything is trained."""
    for name in TRACKERS:
        absent = lacking(name)
        if not absent:
            refuse_missing_trackers([name])
            continue
        with raises(MissingPackageError, code="package-missing", package=absent[0]):
            refuse_missing_trackers([name])


def test_wandb_is_offline_and_continues_its_run(tmp_path: Path) -> None:
    """Nothing is sent unless WANDB_MODE says so; the id is the key of the artefact."""
    asked: list[dict[str, Any]] = []

    def init(**settings: Any) -> Any:
        asked.append(settings)
        return SimpleNamespace(log=lambda *_, **__: None, finish=lambda: None)

    library = SimpleNamespace(init=init, Settings=lambda **settings: settings)
    for _ in range(2):
        TRACKERS["wandb"].begin(library, RunName("hausa", "0123456789abcdef", tmp_path))
    assert {(one["id"], one["mode"], one["resume"]) for one in asked} == {
        ("0123456789abcdef", os.environ.get("WANDB_MODE", "offline"), "allow")
    }


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_the_library_itself_records_and_resumes(name: str, tmp_path: Path) -> None:
    """With the real library, where it is installed: two starts, one run."""
    if lacking(name):
        pytest.skip(f"{name} is not installed")
    for step in ("1", "2"):
        words = [sys.executable, "-c", PROGRAM, name, str(tmp_path), step]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == 0, done.stdout + done.stderr
    files = [path.name for path in (tmp_path / name).rglob("*")]
    assert files
