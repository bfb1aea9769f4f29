"""`finetune cards list`: all cards in a table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import astuple

from finetune.cards.listing import COLUMNS, card_row
from finetune.output.console import Console
from finetune.spec.load import all_cards
from finetune.verbs.options import add_cards_folder


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: str) -> int:
    """Show one row per card; in JSON, sizes are in bytes and languages are lists."""
    rows = [card_row(path) for path in all_cards(options.cards)]
    facts = (dict(zip(COLUMNS, astuple(row), strict=True)) for row in rows)
    headings = [heading.in_language(lang) for heading in COLUMNS.values()]
    cells = [row.cells(lang) for row in rows]
    console.table(str(options.cards), headings, cells, name="cards", facts=facts)
    return 0
