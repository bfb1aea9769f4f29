"""Running the steps of a recipe: what is in the store is taken from there, the rest is built."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.errors import StoreError
from finetune.launch.ranks import launch_id, ranks_of
from finetune.output.console import Console
from finetune.pipeline.gate import Opened, refuse_unopened
from finetune.pipeline.plan import Step
from finetune.pipeline.store import Request, Store
from finetune.sources.lock import network
from finetune.spec.entry_points import load
from finetune.spec.load import Project

POLL_SECONDS = 0.2


def execute(
    project: Opened, steps: Sequence[Step], *, store: Store, console: Console
) -> dict[str, Artifact]:
    """Run what is not done yet; return the last artefact of every stage.

    Raises TypeError for a recipe that did not pass the gate for making something.
    """
    refuse_unopened(project)
    done: dict[str, Artifact] = {}
    ranks = ranks_of()
    for step in steps:
        if not ranks.is_main:
            done[step.stage.name] = _follow(project, step, store=store, console=console)
            continue
        found = store.find(step.stage.name, step.key)
        if found:
            console.say(
                f"{step.label}: done before ({step.key})",
                stage=step.stage.name,
                key=step.key,
                state="done",
            )
        else:
            console.say(
                f"{step.label}: running ({step.key})",
                stage=step.stage.name,
                key=step.key,
                state="running",
            )
            found = _build(project, step, store=store, console=console)
        done[step.stage.name] = found
    return done


def _follow(project: Project, step: Step, *, store: Store, console: Console) -> Artifact:
    """Wait, as a rank other than 0, for an artefact; take part where all ranks work together.

    Waiting is looking into the store: a collective would time out while rank 0 tokenizes. If rank 0
    fails, its launcher ends this process.
    """
    launch = launch_id()
    partial = store.path_of(step.stage.name, step.key).with_suffix(".partial")
    took_part = False
    while (found := store.find(step.stage.name, step.key)) is None:
        together = step.stage.on_all_ranks and launch is not None and not took_part
        if together and store.is_built_by(str(launch), step.stage.name, step.key):
            _run(project, step, workspace=partial, store=store, console=console)
            took_part = True
        time.sleep(POLL_SECONDS)
    return found


def _run(
    project: Project, step: Step, *, workspace: Path, store: Store, console: Console
) -> Mapping[str, Any]:
    inputs = {role: _finished(store, s) for role, s in step.inputs.items()}
    shorter = _shorter(step, store)
    if shorter:
        inputs["shorter"] = shorter
    job = Job(
        recipe=project.recipe,
        phase=step.phase,
        cards={name: project.cards[name] for name in step.cards or project.cards},
        inputs=inputs,
        workspace=workspace,
        console=console,
    )
    with network(allowed=step.stage.needs_network):
        result: Mapping[str, Any] = load(step.stage.function)(job)
    return result


def _build(project: Project, step: Step, *, store: Store, console: Console) -> Artifact:
    def run(workspace: Path) -> Mapping[str, Any]:
        return _run(project, step, workspace=workspace, store=store, console=console)

    request = Request(
        stage=step.stage.name,
        key=step.key,
        name=project.recipe.name,
        content=step.content,
        inputs={role: f"{s.stage.name}/{s.key}" for role, s in step.inputs.items()},
        lineage=step.lineage,
        resumable=step.stage.resumable,
    )
    return store.build(request, run, waiting=console.say)


def _finished(store: Store, step: Step) -> Artifact:
    found = store.find(step.stage.name, step.key)
    if found is None:
        raise StoreError(
            f"{step.label}: {store.path_of(step.stage.name, step.key)} is missing; run it first"
        )
    return found


def _shorter(step: Step, store: Store) -> Artifact | None:
    steps = step.phase.train.max_steps
    if step.lineage is None or steps is None:
        return None
    return store.longest_of(step.lineage, below_steps=steps)
