"""Warnings about the jobs and the storage of a chain, each with what to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from finetune.cluster.chain.chain import ChainJob
from finetune.cluster.chain.progress import Progress
from finetune.errors import StoreError
from finetune.output.durations import age_seconds, duration
from finetune.pipeline.storage import Quota, quotas_of
from finetune.pipeline.store import Store

SILENT_SECONDS = 300.0  # a lease beats every 10 s
STILL_SECONDS = 900.0
STILL_STEPS = 20
GUESSING_STEPS = 50
GUESSING_SHARE = 0.97
"""Share of the loss of a uniform guess from which a run counts as diverged."""
PURGE_WARNING_DAYS = 7
DAY_SECONDS = 86400


def job_notices(
    progress: Progress, *, state: str, started: bool, purge_days: int | None
) -> list[str]:
    """Return the warnings about one job.

    `started`: its newest attempt has started and not ended; `purge_days`: of the site.
    """
    notices = []
    if progress.lost_step is not None and state != "done":
        left = (
            f"it resumes from the checkpoint at step {progress.checkpoint_step:,}"
            if progress.checkpoint_step
            else "it restarts from step 0"
        )
        notices.append(
            f"the checkpoint at step {progress.lost_step:,} no longer exists (scratch purged?); "
            f"{left}"
        )
    if state == "running" and started:
        notices += _stalled(progress) + _guessing(progress)
    unused = age_seconds(progress.checkpoint_used)
    if purge_days is None or unused is None or state in ("done", "running"):
        return notices
    if purge_days - unused / DAY_SECONDS < PURGE_WARNING_DAYS:
        notices.append(
            f"the checkpoint at step {progress.checkpoint_step:,} was last used {duration(unused)} "
            f"ago, and this site deletes files unused for {purge_days} days; "
            "`finetune resubmit` soon"
        )
    return notices


def inputs_of(jobs: Iterable[ChainJob]) -> dict[str, ChainJob]:
    """Return the input artefacts that none of these jobs makes, each with a job that needs it."""
    jobs = tuple(jobs)
    made = {artefact for job in jobs for artefact in job.artefacts}
    return {name: job for job in reversed(jobs) for name in job.inputs if name not in made}


def input_notices(jobs: Iterable[ChainJob], store: Store) -> list[str]:
    """Return a warning for each input of unfinished jobs that is gone or damaged."""
    notices = []
    for name, job in inputs_of(jobs).items():
        try:
            if store.find(*name.split("/")) is None:
                notices.append(f"{name} is no longer in the store, and {job.name} needs it")
        except StoreError as error:
            notices.append(str(error))
    return notices


def space_notices(
    store: Path, *, statvfs: Callable[[Path], os.statvfs_result] = os.statvfs
) -> list[str]:
    """Return the warnings about free space, free inodes and quotas of the store."""
    try:
        space = statvfs(store)
    except OSError as error:
        return [f"{store}: {error.strerror}; check that the file system is mounted"]
    notices = []
    free = space.f_bavail * space.f_frsize
    share = space.f_bavail / space.f_blocks if space.f_blocks else 1.0
    if free < 2 * 2**30 or (share < 0.05 and free < 50 * 2**30):
        notices.append(
            f"{store}: only {free / 2**30:.1f} GiB free ({100 * (1 - share):.0f} % used); "
            "`finetune runs --remove STAGE/KEY` frees space"
        )
    if space.f_files and space.f_favail < max(1000, min(100_000, space.f_files // 20)):
        notices.append(
            f"{store}: only {space.f_favail:,} free inodes; remove files, e.g. old environments "
            "and caches"
        )
    return notices + [_quota_notice(quota) for quota in quotas_of(store) if quota.is_nearly_used]


def _quota_notice(quota: Quota) -> str:
    return (
        f"your quota on {quota.file_system} is {100 * quota.share:.0f} % used "
        f"({quota.used_bytes / 2**30:,.0f} GiB, {quota.used_files:,} files); free space, or jobs "
        "cannot write checkpoints"
    )


def _guessing(progress: Progress) -> list[str]:
    """Return a warning if a training run has learned nothing, or forgotten all."""
    loss, guess = progress.recent_loss, progress.guessing_loss
    if loss is None or guess is None or (progress.step or 0) < GUESSING_STEPS:
        return []
    if loss < GUESSING_SHARE * guess:
        return []
    return [
        f"the loss, {loss:.2f}, is that of guessing ({guess:.2f}, ln of the vocabulary): the run "
        "has diverged; `finetune cancel`, lower train.learning_rate and submit again"
    ]


def _stalled(progress: Progress) -> list[str]:
    """Return a warning if a running job has no heartbeat, or makes no progress."""
    silent, still = age_seconds(progress.beat), age_seconds(progress.moved)
    advice = "see `finetune logs`; `finetune cancel` and `finetune resubmit` restart it"
    if silent is not None and silent > SILENT_SECONDS:
        return [f"no heartbeat for {duration(silent)}; {advice}"]
    if progress.hang:
        return [f"{progress.hang}; {advice}"]
    patience = max(STILL_SECONDS, STILL_STEPS * (progress.step_seconds or 0.0))
    if still is not None and still > patience:
        what = "step" if progress.step is not None else "log line"
        return [f"no new {what} for {duration(still)}; {advice}"]
    return []
