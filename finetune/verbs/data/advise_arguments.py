"""The options of `finetune advise`; argparse alone, so that --help stays quick."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the options of `finetune advise` to its parser."""
    verb.add_argument("--card", action="append", required=True, help="a card that is to be learned")
    verb.add_argument(
        "--replay",
        action="append",
        default=[],
        metavar="CARD",
        help="what the base must not forget",
    )
    verb.add_argument(
        "--base",
        action="append",
        metavar="RECIPE",
        help="a recipe whose base may be proposed (default: those of recipes/)",
    )
    verb.add_argument("--budget-hours", type=float, metavar="H", help="hours of training at most")
    verb.add_argument("--site", type=Path, metavar="FILE", help="train on this site's GPUs")
    verb.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        default=Path("recipes/advised.yaml"),
        help="the recipe that is written (default: recipes/advised.yaml)",
    )
