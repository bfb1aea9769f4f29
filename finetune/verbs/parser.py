"""The argparse parsers of the command line, with suggestions for misspelt arguments."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from finetune import __version__
from finetune.errors import did_you_mean, shortened
from finetune.messages import Sentence, sentence
from finetune.output import terminal
from finetune.output.paths import typed_path
from finetune.verbs import GROUPS, MEANT, RENAMED, VERBS, Verb
from finetune.verbs.options import add_output_form, add_recipe, add_store

DESCRIPTION = "LoRA fine-tuning for low-resource languages: from data card to released adapter."
EPILOG = """\
first steps:
  finetune init --example                  a recipe and its data card, to try
  finetune run recipes/hausa-school.yaml   the whole pipeline, on this machine
  finetune init --language wol_Latn        a recipe and a data card to fill in
"""


class Parser(argparse.ArgumentParser):
    """An argument parser with path and finite-float types, and suggestions.

    Its messages quote the arguments, escaped for a terminal.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register("type", Path, _path)
        self.register("type", float, _number)

    def error(self, message: str) -> NoReturn:
        """Print the usage and a one-line error of bounded length; exit with code 2."""
        super().error(terminal.message(message))

    def options(self) -> Iterator[str]:
        """Yield the long options of this parser and of its sub-verbs."""
        for action in self._actions:
            yield from (option for option in action.option_strings if option.startswith("--"))
            if isinstance(action, argparse._SubParsersAction):
                for parser in action.choices.values():
                    yield from parser.options()

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        typed = shortened(str(value), most=60)
        hint = did_you_mean(str(value), known)
        raise argparse.ArgumentError(action, f"{typed!r}: use one of {', '.join(known)}{hint}")

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(terminal.safe(message), file)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments; without arguments, print the help.

    Only the module of the chosen verb is imported. Raises SystemExit: 0 after the help or version,
    2 for invalid arguments.
    """
    chosen, arguments = _renamed(arguments)
    parser = parser_of(chosen)
    if not arguments:
        parser.print_help()
        parser.exit()
    if chosen is not None and chosen not in VERBS:
        typed = [verb.name for verb in VERBS.values() if not verb.hidden]
        hint = did_you_mean(MEANT.get(chosen, chosen), typed)
        parser.error(f"there is no verb {chosen!r}; `finetune --help` lists them{hint}")
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(f"unknown argument{'s' * (len(unknown) > 1)}: {_unknown(unknown, parser)}")
    return options


def _renamed(arguments: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """Return the verb and the arguments, with a renamed verb replaced by its new name.

    >>> _renamed(["merge", "a.yaml"])[1]
    ['export', '--format', 'merged', 'a.yaml']
    """
    place = next((i for i, word in enumerate(arguments) if not word.startswith("-")), None)
    if place is None:
        return None, arguments
    new = RENAMED.get(arguments[place])
    if new is None:
        return arguments[place], arguments
    return new[0], [*arguments[:place], *new, *arguments[place + 1 :]]


def renaming(arguments: Sequence[str]) -> Sentence | None:
    """Return the deprecation warning of a renamed verb; None for others."""
    old = next((word for word in arguments if not word.startswith("-")), None)
    if old is None or old not in RENAMED:
        return None
    return sentence(
        "warning: `finetune {old}` is now `finetune {new}`; the old name works in this release "
        "only",
        old=old,
        new=" ".join(RENAMED[old]),
    )


def _unknown(words: Sequence[str], parser: Parser) -> str:
    option = next((word.partition("=")[0] for word in words if word.startswith("--")), None)
    hint = did_you_mean(option, dict.fromkeys(parser.options())) if option else ""
    return f"{' '.join(words)}{hint}"


def parser_of(chosen: str | None) -> Parser:
    """Return the parser, with the chosen verb and its options.

    Others are listed in the help only: a parser of argparse asks the disk for translations.
    """
    parser = Parser(
        prog="finetune",
        usage="finetune [-h] [--version] VERB ...",
        description=f"{DESCRIPTION}\n\n{_listed()}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"finetune {__version__}")
    verbs = parser.add_subparsers(
        dest="verb", required=True, metavar="VERB", prog="finetune", help=argparse.SUPPRESS
    )
    if verb := VERBS.get(chosen or ""):
        added = verbs.add_parser(verb.name, description=f"{verb.help[0].upper()}{verb.help[1:]}.")
        _add_options(added, verb)
    return parser


def _add_options(parser: argparse.ArgumentParser, verb: Verb) -> None:
    add_output_form(parser)
    if verb.recipe:
        add_recipe(parser, optional=verb.recipe == "optional")
    if verb.recipe or verb.store:
        add_store(parser)
    verb.module().add_arguments(parser)


def _listed() -> str:
    """Return the verbs that are not hidden, under the headings of their groups."""
    typed = [verb for verb in VERBS.values() if not verb.hidden]
    width = max(len(verb.name) for verb in typed)
    return "\n\n".join(
        "\n".join(
            [
                f"{heading}:",
                *(f"  {v.name.ljust(width)}  {v.help}" for v in typed if v.group == group),
            ]
        )
        for group, heading in GROUPS.items()
    )


def _path(text: str) -> Path:
    try:
        return typed_path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{shortened(text, most=60)!r} is not a finite number")
    return number
