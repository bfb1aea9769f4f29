"""`finetune judge`: judgement by speakers, one module per action."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from importlib import import_module
from types import ModuleType

from finetune.output.console import Console
from finetune.verbs.options import add_output_form

ACTIONS = {
    "build": "make one offline page on which speakers compare outputs, without knowing whose",
    "collect": "read the files that judges returned; compute preference and agreement",
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
    return int(_module(options.action).run(options, console))


def _module(action: str) -> ModuleType:
    return import_module(f"{__name__}.{action}")
