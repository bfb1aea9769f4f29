"""`finetune cards`: actions of owners of texts on their cards, one module per action."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from importlib import import_module
from types import ModuleType

from finetune.messages import chosen
from finetune.output.console import Console
from finetune.verbs.options import add_output_form

ACTIONS = {
    "new": "describe your texts: a card from a file and a few answers",
    "mdc": "describe a data set of Mozilla Data Collective: a card from its identifier",
    "check": "list what is missing or wrong in a card, in plain words",
    "list": "show all cards in a table",
    "catalogue": "make one offline web page of all cards",
    "update": "renew checksums, size and first texts of a card whose files changed",
    "publish": "publish the texts with their card on a hub; private by default",
    "review": "write a table of the rejected texts, for speakers to check",
    "fingerprint": "hash an evaluation set, to keep it out of training without showing it",
    "withdraw": "withdraw texts, and list the corpora, adapters and releases that contain them",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of the verb."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=text)
        add_output_form(action, default=SUPPRESS)
        _module(name).add_arguments(action)


def run(options: Namespace, console: Console) -> int:
    """Do one action."""
    lang = chosen(options.lang, terminal=True)
    return int(_module(options.action).run(options, console, lang))


def _module(action: str) -> ModuleType:
    return import_module(f"{__name__}.{action}")
