"""`finetune export`: a trained adapter in another form, as a new folder."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.artefacts.job import Job
from finetune.errors import StoreError
from finetune.output.console import Console
from finetune.pipeline import plan
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store
from finetune.spec.tables.export_format import EXPORTS, export_format


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
    from finetune.release.new_folder import export_to

    job = Job(
        recipe=project.recipe,
        phase=train.phase,
        cards=project.cards,
        inputs=inputs,
        workspace=options.out,
        console=console,
    )
    said = export_to(options.out, export, job=job)
    console.say(f"{options.out}: {said.summary}", path=str(options.out), **said.facts)
    for remark in said.remarks:
        console.say(remark)
    return 0
