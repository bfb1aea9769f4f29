"""`finetune advise`: a proposed recipe for data cards, with a reason per line."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.errors import RecipeError, StoreError
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.spec.site import load_site
from finetune.verbs.problems import already_exists, not_positive

if TYPE_CHECKING:
    from finetune.advice.proposal import Line


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "--card", action="append", required=True, help="card of a target language; repeatable"
    )
    parser.add_argument(
        "--replay",
        action="append",
        default=[],
        metavar="CARD",
        help="card of replay data, against catastrophic forgetting; repeatable",
    )
    parser.add_argument(
        "--base",
        action="append",
        metavar="RECIPE",
        help="recipe whose base is a candidate; repeatable (default: recipes/*.yaml)",
    )
    parser.add_argument("--budget-hours", type=float, metavar="H", help="maximum hours of training")
    parser.add_argument("--site", type=Path, metavar="FILE", help="site whose GPUs are used")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        default=Path("recipes/advised.yaml"),
        help="recipe to write (default: recipes/advised.yaml)",
    )


def run(options: Namespace, console: Console) -> int:
    """Measure the texts, propose and write a recipe, and show a reason per line."""
    out: Path = options.output
    if out.exists():
        raise RecipeError(already_exists(out, option="--output"))
    if options.budget_hours is not None and options.budget_hours <= 0:
        raise RecipeError(not_positive("--budget-hours", options.budget_hours))
    from finetune.advice.budget import affordable_epochs, estimated, expected_cost
    from finetune.advice.gather import measure, recipes_here
    from finetune.advice.proposal import propose
    from finetune.advice.proposed_recipe import draft, write_recipe

    site = load_site(options.site) if options.site else None
    store = Store(options.store)
    facts = measure(
        options.card,
        replay_cards=options.replay,
        recipes=options.base or recipes_here(),
        store=store,
        console=console,
    )
    for label, why in facts.missing.items():
        console.say(f"not compared: {label}: {why}")
    resources = None
    chosen, lines = propose(facts, affordable_epochs=None)
    with draft(out) as path:
        write_recipe(path, out, facts=facts, chosen=chosen, lines=lines)
        try:
            resources = estimated(path, site=site, store=store)
        except StoreError:
            console.say(
                f"cost: unknown until the base is downloaded: finetune fetch {out}, then finetune "
                f"estimate {out}"
            )
    if options.budget_hours is not None:
        epochs = affordable_epochs(options.budget_hours, resources)
        chosen, lines = propose(facts, affordable_epochs=epochs)
    cost = expected_cost(resources, budget_hours=options.budget_hours)
    write_recipe(out, out, facts=facts, chosen=chosen, lines=lines, cost=cost)
    _show(console, out, lines, cost)
    return 0


def _show(console: Console, out: Path, lines: Sequence[Line], cost: str) -> None:
    if console.json_lines:
        for line in lines:
            console.say(line.key, **asdict(line))
        console.say(f"wrote {out}", recipe=str(out), cost=cost or None)
        return
    for line in lines:
        value = "unchanged" if line.value is None else line.value
        console.say(f"{line.key}: {value}")
        console.say(f"  {line.reason}{f' [{line.source}]' if line.source else ''}")
    if cost:
        console.say(cost)
    console.say(f"wrote {out}; next: finetune check {out}, finetune estimate {out}")
