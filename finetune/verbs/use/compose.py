"""`finetune compose`: one adapter made of several on the same base, as a new folder."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.compose.methods import DENSITY, METHODS
from finetune.errors import RecipeError, StoreError
from finetune.messages import Place, problem, sentence
from finetune.output.console import Console
from finetune.output.paths import is_there
from finetune.verbs.options import positive
from finetune.verbs.problems import already_exists

if TYPE_CHECKING:
    from finetune.compose.composed import Asked, Composed
    from finetune.compose.composed_parts import Checked, Part


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "adapters",
        nargs="+",
        metavar="[NAME=]ADAPTER",
        help="recipe, folder of an adapter, or org/name on the Hub",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="a new folder"
    )
    parser.add_argument(
        "--method", choices=list(METHODS), default="cat", help="default: cat, the exact sum"
    )
    parser.add_argument(
        "--weights",
        type=_weights,
        metavar="W,W,...",
        help="weight of each adapter, e.g. 0.7,0.3 (default: 1 each)",
    )
    parser.add_argument(
        "--rank", type=positive, metavar="N", help="rank of the result, for methods with svd"
    )
    parser.add_argument(
        "--density",
        type=_density,
        metavar="SHARE",
        help=f"share of the numbers that TIES and DARE keep (default: {DENSITY})",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of DARE (default: 0)"
    )
    parser.add_argument(
        "--base", type=Path, metavar="DIR", help="folder of the base, if it is not in the store"
    )


def run(options: Namespace, console: Console) -> int:
    """Make one adapter of several."""
    asked = _asked(options)
    weights = options.weights or [1.0] * len(options.adapters)
    if len(weights) != len(options.adapters):
        raise RecipeError(
            problem(
                "number-of-weights",
                "{weights} given for {adapters} adapters; write one for each",
                at=Place(key="--weights"),
                weights=len(weights),
                adapters=len(options.adapters),
            )
        )
    if is_there(options.output):
        raise StoreError(already_exists(options.output))
    from finetune.compose.composed import compose
    from finetune.compose.composed_parts import checked_parts

    checked = checked_parts(_parts(options, weights, console), asked.method)
    aside = options.output.with_name(options.output.name + ".partial")
    if is_there(aside):
        raise StoreError(already_exists(aside))
    aside.mkdir(parents=True)
    try:
        made = compose(checked, aside, asked)
        aside.rename(options.output)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _show(made, checked, options, console=console)
    return 0


def _show(made: Composed, checked: Checked, options: Namespace, *, console: Console) -> None:
    """Show the result, its licence with reasons, and how to compare it."""
    console.say(
        sentence(
            "{folder}: {method} of {names}; rank {rank}, {distance:.1%} from the weighted sum of "
            "the updates",
            folder=str(options.output),
            method=options.method,
            names=[part.name for part in checked.parts],
            rank=made.rank,
            distance=made.distance,
        ),
        path=str(options.output),
        method=options.method,
        rank=made.rank,
        distance=made.distance,
        licence=made.licence,
        adapters=[part.source.name for part in checked.parts],
        weights=[part.weight for part in checked.parts],
    )
    if made.licence is None:
        console.say(
            sentence(
                "the licence of a part or of the base is not stated, so none is stated of the "
                "result: ask before you pass it on"
            )
        )
    for reason in made.reasons:
        console.say(reason)
    console.say(
        sentence(
            "it was not evaluated; name it in evaluate.models of a recipe on this base to compare "
            "it with the recipe's adapter"
        )
    )


def _asked(options: Namespace) -> Asked:
    """Return method and settings. RecipeError for a setting that the method does not read."""
    from finetune.compose.composed import Asked

    method = METHODS[options.method]
    unread = [
        name
        for name, given, read in (
            ("--rank", options.rank is not None, method.reduces),
            ("--density", options.density is not None, method.prunes),
            ("--seed", options.seed != 0, method.draws),
        )
        if given and not read
    ]
    if unread:
        raise RecipeError(
            *(
                problem(
                    "setting-of-other-method",
                    "the method {method} does not read it; leave it out, or choose another method",
                    at=Place(key=name),
                    method=method.name,
                )
                for name in unread
            )
        )
    return Asked(method, options.rank, options.density, options.seed)


def _parts(options: Namespace, weights: list[float], console: Console) -> list[Part]:
    from finetune.api.adapters.open_adapter import open_adapter
    from finetune.api.recipes import store_at
    from finetune.compose.composed_parts import Part

    parts = []
    for typed, weight in zip(options.adapters, weights, strict=True):
        name, separator, place = typed.partition("=")
        source = open_adapter(
            place if separator else typed,
            store=store_at(options.store),
            console=console,
            purpose="export",
            base=options.base,
        )
        parts.append(Part(name if separator else source.name, source, weight))
    return parts


def _weights(text: str) -> list[float]:
    try:
        weights = [float(one) for one in text.split(",")]
    except ValueError:
        weights = []
    if not weights or not all(-100 <= one <= 100 for one in weights):
        raise ArgumentTypeError(f"{text[:60]!r} is no list of numbers from -100 to 100 (0.7,0.3)")
    return weights


def _density(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ArgumentTypeError(f"{text[:40]!r} is no share above 0 and up to 1")
    return share
