"""Slurm's one-word reasons in plain words, with what to do about them.

The words are those of `squeue` and `scontrol show job` (job_reason_codes in Slurm's manual).
"""

from __future__ import annotations

import re

from finetune.cluster.slurm.commands import JobState

_LIMITS = "a smaller request, or waiting until your other jobs end, helps"
_STAFF = "ask the site's staff"

WAITING = {
    "Resources": "next in line; waits until enough nodes are free",
    "Priority": "other jobs are ahead of it in the queue",
    "None": "just submitted; Slurm has not looked at it yet",
    "Dependency": "waits for the job before it",
    "BeginTime": "was put back into the queue; Slurm waits a moment before it starts it again",
    "JobArrayTaskLimit": "as many tasks of the array run as --array-limit allows",
    "JobLaunchFailure": f"a node could not start it; Slurm tries again; if it stays so, {_STAFF}",
    "ReqNodeNotAvail": "nodes that it needs are down or reserved (maintenance?); "
    "it starts when they are back",
    "Nodes_required_for_job_are_DOWN": "nodes that it needs are down, or kept for other jobs",
    "NodeDown": "a node that it needs is down",
    "Reservation": "waits for its reservation to begin",
    "Licenses": "waits for a licence that the site counts",
    "PartitionDown": f"its partition is closed for now; {_STAFF} until when",
    "PartitionInactive": f"its partition starts no jobs for now; {_STAFF} until when",
    "AssociationJobLimit": f"your account has as many jobs as it may have; {_LIMITS}",
    "AssociationResourceLimit": f"your account has as much as it may have; {_LIMITS}",
    "AssociationTimeLimit": "your account's time is used up, or the job asks for too much; "
    f"{_STAFF}",
    "QOSJobLimit": f"the QOS has as many jobs as it allows; {_LIMITS}",
    "QOSResourceLimit": f"the QOS gives no more at once; {_LIMITS}",
    "Cleaning": "Slurm is still ending its last run",
    "Prolog": "the site's prolog is running on the nodes",
    "FrontEndDown": f"a front-end node is down; {_STAFF}",
    "BurstBufferResources": "waits for burst-buffer space",
    "BurstBufferStageIn": "the burst buffer is being filled",
    "SystemFailure": f"Slurm itself or a file system failed; {_STAFF}",
}
"""Why a job waits, by Slurm's word."""

STUCK = {
    "DependencyNeverSatisfied": "never starts: a job that it waits for did not end well; "
    "`finetune cancel`, then `finetune resubmit`",
    "JobHeldUser": "held by you; `scontrol release {job_id}` lets it go",
    "JobHeldAdmin": f"held by the site or after failed starts; {_STAFF}, or "
    "`finetune cancel`, then `finetune resubmit`",
    "job_requeued_in_held_state": "put back into the queue and held; `scontrol release {job_id}` "
    "lets it go",
    "JobHoldMaxRequeue": "was put back too often and is held; look at `finetune logs`, then "
    "`scontrol release {job_id}`",
    "launch_failed_requeued_held": "a node could not start it, so Slurm holds it; "
    "`scontrol release {job_id}` tries again; if it comes back, tell the site's staff",
    "ReservationDeleted": "its reservation no longer exists; take --reservation out of the site "
    "or overlay, then `finetune cancel` and `finetune resubmit`",
    "PartitionNodeLimit": "asks for more nodes than its partition gives; it never starts: change "
    "`nodes` or the partition in site or overlay, `finetune cancel`, then `finetune resubmit`",
    "PartitionTimeLimit": "asks for more time than its partition gives; it never starts: lower "
    "`time_limit` in site or overlay, `finetune cancel`, then `finetune resubmit`",
    "BadConstraints": "no node has what it asks for; it never starts: look at constraint, GPUs and "
    "memory in site and overlay, `finetune cancel`, then `finetune resubmit`",
    "AccountNotAllowed": "your account may not use this partition; change `account` or `partition` "
    "in your overlay, `finetune cancel`, then `finetune resubmit`",
    "InvalidAccount": "Slurm does not know the account; change `account` in your overlay, "
    "`finetune cancel`, then `finetune resubmit`",
    "InvalidQOS": "Slurm does not know the QOS, or you may not use it; change `qos` in your "
    "overlay, `finetune cancel`, then `finetune resubmit`",
    "QOSNotAllowed": "this QOS may not be used here; change `qos` in your overlay, "
    "`finetune cancel`, then `finetune resubmit`",
    "QOSTimeLimit": "asks for more time than the QOS gives; lower `time_limit`, "
    "`finetune cancel`, then `finetune resubmit`",
    "DeadLine": "cannot end before its deadline; it never starts",
}
"""Why a job waits that will not start unless somebody does something."""

_PATTERNS = (
    (r"QOSGrp\w*Minutes\w*", "the shared time of the QOS is used up; " + _STAFF),
    (r"AssocGrp\w*Minutes\w*", "your project's computing time is used up; " + _STAFF),
    (
        r"(QOS|Assoc)Max\w*(Wall|Minutes)\w*",
        "asks for more time than is allowed to one job; lower `time_limit`, `finetune cancel`, "
        "then `finetune resubmit`",
    ),
    (
        r"(QOS|Assoc)Max\w*PerJob\w*",
        "asks for more than is allowed to one job; lower `nodes` in site or overlay, "
        "`finetune cancel`, then `finetune resubmit`",
    ),
    (r"QOSMin\w*|AssocMin\w*", "asks for less than the QOS or account demands; look at the site"),
    (r"QOSMax\w*PerUser\w*", "you have as much running as the QOS gives one person; " + _LIMITS),
    (r"QOSMax\w*", "you have as much running as the QOS allows; " + _LIMITS),
    (r"QOSGrp\w*", "the QOS as a whole gives no more at once; it starts when others end"),
    (r"AssocGrp\w*", "your project has as much running as it may; it starts when others end"),
    (r"Assoc\w*", "you have as much running as your account allows; " + _LIMITS),
    (r"MaxMemPerLimit", "asks for more memory than is allowed; look at --mem in the site"),
)

ENDED = {
    "FAILED": "ended with exit code {exit_code}",
    "OUT_OF_MEMORY": "used more memory than it had asked for; lower run.memory_gib or "
    "run.micro_batch_rows, or ask for more in the site",
    "TIMEOUT": "was ended at its time limit ({time_limit})",
    "NODE_FAIL": "a node failed under it",
    "BOOT_FAIL": "its nodes did not start",
    "PREEMPTED": "gave way to a job of higher priority",
    "DEADLINE": "reached its deadline",
    "CANCELLED": "was cancelled",
    "REVOKED": "was taken over by another cluster",
    "SPECIAL_EXIT": "was held after a special exit code",
}
"""How a job ended, by Slurm's state."""


def why_waiting(state: JobState) -> str:
    """Say in plain words why a job waits, and what to do if it would wait for ever.

    A reason that Slurm added since is shown as Slurm says it.
    """
    word = _word(state)
    known = (WAITING | STUCK).get(word)
    if known is None:
        known = next((text for p, text in _PATTERNS if re.fullmatch(p, word)), None)
    if known is None:
        return f"Slurm says: {state.reason}"
    shown = known.format(job_id=state.job_id)
    return shown if word in ("None", "Dependency", "BeginTime") else f"{shown} [{word}]"


def never_starts(state: JobState) -> bool:
    """Whether a job waits for something that will not come by itself."""
    return state.is_waiting and _word(state) in STUCK


def why_ended(state: JobState) -> str:
    """Say in plain words how a job ended that did not end well."""
    if state.reason == "DependencyNeverSatisfied":
        return "never started: a job that it waited for did not end well"
    if state.reason == "JobLaunchFailure":
        return "a node could not start it; `finetune resubmit`; if it comes back, tell the staff"
    code, _, signal = state.exit_code.partition(":")
    if state.state == "FAILED" and signal not in ("", "0"):
        return f"was ended by signal {signal}"
    text = ENDED.get(state.state, f"Slurm says: {state.state} {state.reason}")
    return text.format(exit_code=code, time_limit=state.time_limit or "unknown")


def _word(state: JobState) -> str:
    """Return the word alone: `ReqNodeNotAvail, UnavailableNodes:node3` has more behind it."""
    return state.reason.partition(",")[0].strip().replace(" ", "_")
