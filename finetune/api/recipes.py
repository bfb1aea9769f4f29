"""Recipes opened, planned and run."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from finetune.api.made import Run
from finetune.errors import RecipeError, StoreError, suggestion
from finetune.launch.ranks import take_step
from finetune.messages import Place, Problem, problem
from finetune.output.console import Console
from finetune.pipeline.execute import execute
from finetune.pipeline.gate import Opened, Purpose, open_project
from finetune.pipeline.plan import Step, steps_of, steps_up_to
from finetune.pipeline.store import Store
from finetune.pipeline.store_folder import named_store, store_root
from finetune.spec.load import Project

State = Literal["cached", "running", "stale", "partial", "to do", "damaged"]
Until = Literal["prepare", "train", "evaluate", "release"]


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage of a recipe, and the state of its artefact."""

    stage: str
    label: str
    """Its name, with the phase or the corpus if there are several."""
    key: str
    state: State
    """`running`: being built; `stale`: its builder shows no sign of life; `partial`: the build was
    interrupted."""
    path: Path
    damage: str | None = None
    """Fault of the artefact."""


def open_recipe(
    path: Path | str,
    *,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    purpose: Purpose = "run",
) -> Opened:
    """Return a recipe with its data cards, checked: files, lock, consent, permitted uses, licence.

    `overrides` are settings that stand in for the recipe's: `{"train.max_steps": 20}`, or
    `["train.max_steps=20"]` as `--set` takes them. Raises RecipeError with every problem found.
    """
    _refuse_unknown("purpose", purpose, get_args(Purpose))
    return open_project(Path(path), purpose=purpose, overrides=_as_typed(overrides))


def plan(recipe: Opened | Path | str, *, store: Path | str | None = None) -> list[PlannedStage]:
    """Return the stages of a recipe in order, each with its key, state and path.

    `store`: folder of artefacts; the default is `.finetune` here, or FINETUNE_STORE.
    """
    opened = recipe if isinstance(recipe, Opened) else open_recipe(recipe, purpose="plan")
    folder = store_at(store)
    return [_planned(step, folder) for step in steps_of(opened)]


def run(
    recipe: Opened | Path | str,
    *,
    until: Until | None = None,
    phase: str | None = None,
    store: Path | str | None = None,
    console: Console | None = None,
    quiet: bool = False,
) -> Run:
    """Run the stages of a recipe that are not cached; return what was made.

    `until` names the last stage (default: all of the recipe), `phase` its phase, in a recipe with
    several. Progress is printed, as on the command line, unless `quiet`; `console` prints it
    elsewhere.

    Raises a FinetuneError, as the command line reports it: RecipeError, DataError, TrainError ...
    A run that was interrupted is resumed by the same call.
    """
    if until is not None:
        _refuse_unknown("until", until, get_args(Until))
    elif phase is not None:
        raise RecipeError(
            problem(
                "phase-without-until",
                "needs until=, the stage of that phase: {stages}",
                at=Place(key="phase"),
                stages=get_args(Until),
            )
        )
    take_step()
    opened = recipe if isinstance(recipe, Opened) else open_recipe(recipe)
    shown = console or (Console(out=io.StringIO()) if quiet else Console())
    folder = store_at(store)
    steps = steps_of(opened) if until is None else steps_up_to(opened, until, phase=phase)
    return Run(opened, folder, execute(opened, steps, store=folder, console=shown))


def store_at(folder: Path | str | None) -> Store:
    """Return the store in a folder; without one, the default store."""
    return Store(store_root(folder))


def not_built(project: Project, *, store: Store, verb: str) -> Problem:
    """Return the problem of a recipe without the artefact that `finetune VERB` builds."""
    return problem(
        "not-built-yet",
        "it is not in the store yet; first: {command}",
        at=Place(project.path),
        command=project.typed(verb, *named_store(store.root)),
    )


def _planned(step: Step, store: Store) -> PlannedStage:
    stage, damage = step.stage.name, None
    state: State
    try:
        store.find(stage, step.key)  # first: what cannot be read has no state, but a remedy
        state = store.state(stage, step.key)
    except StoreError as error:
        state, damage = "damaged", str(error)
    path = store.path_of(stage, step.key)
    return PlannedStage(stage, step.label, step.key, state, path, damage)


def _refuse_unknown(argument: str, value: str, known: Sequence[str]) -> None:
    """Raise RecipeError for a word that an argument does not take."""
    if value not in known:
        raise RecipeError(
            problem(
                "unknown-word",
                "{word!r} is none of: {known}{hint}",
                at=Place(key=argument),
                word=str(value),
                known=known,
                hint=suggestion(str(value), known),
            )
        )


def _as_typed(overrides: Mapping[str, Any] | Sequence[str]) -> tuple[str, ...]:
    """Return overrides as `--set` takes them: the value is YAML, of which JSON is a part."""
    if isinstance(overrides, str):
        return (overrides,)
    if not isinstance(overrides, Mapping):
        return tuple(overrides)
    return tuple(
        f"{k}={json.dumps(v, ensure_ascii=False, default=_plain)}" for k, v in overrides.items()
    )


def _plain(value: Any) -> Any:
    """Return a path or a number of NumPy as JSON has it."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"an override is text, a number, a list or a map, not {type(value).__name__}")
