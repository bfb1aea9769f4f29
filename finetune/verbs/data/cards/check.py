"""`finetune cards check`: findings about cards, in plain words."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import date
from pathlib import Path

from finetune.cards.check.findings import check_card, show_findings
from finetune.output.console import Console
from finetune.output.paths import home_filled_in, is_file, is_folder
from finetune.spec.load import all_cards, card_path
from finetune.verbs.options import add_cards_folder


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument("card", nargs="*", help="names, files or folders of cards; default: all")
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: str) -> int:
    """Show the findings about each card; exit code 2 if there are errors."""
    paths = [path for name in options.card for path in _named(name, options.cards)]
    paths = list(dict.fromkeys(paths)) or all_cards(options.cards)
    errors = 0
    for path in paths:
        findings = check_card(path, today=date.today(), console=console)
        errors += sum(finding.level == "error" for finding in findings)
        show_findings(path, findings, console=console, lang=lang)
    return 2 if errors else 0


def _named(name: str, folder: Path) -> list[Path]:
    """Return the files of the cards that a name, a file or a folder stands for."""
    given = home_filled_in(name)
    if is_folder(given) and not is_file(folder / f"{name}.md"):
        return all_cards(given)
    return [card_path(name, folder)]
