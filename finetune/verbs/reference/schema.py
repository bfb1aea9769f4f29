"""`finetune schema`: the JSON Schema of what people write."""

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
    which.add_argument("--card", action="store_true", help="of a data card instead")
    which.add_argument("--site", action="store_true", help="of a site (a cluster)")
    which.add_argument("--overlay", action="store_true", help="of what a person adds to a site")
    parser.add_argument("--markdown", action="store_true", help="as a reference page for people")


def run(options: Namespace, console: Console) -> int:
    """Print the schema that editors complete and check recipes with."""
    chosen = [model for name, model in _SCHEMAS.items() if getattr(options, name)]
    model = chosen[0] if chosen else Recipe
    if options.markdown:
        from finetune.spec.reference import markdown

        print(markdown(model, *_ON_ITS_PAGE.get(model, ())), end="", file=console.out)
    else:
        print(json.dumps(model.model_json_schema(), indent=2), file=console.out)
    return 0
