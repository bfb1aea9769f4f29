"""Judgement of the edges between a site and the jobs: shell, environment, launcher, permissions.

Jobs hold at most of them; they are named beforehand.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence

from finetune.cluster.chain.notes import Notes
from finetune.cluster.doctor.diagnosis import GIB, Finding, shortened
from finetune.cluster.doctor.probe import Machine
from finetune.cluster.doctor.probe_job import Answer
from finetune.cluster.slurm.commands import JobState

SLOW_SECONDS = 20.0
LOW_MEMORY_BYTES = 16 * GIB
"""Weights of a base of 8 billion parameters in half precision, read by one rank."""
_OPTIONS = ("errexit", "nounset", "pipefail", "noglob", "noclobber", "noexec", "posix")


def edges(answer: Answer, machines: Sequence[Machine], *, ranks_per_node: int) -> list[Finding]:
    """Return the findings about the script of the job and about what is around it."""
    findings = [
        script(answer),
        setup(answer.notes),
        shell(answer.notes),
        launcher(answer.notes),
        sbatch(answer),
        environment(machines),
        programs(machines),
        memory(answer.state, ranks_per_node=ranks_per_node, has_gpus=_have_gpus(machines)),
    ]
    return [finding for finding in findings if finding is not None]


def script(answer: Answer) -> Finding | None:
    """Check that the start and the end of the attempt were recorded; None if it did not start."""
    if answer.error or not answer.events:
        return None
    end = answer.events[-1]
    if end.event == "end":  # ranks that failed are a finding of their own
        why = "" if end.outcome == "done" else f"; {end.reason}"
        return Finding("job script", "ok", f"start and end were recorded{why}")
    return Finding(
        "job script",
        "failed",
        answer.notes.why_ended or "the end of the job was not recorded",
        "see the finding about compute nodes; jobs of a chain would end in the same way",
    )


def setup(notes: Notes) -> Finding | None:
    """Check the set-up lines of the site; None if all of them succeeded."""
    if not notes.failed_setup and not notes.in_setup:
        return None
    failed = shortened(notes.failed_setup)
    return Finding(
        "setup",
        "failed",
        f"{failed or 'a line'}, and the job ended there" if notes.in_setup else failed,
        "correct `setup` in the site or your overlay; `module` is defined by the profile of a "
        "login shell: submit from one, or set `shell: login`",
    )


def shell(notes: Notes) -> Finding | None:
    """Report changes of shell options and traps by the set-up, which end with it."""
    changed = [name for name in _OPTIONS if name in notes.options.split(":")]
    parts = [f"sets {', '.join(changed)}"] if changed else []
    parts += [f"`{line}`" for line in notes.kept]
    if not parts:
        return None
    return Finding(
        "shell", "ok", f"setup {shortened(parts)}: undone after the setup, stop signals are kept"
    )


def launcher(notes: Notes) -> Finding | None:
    """Report what a launcher prints beside the answers of finetune."""
    if not notes.printed:
        return None
    text = notes.printed[0].strip()
    return Finding("launcher", "ok", f"prints {text[:80]!r} on stdout; jobs pass it by")


def sbatch(answer: Answer) -> Finding | None:
    """Report what the site says at a submission, and a slow answer."""
    if answer.submitted is None:
        return None
    said = shortened(answer.submitted.notes)
    if answer.submit_seconds > SLOW_SECONDS:
        said = f"answers after {answer.submit_seconds:.0f} s" + (f"; {said}" if said else "")
    return Finding("sbatch", "ok", f"the site says: {said}") if said else None


def environment(machines: Sequence[Machine]) -> Finding | None:
    """Report that jobs do not get the environment of the shell that submits."""
    if not machines or all(machine.inherits for machine in machines):
        return None
    return Finding(
        "environment",
        "ok",
        "jobs do not get the variables of your shell (--export=NONE, or a launcher that clears "
        "them), and ranks get those of the job; write what they need into `environment` or `setup`",
    )


def programs(machines: Sequence[Machine]) -> Finding | None:
    """Report that bash is not found by its name; None if it is."""
    without = [machine.host for machine in machines if not machine.has_bash]
    if not without:
        return None
    return Finding(
        "PATH",
        "ok",
        f"has no bash on {', '.join(without[:4])}; scripts start /bin/bash by its path",
    )


def memory(state: JobState | None, *, ranks_per_node: int, has_gpus: bool) -> Finding | None:
    """Check the main memory of a GPU job against the weights of a base; None if not known."""
    fields = state.fields if state is not None else {}
    allocated = fields.get("AllocTRES") or fields.get("TRES", "")  # newer and older Slurm
    found = next((p[4:] for p in allocated.split(",") if p.startswith("mem=")), "")
    size = _bytes(found)
    nodes = fields.get("NumNodes", "1").partition("-")[0]
    if size is None or not nodes.isdigit():
        return None
    per_rank = size / max(1, int(nodes)) / ranks_per_node
    text = f"{per_rank / GIB:,.1f} GiB of main memory per rank"
    if per_rank >= LOW_MEMORY_BYTES or not has_gpus:
        return Finding("memory", "ok", text)
    return Finding(
        "memory",
        "warning",
        f"{text}; a base of 8 billion parameters has 16 GiB of weights",
        "add a line `#SBATCH --mem=...` (or --mem-per-cpu) to `train` and `evaluate` of the site",
    )


def group(login: Machine, machines: Sequence[Machine]) -> Finding | None:
    """Check that files of a store that a group shares can be used by the group."""
    if login.mode is None:
        return None
    mode = stat.filemode(login.mode)
    name = login.group or "the group"
    if not login.mode & stat.S_IWGRP:
        readable = "can read" if login.mode & stat.S_IRGRP else "cannot read"
        return Finding("group", "ok", f"{mode}: others of {name} {readable} the store")
    closed = {m.host: f"umask {m.umask:03o}" for m in (login, *machines) if m.umask & 0o070}
    if not closed and login.mode & stat.S_ISGID:
        return Finding("group", "ok", f"{mode}: files are shared with {name}")
    parts = [f"{host}: {umask}" for host, umask in closed.items()]
    if not login.mode & stat.S_ISGID:
        parts.append("no setgid bit, so new files belong to each person's own group")
    return Finding(
        "group",
        "warning",
        f"{mode}: the store is shared with {name}, but {shortened(parts)}",
        "`umask 002` in the start-up file of your shell and in `setup`; `chmod g+s` on the store "
        "(docs/cluster/shared-store.md)",
    )


def _have_gpus(machines: Sequence[Machine]) -> bool:
    return any(machine.gpus is not None and machine.gpus.seen for machine in machines)


def _bytes(text: str) -> int | None:
    """Return a size of Slurm in bytes.

    >>> _bytes("16G"), _bytes("1.50T"), _bytes("512000M"), _bytes("x")
    (17179869184, 1649267441664, 536870912000, None)
    """
    unit = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}.get(text[-1:])
    try:
        return int(float(text[:-1]) * unit) if unit else None
    except ValueError:
        return None
