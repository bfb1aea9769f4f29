"""`finetune cards withdraw`: texts that are taken back, and what holds them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from finetune.cards import withdraw as taking
from finetune.cards.words import Lang
from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.spec.card import ALL
from finetune.spec.load import card_path, load_card
from finetune.spec.withdrawn import add_withdrawn, list_path, read_withdrawn
from finetune.verbs.options import add_cards_folder, add_store

SAYS: Mapping[str, Mapping[Lang, str]] = {
    "all": {
        "en": "The whole card {card} is taken back ({path}).",
        "fr": "Toute la fiche {card} est retirée ({path}).",
    },
    "some": {
        "en": "{count} records of {card} are taken back, {new} of them new ({path}).",
        "fr": "{count} enregistrements de {card} sont retirés, dont {new} nouveaux ({path}).",
    },
    "dry": {
        "en": "Nothing was written (--dry-run).",
        "fr": "Rien n'a été écrit (--dry-run).",
    },
    "places": {
        "en": "They still stand in the files of the corpus: {places}. Remove them there, and write "
        "the new checksum into the card.",
        "fr": "Ils figurent encore dans les fichiers du corpus : {places}. Retirez-les-en, et "
        "écrivez la nouvelle empreinte dans la fiche.",
    },
    "clean": {
        "en": "Nothing in {store} holds any of them.",
        "fr": "Rien dans {store} n'en contient.",
    },
    "table": {
        "en": "what holds them in {store}",
        "fr": "ce qui en contient dans {store}",
    },
    "published": {
        "en": "Published: {places}. Take it down there, and wherever else you published it.",
        "fr": "Publié : {places}. Retirez-le, ainsi que partout où vous l'avez publié.",
    },
    "again": {
        "en": "To make adapters without them: {commands}",
        "fr": "Pour refaire des adaptateurs sans eux : {commands}",
    },
    "remove": {
        "en": "To delete what holds them: {command}",
        "fr": "Pour effacer ce qui en contient : {command}",
    },
}
COLUMNS: Mapping[Lang, tuple[str, ...]] = {
    "en": ("artefact", "recipe", "records"),
    "fr": ("artefact", "recette", "enregistrements"),
}
RECORDS: Mapping[str, Mapping[Lang, str]] = {
    "made": {"en": "made from it", "fr": "en est tiré"},
    "unknown": {"en": "not known (no ledger)", "fr": "inconnu (sans registre)"},
    "files": {"en": "the files themselves", "fr": "les fichiers mêmes"},
}


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument("card", help="name or file of the card")
    action.add_argument(
        "--records",
        type=Path,
        metavar="FILE",
        help="only these: one text, or one fingerprint, a line; default: the whole card",
    )
    action.add_argument("--contributor", metavar="NAME", help="only what this person gave")
    action.add_argument("--dry-run", action="store_true", help="write nothing, only say")
    add_store(action)
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: Lang) -> int:
    """Write the withdrawal list of a card, and say what has to be made anew."""
    path = card_path(options.card, options.cards)
    card = load_card(path)
    store = Store(options.store.resolve())
    if options.records and options.contributor:
        raise RecipeError("--records and --contributor: give one of the two")
    if options.records:
        meant = taking.records_in_file(card, options.records, store=store)
    elif options.contributor:
        meant = taking.records_of_contributor(card, options.contributor, store=store)
    else:
        meant = taking.Meant(frozenset({ALL}))
    known = read_withdrawn(path)
    new = len(meant.hashes - known)
    if not options.dry_run:
        add_withdrawn(path, meant.hashes, day=date.today())
    code = "all" if ALL in meant.hashes else "some"
    facts = {"card": card.name, "path": list_path(path), "count": len(meant.hashes), "new": new}
    console.say(SAYS[code][lang].format(**facts), card=card.name, records=sorted(meant.hashes))
    if options.dry_run:
        console.say(SAYS["dry"][lang])
    if meant.places:
        console.say(SAYS["places"][lang].format(places=_some(meant.places)), places=meant.places)
    held = taking.trace(store, card, meant.hashes)
    _show(held, store=store, cards=path.parent, console=console, lang=lang)
    return 0


def _show(
    held: Sequence[taking.Held], *, store: Store, cards: Path, console: Console, lang: Lang
) -> None:
    if not held:
        console.say(SAYS["clean"][lang].format(store=store.root))
        return
    rows = [(h.name, h.recipe, _records(h, lang)) for h in held]
    console.table(SAYS["table"][lang].format(store=store.root), COLUMNS[lang], rows)
    published = [str(place) for h in held for place in h.published]
    if published:
        text = SAYS["published"][lang].format(places=_some(published))
        console.say(text, published=published)
    commands = [f"finetune run {path}" for path in taking.recipes_to_run(cards, held)]
    if commands:
        text = SAYS["again"][lang].format(commands="; ".join(commands))
        console.say(text, again=commands)
    victims = " ".join(f"--remove {h.name}" for h in held)
    where = "" if store.root == Path(".finetune").resolve() else f"--store {store.root} "
    command = f"finetune runs {where}{victims}"
    console.say(SAYS["remove"][lang].format(command=command), remove=[h.name for h in held])


def _records(held: taking.Held, lang: Lang) -> str:
    if held.records is not None:
        return str(held.records)
    kind = {"prepare": "unknown", "corpus": "files"}.get(held.artifact.stage, "made")
    return RECORDS[kind][lang]


def _some(places: Sequence[str]) -> str:
    more = len(places) - taking.SHOWN_PLACES
    shown = ", ".join(places[: taking.SHOWN_PLACES])
    return f"{shown} … (+{more})" if more > 0 else shown
