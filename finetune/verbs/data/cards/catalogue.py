"""`finetune cards catalogue`: one offline web page of all cards."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.messages import counted, sentence
from finetune.output.console import Console
from finetune.spec.load import all_cards
from finetune.verbs.options import add_cards_folder


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument("out", type=Path, metavar="OUT_DIR", help="gets an index.html")
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: str) -> int:
    """Write the page, and name the cards that could not be read."""
    from finetune.cards.catalogue import write_catalogue

    paths = all_cards(options.cards)
    page, broken = write_catalogue(paths, options.out, lang=lang)
    count = len(paths) - len(broken)
    text = counted(
        "Wrote {path} with {count} card; open it in any browser.",
        "Wrote {path} with {count} cards; open it in any browser.",
        count,
        path=page,
    )
    console.say(text.in_language(lang), page=str(page), cards=count, broken=broken)
    for name in broken:
        text = sentence(
            "{name} is not included, because it cannot be read: finetune cards check {name}",
            name=name,
        )
        console.say(text.in_language(lang), card=name)
    return 0
