"""Logs of a job: of one attempt, of all attempts, or followed as they are written."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from finetune.cluster.chain.chain import Chain, read_events, read_submissions
from finetune.cluster.follow.status import ChainReport, look
from finetune.errors import RecipeError
from finetune.messages import Place, counted, problem

POLL_SECONDS = 0.5
LOOK_SECONDS = 5.0
_ENDED = frozenset(("done", "failed", "cancelled", "stopped", "lost", "not submitted"))


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a log file: all of it, or that of one attempt."""

    path: Path
    job_id: str
    first_byte: int = 0
    end_byte: int | None = None
    """One past the last byte; None: to the end of the file."""

    def text(self) -> str:
        """Return its current text; empty if the file does not exist."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.first_byte)
                size = -1 if self.end_byte is None else max(0, self.end_byte - self.first_byte)
                return file.read(size).decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""


def default_job(report: ChainReport) -> str:
    """Return the running job, else a failed one, else the last one.

    Raises RecipeError if no job has started.
    """
    for states in (("running",), ("failed", "lost", "stopped"), ("waiting", "stuck"), ("done",)):
        jobs = [
            job
            for job in report.jobs
            if job.state in states
            and job.job_id is not None
            and report.chain.log_path(job.name, job.job_id).is_file()
        ]
        if jobs:
            return jobs[0 if states != ("done",) else -1].name
    raise RecipeError(
        problem(
            "no-log",
            "{headline}; no job has started, so there is no log",
            headline=report.headline,
        )
    )


def parts_of(chain: Chain, name: str, *, attempt: int | None = None) -> list[Part]:
    """Return the log of a job, one part per Slurm job, or that of one attempt (counted from 1).

    Raises RecipeError for an unknown job or attempt.
    """
    chain.job(name)
    ids = dict.fromkeys(s.job_id for s in read_submissions(chain) if s.name == name)
    if attempt is None:
        return [Part(chain.log_path(name, i), i) for i in ids]
    starts = [e for e in read_events(chain, name) if e.event == "start"]
    if not 1 <= attempt <= len(starts):
        raise RecipeError(
            problem(
                "no-such-attempt",
                counted(
                    "job {job} has {count} attempt",
                    "job {job} has {count} attempts",
                    len(starts),
                    job=name,
                ),
                at=Place(key=f"--attempt {attempt}"),
            )
        )
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
    chain: Chain, name: str, *, lines: int | None, notify: Callable[[str], None]
) -> Iterator[str]:
    """Yield the log of a job as it is written, until the job has ended.

    Continues over requeues (the file grows) and into the log of a job that continues this one.
    `notify` receives changes of state: why the job waits, the job that continues it, how it ended.
    """
    reader: _Reader | None = None
    shown, looked = "", 0.0
    while True:
        parts = parts_of(chain, name)
        if parts and (reader is None or reader.part.path != parts[-1].path):
            if reader is not None:
                yield reader.rest()
                notify(f"--- {name} continues in job {parts[-1].job_id} ---")
            reader = _Reader(parts[-1], lines=lines if reader is None else None)
        ended = False
        if time.monotonic() - looked > LOOK_SECONDS:
            report = next(job for job in look(chain).jobs if job.name == name)
            looked, ended = time.monotonic(), report.state in _ENDED and not report.is_active
            line = "" if report.state == "running" else f"{report.state}; {report.why}".rstrip("; ")
            if line and line != shown:
                notify(f"--- {name}: {line} ---")
            shown = line
        text = reader.rest() if reader else ""
        if text:
            yield text
        elif ended:
            return
        else:
            time.sleep(POLL_SECONDS)


class _Reader:
    """Incremental reader of a log; a file that was truncated is read from its beginning."""

    def __init__(self, part: Part, *, lines: int | None) -> None:
        self.part = part
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._offset = 0
        self._lines = lines

    def rest(self) -> str:
        """Return the text written since the last call."""
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
