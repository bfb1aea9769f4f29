"""Verbs that only look: check, plan, runs, schema. None imports anything heavy."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from datetime import date
from pathlib import Path

from pydantic import BaseModel

from finetune.errors import DataError, RecipeError, ReleaseError
from finetune.estimate.mixture_table import show_mixtures
from finetune.output.console import Console
from finetune.pipeline import plan as planning
from finetune.pipeline.store import Store
from finetune.sources import lock as outside
from finetune.sources.files import resolve_files
from finetune.spec import formats as registry
from finetune.spec.card import DataCard
from finetune.spec.licence import check_name
from finetune.spec.load import Project, load_project
from finetune.spec.permission import Terms, adapter_terms, refuse_training
from finetune.spec.recipe import Recipe
from finetune.spec.site import Overlay, Site, find_overlay, load_site, overlays_folder

_SCHEMAS: dict[str, type[BaseModel]] = {"card": DataCard, "site": Site, "overlay": Overlay}
_ON_ITS_PAGE: dict[type[BaseModel], tuple[type[BaseModel], ...]] = {Site: (Overlay,)}


def check(options: Namespace, console: Console) -> int:
    """Validate a recipe, a site, or both: everything that can be known before work starts."""
    if options.recipe is None and options.site is None:
        raise RecipeError("check what? Name a recipe, or a site with --site FILE, or both")
    if options.site is not None:
        _check_site(options.site, overlay=options.overlay, console=console)
    if options.recipe is None:
        return 0
    project = load_project(options.recipe, overrides=options.overrides)
    check_files(project)
    outside.verify_lock(project)
    terms = _permitted(project)
    steps = planning.steps_of(project)
    console.say(
        f"{options.recipe}: fine. {len(project.cards)} card(s), {len(steps)} steps; "
        f"the adapter may be released under {terms.licence}.",
        cards=sorted(project.cards),
        licence=terms.licence,
        gate=terms.gate,
    )
    for reason in terms.reasons:
        console.say(f"  because {reason}")
    for condition in terms.gate:
        console.say(f"  and whoever uses it has to know: {condition}")
    _say_what_is_unsure(project, console)
    return 0


def _say_what_is_unsure(project: Project, console: Console) -> None:
    """Say what the authors of the cards could not find out, the same of several cards once."""
    cards = sorted(project.cards.values(), key=lambda card: card.name)
    unopened = [c.name for c in cards if c.corpus.status == "not-run" and not c.is_withdrawn]
    if unopened:
        console.say(
            f"  written from documentation, as their authors could not open the corpora: "
            f"{', '.join(unopened)}",
            not_run=unopened,
        )
    unknown: dict[str, list[str]] = {}
    for card in cards:
        if card.is_withdrawn:
            console.say(
                f"  {card.name} was withdrawn: nothing of it is used; take it out of the recipe"
            )
            continue
        for what in card.corpus.not_established:
            unknown.setdefault(what, []).append(card.name)
    for what, names in unknown.items():
        console.say(f"  not established ({', '.join(names)}): {what}", cards=names, unknown=what)


def _permitted(project: Project) -> Terms:
    """Return what the adapter may be. Raises RecipeError with all that forbids training or release.

    A release that is refused is a failure; a recipe that asks for it is a mistake in the recipe.
    """
    problems: list[str] = []
    try:
        refuse_training(project.cards, today=date.today())
    except RecipeError as error:
        problems += error.problems
    try:
        terms = terms_of(project)
    except ReleaseError as error:
        problems += str(error).splitlines()
    if problems:
        raise RecipeError(*dict.fromkeys(problems))
    return terms


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
    show_mixtures(project, store=store, console=console)
    return 0


def runs(options: Namespace, console: Console) -> int:
    """List what is in the store, or remove some of it."""
    store = Store(options.store.resolve())
    for victim in options.remove:
        stage, _, key = victim.partition("/")
        inside = stage in planning.STAGES and key not in ("", ".", "..") and "/" not in key
        if not inside or store.state(stage, key) == "missing":
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
    chosen = [model for name, model in _SCHEMAS.items() if getattr(options, name)]
    model = chosen[0] if chosen else Recipe
    if options.markdown:
        from finetune.spec.reference import markdown

        print(markdown(model, *_ON_ITS_PAGE.get(model, ())), end="", file=console.out)
    else:
        print(json.dumps(model.model_json_schema(), indent=2), file=console.out)
    return 0


def _check_site(path: Path, *, overlay: Path | None, console: Console) -> None:
    """Validate a site with its overlay, and say which placeholders nobody has filled.

    Raises RecipeError if an overlay is there and leaves some; without one, that is as shipped.
    """
    site = load_site(path, overlay=overlay)
    mine = overlay or find_overlay(site.name)
    missing = ", ".join(site.placeholders)
    if mine is None and missing:
        where = overlays_folder() / f"{site.name}.yaml"
        message = f"{path}: fine. To submit there, fill in {missing}: `values:` in {where}"
    elif missing:
        raise RecipeError(f"{mine}: values: still to be filled for {path}: {missing}")
    else:
        message = f"{path}: fine{f', with {mine}' if mine else ''}"
    console.say(message, site=site.name, placeholders=list(site.placeholders))


def check_files(project: Project) -> None:
    """Check that every file of every card is there with its checksum; Hub corpora are fetched."""
    problems: list[str] = []
    for card in project.cards.values():
        try:
            registry.find_reader(card.corpus.format)
        except RecipeError as error:
            problems.append(f"{card.path}: corpus.format: {error}")
        if card.corpus.is_fetched or card.is_withdrawn:
            continue
        try:
            resolve_files(card, inputs={})
        except DataError as error:
            problems += error.problems
    for pinned in (outside.identify_entries, outside.evaluation_entries):
        try:
            pinned(project)
        except RecipeError as error:
            problems += error.problems
    if problems:
        raise DataError(*problems)


def terms_of(project: Project) -> Terms:
    """Return what the adapter may be; ReleaseError with every refusal, card and clause."""
    recipe = project.recipe
    check_name(recipe.base.licence, recipe.release.repo)
    return adapter_terms(
        recipe.base.licence, project.cards, wanted=recipe.release.licence, today=date.today()
    )
