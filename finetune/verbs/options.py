"""Options that several verbs take, each said once."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_output_form(parser: argparse.ArgumentParser, *, default: bool | str = False) -> None:
    """Add --json and --verbose.

    After an action (`finetune cards list`) the default is argparse.SUPPRESS: what was said before
    the action is not undone by a default after it.
    """
    parser.add_argument(
        "--json", action="store_true", default=default, help="JSON lines, for machines"
    )
    parser.add_argument("-v", "--verbose", action="store_true", default=default, help="more detail")


def add_recipe(parser: argparse.ArgumentParser, *, optional: bool) -> None:
    """Add the recipe and --set."""
    parser.add_argument(
        "recipe", type=Path, nargs="?" if optional else None, help="the recipe, a YAML file"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change one value of the recipe, e.g. train.max_steps=20; repeatable",
    )


def add_store(parser: argparse.ArgumentParser, *, holds: str = "artefacts are kept") -> None:
    """Add --store."""
    from finetune.pipeline.store import default_store

    parser.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        default=default_store(),
        help=f"where {holds} (default: $FINETUNE_STORE or .finetune)",
    )


def add_phase(parser: argparse.ArgumentParser) -> None:
    """Add --phase."""
    parser.add_argument("--phase", metavar="NAME", help="only up to this phase of the recipe")


def add_site(parser: argparse.ArgumentParser) -> None:
    """Add --site and --overlay."""
    parser.add_argument("--site", type=Path, metavar="FILE", help="a cluster, slurm/sites/*.yaml")
    parser.add_argument(
        "--overlay",
        type=Path,
        metavar="FILE",
        help="what you add to the site (default: ~/.config/finetune/sites/NAME.yaml)",
    )


def add_chain(parser: argparse.ArgumentParser) -> None:
    """Add the chain of jobs that is meant."""
    parser.add_argument(
        "chain",
        nargs="?",
        metavar="CHAIN",
        help="id of a chain, or its beginning, or its folder (default: the newest)",
    )


def add_cards_folder(parser: argparse.ArgumentParser) -> None:
    """Add --cards."""
    parser.add_argument(
        "--cards",
        type=Path,
        default=Path("data_cards"),
        metavar="DIR",
        help="folder of the cards (default: data_cards)",
    )


def positive(text: str) -> int:
    """Read a whole number of 1 or more: the `type` of an option."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number
