"""The making again of a release, from what its folder `provenance` states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.artefacts.job import Artifact
from finetune.errors import FinetuneError, InputError, StoreError
from finetune.messages import Problem
from finetune.output.console import Console
from finetune.pipeline.execute import execute
from finetune.pipeline.gate import Opened, open_project
from finetune.pipeline.manifest import read_manifest
from finetune.pipeline.plan import Step, steps_up_to
from finetune.pipeline.store import Store
from finetune.release.provenance.checksum_list import refuse_changed
from finetune.release.provenance.comparison_lines import Line, comparison_lines
from finetune.release.provenance.obstacles import (
    other_keys,
    other_machine,
    other_versions,
    unreachable,
)
from finetune.release.provenance.provenance_index import ProvenanceIndex
from finetune.release.provenance.supplied_files import supplied
from finetune.release.provenance.workplace import (
    STORE,
    lay_cards,
    lay_files,
    lay_recipe,
    list_of,
    needed_files,
    open_workplace,
    read_index,
    unrecorded,
)
from finetune.spec.load import load_recipe


@dataclass(frozen=True, slots=True)
class Ready:
    """A release whose inputs are all here."""

    release: Path
    index: ProvenanceIndex
    project: Opened
    steps: tuple[Step, ...]
    store: Store


def get_ready(
    release: Path, folder: Path, *, files: Sequence[Path], accept_versions: bool = False
) -> Ready:
    """Verify a release, and lay out in `folder` what it is made from; compute nothing.

    `files` are folders with the texts and models that the release does not contain.

    Raises InputError with every file of the release that was changed, or else with every input that
    cannot be had, each version and each key that is another one.
    """
    refuse_changed(release)
    index = read_index(release)
    given = supplied(files)
    open_workplace(folder, sums=list_of(release))
    cards, problems = lay_cards(release, index, folder, given=given)
    problems += unrecorded(index)
    problems += lay_files(list(needed_files(index, cards, folder)), given=given)
    problems += [] if accept_versions else other_versions(index)
    named = list(problems)
    path = folder
    try:
        path = lay_recipe(release, index, folder)
        problems += unreachable(load_recipe(path), cards)
    except FinetuneError as error:
        problems += error.problems if not named else _others(error)
    if problems:
        raise InputError(*dict.fromkeys(problems))
    project = open_project(path, purpose="evaluate")
    steps = steps_up_to(project, "evaluate")
    if not accept_versions and (changed := other_keys(index, steps)):
        raise InputError(*changed)
    return Ready(release, index, project, steps, Store(folder / STORE))


def _others(error: FinetuneError) -> list[Problem]:
    """Return the problems of a recipe whose files are known to be missing, but for those."""
    return [found for found in error.problems if found.code not in ("no-file", "cannot-be-read")]


def make_again(ready: Ready, *, console: Console) -> list[Line]:
    """Run the stages up to `evaluate`, and compare; everything is fetched before anything else.

    Raises InputError or StoreError with every input that cannot be fetched.
    """
    problems: list[Problem] = []
    refused = False
    for step in ready.steps:
        if not step.stage.needs_network or any(
            s.key not in _done(ready) for s in step.inputs.values()
        ):
            continue
        try:
            execute(ready.project, [step], store=ready.store, console=console)
        except FinetuneError as error:
            problems += error.problems
            refused = refused or isinstance(error, InputError)
    if problems:
        raise (InputError if refused else StoreError)(*problems)
    execute(ready.project, ready.steps, store=ready.store, console=console)
    made = _done(ready)
    trained = next(s for s in reversed(ready.steps) if s.stage.name == "train")
    now = read_manifest(made[trained.key].path).environment
    return comparison_lines(
        ready.release,
        ready.index,
        steps=ready.steps,
        made=made,
        differs=other_machine(ready.index.trained_on, now),
    )


def _done(ready: Ready) -> dict[str, Artifact]:
    """Return the finished artefacts by key."""
    found = ((s.key, ready.store.find(s.stage.name, s.key)) for s in ready.steps)
    return {key: artifact for key, artifact in found if artifact is not None}
