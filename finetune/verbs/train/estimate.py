"""`finetune estimate`: memory, time and energy of a recipe, before anything is queued."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.errors import RecipeError
from finetune.estimate.resources import estimate
from finetune.estimate.show import as_json, show
from finetune.estimate.target import choose_target
from finetune.output.console import Console
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store, default_store
from finetune.spec.site import Site, load_site
from finetune.verbs.options import add_site


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_site(parser)
    parser.add_argument("--nodes", type=int, metavar="N", help="instead of the site's")
    parser.add_argument("--gpus-per-node", type=int, metavar="N", help="instead of the site's")
    parser.add_argument("--gpu-memory-gib", type=float, metavar="X", help="memory of one GPU")
    parser.add_argument("--gpu", metavar="NAME", help="e.g. H100, A100, V100, MI250X")
    parser.add_argument(
        "--watts", type=float, metavar="W", help="power of one device and its share"
    )
    parser.add_argument(
        "--pue", type=float, default=1.58, help="of the data centre (default: 1.58)"
    )
    parser.add_argument("--grid-gco2-per-kwh", type=float, metavar="G", help="of the grid, for CO2")
    parser.set_defaults(store=None)  # then the site's own is used, if it names one


def run(options: Namespace, console: Console) -> int:
    """Say what a recipe needs on a site, on given GPUs, or on this machine."""
    project = open_project(options.recipe, purpose="estimate", overrides=options.overrides)
    _refuse(options)
    site = None
    if options.site is not None:
        site = load_site(options.site, overlay=options.overlay)
    found = estimate(
        project,
        choose_target(
            site,
            nodes=options.nodes,
            gpus_per_node=options.gpus_per_node,
            gpu_memory_gib=options.gpu_memory_gib,
            gpu=options.gpu,
        ),
        store=_store(options.store, site),
        watts=options.watts,
        pue=options.pue,
        grid_gco2_per_kwh=options.grid_gco2_per_kwh,
    )
    if console.json_lines:
        console.say("estimate", **as_json(found, pue=options.pue))
        return 0
    show(found, console=console, watts=options.watts, pue=options.pue)
    return 0


def _store(named: Path | None, site: Site | None) -> Store:
    """Return the store that is named, or the site's where that can be seen, or the one here."""
    there = Path(os.path.expandvars((site and site.store) or "")).expanduser()
    if named is None and site is not None and site.store and there.is_dir():
        named = there
    return Store((named or default_store()).resolve())


def _refuse(options: Namespace) -> None:
    problems = [
        f"--{name.replace('_', '-')} {value}: must be more than 0"
        for name, value in (
            ("watts", options.watts),
            ("grid_gco2_per_kwh", options.grid_gco2_per_kwh),
        )
        if value is not None and value <= 0
    ]
    if options.pue < 1:
        problems.append(
            f"--pue {options.pue}: a data centre draws at least what its computers do; 1 or more"
        )
    if problems:
        raise RecipeError(*problems)
