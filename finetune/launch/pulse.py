"""Signs of life of each rank of a training run, and the rank that hangs.

Every rank keeps its position (step, place in the step, activity) in memory. A thread writes it
every ten seconds into a small file of its own, `beats/rank-N.json` in the folder of the training,
without fsync: nothing is written per step. When a rank has not moved for 20 times the median step
it looks at the files of the others, and the first rank that lives says who is behind, in the log
and in its own file, where `finetune status` finds it.

The files name their launch, and rank 0 removes those of an earlier one before the ranks meet.
Whether another rank lives is seen from whether its file changes, on the reader's own steady clock,
so that clocks of other machines change nothing.
"""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from finetune.messages import Sentence, sentence
from finetune.output.durations import duration

FOLDER = "beats"
BEAT_SECONDS = 10.0
SILENT_SECONDS = 45.0
"""A rank whose file does not change for so long is suspended, or its node is gone."""
STEPS = 20
FLOOR_SECONDS = 60.0
UNKNOWN_SECONDS = 300.0
"""Without a median yet, and while a checkpoint is written: its time is that of a file system."""
MOST_BYTES = 8192
_KEPT = 20
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Beat:
    """Position of one rank, as its file holds it."""

    rank: int
    host: str
    launch: str
    step: int
    """Finished optimizer steps."""
    place: int
    """Position within the step, comparable between ranks."""
    activity: str
    number: int
    """Counts up with every write."""
    hang: str = ""
    """The rank that hangs, in a line, if this rank has seen that."""


@dataclass(slots=True)
class Pulse:
    """Position of this rank; the training loop moves it."""

    step: int = 0
    place: int = 0
    activity: str = "start"
    moved: float = field(default_factory=time.monotonic)
    step_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def move(self, activity: str, *, place: int = 0) -> None:
        """Note that this rank goes on to another thing."""
        self.activity, self.place, self.moved = activity, place, time.monotonic()

    def stepped(self, step: int, *, seconds: float) -> None:
        """Note that an optimizer step is done."""
        self.step_seconds.append(seconds)
        self.step = step
        self.move("between steps")

    @property
    def patience_seconds(self) -> float:
        """Return after how long without a move a rank hangs."""
        return patience(self.step_seconds, writes=self.activity == "checkpoint")


def patience(step_seconds: Sequence[float], *, writes: bool = False) -> float:
    """Return after how many seconds without a move a training run hangs.

    >>> patience([2.0] * 5), patience([10.0] * 5), patience([]), patience([1.0] * 5, writes=True)
    (60.0, 200.0, 300.0, 300.0)
    """
    if len(step_seconds) < 3:
        return UNKNOWN_SECONDS
    usual = max(FLOOR_SECONDS, STEPS * median(step_seconds))
    return max(usual, UNKNOWN_SECONDS) if writes else usual


def clear(folder: Path) -> None:
    """Remove the files of an earlier launch; for rank 0, before the ranks meet."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    (folder / FOLDER).mkdir(exist_ok=True)


def read_beats(folder: Path, *, launch: str) -> list[Beat]:
    """Return the positions of the ranks of a launch, by rank; damaged files are skipped."""
    from finetune.output.small_files import UnreadableError, read_json  # pydantic is slow to start

    found = []
    for path in (folder / FOLDER).glob("rank-*.json"):
        with suppress(OSError, UnreadableError):
            beat = read_json(path, Beat, max_bytes=MOST_BYTES)
            if beat.launch == launch:
                found.append(beat)
    return sorted(found, key=lambda beat: beat.rank)


def hang_line(
    seconds: float, beats: Sequence[Beat], *, ranks: int, silent: Mapping[int, float]
) -> Sentence:
    """Return the ranks that are behind, in a line.

    `seconds`: without a move; `silent`: seconds without a sign of life, of ranks that show none.
    """
    found = {beat.rank: beat for beat in beats}
    absent = [rank for rank in range(ranks) if rank not in found]
    furthest = max(((b.step, b.place) for b in beats), default=(0, 0))
    behind = [b.rank for b in beats if (b.step, b.place) < furthest]
    late = [*silent, *absent] or behind
    since = duration(seconds)
    if not late:
        return sentence(
            "no step for {since}: all {ranks} ranks are at step {step} ({activity}); look at the "
            "file system and the network",
            since=since,
            ranks=ranks,
            step=furthest[0],
            activity=beats[0].activity if beats else "start",
        )
    shown = [_seen(rank, found.get(rank), silent.get(rank)) for rank in late[:_MOST_NAMED]]
    more = len(late) - len(shown)
    return sentence(
        "no step for {since}: {late}{more}; the other ranks wait",
        since=since,
        late="; ".join(shown),
        more=f" and {more} more ranks" if more else "",
    )


def _seen(rank: int, beat: Beat | None, silent: float | None) -> str:
    if beat is None:
        return f"rank {rank} was never seen"
    life = "" if silent is None else f", no sign of life for {duration(silent)}"
    return f"rank {rank} on {beat.host} last seen at step {beat.step} ({beat.activity}){life}"


@contextmanager
def beating(
    folder: Path, pulse: Pulse, *, rank: int, ranks: int, launch: str, say: Callable[[str], None]
) -> Iterator[None]:
    """Write this rank's position and watch for a hang while the block runs."""
    heart = _Heart(folder, pulse, rank=rank, ranks=ranks, launch=launch, say=say)
    done = threading.Event()
    thread = threading.Thread(target=heart.run, args=(done,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@dataclass(slots=True)
class _Heart:
    """Owns this rank's file, and what was seen of the others."""

    folder: Path
    pulse: Pulse
    rank: int
    ranks: int
    launch: str
    say: Callable[[str], None]
    hang: str = ""
    _number: int = 0
    _next: float = 0.0
    """Seconds without a move at which the hang is said again."""
    _changed: dict[int, tuple[int, float]] = field(default_factory=dict)
    """Newest count of each other rank, and when it was first seen."""

    def run(self, done: threading.Event) -> None:
        while True:
            with suppress(OSError):  # a full disk is reported by what needs it
                self.beat(time.monotonic())
            if done.wait(BEAT_SECONDS):
                return

    def beat(self, now: float) -> None:
        still = now - self.pulse.moved
        beats = read_beats(self.folder, launch=self.launch) if self._watches(still) else []
        silent = self._silent(beats, now)
        limit = self.pulse.patience_seconds
        if still <= limit:
            if self.hang:
                self.say(str(sentence("the ranks go on after {hang}", hang=self.hang)))
            self.hang, self._next = "", limit
        elif self._speaks(silent):
            shown = {rank: age for rank, age in silent.items() if age > SILENT_SECONDS}
            self.hang = str(hang_line(still, beats, ranks=self.ranks, silent=shown))
            if still > self._next:
                self._next = 2 * still
                self.say(self.hang)
        else:
            self.hang = ""
        self._write()

    def _watches(self, still: float) -> bool:
        """Return whether to read the others' files: early enough to see who lives, else never."""
        early = self.pulse.patience_seconds - SILENT_SECONDS - 2 * BEAT_SECONDS
        return still > max(early, 2 * BEAT_SECONDS)

    def _silent(self, beats: Sequence[Beat], now: float) -> dict[int, float]:
        """Return for how long each other rank's file has not changed."""
        if not beats:
            self._changed.clear()
        for beat in beats:
            if self._changed.get(beat.rank, (None, 0.0))[0] != beat.number:
                self._changed[beat.rank] = (beat.number, now)
        return {r: now - at for r, (_, at) in self._changed.items() if r != self.rank}

    def _speaks(self, silent: Mapping[int, float]) -> bool:
        """Return whether this is the first rank that lives."""
        return all(
            silent.get(rank, SILENT_SECONDS + 1) > SILENT_SECONDS for rank in range(self.rank)
        )

    def _write(self) -> None:
        self._number += 1
        pulse = self.pulse
        beat = Beat(
            self.rank,
            socket.gethostname(),
            self.launch,
            pulse.step,
            pulse.place,
            pulse.activity,
            self._number,
            self.hang,
        )
        path = self.folder / FOLDER / f"rank-{self.rank}.json"
        aside = path.with_suffix(".tmp")
        aside.write_text(json.dumps(asdict(beat)), encoding="utf-8")
        aside.replace(path)
