"""`finetune cards check`: what a card lacks, in plain words."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import date

from finetune.cards.findings import check_card, show_findings
from finetune.cards.words import Lang
from finetune.output.console import Console
from finetune.spec.load import all_cards, card_path
from finetune.verbs.options import add_cards_folder


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument("card", nargs="*", help="names or files of cards; default: all")
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: Lang) -> int:
    """Show what each card lacks; 2 if one cannot be used."""
    paths = [card_path(name, options.cards) for name in options.card] or all_cards(options.cards)
    stops = 0
    for path in paths:
        findings = check_card(path, today=date.today())
        stops += sum(finding.level == "stop" for finding in findings)
        show_findings(path, findings, console=console, lang=lang)
    return 2 if stops else 0
