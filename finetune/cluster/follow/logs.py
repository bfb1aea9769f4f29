"""The logs of a job: of one attempt, of all, or as they grow, over requeues and continuations."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from finetune.cluster.chain.chain import Chain, read_events, read_submissions
from finetune.cluster.follow.status import ChainReport, look
from finetune.errors import RecipeError

POLL_SECONDS = 0.5
LOOK_SECONDS = 5.0
_ENDED = frozenset(("done", "failed", "cancelled", "stopped", "lost", "not submitted"))


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a log file: everything, or that of one attempt."""

    path: Path
    job_id: str
    first_byte: int = 0
    end_byte: int | None = None
    """Behind the last byte; None: all there is."""

    def text(self) -> str:
        """Return what is written there now; empty if there is no such file (yet)."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.first_byte)
                size = -1 if self.end_byte is None else max(0, self.end_byte - self.first_byte)
                return file.read(size).decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""


def default_job(report: ChainReport) -> str:
    """Return the job that a person wants to see: the running one, else what failed, else the last.

    Raises RecipeError if nothing has started yet.
    """
    for states in (("running",), ("failed", "lost", "stopped"), ("waiting", "stuck"), ("done",)):
        found = [
            job
            for job in report.jobs
            if job.state in states
            and job.job_id is not None
            and report.chain.log_path(job.name, job.job_id).is_file()
        ]
        if found:
            return found[0 if states != ("done",) else -1].name
    raise RecipeError(f"{report.headline}; nothing has started, so there is no log yet")


def parts_of(chain: Chain, name: str, *, attempt: int | None = None) -> list[Part]:
    """Return the log of a job, one part a Slurm job, or that of one attempt (counted from 1).

    Raises RecipeError for an unknown job or attempt.
    """
    chain.job(name)
    ids = dict.fromkeys(s.job_id for s in read_submissions(chain) if s.name == name)
    if attempt is None:
        return [Part(chain.log_path(name, i), i) for i in ids]
    starts = [e for e in read_events(chain, name) if e.event == "start"]
    if not 1 <= attempt <= len(starts):
        has = f"1 to {len(starts)}" if starts else "none: it has not started"
        raise RecipeError(f"--attempt {attempt}: job {name} of {chain.id} has {has}")
    this = starts[attempt - 1]
    after = starts[attempt] if attempt < len(starts) else None
    return [
        Part(
            path=chain.log_path(name, this.job_id),
            job_id=this.job_id,
            first_byte=this.log_bytes or 0,
            end_byte=after.log_bytes if after and after.job_id == this.job_id else None,
        )
    ]


def tail(text: str, *, lines: int | None) -> str:
    """Return the last lines of a text; all of it if `lines` is None.

    >>> tail("a\\nb\\nc\\n", lines=2)
    'b\\nc\\n'
    """
    if lines is None:
        return text
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""


def follow(
    chain: Chain, name: str, *, lines: int | None, told: Callable[[str], None]
) -> Iterator[str]:
    """Yield the log of a job as it grows, until the job has ended and all of it was read.

    Goes on over requeues (the file grows) and into the log of a job that continues this one.
    `told` hears, once each, what the log cannot say: why it waits, in which job it goes on, how it
    ended.
    """
    seen: _Reader | None = None
    why, looked = "", 0.0
    while True:
        parts = parts_of(chain, name)
        if parts and (seen is None or seen.part.path != parts[-1].path):
            if seen is not None:
                yield seen.rest()
                told(f"--- {name} goes on in job {parts[-1].job_id} ---")
            seen = _Reader(parts[-1], lines=lines if seen is None else None)
        ended = False
        if time.monotonic() - looked > LOOK_SECONDS:
            report = next(job for job in look(chain).jobs if job.name == name)
            looked, ended = time.monotonic(), report.state in _ENDED and not report.is_active
            line = "" if report.state == "running" else f"{report.state}; {report.why}".rstrip("; ")
            if line and line != why:
                told(f"--- {name}: {line} ---")
            why = line
        text = seen.rest() if seen else ""
        if text:
            yield text
        elif ended:
            return
        else:
            time.sleep(POLL_SECONDS)


class _Reader:
    """Reads on where it had stopped; a file that became shorter is read from its beginning."""

    def __init__(self, part: Part, *, lines: int | None) -> None:
        self.part = part
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._offset = 0
        self._lines = lines

    def rest(self) -> str:
        """Return what was written since the last call."""
        try:
            with self.part.path.open("rb") as file:
                if file.seek(0, 2) < self._offset:
                    self._offset = 0
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return ""
        self._offset += len(content)
        text = self._decoder.decode(content)
        lines, self._lines = self._lines, None
        return tail(text, lines=lines)
