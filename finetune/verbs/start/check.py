"""`finetune check`: validation of recipes, data cards and sites before any work starts."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from finetune.errors import FinetuneError, RecipeError
from finetune.estimate.length import lengths
from finetune.estimate.test_items import show_few_test_items
from finetune.messages import Place, counted, problem, sentence
from finetune.output.console import Console
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.pipeline.withdrawals import refuse_lost_withdrawals
from finetune.sources.lock import absent_packages
from finetune.spec.language import Named
from finetune.spec.load import Project
from finetune.spec.tables.extras import extra_of, pip_line
from finetune.spec.tables.public_tasks import FAMILY_NAMES, HARNESS, without_task
from finetune.spec.terms.strictest import strictest_terms
from finetune.spec.terms.term_sentences import said_of_terms
from finetune.spec.trained_languages import strangers, trained_languages
from finetune.verbs.options import add_site


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_site(parser)


def run(options: Namespace, console: Console) -> int:
    """Validate a recipe, a site, or both."""
    if options.recipe is None and options.site is None:
        raise RecipeError(
            problem(
                "nothing-to-check",
                "there is nothing to check; name a recipe, or a site with --site FILE",
            )
        )
    if options.site is not None:
        _check_site(options.site, overlay=options.overlay, console=console)
    if options.recipe is None:
        return 0
    project = open_project(options.recipe, purpose="check", overrides=options.overrides)
    refuse_lost_withdrawals(project.cards.values(), Store(options.store))
    steps = steps_of(project)
    terms = project.terms
    released = (
        sentence("the adapter may be released under {licence}", licence=terms.licence)
        if terms
        else sentence("no release (release: none)")
    )
    console.say(
        sentence(
            "{recipe}: valid. {cards}, {stages}; {released}.",
            recipe=str(options.recipe),
            cards=counted("{count} card", "{count} cards", len(project.cards)),
            stages=counted("{count} stage", "{count} stages", len(steps)),
            released=released,
        ),
        cards=sorted(project.cards),
        licence=terms.licence if terms else None,
        gate=terms.gate if terms else (),
        **({"terms": asdict(terms.community)} if terms and terms.community else {}),
    )
    for reason in terms.reasons if terms else ():
        console.say(sentence("  reason: {reason}", reason=reason))
    for condition in terms.gate if terms else ():
        console.say(
            sentence("  condition for users of the adapter: {condition}", condition=condition)
        )
    community = strictest_terms(project.cards)
    for said in said_of_terms(community) if community else ():
        console.say(sentence("  terms of communities: {said}", said=said))
    _show_unknown_facts(project, console)
    _show_public_tasks(project, console)
    _show_warmup(project, Store(options.store), console)
    show_few_test_items(project, store=Store(options.store), console=console)
    if absent := absent_packages(project):
        extra = extra_of(absent[0])
        console.say(
            sentence(
                "  not installed here, needed to run it: {packages}; {command}",
                packages=absent,
                command=pip_line(extra or "train"),
            ),
            absent=absent,
        )
    return 0


def _show_unknown_facts(project: Project, console: Console) -> None:
    """Show facts that the authors of the cards could not establish, grouped over cards."""
    cards = sorted(project.cards.values(), key=lambda card: card.name)
    unopened = [c.name for c in cards if c.corpus.status == "not-run" and not c.is_withdrawn]
    if unopened:
        console.say(
            sentence(
                "  written from documentation, without access to the corpora: {cards}",
                cards=unopened,
            ),
            not_run=unopened,
        )
    cards_of: dict[str, list[str]] = {}
    for card in cards:
        if card.is_withdrawn:
            console.say(
                sentence(
                    "  {card}: withdrawn, and not used; remove it from the recipe", card=card.name
                )
            )
            continue
        for fact in card.corpus.not_established:
            cards_of.setdefault(fact, []).append(card.name)
    for fact, names in cards_of.items():
        console.say(
            sentence("  not established ({cards}): {fact}", cards=names, fact=fact),
            cards=names,
            unknown=fact,
        )


def _show_public_tasks(project: Project, console: Console) -> None:
    """Say for which languages no public task exists, and which tasks are in another language."""
    for task, instead in strangers(project):
        console.say(
            sentence(
                "  warning: evaluate.tasks: {name} is in {languages}, which the recipe does not "
                "train{instead}",
                name=task.name,
                languages=[Named(code) for code in task.languages],
                instead=sentence("; for its languages there is: {names}", names=instead)
                if instead
                else "",
            ),
            task=task.name,
        )
    if missing := without_task(trained_languages(project.recipe, project.cards)):
        console.say(
            sentence(
                "  no public task exists for {languages} among {families} ({harness})",
                languages=[Named(code) for code in missing],
                families=FAMILY_NAMES,
                harness=HARNESS,
            ),
            without_public_task=missing,
        )


def _show_warmup(project: Project, store: Store, console: Console) -> None:
    """Warn of a warm-up that takes most of a run, where its length can be computed."""
    try:
        found = lengths(project, store=store)
    except FinetuneError:  # the length depends on a corpus that is not here yet
        return
    for each in found:
        if each.warning is not None:
            console.say(sentence("  warning: {what}", what=each.warning), steps=each.steps)


def _check_site(path: Path, *, overlay: Path | None, console: Console) -> None:
    """Validate a site with its overlay; list placeholders without a value.

    Raises RecipeError if there is an overlay and it leaves placeholders without a value.
    """
    from finetune.spec.site import (
        find_overlay,
        load_site,
        overlays_folder,
        placeholder_comments,
    )
    from finetune.spec.values.gpu_requests import gpu_warnings
    from finetune.spec.values.sbatch_lines import merge_lines
    from finetune.spec.yaml_file import read_text

    site = load_site(path, overlay=overlay)
    overlay_path = overlay or find_overlay(site.name)
    missing, mine = list(site.placeholders), overlays_folder() / f"{site.name}.yaml"
    if overlay_path is None and missing:
        message = sentence(
            "{site}: valid. Before submitting, set {placeholders} under `values:` in {overlay}",
            site=str(path),
            placeholders=missing,
            overlay=mine,
        )
    elif missing:
        raise RecipeError(
            problem(
                "placeholders-without-value-in-overlay",
                "no value for placeholders of {site}: {placeholders}",
                at=Place(overlay_path or "", key="values"),
                site=path,
                placeholders=missing,
            )
        )
    elif overlay_path:
        message = sentence("{site}: valid, with {overlay}", site=str(path), overlay=overlay_path)
    else:
        message = sentence("{site}: valid", site=str(path))
    console.say(message, site=site.name, placeholders=list(site.placeholders))
    for name, said in placeholder_comments(read_text(path)).items():
        if name in missing:
            console.say(f"  <{name}>: {said}")
    for warning in gpu_warnings(
        merge_lines(site.sbatch, site.train.sbatch),
        nodes=site.train.nodes,
        ranks_per_node=site.train.ranks_per_node,
        gpus_per_node=site.gpus_per_node,
    ):
        console.say(sentence("  warning: {what}", what=warning))
