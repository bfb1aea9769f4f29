"""`finetune cards review`: the rejected texts of a corpus, as a table for speakers."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.messages import counted
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.spec.load import card_path
from finetune.verbs.options import add_cards_folder, add_store


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument("card", help="name or file of the card")
    action.add_argument("out", type=Path, metavar="OUT.csv", help="opens in any spreadsheet")
    add_store(action)
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: str) -> int:
    """Write the table of the newest corpus that was prepared from the card."""
    from finetune.cards.review import newest_corpus, write_review

    card = card_path(options.card, options.cards).stem
    corpus = newest_corpus(card, Store(options.store))
    count = write_review(card, corpus, options.out, lang=lang)
    text = counted(
        "{path}: {count} rejected text, for a speaker to check; opens in a spreadsheet.",
        "{path}: {count} rejected texts, for a speaker to check; opens in a spreadsheet.",
        count,
        path=options.out,
    )
    console.say(text.in_language(lang), card=card, texts=count, path=str(options.out))
    return 0
