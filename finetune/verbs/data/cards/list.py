"""`finetune cards list`: all cards in a table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.cards.listing import COLUMNS, card_row
from finetune.cards.words import Lang
from finetune.output.console import Console
from finetune.spec.load import all_cards
from finetune.verbs.options import add_cards_folder


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: Lang) -> int:
    """Show a line for each card."""
    rows = [card_row(path, lang=lang) for path in all_cards(options.cards)]
    console.table(str(options.cards), COLUMNS[lang], rows)
    return 0
