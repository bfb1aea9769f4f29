"""Plain words for Slurm's one-word reasons, with what to do.

The reasons are those of `squeue` and `scontrol show job` (job_reason_codes in Slurm's manual, and
the words that `src/common/slurm_protocol_defs.c` prints). Every command in them does what the
sentence promises: `finetune resubmit` writes the scripts anew from site and overlay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from finetune.cluster.slurm.commands import JobState

_STAFF = "ask the site's support"
_ANEW = "`finetune cancel`, then `finetune resubmit`"
_HERE = f"in site or overlay, {_ANEW}"
_OWN = f"it starts when your other jobs end; if it alone is above the limit, request less {_HERE}"


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason for waiting, or a family of them."""

    words: str
    """Regular expression for the whole word."""
    text: str
    """Cause and remedy; `{job_id}` is filled in."""
    stuck: bool = False
    """True if the job can never start as submitted."""


REASONS = (
    Reason("Resources", "next in the queue; waits until enough nodes are free"),
    Reason("Priority", "other jobs are ahead of it in the queue"),
    Reason("None", "just submitted; not yet scheduled"),
    Reason("Dependency", "waits for the previous job"),
    Reason("BeginTime", "requeued; Slurm restarts it after a short delay"),
    Reason("JobArrayTaskLimit", "--array-limit is reached"),
    Reason(
        "JobLaunchFailure",
        f"a node could not start it; Slurm retries; if it persists, {_STAFF}",
    ),
    Reason(
        "ReqNodeNotAvail",
        "required nodes are down or reserved (maintenance?); it starts when they are available",
    ),
    Reason(
        "Nodes_required_for_job_are_DOWN.*", "required nodes are down, or reserved for other jobs"
    ),
    Reason("NodeDown", "a required node is down"),
    Reason("Reservation", "waits for the start of its reservation"),
    Reason("Licenses", "waits for a software licence of the site"),
    Reason("PartitionDown", f"its partition is down; {_STAFF} until when"),
    Reason("PartitionInactive", f"its partition is inactive; {_STAFF} until when"),
    Reason("Cleaning", "Slurm is still cleaning up its previous run"),
    Reason("Prolog", "the site's prolog is running on the nodes"),
    Reason("FrontEndDown", f"a front-end node is down; {_STAFF}"),
    Reason("BurstBufferResources", "waits for burst-buffer space"),
    Reason("BurstBufferStageIn", "the burst buffer is being filled"),
    Reason("SystemFailure", f"Slurm itself or a file system failed; {_STAFF}"),
    Reason("AssociationJobLimit", f"the job limit of your account is reached; {_OWN}"),
    Reason("AssociationResourceLimit", f"the resource limit of your account is reached; {_OWN}"),
    Reason("QOSJobLimit", f"the job limit of the QOS is reached; {_OWN}"),
    Reason("QOSResourceLimit", f"the resource limit of the QOS is reached; {_OWN}"),
    Reason("QOSUsageThreshold", f"the usage threshold of the QOS is reached; {_STAFF}"),
    # on hold
    Reason(
        "DependencyNeverSatisfied",
        f"can never start: a job that it depends on failed; {_ANEW}",
        stuck=True,
    ),
    Reason("JobHeldUser", "held by you; `scontrol release {job_id}` releases it", stuck=True),
    Reason(
        "JobHeldAdmin",
        f"held by the site or after failed starts; {_STAFF}, or {_ANEW}",
        stuck=True,
    ),
    Reason(
        "job_requeued_in_held_state",
        "requeued and held; `scontrol release {job_id}` releases it",
        stuck=True,
    ),
    Reason(
        "JobHoldMaxRequeue",
        "requeued too often and held; see `finetune logs`, then `scontrol release {job_id}`",
        stuck=True,
    ),
    Reason(
        "launch_failed_requeued_held",
        "held after a failed start; `scontrol release {job_id}` retries; if it persists, contact "
        "the site's support",
        stuck=True,
    ),
    # requests what it cannot get
    Reason(
        "ReservationDeleted",
        f"its reservation no longer exists; remove --reservation {_HERE}",
        stuck=True,
    ),
    Reason(
        "PartitionNodeLimit",
        f"requests more nodes than its partition allows; change `nodes` or the partition {_HERE}",
        stuck=True,
    ),
    Reason(
        "PartitionTimeLimit",
        f"requests more time than its partition allows; lower `time_limit` {_HERE}",
        stuck=True,
    ),
    Reason(
        "(QOS|Association)TimeLimit",
        f"requests more time than its QOS or account allows; lower `time_limit` {_HERE}",
        stuck=True,
    ),
    Reason(
        "BadConstraints",
        f"no node has the requested features; change constraint, GPUs or memory {_HERE}",
        stuck=True,
    ),
    Reason(
        "AccountNotAllowed",
        f"your account may not use this partition; change `account` or `partition` {_HERE}",
        stuck=True,
    ),
    Reason("InvalidAccount", f"Slurm does not know the account; change it {_HERE}", stuck=True),
    Reason(
        "InvalidQOS",
        f"Slurm does not know the QOS, or you may not use it; change `qos` {_HERE}",
        stuck=True,
    ),
    Reason("QOSNotAllowed", f"this QOS is not allowed here; change `qos` {_HERE}", stuck=True),
    Reason("DeadLine", f"cannot end before its deadline; remove --deadline {_HERE}", stuck=True),
    Reason("MaxMemPerLimit", f"requests more memory than allowed; lower --mem {_HERE}", stuck=True),
    Reason(
        r"(QOS|Assoc)Max\w*(Wall|Minutes)\w*",
        f"requests more time than one job may have; lower `time_limit` {_HERE}",
        stuck=True,
    ),
    Reason(
        r"(QOS|Assoc)Max\w*Per(Job|Node)\w*",
        f"requests more than one job may have; lower `nodes`, GPUs, CPUs or memory {_HERE}",
        stuck=True,
    ),
    Reason(
        r"(QOS|Assoc)Min\w*",
        f"requests less than the QOS or account requires; request more, or change `qos`, {_HERE}",
        stuck=True,
    ),
    # limits that others, or other jobs, use up
    Reason(
        r"(QOS|Assoc)Grp\w*RunMinutes\w*",
        "the time that running jobs may still take together is used; it starts when others end",
    ),
    Reason(r"QOSGrp\w*Minutes\w*", f"the shared time of the QOS is used; {_STAFF}"),
    Reason(r"AssocGrp\w*Minutes\w*", f"the computing time of your project is used; {_STAFF}"),
    Reason(r"QOSMax\w*PerUser\w*", f"your limit in the QOS is reached; {_OWN}"),
    Reason(r"QOSMax\w*", f"the limit of the QOS is reached; {_OWN}"),
    Reason(r"QOSGrp\w*", "the shared limit of the QOS is reached; it starts when others end"),
    Reason(r"AssocGrp\w*", "the limit of your project is reached; it starts when others end"),
    Reason(r"Assoc\w*", f"the limit of your account is reached; {_OWN}"),
)
"""Reasons for waiting; the first whose words match counts."""
_WITHOUT_WORD = frozenset(("None", "Dependency", "BeginTime"))

ENDED = {
    "FAILED": "ended with exit code {exit_code}",
    "OUT_OF_MEMORY": "out of memory; request more memory in site or overlay and `finetune "
    "resubmit`, or lower run.memory_gib or run.micro_batch_size in the recipe and `finetune submit`"
    " (the same training resumes)",
    "TIMEOUT": "reached its time limit ({time_limit})",
    "NODE_FAIL": "a node failed",
    "BOOT_FAIL": "its nodes did not boot",
    "PREEMPTED": "preempted by a job of higher priority",
    "DEADLINE": "reached its deadline",
    "CANCELLED": "was cancelled",
    "REVOKED": "taken over by another cluster",
    "SPECIAL_EXIT": "held after a special exit code",
}
"""Ends of jobs, by Slurm's state."""


def reason_of(word: str) -> Reason | None:
    """Return the row of a reason code, or None.

    >>> reason_of("QOSMaxWallDurationPerJobLimit").stuck, reason_of("SomethingNew")
    (True, None)
    """
    return next((row for row in REASONS if re.fullmatch(row.words, word)), None)


def why_waiting(state: JobState) -> str:
    """Return why a job waits, and what to do if it can never start.

    Unknown reason codes are returned unchanged.
    """
    word = _word(state)
    known = reason_of(word)
    if known is None:
        return f"Slurm: {state.reason}"
    shown = known.text.format(job_id=state.job_id)
    return shown if word in _WITHOUT_WORD else f"{shown} [{word}]"


def never_starts(state: JobState) -> bool:
    """Return whether a waiting job can never start as submitted."""
    known = reason_of(_word(state))
    return state.is_waiting and known is not None and known.stuck


def why_ended(state: JobState) -> str:
    """Return how a failed job ended."""
    if state.reason == "DependencyNeverSatisfied":
        return "not started: a job that it depends on failed"
    if state.reason == "JobLaunchFailure":
        return "a node could not start it; `finetune resubmit`; if it persists, contact the support"
    code, _, signal = state.exit_code.partition(":")
    if state.state == "FAILED" and signal not in ("", "0"):
        return f"ended by signal {signal}"
    text = ENDED.get(state.state, f"Slurm: {state.state} {state.reason}")
    return text.format(exit_code=code, time_limit=state.time_limit or "unknown")


def _word(state: JobState) -> str:
    """Return the reason code of e.g. `ReqNodeNotAvail, UnavailableNodes:node3`."""
    return state.reason.partition(",")[0].strip().replace(" ", "_")
