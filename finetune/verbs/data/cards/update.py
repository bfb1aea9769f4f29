"""`finetune cards update`: checksums, size and first texts of files that their owner changed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.messages import sentence
from finetune.output.console import Console
from finetune.spec.load import card_path, load_card
from finetune.verbs.options import add_cards_folder


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument("card", help="name or file of the card")
    action.add_argument("--dry-run", action="store_true", help="show what changed; write nothing")
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: str) -> int:
    """Write what changed into the card, and name it."""
    from finetune.cards.update import renew

    card = load_card(card_path(options.card, options.cards))
    renewed = renew(card, dry_run=options.dry_run)
    names = [one.path for one in renewed.files]
    parts = [sentence("checksums ({names})", names=names)] if names else []
    parts += [sentence("size_categories")] if renewed.size else []
    parts += [sentence("counts and first texts")] if renewed.counts else []
    if renewed.is_current:
        text = sentence("{path}: all checksums are current.", path=card.path)
    elif options.dry_run:
        text = sentence("{path}: to renew: {parts}.", path=card.path, parts=parts)
    else:
        text = sentence("{path}: renewed: {parts}.", path=card.path, parts=parts)
    facts = {"size": renewed.size, "counts": renewed.counts}
    console.say(text.in_language(lang), card=str(card.path), changed=names, **facts)
    return 0
