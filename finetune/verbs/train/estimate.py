"""`finetune estimate`: memory, time and energy of a recipe, before anything is queued."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.errors import RecipeError
from finetune.estimate.evaluation import evaluation_fit, evaluation_gpus, show_evaluation
from finetune.estimate.resources import estimate
from finetune.estimate.show import as_json, show
from finetune.estimate.target import choose_target
from finetune.estimate.test_items import show_few_test_items
from finetune.messages import Place, problem
from finetune.output.console import Console
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store
from finetune.pipeline.store_folder import store_root
from finetune.spec.recipe import Recipe
from finetune.spec.sections.electricity import Grid
from finetune.spec.site import Site, load_site
from finetune.verbs.options import add_site
from finetune.verbs.problems import not_positive


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_site(parser)
    parser.add_argument("--nodes", type=int, metavar="N", help="nodes (default: the site's)")
    parser.add_argument(
        "--gpus-per-node", type=int, metavar="N", help="GPUs per node (default: the site's)"
    )
    parser.add_argument(
        "--gpu-memory-gib", type=float, metavar="X", help="memory per GPU (default: the GPU's own)"
    )
    parser.add_argument(
        "--gpu", metavar="NAME", help='GPU type, e.g. H100, "A100 40GB", "RTX 4090", L40S, T4'
    )
    parser.add_argument(
        "--watts", type=float, metavar="W", help="power per device, with its share of the node"
    )
    parser.add_argument(
        "--pue", type=float, default=1.58, help="power usage effectiveness (default: 1.58)"
    )
    parser.add_argument(
        "--grid-gco2-per-kwh",
        type=float,
        metavar="G",
        help="carbon intensity of the grid (default: that of `electricity` in recipe or site)",
    )
    parser.set_defaults(store=None)  # then the store of the site, if it names one


def run(options: Namespace, console: Console) -> int:
    """Estimate what a recipe needs on a site, on given GPUs, or on this machine."""
    project = open_project(options.recipe, purpose="estimate", overrides=options.overrides)
    _refuse(options)
    site = None
    if options.site is not None:
        site = load_site(options.site, overlay=options.overlay)
    store = _store(options.store, site)
    target = choose_target(
        site,
        nodes=options.nodes,
        gpus_per_node=options.gpus_per_node,
        gpu_memory_gib=options.gpu_memory_gib,
        gpu=options.gpu,
    )
    needs = estimate(
        project,
        target,
        store=store,
        watts=options.watts,
        pue=options.pue,
        grid=_grid(options.grid_gco2_per_kwh, project.recipe, site),
    )
    fit = None
    if target.device == "gpu" and target.memory_gib is not None:
        fit = evaluation_fit(
            project,
            store=store,
            visible=(site and evaluation_gpus(site)) or target.devices_per_node,
            memory_gib=target.memory_gib,
            gpu=target.gpu,
        )
    if console.json_lines:
        evaluation = fit and fit.as_json()
        console.say("estimate", **as_json(needs, pue=options.pue), evaluation=evaluation)
    else:
        show(needs, console=console, watts=options.watts, pue=options.pue)
        if fit is not None:
            show_evaluation(fit, console)
    show_few_test_items(project, store=store, console=console)
    return 0


def _grid(named: float | None, recipe: Recipe, site: Site | None) -> Grid | None:
    """Return the grid that the option names, else the recipe, else the site."""
    if named is not None:
        return Grid(named, "--grid-gco2-per-kwh")
    written = recipe.electricity or (site and site.electricity)
    return written.grid if written else None


def _store(named: Path | None, site: Site | None) -> Store:
    """Return the named store, else the site's if it is mounted here, else the default."""
    there = Path(os.path.expandvars((site and site.store) or "")).expanduser()
    if named is None and site is not None and site.store and there.is_dir():
        named = there
    return Store(store_root(named))


def _refuse(options: Namespace) -> None:
    problems = [
        not_positive(f"--{name.replace('_', '-')}", value)
        for name, value in (
            ("watts", options.watts),
            ("grid_gco2_per_kwh", options.grid_gco2_per_kwh),
        )
        if value is not None and value <= 0
    ]
    if options.pue < 1:
        problems.append(
            problem(
                "pue-below-one",
                "must be 1 or more: the ratio of total to computing power",
                at=Place(key=f"--pue {options.pue:g}"),
            )
        )
    if problems:
        raise RecipeError(*problems)
