"""`finetune check`: everything that can be known before work starts."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_of
from finetune.spec.load import Project
from finetune.spec.site import find_overlay, load_site, overlays_folder
from finetune.verbs.options import add_site


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_site(parser)


def run(options: Namespace, console: Console) -> int:
    """Validate a recipe, a site, or both: everything that can be known before work starts."""
    if options.recipe is None and options.site is None:
        raise RecipeError("check what? Name a recipe, or a site with --site FILE, or both")
    if options.site is not None:
        _check_site(options.site, overlay=options.overlay, console=console)
    if options.recipe is None:
        return 0
    project = open_project(options.recipe, purpose="check", overrides=options.overrides)
    steps = steps_of(project)
    terms = project.terms
    released = (
        f"the adapter may be released under {terms.licence}"
        if terms
        else "nothing is released (release: none)"
    )
    console.say(
        f"{options.recipe}: fine. {len(project.cards)} card(s), {len(steps)} steps; {released}.",
        cards=sorted(project.cards),
        licence=terms.licence if terms else None,
        gate=terms.gate if terms else (),
    )
    for reason in terms.reasons if terms else ():
        console.say(f"  because {reason}")
    for condition in terms.gate if terms else ():
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
