"""`finetune cards`: what owners of texts do with their cards, each action a module."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from importlib import import_module
from types import ModuleType

from finetune.output.console import Console
from finetune.verbs.options import add_output_form

ACTIONS = {
    "new": "describe texts of yours: a card from a file and a few answers",
    "check": "say in plain words what a card lacks (English or French)",
    "list": "show all cards in a table",
    "catalogue": "make one offline web page of all cards",
    "publish": "put the texts with their card on a hub, private unless told otherwise",
    "review": "write a table of what was left out, for speakers to look through",
    "fingerprint": "hash an evaluation set, so that it can be kept out of training unseen",
    "withdraw": "take texts back; says which corpora, adapters and releases hold them",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of the verb."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=text)
        add_output_form(action, default=SUPPRESS)
        action.add_argument(
            "--lang", choices=["en", "fr"], help="language of messages; default: your system's"
        )
        _module(name).add_arguments(action)


def run(options: Namespace, console: Console) -> int:
    """Do one action."""
    from finetune.cards.words import language_of_messages

    lang = options.lang or language_of_messages()
    return int(_module(options.action).run(options, console, lang))


def _module(action: str) -> ModuleType:
    return import_module(f"{__name__}.{action}")
