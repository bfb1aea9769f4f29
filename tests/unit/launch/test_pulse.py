"""The rank that hangs is named by one that lives, and by nothing that is old."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from finetune.launch import pulse as module
from finetune.launch.pulse import Beat, Pulse, beating, clear, hang_line, read_beats
from finetune.launch.pulse import _Heart as Heart


def heart(folder: Path, *, rank: int, ranks: int = 3, launch: str = "l") -> tuple[Heart, list[str]]:
    """Return the heart of a rank that has done three steps of two seconds, and what it says."""
    said: list[str] = []
    pulse = Pulse()
    for step in (1, 2, 3):
        pulse.stepped(step, seconds=2.0)
    pulse.moved = 0.0
    return Heart(folder, pulse, rank=rank, ranks=ranks, launch=launch, say=said.append), said


def after(seconds: int, *hearts: Heart) -> None:
    """Let ranks beat every ten seconds."""
    for now in range(0, seconds + 1, 10):
        for one in hearts:
            one.beat(float(now))


def test_a_rank_that_is_behind_is_named_once_by_the_first_rank(tmp_path):
    """After 20 median steps, at least a minute; with step, host and activity; in its file, too."""
    clear(tmp_path)
    (zero, said), (one, silent), (two, _) = (heart(tmp_path, rank=r) for r in range(3))
    for waiting in (zero, one):
        waiting.pulse.activity, waiting.pulse.place = "forward pass", 3
    two.pulse.activity, two.pulse.place = "forward pass", 1
    after(60, zero, one, two)
    assert said == []
    after(70, zero, one, two)
    assert len(said) == 1
    assert said[0].startswith("no step for 1 min: rank 2 on ")
    assert said[0].endswith(" last seen at step 3 (forward pass); the other ranks wait")
    assert silent == []
    assert [b.hang != "" for b in read_beats(tmp_path, launch="l")] == [True, False, False]


def test_a_suspended_first_rank_is_named_by_the_next(tmp_path):
    """Its file does not change; clocks of other machines are not read."""
    clear(tmp_path)
    (zero, _), (one, said), (two, other) = (heart(tmp_path, rank=r) for r in range(3))
    zero.beat(0.0)
    after(120, one, two)
    assert len(said) == 1
    assert "rank 0 on " in said[0]
    assert "no sign of life" in said[0]
    assert other == []


def test_a_hang_that_ends_is_withdrawn(tmp_path):
    """In the log and in the file that status reads."""
    clear(tmp_path)
    zero, said = heart(tmp_path, rank=0, ranks=1)
    after(100, zero)
    assert len(said) == 1
    zero.pulse.stepped(4, seconds=90.0)
    zero.pulse.moved = 100.0
    zero.beat(110.0)
    assert "go on after no step for" in said[1]
    assert [beat.hang for beat in read_beats(tmp_path, launch="l")] == [""]


@pytest.mark.parametrize(("seconds", "activity"), [([], "start"), ([2.0] * 5, "checkpoint")])
def test_slow_starts_and_slow_disks_are_no_hang_yet(tmp_path, seconds, activity):
    """Nothing is known of the first steps, and a checkpoint may take minutes."""
    clear(tmp_path)
    zero, said = heart(tmp_path, rank=0, ranks=1)
    zero.pulse.step_seconds.clear()
    zero.pulse.step_seconds.extend(seconds)
    zero.pulse.activity = activity
    after(290, zero)
    assert said == []
    after(310, zero)
    assert len(said) == 1


def test_files_of_an_earlier_launch_are_not_read(tmp_path):
    """Neither by ranks, which remove them, nor by status, which asks for the running launch."""
    clear(tmp_path)
    old, _ = heart(tmp_path, rank=5, launch="old")
    old.beat(0.0)
    assert read_beats(tmp_path, launch="l") == []
    assert len(read_beats(tmp_path, launch="old")) == 1
    clear(tmp_path)
    assert read_beats(tmp_path, launch="old") == []


def test_a_hang_of_all_is_said_as_such():
    """No rank is blamed for a network."""
    beats = [Beat(r, "h", "l", 7, 1, "backward pass", 1) for r in range(4)]
    line = str(hang_line(90, beats, ranks=4, silent={}))
    assert "all 4 ranks are at step 7 (backward pass)" in line
    assert "rank 3 was never seen" in str(hang_line(90, beats[:3], ranks=4, silent={}))


def test_a_thread_writes_while_training_goes_on_and_ends_with_it(tmp_path, constants):
    """A few small files, whatever the number of steps."""
    constants(module, BEAT_SECONDS=0.01)
    clear(tmp_path)
    pulse = Pulse()
    seen = threading.Event()
    with beating(tmp_path, pulse, rank=0, ranks=1, launch="l", say=lambda _: seen.set()):
        while not (beats := read_beats(tmp_path, launch="l")) or beats[0].number < 3:
            pulse.stepped(1, seconds=0.1)
    assert [path.name for path in (tmp_path / "beats").iterdir()] == ["rank-0.json"]
    assert not seen.is_set()
