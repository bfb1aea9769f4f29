"""`finetune cards publish`: the texts with their card, put on a hub."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from datetime import date
from pathlib import Path

from finetune.cards import words
from finetune.cards.words import Lang
from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.spec.load import card_path, load_card
from finetune.verbs.options import add_cards_folder, add_store

REPO = r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}"


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument("card", help="name or file of the card")
    action.add_argument("--repo", required=True, metavar="ORG/NAME", help="name of the data set")
    action.add_argument(
        "--hub",
        choices=["directory", "huggingface"],
        default="directory",
        help="a local folder (default: hub/ in the store), or the Hugging Face Hub",
    )
    action.add_argument("--directory", type=Path, metavar="DIR", help="root of the folder hub")
    action.add_argument("--public", action="store_true", help="everybody may see it")
    action.add_argument("--dry-run", action="store_true", help="send nothing, only say what")
    add_store(action)
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: Lang) -> int:
    """Publish a card and its texts, or say what would go where."""
    from finetune.cards.publish import Place, files_of, publish

    if not re.fullmatch(REPO, options.repo):
        raise RecipeError(f"--repo {options.repo}: write ORG/NAME, e.g. my-radio/stories")
    card = load_card(card_path(options.card, options.cards))
    root = options.directory or options.store.resolve() / "hub"
    place = Place(options.repo, options.hub, root, public=options.public)
    files = files_of(card, public=options.public, today=date.today(), lang=lang)
    if options.dry_run:
        sizes = {name: path.stat().st_size for name, path in files.items()}
        console.table(place.address, ("file", "bytes"), list(sizes.items()))
        console.say(words.say("publish-dry", lang, place=place.address))
        return 0
    changed = publish(card, files, place)
    code = "published" if changed else "published-before"
    console.say(words.say(code, lang, place=place.address), place=place.address, changed=changed)
    return 0
