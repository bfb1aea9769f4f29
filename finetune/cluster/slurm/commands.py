"""Slurm commands: the only module that runs them.

Arguments are lists, without a shell. No accounting database is needed: states come from `squeue`
and `scontrol show job`, which forget a job some minutes after its end (MinJobAge).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune.errors import ClusterError
from finetune.messages import problem
from finetune.output.secrets import is_secret_name

ACTIVE = frozenset(
    [
        "PENDING",
        "RUNNING",
        "COMPLETING",
        "CONFIGURING",
        "SUSPENDED",
        "STOPPED",
        "REQUEUED",
        "REQUEUE_HOLD",
        "REQUEUE_FED",
        "RESIZING",
        "SIGNALING",
        "SPECIAL_EXIT",
        "STAGE_OUT",
    ]
)
AfterKind = Literal["afterok", "afterany", "aftercorr"]
WAITING = frozenset(("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"))
TIMEOUT_SECONDS = 60.0
ACCOUNTING_SECONDS = 20.0
SUBMIT_SECONDS = 300.0
"""Time for sbatch: wrappers ask budgets, and a busy controller takes minutes."""
_ID = re.compile(r"\d+(;\S+)?")
_FORGOTTEN = re.compile(r"Invalid job id|slurm_load_jobs error: Invalid", re.IGNORECASE)
_KEY = re.compile(r"(?:^| )([A-Z][A-Za-z_]*(?:[/:][A-Za-z]+)*)=")


@dataclass(frozen=True, slots=True)
class JobState:
    """State of a job in Slurm."""

    job_id: str
    state: str
    """`PENDING`, `RUNNING`, `COMPLETED`, `FAILED`, `CANCELLED`, `TIMEOUT`, `NODE_FAIL`, ..."""
    reason: str
    """Slurm's reason for waiting or ending (`Resources`, `Dependency`, `TimeLimit`)."""
    restarts: int
    exit_code: str
    """`CODE:SIGNAL`."""
    dependency: str | None
    nodes: str | None
    """Compressed node list, e.g. `node[1-2]`."""
    start_time: str | None
    """Local time; of a waiting job the expected start, if Slurm has computed one."""
    time_limit: str | None
    partition: str | None
    fields: Mapping[str, str]
    """All fields of `scontrol show job`."""

    @property
    def is_active(self) -> bool:
        """Return whether the job waits, runs or is ending."""
        return self.state in ACTIVE

    @property
    def is_waiting(self) -> bool:
        """Return whether the job is queued and not running on a node."""
        return self.state in WAITING


@dataclass(frozen=True, slots=True)
class Submitted:
    """Answer of sbatch."""

    job_id: str
    notes: tuple[str, ...] = ()
    """Lines that the site prints beside the id: a charged account, a changed partition."""


def is_available() -> bool:
    """Return whether this machine can submit jobs."""
    return all(shutil.which(command) for command in ("sbatch", "squeue", "scontrol", "scancel"))


def submit(
    script: Path,
    *,
    folder: Path,
    after: Sequence[str] = (),
    after_kind: AfterKind = "afterok",
    options: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> Submitted:
    """Submit a script with `folder` as working directory; return the job id and the site's notes.

    `after`: ids of jobs that must succeed first (`afterany`: end in any way; `aftercorr`: for each
    task of an array the task of the same index). If one fails, Slurm cancels this job.
    `variables`: further environment variables of sbatch.

    Raises ClusterError if Slurm refuses, if there is no answer in time, or if the answer has no
    job id or several; Slurm may have taken the job in the last two cases.
    """
    arguments = ["--parsable", *options]
    if after:
        arguments += [f"--dependency={after_kind}:{':'.join(after)}", "--kill-on-invalid-dep=yes"]
    done = _ask(
        "sbatch",
        *arguments,
        str(script),
        folder=folder,
        seconds=SUBMIT_SECONDS,
        variables=variables,
    )
    return parse_submitted(done.stdout, notes=done.stderr)


def parse_submitted(printed: str, *, notes: str = "") -> Submitted:
    """Parse what `sbatch --parsable` printed: one line is an id, others are the site's.

    >>> parse_submitted("Dear user\\n787;lumi\\n1234 SU are left\\n")
    Submitted(job_id='787', notes=('Dear user', '1234 SU are left'))
    """
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    ids = [line for line in lines if _ID.fullmatch(line)]
    if len(ids) != 1:
        raise ClusterError(
            problem(
                "no-job-id",
                "sbatch: expected one line with a job id, and it printed {printed!r}; if sbatch is "
                "a wrapper of the site, it must keep the line that --parsable prints",
                printed=printed.strip()[:500],
            )
        )
    said = [line for line in lines if line not in ids]
    said += [line.strip() for line in notes.splitlines() if line.strip()]
    return Submitted(ids[0].partition(";")[0], tuple(dict.fromkeys(said)))


def refusal(script: Path, *, folder: Path) -> str | None:
    """Return why Slurm would refuse a script (`sbatch --test-only`), or None."""
    try:
        _run("sbatch", "--test-only", str(script), folder=folder)
    except ClusterError as error:
        return str(error)
    return None


def jobs(ids: Iterable[str], *, at_once: bool = False) -> dict[str, JobState]:
    """Return the states of the jobs that Slurm has not forgotten; array tasks are `ID_INDEX`.

    `at_once`: one question for all, whose answer has every job of the cluster; sites limit the
    number of questions.
    """
    ids = tuple(dict.fromkeys(ids))
    states: dict[str, JobState] = {}
    if at_once and ids:
        listed = parse_jobs(_run("scontrol", "--all", "show", "job", "-o"))
        states = {state.job_id: state for state in listed}
        return {job_id: states[job_id] for job_id in ids if job_id in states}
    for job_id in dict.fromkeys(own.partition("_")[0] for own in ids):
        try:
            printed = _run("scontrol", "show", "job", "-o", job_id)
        except ClusterError as error:
            if _FORGOTTEN.search(str(error)):
                continue
            raise
        states |= {state.job_id: state for state in parse_jobs(printed)}
    return {job_id: states[job_id] for job_id in ids if job_id in states}


def scripts_of_my_jobs() -> dict[str, str]:
    """Return the script paths of the user's active jobs, by job id."""
    printed = _run("squeue", "--me", "--array", "--noheader", "--format=%i|%o")
    lines = (line.partition("|") for line in printed.splitlines())
    return {job_id.strip(): script.strip() for job_id, _, script in lines}


def parse_jobs(printed: str) -> list[JobState]:
    """Parse `scontrol show job -o`: one job per line, `Key=value` with spaces in some values.

    Waiting tasks of an array share a line (`ArrayTaskId=2-3%2`); each is returned separately.

    >>> parse_jobs("JobId=7 JobName=a b JobState=PENDING Reason=Priority ExitCode=0:0")[0].state
    'PENDING'
    """
    lines = [_fields(line) for line in printed.splitlines() if line.startswith("JobId=")]
    return [_state(fields, job_id) for fields in lines for job_id in _job_ids(fields)]


def accounted(*arguments: str) -> str:
    """Return what the accounting database says. Raises ClusterError without one, or in no time."""
    options = ("--duplicates", "--parsable2", "--noheader", "--noconvert", *arguments)
    return _ask("sacct", *options, folder=None, seconds=ACCOUNTING_SECONDS).stdout


def cancel(ids: Sequence[str]) -> None:
    """Cancel jobs."""
    if ids:
        _run("scancel", *ids)


def signal_scripts(ids: Sequence[str]) -> None:
    """Send USR1 to the batch scripts of running jobs: they stop cleanly."""
    if ids:
        _run("scancel", "--signal=USR1", "--batch", *ids)


def requeue(job_id: str) -> None:
    """Requeue a running or ended job under its id."""
    _run("scontrol", "requeue", job_id)


def ping() -> str:
    """Return Slurm's version. Raises ClusterError if the controller does not answer."""
    version = _run("scontrol", "--version").strip()
    _run("squeue", "--noheader", "--states=RUNNING", "--name=finetune-ping")
    return version


def has(command: str) -> bool:
    """Return whether a Slurm command is installed."""
    return shutil.which(command) is not None


def environment() -> dict[str, str]:
    """Return the environment for Slurm's commands.

    A job submitted from inside a job would inherit its SLURM_ variables, and SBATCH_ variables
    override the lines of a script; both are removed. Secrets are removed too: Slurm keeps a job's
    environment on disk, and jobs need none.
    """
    kept = {"SLURM_CONF", "SLURM_CLUSTERS", "SLURM_TIME_FORMAT"}
    foreign = re.compile(r"(SLURM|SBATCH|SALLOC|SRUN|SCANCEL|SQUEUE)_")
    return {
        k: v
        for k, v in os.environ.items()
        if k in kept or not (foreign.match(k) or is_secret_name(k))
    }


def _run(command: str, *arguments: str, folder: Path | None = None) -> str:
    return _ask(command, *arguments, folder=folder, seconds=TIMEOUT_SECONDS).stdout


def _ask(
    command: str,
    *arguments: str,
    folder: Path | None,
    seconds: float,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command; raise ClusterError if it fails or does not answer in time."""
    try:
        done = _finished(
            [_program(command), *arguments],
            folder=folder,
            seconds=seconds,
            variables=environment() | dict(variables or {}),
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(
            problem(
                "no-answer-of-slurm",
                "{command}: no answer in {seconds:.0f} s; check that Slurm's controller is up, and "
                "try again",
                command=command,
                seconds=seconds,
            )
        ) from None
    if done.returncode != 0:
        output = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
        raise ClusterError(
            problem(
                "refused-by-slurm",
                "{command}: {output}",
                command=" ".join([command, *arguments[:1]]),
                output=output,
            )
        )
    return done


def _finished(
    command: list[str], *, folder: Path | None, seconds: float, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process group of its own, so that a stop ends what a wrapper started."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _program(command: str) -> str:
    program = shutil.which(command)
    if program is None:
        raise ClusterError(
            problem(
                "no-slurm",
                "{command}: not found; run this on a login node, which has Slurm's commands, or "
                "print the scripts with --dry-run",
                command=command,
            )
        )
    return program


def _fields(line: str) -> dict[str, str]:
    marks = list(_KEY.finditer(line))
    ends = [mark.start() for mark in marks[1:]] + [len(line)]
    fields: dict[str, str] = {}
    for mark, end in zip(marks, ends, strict=True):
        # the first occurrence counts: later free text may look like a key
        fields.setdefault(mark[1], line[mark.end() : end].strip())
    return fields


def _job_ids(fields: Mapping[str, str]) -> list[str]:
    """Return the id, or those of the tasks of an array: `ArrayTaskId=0,4-6%2` of array 9."""
    tasks = fields.get("ArrayTaskId")
    if tasks is None:
        return [fields["JobId"]]
    indices: list[int] = []
    for part in tasks.partition("%")[0].split(","):
        first, _, last = part.partition("-")
        if not (first.isdigit() and (last or first).isdigit()):
            continue  # `N/A`: an array whose tasks all have records of their own
        indices += range(int(first), int(last or first) + 1)
    return [f"{fields['ArrayJobId']}_{index}" for index in indices]


def _state(fields: Mapping[str, str], job_id: str) -> JobState:
    def known(key: str) -> str | None:
        value = fields.get(key, "")
        return None if value in ("", "(null)", "None", "Unknown", "N/A") else value

    return JobState(
        job_id=job_id,
        state=fields.get("JobState", "UNKNOWN"),
        reason=fields.get("Reason", "None"),
        restarts=int(fields.get("Restarts", "0")),
        exit_code=fields.get("ExitCode", "0:0"),
        dependency=known("Dependency"),
        nodes=known("NodeList"),
        start_time=known("StartTime"),
        time_limit=known("TimeLimit"),
        partition=known("Partition"),
        fields=fields,
    )
