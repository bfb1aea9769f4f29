"""`finetune schema`: JSON Schema and reference pages of recipe, card and site files."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from pydantic import BaseModel

from finetune.output.console import Console
from finetune.spec.card import DataCard
from finetune.spec.recipe import Recipe
from finetune.spec.site import Overlay, Site

_SCHEMAS: dict[str, type[BaseModel]] = {"card": DataCard, "site": Site, "overlay": Overlay}
_ON_ITS_PAGE: dict[type[BaseModel], tuple[type[BaseModel], ...]] = {Site: (Overlay,)}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--card", action="store_true", help="schema of a data card (default: of a recipe)"
    )
    which.add_argument("--site", action="store_true", help="schema of a site file")
    which.add_argument("--overlay", action="store_true", help="schema of an overlay of a site")
    parser.add_argument("--markdown", action="store_true", help="a reference page in Markdown")


def run(options: Namespace, console: Console) -> int:
    """Print a schema or its reference page."""
    chosen = [model for name, model in _SCHEMAS.items() if getattr(options, name)]
    model = chosen[0] if chosen else Recipe
    if options.markdown:
        from finetune.spec.reference import markdown

        console.answer(markdown(model, *_ON_ITS_PAGE.get(model, ())), end="")
    else:
        console.answer(json.dumps(model.model_json_schema(), indent=2))
    return 0
