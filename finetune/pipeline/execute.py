"""Execution of the stages of a recipe; cached artefacts are reused."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.errors import StoreError
from finetune.launch.ranks import ranks_of
from finetune.messages import problem
from finetune.output.console import Console
from finetune.pipeline.builder import this_launch
from finetune.pipeline.gate import Opened, refuse_unopened
from finetune.pipeline.manifest import read_manifest
from finetune.pipeline.plan import Step
from finetune.pipeline.store import Request, Store
from finetune.pipeline.verify import refuse_damaged
from finetune.pipeline.withdrawals import refuse_lost_withdrawals
from finetune.sources.lock import network
from finetune.spec.entry_points import load
from finetune.spec.load import Project

POLL_SECONDS = 0.2
SILENT_SECONDS = 3.0


def execute(
    project: Opened, steps: Sequence[Step], *, store: Store, console: Console
) -> dict[str, Artifact]:
    """Run what is not done yet; return the last artefact of every stage.

    Raises TypeError for a recipe that did not pass the gate for making something.
    """
    refuse_unopened(project)
    refuse_lost_withdrawals(project.cards.values(), store)
    done: dict[str, Artifact] = {}
    trusted: set[str] = set()
    ranks = ranks_of()
    for step in steps:
        if not ranks.is_main:
            done[step.stage.name] = _follow(project, step, store=store, console=console)
            continue
        found = store.find(step.stage.name, step.key)
        if found:
            store.tidy(step.stage.name, step.key)
            console.say(
                f"{step.label}: cached ({step.key})",
                stage=step.stage.name,
                key=step.key,
                state="cached",
            )
        else:
            console.say(
                f"{step.label}: running ({step.key})",
                stage=step.stage.name,
                key=step.key,
                state="running",
            )
            _verify(step, trusted=trusted, store=store, console=console)
            found = _build(project, step, store=store, console=console)
            trusted |= {step.key, *(s.key for s in step.inputs.values())}
        done[step.stage.name] = found
    return done


def _follow(project: Project, step: Step, *, store: Store, console: Console) -> Artifact:
    """Wait, as a rank other than 0, for an artefact; take part where all ranks work together.

    Waiting is looking into the store: a collective would time out while rank 0 tokenizes. If rank 0
    fails, its launcher ends this process. Rank 0 has compared the inputs before it takes the lease,
    so that they are not read once more by every rank.
    """
    launch = this_launch()
    took_part: Mapping[str, Any] = {}
    while (found := store.find(step.stage.name, step.key)) is None:
        if step.stage.on_all_ranks and launch is not None and not took_part:
            workspace = store.folder_of_launch(launch, step.stage.name, step.key)
            if workspace is not None:
                took_part = _run(
                    project, step, workspace=workspace, store=store, console=console, leads=False
                )
        time.sleep(POLL_SECONDS)
    return found


def _verify(step: Step, *, trusted: Collection[str], store: Store, console: Console) -> None:
    """Compare the checksums of what a stage is given, but of what this call wrote or compared.

    Raises StoreError with each damaged file and the command that makes it again.
    """
    artifacts = [_finished(store, s) for s in step.inputs.values() if s.key not in trusted]
    shorter = _shorter(step, store)
    artifacts += [shorter] if shorter else []
    refuse_damaged(artifacts, progress=_reported_when_slow(step, artifacts, console=console))


def _reported_when_slow(
    step: Step, artifacts: Sequence[Artifact], *, console: Console
) -> Callable[[int], None]:
    """Return a callback that reports once, after some seconds, that checksums are compared."""
    started, reported = time.monotonic(), False

    def progress(_: int) -> None:
        nonlocal reported
        if not reported and time.monotonic() - started > SILENT_SECONDS:
            reported = True
            size_gib = sum(read_manifest(a.path).size_bytes for a in artifacts) / 2**30
            console.say(f"{step.label}: comparing the checksums of its inputs ({size_gib:.1f} GiB)")

    return progress


def _run(
    project: Project,
    step: Step,
    *,
    workspace: Path,
    store: Store,
    console: Console,
    leads: bool = True,
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
        leads=leads,
        content=step.content["content"],
    )
    with network(allowed=step.stage.needs_network):
        result: Mapping[str, Any] = load(step.stage.function)(job)
    return result


def _build(project: Project, step: Step, *, store: Store, console: Console) -> Artifact:
    def run(workspace: Path) -> Mapping[str, Any]:
        return _run(project, step, workspace=workspace, store=store, console=console)

    done: set[Path] = set()

    def take_part(workspace: Path) -> None:
        if workspace not in done and _run(
            project, step, workspace=workspace, store=store, console=console, leads=False
        ):
            done.add(workspace)

    request = Request(
        stage=step.stage.name,
        key=step.key,
        name=project.recipe.name,
        content=step.content,
        inputs={role: f"{s.stage.name}/{s.key}" for role, s in step.inputs.items()},
        lineage=step.lineage,
        resumable=step.stage.resumable,
    )
    meanwhile = take_part if step.stage.by_anyone else None
    return store.build(request, run, waiting=console.say, meanwhile=meanwhile)


def _finished(store: Store, step: Step) -> Artifact:
    found = store.find(step.stage.name, step.key)
    if found is None:
        raise StoreError(
            problem(
                "stage-not-run",
                "{stage}: {path} does not exist; run this stage first",
                stage=step.label,
                path=store.path_of(step.stage.name, step.key),
            )
        )
    return found


def _shorter(step: Step, store: Store) -> Artifact | None:
    steps = step.phase.train.max_steps
    if step.lineage is None or steps is None:
        return None
    return store.longest_of(step.lineage, below_steps=steps)
