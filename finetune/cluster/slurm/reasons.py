"""Plain words for Slurm's one-word reasons, with what to do.

The reasons are those of `squeue` and `scontrol show job` (job_reason_codes in Slurm's manual).
"""

from __future__ import annotations

import re

from finetune.cluster.slurm.commands import JobState

_LIMITS = "request less, or wait until your other jobs end"
_STAFF = "ask the site's support"

WAITING = {
    "Resources": "next in the queue; waits until enough nodes are free",
    "Priority": "other jobs are ahead of it in the queue",
    "None": "just submitted; not yet scheduled",
    "Dependency": "waits for the previous job",
    "BeginTime": "requeued; Slurm restarts it after a short delay",
    "JobArrayTaskLimit": "--array-limit is reached",
    "JobLaunchFailure": f"a node could not start it; Slurm retries; if it persists, {_STAFF}",
    "ReqNodeNotAvail": "required nodes are down or reserved (maintenance?); "
    "it starts when they are available",
    "Nodes_required_for_job_are_DOWN": "required nodes are down, or reserved for other jobs",
    "NodeDown": "a required node is down",
    "Reservation": "waits for the start of its reservation",
    "Licenses": "waits for a software licence of the site",
    "PartitionDown": f"its partition is down; {_STAFF} until when",
    "PartitionInactive": f"its partition is inactive; {_STAFF} until when",
    "AssociationJobLimit": f"the job limit of your account is reached; {_LIMITS}",
    "AssociationResourceLimit": f"the resource limit of your account is reached; {_LIMITS}",
    "AssociationTimeLimit": f"the time limit of your account is reached; {_STAFF}",
    "QOSJobLimit": f"the job limit of the QOS is reached; {_LIMITS}",
    "QOSResourceLimit": f"the resource limit of the QOS is reached; {_LIMITS}",
    "Cleaning": "Slurm is still cleaning up its previous run",
    "Prolog": "the site's prolog is running on the nodes",
    "FrontEndDown": f"a front-end node is down; {_STAFF}",
    "BurstBufferResources": "waits for burst-buffer space",
    "BurstBufferStageIn": "the burst buffer is being filled",
    "SystemFailure": f"Slurm itself or a file system failed; {_STAFF}",
}
"""Reasons for waiting, by Slurm's reason code."""

STUCK = {
    "DependencyNeverSatisfied": "can never start: a job that it depends on failed; "
    "`finetune cancel`, then `finetune resubmit`",
    "JobHeldUser": "held by you; `scontrol release {job_id}` releases it",
    "JobHeldAdmin": f"held by the site or after failed starts; {_STAFF}, or "
    "`finetune cancel`, then `finetune resubmit`",
    "job_requeued_in_held_state": "requeued and held; `scontrol release {job_id}` releases it",
    "JobHoldMaxRequeue": "requeued too often and held; see `finetune logs`, then "
    "`scontrol release {job_id}`",
    "launch_failed_requeued_held": "held after a failed start; "
    "`scontrol release {job_id}` retries; if it persists, contact the site's support",
    "ReservationDeleted": "its reservation no longer exists; remove --reservation from the site "
    "or overlay, then `finetune cancel` and `finetune resubmit`",
    "PartitionNodeLimit": "requests more nodes than its partition allows; change "
    "`nodes` or the partition in site or overlay, `finetune cancel`, then `finetune resubmit`",
    "PartitionTimeLimit": "requests more time than its partition allows; lower "
    "`time_limit` in site or overlay, `finetune cancel`, then `finetune resubmit`",
    "BadConstraints": "no node has the requested features; check constraint, GPUs and "
    "memory in site and overlay, `finetune cancel`, then `finetune resubmit`",
    "AccountNotAllowed": "your account may not use this partition; change `account` or `partition` "
    "in your overlay, `finetune cancel`, then `finetune resubmit`",
    "InvalidAccount": "Slurm does not know the account; change `account` in your overlay, "
    "`finetune cancel`, then `finetune resubmit`",
    "InvalidQOS": "Slurm does not know the QOS, or you may not use it; change `qos` in your "
    "overlay, `finetune cancel`, then `finetune resubmit`",
    "QOSNotAllowed": "this QOS is not allowed here; change `qos` in your overlay, "
    "`finetune cancel`, then `finetune resubmit`",
    "QOSTimeLimit": "requests more time than the QOS allows; lower `time_limit`, "
    "`finetune cancel`, then `finetune resubmit`",
    "DeadLine": "cannot end before its deadline",
}
"""Reasons for waiting of jobs that can never start as submitted."""

_PATTERNS = (
    (r"QOSGrp\w*Minutes\w*", "the shared time of the QOS is used; " + _STAFF),
    (r"AssocGrp\w*Minutes\w*", "the computing time of your project is used; " + _STAFF),
    (
        r"(QOS|Assoc)Max\w*(Wall|Minutes)\w*",
        "requests more time than one job may have; lower `time_limit`, `finetune cancel`, "
        "then `finetune resubmit`",
    ),
    (
        r"(QOS|Assoc)Max\w*PerJob\w*",
        "requests more than one job may have; lower `nodes` in site or overlay, "
        "`finetune cancel`, then `finetune resubmit`",
    ),
    (r"QOSMin\w*|AssocMin\w*", "requests less than the QOS or account requires; check the site"),
    (r"QOSMax\w*PerUser\w*", "your limit in the QOS is reached; " + _LIMITS),
    (r"QOSMax\w*", "the limit of the QOS is reached; " + _LIMITS),
    (r"QOSGrp\w*", "the shared limit of the QOS is reached; it starts when others end"),
    (r"AssocGrp\w*", "the limit of your project is reached; it starts when others end"),
    (r"Assoc\w*", "the limit of your account is reached; " + _LIMITS),
    (r"MaxMemPerLimit", "requests more memory than allowed; check --mem in the site"),
)

ENDED = {
    "FAILED": "ended with exit code {exit_code}",
    "OUT_OF_MEMORY": "out of memory; lower run.memory_gib or "
    "run.micro_batch_size, or request more memory in the site",
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


def why_waiting(state: JobState) -> str:
    """Return why a job waits, and what to do if it can never start.

    Unknown reason codes are returned unchanged.
    """
    word = _word(state)
    known = (WAITING | STUCK).get(word)
    if known is None:
        known = next((text for p, text in _PATTERNS if re.fullmatch(p, word)), None)
    if known is None:
        return f"Slurm: {state.reason}"
    shown = known.format(job_id=state.job_id)
    return shown if word in ("None", "Dependency", "BeginTime") else f"{shown} [{word}]"


def never_starts(state: JobState) -> bool:
    """Return whether a waiting job can never start as submitted."""
    return state.is_waiting and _word(state) in STUCK


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
