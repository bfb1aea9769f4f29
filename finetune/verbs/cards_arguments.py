"""The command-line tree of `finetune cards`; argparse alone, so that --help stays quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

ACTIONS = {
    "check": "say in plain words what a card lacks (English or French)",
    "list": "show all cards in a table",
}


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the actions of `finetune cards` to its parser."""
    actions = verb.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=text)
        # SUPPRESS: what was said before the action is not undone by a default after it
        for flags in (("--json",), ("-v", "--verbose")):
            action.add_argument(*flags, action="store_true", default=argparse.SUPPRESS)
        action.add_argument(
            "--lang", choices=["en", "fr"], help="language of messages; default: your system's"
        )
        _OWN[name](action)


def _folder(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--cards",
        type=Path,
        default=Path("data_cards"),
        metavar="DIR",
        help="folder of the cards (default: data_cards)",
    )


def _check(action: argparse.ArgumentParser) -> None:
    action.add_argument("card", nargs="*", help="names or files of cards; default: all")
    _folder(action)


_OWN: dict[str, Callable[[argparse.ArgumentParser], None]] = {"check": _check, "list": _folder}
