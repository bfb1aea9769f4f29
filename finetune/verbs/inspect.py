"""Verbs that only look: check, plan, runs, schema. None imports anything heavy."""

from __future__ import annotations

import json
import time
from argparse import Namespace

from finetune import outside, registry
from finetune import plan as planning
from finetune.errors import DataError, RecipeError
from finetune.log import Console
from finetune.prepare.source import resolve_files
from finetune.release.licence import allowed_licence, check_name
from finetune.spec.card import DataCard
from finetune.spec.load import Project, load_project
from finetune.spec.recipe import Recipe
from finetune.store import Store


def check(options: Namespace, console: Console) -> int:
    """Validate everything that can be known before work starts."""
    project = load_project(options.recipe, overrides=options.overrides)
    check_files(project)
    outside.verify_lock(project)
    licence = _licence(project)
    steps = planning.steps_of(project)
    console.say(
        f"{options.recipe}: fine. {len(project.cards)} card(s), {len(steps)} steps; "
        f"the adapter may be released under {licence}.",
        cards=sorted(project.cards),
        licence=licence,
    )
    return 0


def plan(options: Namespace, console: Console) -> int:
    """Show every step with its key and state."""
    project = load_project(options.recipe, overrides=options.overrides)
    store = Store(options.store.resolve())
    rows = []
    for step in planning.steps_of(project):
        path = store.path_of(step.stage.name, step.key)
        rows.append((step.label, step.key, store.state(step.stage.name, step.key), str(path)))
    console.table(
        f"{project.recipe.name}: {options.recipe}", ("step", "key", "state", "path"), rows
    )
    return 0


def runs(options: Namespace, console: Console) -> int:
    """List what is in the store, or remove some of it."""
    store = Store(options.store.resolve())
    for victim in options.remove:
        stage, _, key = victim.partition("/")
        known = {(a.stage, a.key) for a, _ in store.artifacts()}
        if (stage, key) not in known and store.state(stage, key) != "partial":
            raise RecipeError(f"--remove {victim}: not in {store.root}; `finetune runs` lists it")
        if store.state(stage, key) == "running":
            raise RecipeError(f"--remove {victim}: being built right now")
        freed = store.remove(stage, key)
        console.say(f"removed {victim} ({freed / 2**20:.1f} MiB)", removed=victim, bytes=freed)
    if options.remove:
        return 0
    rows = []
    for artifact, manifest in store.artifacts():
        size = sum(f["size_bytes"] for f in manifest["files"].values())
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest["finished"]))
        rows.append(
            (f"{artifact.stage}/{artifact.key}", manifest["name"], when, f"{size / 2**20:.1f}")
        )
    console.table(str(store.root), ("artefact", "recipe", "finished", "MiB"), rows)
    return 0


def schema(options: Namespace, console: Console) -> int:
    """Print the schema that editors complete and check recipes with."""
    model = DataCard if options.card else Recipe
    if options.markdown:
        from finetune.spec.reference import markdown

        print(markdown(model), end="", file=console.out)
    else:
        print(json.dumps(model.model_json_schema(), indent=2), file=console.out)
    return 0


def check_files(project: Project) -> None:
    """Check that every file of every card is there with its checksum; Hub corpora are fetched."""
    problems: list[str] = []
    for card in project.cards.values():
        try:
            registry.find_reader(card.corpus.format)
        except RecipeError as error:
            problems.append(f"{card.path}: corpus.format: {error}")
        if card.corpus.source.kind == "hub":
            continue
        try:
            resolve_files(card, inputs={})
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(*problems)


def _licence(project: Project) -> str:
    check_name(project.recipe.base.licence, project.recipe.release.repo)
    licences = {name: card.license for name, card in project.cards.items()}
    return allowed_licence(
        project.recipe.base.licence, licences, wanted=project.recipe.release.licence
    )[0]
