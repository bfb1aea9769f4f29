"""`finetune cards publish`: the texts with their card, published on a hub."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from finetune.errors import RecipeError
from finetune.messages import Place, problem, sentence
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
    action.add_argument("--public", action="store_true", help="visible to everyone")
    action.add_argument(
        "--force", action="store_true", help="also replace what others changed on the Hub"
    )
    action.add_argument(
        "--dry-run", action="store_true", help="upload nothing; only list the files"
    )
    add_store(action)
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: str) -> int:
    """Publish a card and its texts, or list what would be uploaded."""
    with TemporaryDirectory() as folder:
        return _run(options, console, lang, folder=Path(folder))


def _run(options: Namespace, console: Console, lang: str, *, folder: Path) -> int:
    from finetune.cards.publish import Destination, files_of, publish, rehearse

    if not re.fullmatch(REPO, options.repo):
        raise RecipeError(
            problem(
                "repository-name",
                "{name!r}: write ORG/NAME, e.g. my-radio/stories",
                at=Place(key="--repo"),
                name=options.repo,
            )
        )
    card = load_card(card_path(options.card, options.cards))
    root = options.directory or options.store / "hub"
    place = Destination(options.repo, options.hub, root, public=options.public)
    files = files_of(card, public=options.public, today=date.today(), folder=folder)
    if options.dry_run:
        rehearse(card, files, place, force=options.force)
        sizes = {name: path.stat().st_size for name, path in files.items()}
        headings = [one.in_language(lang) for one in (sentence("file"), sentence("bytes"))]
        facts = ({"file": name, "size_bytes": size} for name, size in sizes.items())
        rows = [(name, f"{size:,}") for name, size in sizes.items()]
        console.table(place.address, headings, rows, name="files", facts=facts)
        text = sentence("Destination: {place}. Nothing was uploaded.", place=place.address)
        console.say(text.in_language(lang), place=place.address)
        return 0
    changed = publish(card, files, place, force=options.force)
    if changed:
        text = sentence("Published: {place}", place=place.address)
    else:
        text = sentence("{place} has these texts already: nothing to do.", place=place.address)
    console.say(text.in_language(lang), place=place.address, changed=changed)
    return 0
