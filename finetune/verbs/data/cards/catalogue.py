"""`finetune cards catalogue`: one offline web page of all cards."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.cards import words
from finetune.cards.words import Lang
from finetune.output.console import Console
from finetune.spec.load import all_cards
from finetune.verbs.options import add_cards_folder


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument("out", type=Path, metavar="OUT_DIR", help="gets an index.html")
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: Lang) -> int:
    """Write the page, and name the cards that could not be read."""
    from finetune.cards.catalogue import write_catalogue

    paths = all_cards(options.cards)
    page, broken = write_catalogue(paths, options.out, lang=lang)
    count = len(paths) - len(broken)
    said = words.say("catalogue", lang, path=page, count=count)
    console.say(said, page=str(page), cards=count, broken=broken)
    for name in broken:
        console.say(words.say("catalogue-broken", lang, name=name), card=name)
    return 0
