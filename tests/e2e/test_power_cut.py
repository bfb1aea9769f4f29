"""After a power cut at any moment of a run, the same command ends with the same adapter."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import power_cut, strace_log
from tests.support.power_cut import IncompleteError, Loss

ROOT = Path(__file__).parents[2]
STATES = 6
"""Of the short form; `python -m tests.e2e.power_cuts WORK 300` is the long one."""


@pytest.fixture(scope="module", autouse=True)
def _traced() -> None:
    """In CI strace is installed where it is missing, and a test that cannot run fails."""
    if strace_log.is_there():
        return
    if os.environ.get("FINETUNE_REQUIRE_STRACE") != "1":
        pytest.skip(strace_log.MISSING)
    subprocess.run(["apt-get", "update", "-q"], check=True)
    subprocess.run(["apt-get", "install", "-y", "-q", "strace"], check=True)
    if not strace_log.is_there():
        pytest.fail("strace is installed and may not trace here (ptrace is forbidden)")


def recorded(tmp_path: Path, program: str) -> power_cut.Recording:
    root = tmp_path / "root"
    root.mkdir()
    (root / "old").write_text("old")
    return power_cut.record(
        [sys.executable, "-I", "-c", "import os, shutil, mmap\n" + program],
        root=root,
        log=tmp_path / "log",
        environment=dict(os.environ),
    )


def left(recording: power_cut.Recording, loss: Loss) -> dict[str, bytes]:
    """Return what is left after the last call."""
    disk = power_cut.replayed(recording)
    top = power_cut.survivors(disk.top, loss=loss, draw=random.Random(0))
    return {name: bytes(node.content) for name, node in top.names.items()}


WRITE = "f = open('new', 'wb'); f.write(b'text'); f.flush()\n"
SYNC = "os.fsync(f.fileno())\n"
RENAME = "os.rename('new', 'old')\n"
FOLDER = "os.fsync(os.open('.', os.O_RDONLY))\n"


@pytest.mark.parametrize(
    ("program", "all_lost", "content_lost"),
    [
        (WRITE, {"old": b"old"}, {"old": b"old", "new": b""}),
        (WRITE + SYNC, {"old": b"old"}, {"old": b"old", "new": b"text"}),
        (WRITE + RENAME, {"old": b"old"}, {"old": b""}),
        (WRITE + SYNC + RENAME, {"old": b"old"}, {"old": b"text"}),
        (WRITE + RENAME + FOLDER, {"old": b""}, {"old": b""}),
        (WRITE + SYNC + RENAME + FOLDER, {"old": b"text"}, {"old": b"text"}),
        ("os.unlink('old')\n", {"old": b"old"}, {}),
        ("shutil.copyfile('old', 'new')\n" + FOLDER, {"old": b"old", "new": b""}, None),
        ("os.link('old', 'new')\n" + FOLDER, {"old": b"old", "new": b"old"}, None),
        ("f = open('old', 'ab'); f.write(b'er'); f.flush()\n" + SYNC, {"old": b"older"}, None),
        ("f = open('old', 'r+b'); os.pwrite(f.fileno(), b'X', 1)\n" + SYNC, {"old": b"oXd"}, None),
        ("f = open('old', 'r+b'); f.truncate(1)\n" + SYNC, {"old": b"o"}, None),
    ],
)
def test_a_power_cut_takes_what_was_not_synced(
    tmp_path: Path,
    program: str,
    all_lost: dict[str, bytes],
    content_lost: dict[str, bytes] | None,
) -> None:
    """Bytes by the sync of the file, names by the sync of the folder."""
    recording = recorded(tmp_path, program)
    assert left(recording, Loss.ALL) == all_lost
    if content_lost is not None:
        assert left(recording, Loss.CONTENT) == content_lost


MAPPED = """
f = open('new', 'w+b'); f.truncate(8)
m = mmap.mmap(f.fileno(), 8); m[:4] = b'text'; m.flush(); m.close()
"""


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (MAPPED, "through memory"),
        ("os.rename('/tmp', '/tmp') or os.sync()\n", "not followed"),
        ("open('../new', 'w').write('x'); os.rename('../new', 'new')\n", "into the folder"),
    ],
)
def test_a_recording_that_misses_something_is_refused(
    tmp_path: Path, program: str, why: str
) -> None:
    """Calls that cannot be traced are reported, not skipped."""
    with pytest.raises(IncompleteError, match=why):
        recorded(tmp_path, program)


def test_a_file_with_more_bytes_than_were_recorded_is_refused(tmp_path: Path) -> None:
    """The files themselves are the judge."""
    recording = recorded(tmp_path, WRITE)
    (recording.root / "new").write_bytes(b"longer text")
    disk = power_cut.replayed(recording)
    with pytest.raises(IncompleteError, match="11 bytes, 4 were recorded"):
        power_cut.refuse_incomplete(disk.top, recording.root)
    (recording.root / "another").write_text("")
    with pytest.raises(IncompleteError, match="another"):
        power_cut.refuse_incomplete(disk.top, recording.root)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_after_a_power_cut_the_same_command_ends_with_the_same_adapter(tmp_path: Path) -> None:
    """States spread over a whole run: adapter and files as undisturbed, and no word of a loss."""
    program = [sys.executable, "-m", "tests.e2e.power_cuts", str(tmp_path / "work"), str(STATES)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        program, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    # libraries print there as well
    printed = [line for line in done.stdout.splitlines() if line.startswith("{")]
    *verdicts, counts = map(json.loads, printed)
    assert counts["states"] == STATES
    assert not [verdict for verdict in verdicts if verdict["problem"]]
