"""`finetune export`: a trained adapter in another form, as a new folder."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

from finetune.artefacts.job import Artifact, Job
from finetune.errors import StoreError
from finetune.output.console import Console
from finetune.pipeline import plan
from finetune.pipeline.gate import Opened, open_project, refuse_unopened
from finetune.pipeline.store import Store
from finetune.spec.recipe import Phase
from finetune.spec.tables.export_format import EXPORTS, Export, Exported, export_format


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "--format",
        required=True,
        metavar="NAME",
        help=f"{', '.join(EXPORTS)}, or one that an installed package adds",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")


def run(options: Namespace, console: Console) -> int:
    """Write the adapter of a recipe in one of the forms of the table."""
    export = export_format(options.format)
    project = open_project(options.recipe, purpose="export", overrides=options.overrides)
    store = Store(options.store.resolve())
    train = plan.steps_up_to(project, "train")[-1]
    steps = {**train.inputs, "train": train}
    found = {
        role: store.find(steps[role].stage.name, steps[role].key)
        for role in (*export.needs, "vocabulary")
        if role in steps
    }
    inputs = {role: artifact for role, artifact in found.items() if artifact is not None}
    if len(inputs) < len(found):
        raise StoreError(
            f"{options.recipe}: not trained yet; first: finetune train {options.recipe}"
        )
    said = write_export(
        project, export, phase=train.phase, inputs=inputs, target=options.out, console=console
    )
    console.say(f"{options.out}: {said.summary}", path=str(options.out), **said.facts)
    for remark in said.remarks:
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
    """Write an export as the folder `target`, there only when it is whole; return what is said.

    Raises StoreError if the target is there already, and what the export raises, and nothing is
    left behind then; TypeError for a recipe that did not pass the gate.
    """
    refuse_unopened(project, purposes={"export"})
    if target.exists():
        raise StoreError(f"{target}: is there already; name a folder that is not")
    aside = target.with_name(target.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    job = Job(
        recipe=project.recipe,
        phase=phase,
        cards=project.cards,
        inputs=inputs,
        workspace=aside,
        console=console,
    )
    try:
        found = export.write(job)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return found
