"""An export as a new folder, which is there only when it is whole."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from finetune.artefacts.job import Job
from finetune.errors import StoreError
from finetune.spec.tables.export_format import Export, Exported


def export_to(target: Path, export: Export, *, job: Job) -> Exported:
    """Write an export of a job's inputs as the folder `target`; return what is said of it.

    Raises StoreError if the target is there already, and what the export raises; nothing is left
    behind then.
    """
    if target.exists():
        raise StoreError(f"{target}: is there already; name a folder that is not")
    aside = target.with_name(target.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        found = export.write(replace(job, workspace=aside))
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return found
