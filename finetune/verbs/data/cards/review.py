"""`finetune cards review`: what was left out of a corpus, as a table for speakers."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.cards import words
from finetune.cards.words import Lang
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


def run(options: Namespace, console: Console, lang: Lang) -> int:
    """Write the table of the newest corpus that was prepared from the card."""
    from finetune.cards.review import newest_corpus, write_review

    card = card_path(options.card, options.cards).stem
    corpus = newest_corpus(card, Store(options.store.resolve()))
    count = write_review(card, corpus, options.out, lang=lang)
    said = words.say("reviewed", lang, count=count, path=options.out)
    console.say(said, card=card, texts=count, table=str(options.out))
    return 0
