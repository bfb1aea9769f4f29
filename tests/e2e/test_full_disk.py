"""A file system that is really full: a clear error, nothing lost, and room makes it go on."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.train.checkpoint import newest_checkpoint
from tests.support.project import repeatable, write_project
from tests.support.surroundings import Inside

pytestmark = pytest.mark.slow

RECIPE = "recipes/tiny.yaml"
DISK_BYTES = 24 * 2**20
MORE_SHARES = (0, 0.01, 0.2, 0.4, 0.6, 0.7, 0.9)
PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system of its own for the store."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    wanted = [mount, "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    done = subprocess.run(wanted, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    yield place
    # lazily: memory maps of this process may still lie on it
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose whole line was run once, with room enough."""
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    with contextlib.chdir(folder):
        assert main(["run", RECIPE, "--store", "roomy"]) == 0
    return folder


def fill(disk: Path, *, leaving_bytes: int) -> Path:
    """Write a file that leaves so many bytes (whole pages); return it."""
    ballast = disk / "ballast"
    pages = shutil.disk_usage(disk).free // PAGE - leaving_bytes // PAGE
    ballast.write_bytes(bytes(PAGE) * pages)
    assert shutil.disk_usage(disk).free // PAGE == leaving_bytes // PAGE
    return ballast


def on_disk_bytes(folder: Path) -> int:
    """Return what the files below a folder take, in whole pages."""
    sizes = (f.stat().st_size for f in folder.rglob("*") if f.is_file())
    return sum(-(-size // PAGE) * PAGE for size in sizes)


def products(store: Path, *patterns: str) -> dict[str, str]:
    """Return path -> checksum of what stages made."""
    return {
        path.relative_to(store).as_posix(): repeatable(path)
        for pattern in patterns
        for path in sorted(store.glob(pattern))
        if path.is_file()
    }


def refused(capsys: pytest.CaptureFixture[str], verb: str, store: Path) -> str:
    """Run a verb that must fail for want of room, in a sentence; return what was said."""
    capsys.readouterr()
    assert main([verb, RECIPE, "--store", str(store)]) == 1
    said = capsys.readouterr().err
    assert "disk is full" in said
    assert "Traceback" not in said
    return said


def test_training_on_a_full_disk_keeps_its_checkpoint_and_goes_on(
    project: Path, disk: Path, inside: Inside, capsys: pytest.CaptureFixture[str]
) -> None:
    """Room for two checkpoints, not for the third: the second is sound, and the end the same."""
    inside(project)
    store = disk / "store"
    assert main(["prepare", RECIPE, "--store", str(store)]) == 0
    (state,) = project.glob("roomy/train/*/state")
    ballast = fill(disk, leaving_bytes=int(2.7 * on_disk_bytes(state)))
    said = refused(capsys, "train", store)
    assert "resume from the last checkpoint, which is intact" in said
    (checkpoints,) = store.glob("train/*.partial/checkpoints")
    newest, problems = newest_checkpoint(checkpoints)
    assert newest is not None
    assert newest.progress.step == 2
    assert problems == []

    ballast.unlink()
    assert main(["train", RECIPE, "--store", str(store)]) == 0
    assert "resuming from the checkpoint at step 2" in capsys.readouterr().out
    wanted = ("train/*/adapter/*", "train/*/state/state.safetensors")
    assert products(store, *wanted) == products(project / "roomy", *wanted)


@pytest.mark.parametrize("leaving_kib", [0, 8, 64])
def test_preparing_on_a_full_disk_leaves_nothing_that_looks_complete(
    project: Path,
    disk: Path,
    leaving_kib: int,
    inside: Inside,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """However little room there is: a clear error, no artefact; with room the same corpus."""
    inside(project)
    store = disk / "store"
    assert main(["fetch", RECIPE, "--store", str(store)]) == 0
    ballast = fill(disk, leaving_bytes=leaving_kib * 2**10)
    refused(capsys, "prepare", store)
    assert not list(store.glob("prepare/*/manifest.json"))
    ballast.unlink()
    assert main(["prepare", RECIPE, "--store", str(store)]) == 0
    assert products(store, "prepare/*/**/*.npy") == products(
        project / "roomy", "prepare/*/**/*.npy"
    )


@pytest.mark.parametrize(
    "share",
    [
        *(0.05, 0.5, 0.8),
        *(pytest.param(share, marks=pytest.mark.nightly) for share in MORE_SHARES),
    ],
)
def test_a_run_that_meets_a_full_disk_anywhere_ends_the_same(
    project: Path,
    disk: Path,
    share: float,
    inside: Inside,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The whole line with a share of the room it needs, so that any stage may run out of it."""
    inside(project)
    store = disk / "store"
    store.mkdir()
    needed = on_disk_bytes(project / "roomy")
    ballast = fill(disk, leaving_bytes=int(share * needed))
    refused(capsys, "run", store)
    ballast.unlink()
    assert main(["run", RECIPE, "--store", str(store)]) == 0
    wanted = ("prepare/*/**/*.npy", "train/*/adapter/*", "evaluate/*/scores.json", "hub/**/*")
    assert products(store, *wanted) == products(project / "roomy", *wanted)
