"""`finetune export`: a trained adapter in another format, as a new folder."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

from finetune.api.recipes import not_built
from finetune.artefacts.job import Artifact, Job
from finetune.errors import StoreError
from finetune.output.console import Console
from finetune.output.paths import is_there
from finetune.pipeline import plan
from finetune.pipeline.gate import Opened, open_project, refuse_unopened
from finetune.pipeline.store import Store
from finetune.pipeline.verify import refuse_damaged
from finetune.pipeline.withdrawals import refuse_lost_withdrawals
from finetune.spec.entry_points import blamed
from finetune.spec.recipe import Phase
from finetune.spec.tables.export_format import EXPORTS, GROUP, Export, Exported, export_format
from finetune.verbs.problems import already_exists

_OURS, _WORKSPACE = "finetune-export", "export"
"""Marker file and working folder of an export that is being written."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "--format",
        required=True,
        metavar="NAME",
        help=f"{', '.join(EXPORTS)}, or one from an installed package",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="a new folder"
    )


def run(options: Namespace, console: Console) -> int:
    """Write the adapter of a recipe in one of the registered formats."""
    export = export_format(options.format)
    project = open_project(options.recipe, purpose="export", overrides=options.overrides)
    store = Store(options.store)
    refuse_lost_withdrawals(project.cards.values(), store)
    train = plan.steps_up_to(project, "train")[-1]
    steps = {**train.inputs, "train": train}
    artefacts = {
        role: store.find(steps[role].stage.name, steps[role].key)
        for role in (*export.needs, "vocabulary")
        if role in steps
    }
    inputs = {role: artifact for role, artifact in artefacts.items() if artifact is not None}
    if len(inputs) < len(artefacts):
        raise StoreError(not_built(project, store=store, verb="train"))
    refuse_damaged(inputs.values())
    exported = write_export(
        project, export, phase=train.phase, inputs=inputs, target=options.output, console=console
    )
    console.say(f"{options.output}: {exported.summary}", path=str(options.output), **exported.facts)
    for remark in exported.remarks:
        console.say(remark)
    return 0


def write_export(
    project: Opened,
    export: Export,
    *,
    phase: Phase,
    inputs: Mapping[str, Artifact],
    target: Path,
    console: Console,
) -> Exported:
    """Write an export as the folder `target`, renamed into place when complete.

    Raises StoreError if the target exists, TypeError for a recipe that did not pass the gate, and
    the errors of the export; nothing is left behind then.
    """
    refuse_unopened(project, purposes={"export"})
    aside = target.with_name(target.name + ".partial")
    if _was_left(aside):
        shutil.rmtree(aside)
    for folder in (target, aside):
        if is_there(folder):
            raise StoreError(already_exists(folder))
    workspace = aside / _WORKSPACE
    workspace.mkdir(parents=True)
    (aside / _OURS).touch()
    job = Job(
        recipe=project.recipe,
        phase=phase,
        cards=project.cards,
        inputs=inputs,
        workspace=workspace,
        console=console,
    )
    try:
        with blamed(export.name, group=GROUP, known=EXPORTS):
            written = export.write(job)
        workspace.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return written


def _was_left(aside: Path) -> bool:
    """Return whether a folder holds only the files of an interrupted export."""
    if aside.is_symlink() or not aside.is_dir():
        return False
    return {path.name for path in aside.iterdir()} <= {_OURS, _WORKSPACE}
