"""What somebody should look at, each in one line with what to do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from finetune.cluster.chain.progress import Progress
from finetune.output.durations import age_seconds, duration
from finetune.pipeline.storage import Quota, quotas_of

SILENT_SECONDS = 300.0  # a lease beats every 10 s
STILL_SECONDS = 900.0
STILL_STEPS = 20
PURGE_WARNING_DAYS = 7
DAY_SECONDS = 86400


def job_notices(
    progress: Progress, *, state: str, started: bool, purge_days: int | None
) -> list[str]:
    """Return what is wrong, or soon will be, with one job.

    `started`: its newest attempt has begun and not ended; `purge_days`: of the site.
    """
    found = []
    if progress.lost_step is not None and state != "done":
        left = (
            f"it goes on from step {progress.checkpoint_step}"
            if progress.checkpoint_step
            else "it starts again from step 0"
        )
        found.append(
            f"its checkpoint of step {progress.lost_step} is gone (was old scratch purged?): {left}"
        )
    if state == "running" and started:
        found += _standing_still(progress)
    unused = age_seconds(progress.checkpoint_used)
    if purge_days is None or unused is None or state in ("done", "running"):
        return found
    if purge_days - unused / DAY_SECONDS < PURGE_WARNING_DAYS:
        found.append(
            f"its checkpoint of step {progress.checkpoint_step} was last used {duration(unused)} "
            f"ago, and this site deletes what nobody uses for {purge_days} days; "
            "`finetune resubmit` soon"
        )
    return found


def space_notices(store: Path) -> list[str]:
    """Say when the store's file system, or the person's quota there, has hardly any room left."""
    try:
        space = os.statvfs(store)
        free = shutil.disk_usage(store).free
    except OSError as error:
        return [f"{store}: {error.strerror}; is the file system mounted here?"]
    notices = []
    share = space.f_bavail / space.f_blocks if space.f_blocks else 1.0
    if free < 2 * 2**30 or (share < 0.05 and free < 50 * 2**30):
        notices.append(
            f"{store}: only {free / 2**30:.1f} GiB are free ({100 * (1 - share):.0f} % used); "
            "`finetune runs --remove STAGE/KEY` frees some"
        )
    if space.f_files and space.f_favail < max(1000, min(100_000, space.f_files // 20)):
        notices.append(
            f"{store}: only {space.f_favail:,} more files may be made there; remove files that "
            "you do not need (many small ones: environments, caches)"
        )
    return notices + [_quota_notice(quota) for quota in quotas_of(store) if quota.is_nearly_used]


def _quota_notice(quota: Quota) -> str:
    return (
        f"your quota on {quota.file_system} is used to {100 * quota.share:.0f} % "
        f"({quota.used_bytes / 2**30:.0f} GiB, {quota.used_files:,} files); free some before a "
        "training cannot write"
    )


def _standing_still(progress: Progress) -> list[str]:
    """Say when a running job shows no sign of life, or lives and gets no further."""
    silent, still = age_seconds(progress.beat), age_seconds(progress.moved)
    look_there = "look at `finetune logs`; `finetune cancel` and `finetune resubmit` start it again"
    if silent is not None and silent > SILENT_SECONDS:
        return [f"no sign of life for {duration(silent)}; {look_there}"]
    patience = max(STILL_SECONDS, STILL_STEPS * (progress.step_seconds or 0.0))
    if still is not None and still > patience:
        what = "step" if progress.step is not None else "line in its log"
        return [f"no new {what} for {duration(still)}; {look_there}"]
    return []
