"""`finetune cards withdraw --erase`: every place of the texts, listed, deleted, made again."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.cards import withdraw as taking
from finetune.cards.update import update_command
from finetune.messages import Sentence, counted, sentence
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.pipeline.store_folder import named_store
from finetune.sources.model_folder import ADAPTER_WEIGHTS
from finetune.spec.card import DataCard

if TYPE_CHECKING:
    from finetune.cards.erasure.erasure_listing import Found, Kind, Listing

JUDGEMENTS = Path("judgements")
"""Usual place of campaigns; searched where it is there."""
KINDS: Mapping[Kind, Sentence] = {
    "artefact": sentence("artefact"),
    "unfinished": sentence("unfinished build"),
    "snapshot": sentence("copy for jobs"),
    "published": sentence("folder hub"),
    "bundle": sentence("bundle"),
    "campaign": sentence("judge page"),
    "catalogue": sentence("catalogue"),
    "release": sentence("copy of a release"),
    "files": sentence("files of a card"),
    "other": sentence("other file"),
    "unreadable": sentence("cannot be searched"),
}
"""Kind of a place -> its name for people."""


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the search."""
    action.add_argument(
        "--in",
        action="append",
        type=Path,
        default=[],
        dest="inside",
        metavar="PATH",
        help="search the store, the cards and this folder or file for the texts; repeatable",
    )
    action.add_argument(
        "--erase",
        action="store_true",
        help="search like --in, and delete what finetune wrote with the texts in it",
    )


def is_asked(options: Namespace) -> bool:
    """Return whether the texts are to be searched for."""
    return bool(options.erase or options.inside)


def run(
    card: DataCard,
    meant: taking.Meant,
    held: Sequence[taking.Held],
    *,
    options: Namespace,
    console: Console,
    lang: str,
) -> None:
    """Search, list, and with --erase delete; prepare the step on the Hub."""
    from finetune.cards.erasure.erase import erase
    from finetune.cards.erasure.erasure_listing import read_listing
    from finetune.cards.erasure.hub_step import write_hub_step

    store = Store(options.store)
    listing = _searched(card, meant, held, store=store, options=options, console=console, lang=lang)
    listing = listing.joined(read_listing(card.path))
    again = [str(path) for path in taking.recipes_to_run(options.cards, held)]
    _show(listing, card, again=again, options=options, console=console, lang=lang)
    if not options.erase or options.dry_run:
        if listing.to_erase:
            text = sentence("Nothing was deleted; --erase deletes what is marked for it.")
            console.say(text.in_language(lang))
        return
    step = write_hub_step(card, listing, day=date.today(), lang=lang)
    listing = erase(listing, card, store=store, lang=lang)
    done = sum(one.is_erased for one in listing.found)
    text = counted("{count} place is erased.", "{count} places are erased.", done)
    console.say(text.in_language(lang), erased=done)
    left = [one.path for one in listing.found if not one.is_erased]
    if left:
        text = sentence("Left to you: {places}. Nothing of it was changed.", places=left)
        console.say(text.in_language(lang), left=left)
    if step is not None:
        text = sentence("{path}: what is to be done on the Hub, if you uploaded there.", path=step)
        console.say(text.in_language(lang), hub_step=str(step))


def _searched(
    card: DataCard,
    meant: taking.Meant,
    held: Sequence[taking.Held],
    *,
    store: Store,
    options: Namespace,
    console: Console,
    lang: str,
) -> Listing:
    from finetune.cards.erasure.meant_texts import needles_meant
    from finetune.cards.erasure.search import Where, lineage, search

    needles = needles_meant(card, meant, store=store)
    if needles.shared:
        text = counted(
            "{count} of the texts is in another record too, which is not withdrawn; it is not "
            "searched for.",
            "{count} of the texts are in other records too, which are not withdrawn; they are not "
            "searched for.",
            needles.shared,
        )
        console.say(text.in_language(lang), shared=needles.shared)
    folders = [*options.inside, *([JUDGEMENTS] if JUDGEMENTS.is_dir() else [])]
    where = Where(store, card, folders, lineage(store, card))
    return search(where, needles, held)


def _show(
    listing: Listing,
    card: DataCard,
    *,
    again: Sequence[str],
    options: Namespace,
    console: Console,
    lang: str,
) -> None:
    """Show every place as a table: what it is, its future, what makes it anew."""
    headings = [
        sentence("place"),
        sentence("what"),
        sentence("what happens"),
        sentence("made again by"),
    ]
    facts, rows = [], []
    for one in listing.found:
        command = _command(one, card, again=again, options=options)
        action = _action(one)
        facts.append(
            {
                "path": one.path,
                "kind": one.kind,
                "name": one.name or None,
                "action": action,
                "again": command,
            }
        )
        said = _said_of(action).in_language(lang)
        rows.append((one.path, KINDS[one.kind].in_language(lang), said, command or ""))
    title = sentence("places of the texts").in_language(lang)
    columns = [heading.in_language(lang) for heading in headings]
    console.table(title, columns, rows, name="erasure", facts=facts, justify="left")


def _action(one: Found) -> str:
    from finetune.cards.erasure.erasure_listing import KEPT

    if one.is_erased:
        return "erased"
    if one.kind == "catalogue":
        return "rewrite"
    return "keep" if one.kind in KEPT else "erase"


def _said_of(action: str) -> Sentence:
    words = {
        "erased": sentence("was deleted"),
        "rewrite": sentence("to be written anew"),
        "keep": sentence("not deleted: look at it"),
        "erase": sentence("to be deleted"),
    }
    return words[action]


def _command(one: Found, card: DataCard, *, again: Sequence[str], options: Namespace) -> str | None:
    """Return the command that makes a place again, or removes the texts from it; None without."""
    recipe = again[0] if len(again) == 1 else "RECIPE"
    where = named_store(options.store)
    match one.kind:
        case "artefact" | "unfinished":
            words = ["run", recipe, *where]
        case "release":
            words = ["release", recipe, *where]
        case "snapshot":
            words = ["submit", recipe, *where]
        case "published" if one.files and ADAPTER_WEIGHTS in one.files:
            words = ["publish", recipe, *where]
        case "published":
            words = ["cards", "publish", str(card.path), "--repo", one.name]
        case "bundle":
            words = ["bundle", recipe, *where, "-o", one.path]
        case "campaign":
            words = ["judge", "build", recipe, *where, "-o", one.path]
        case "catalogue":
            words = ["cards", "catalogue", str(Path(one.path).parent)]
        case "files":
            return str(update_command(card.path))
        case _:
            return None
    return shlex.join(["finetune", *words])
