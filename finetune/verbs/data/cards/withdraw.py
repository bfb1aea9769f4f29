"""`finetune cards withdraw`: withdrawn texts, and the artefacts that contain them."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path

from finetune.cards import withdraw as taking
from finetune.cards.seal import seal_card
from finetune.cards.update import update_command
from finetune.errors import RecipeError
from finetune.messages import Place, Sentence, counted, phrase, problem, sentence
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.pipeline.store_folder import named_store
from finetune.pipeline.withdrawals import recorded_withdrawals
from finetune.spec.card import ALL, DataCard
from finetune.spec.load import card_path, load_card
from finetune.spec.withdrawn import (
    BACK,
    add_withdrawn,
    doubtful,
    list_path,
    read_list,
    seal_of,
    write_list,
)
from finetune.verbs.data.cards import erasing
from finetune.verbs.options import add_cards_folder, add_store

COLUMNS: Mapping[str, Sentence] = {
    "artefact": sentence("artefact"),
    "recipe": sentence("recipe"),
    "records": sentence("records"),
}
"""Key in JSON -> heading of the column."""


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument("card", help="name or file of the card")
    action.add_argument(
        "--records",
        type=Path,
        metavar="FILE",
        help="only these: one text or one fingerprint per line; default: the whole card",
    )
    action.add_argument("--contributor", metavar="NAME", help="only the texts of this person")
    way = action.add_mutually_exclusive_group()
    way.add_argument(
        "--restore",
        action="store_true",
        help="restore lost entries of the list from the prepared corpora in the store",
    )
    way.add_argument(
        "--undo",
        action="store_true",
        help="permit their use again: the whole card, or what --records or --contributor name",
    )
    action.add_argument(
        "--dry-run", action="store_true", help="write nothing; only show what would change"
    )
    erasing.add_arguments(action)
    add_store(action)
    add_cards_folder(action)


def run(options: Namespace, console: Console, lang: str) -> int:
    """Write the withdrawal list of a card, and list what has to be made again."""
    path = card_path(options.card, options.cards)
    store = Store(options.store)
    whole = options.records is None and options.contributor is None
    _refuse_options(options, whole=whole)
    # the list is repaired here: it need not be whole
    card = load_card(path, with_list=not (whole and (options.restore or options.undo)))
    if options.restore:
        return _restore(card, store=store, options=options, console=console, lang=lang)
    meant = _meant(card, options, store=store)
    if options.undo:
        return _undo(card, meant.hashes, options=options, console=console, lang=lang)
    if meant.hashes:
        _withdraw(card, meant.hashes, options=options, console=console, lang=lang)
    if meant.places:
        text = sentence(
            "They are still in the files of the corpus: {places}. Remove them from these files, "
            "then update the checksums of the card: {command}",
            places=_first(meant.places),
            command=update_command(path),
        )
        console.say(text.in_language(lang), places=meant.places)
    held = taking.trace(store, card, meant.hashes)
    _show(held, store=store, cards=path.parent, console=console, lang=lang)
    if erasing.is_asked(options):
        card = load_card(path)  # with what was withdrawn now
        erasing.run(card, meant, held, options=options, console=console, lang=lang)
    return 0


def _withdraw(
    card: DataCard, hashes: frozenset[str], *, options: Namespace, console: Console, lang: str
) -> None:
    """Write the list and its seal, unless it is a dry run; say so."""
    new = len(hashes - card.withdrawn)
    if not options.dry_run:
        add_withdrawn(card.path, hashes, day=date.today())
        _seal(card.path, console=console, lang=lang)
    text = _withdrawn(card, hashes, new=new, dry_run=options.dry_run)
    console.say(text.in_language(lang), card=card.name, records=sorted(hashes))
    _close_dry_run(options, console=console, lang=lang)


def _refuse_options(options: Namespace, *, whole: bool) -> None:
    if options.contributor is not None and not options.contributor.strip():
        # an unset variable of a shell must not withdraw a whole card
        raise RecipeError(
            problem(
                "contributor-empty",
                "is empty; write who gave the texts, or omit the option",
                at=Place(key="--contributor"),
            )
        )
    if (options.undo or options.restore) and erasing.is_asked(options):
        raise RecipeError(
            problem("erase-or-undo", "--erase and --in go with a withdrawal, not with its end")
        )
    if options.records and options.contributor:
        raise RecipeError(
            problem("records-or-contributor", "--records and --contributor: give only one of them")
        )
    if options.restore and not whole:
        raise RecipeError(
            problem(
                "restore-is-whole",
                "restores everything that is known; omit --records and --contributor",
                at=Place(key="--restore"),
            )
        )


def _withdrawn(card: DataCard, hashes: Collection[str], *, new: int, dry_run: bool) -> Sentence:
    """Return what was withdrawn, or in a dry run would be."""
    facts = {"card": card.name, "path": list_path(card.path)}
    if ALL in hashes and dry_run:
        return sentence("The whole card {card} would be withdrawn ({path}).", **facts)
    if ALL in hashes:
        return sentence("The whole card {card} is withdrawn ({path}).", **facts)
    if dry_run:
        return counted(
            "{count} record of {card} would be withdrawn, of which new: {new} ({path}).",
            "{count} records of {card} would be withdrawn, of which new: {new} ({path}).",
            len(hashes),
            new=new,
            **facts,
        )
    return counted(
        "{count} record of {card} is withdrawn, of which new: {new} ({path}).",
        "{count} records of {card} are withdrawn, of which new: {new} ({path}).",
        len(hashes),
        new=new,
        **facts,
    )


def _close_dry_run(options: Namespace, *, console: Console, lang: str) -> None:
    if options.dry_run:
        console.say(sentence("Nothing was written (--dry-run).").in_language(lang))


def _meant(card: DataCard, options: Namespace, *, store: Store) -> taking.Meant:
    if options.records:
        return taking.records_in_file(
            card, options.records, store=store, removed_too=erasing.is_asked(options)
        )
    if options.contributor:
        return taking.records_of_contributor(card, options.contributor, store=store)
    return taking.Meant(frozenset({ALL}))


def _restore(
    card: DataCard, *, store: Store, options: Namespace, console: Console, lang: str
) -> int:
    """Restore a list from the store; refuse if the store does not know all of it."""
    left = read_list(card.path)
    known = frozenset(recorded_withdrawals(card, store))
    lost = sorted(known - left.withdrawn - left.restored)
    entries = [*left.entries, *lost]
    sealed = card.corpus.withdrawals
    had = max(s.entries if s else 0 for s in (left.sealed, sealed))
    if not entries and not had:
        raise RecipeError(
            problem(
                "nothing-to-restore",
                "neither {path} nor {store} knows of any withdrawal",
                at=Place(key="--restore"),
                path=card.path,
                store=store.root,
            )
        )
    if len(entries) < had or doubtful(left, sealed=sealed, known=known):
        raise RecipeError(
            problem(
                "list-not-restored",
                "entries before: {had}; now: {left}, perhaps others; {store} remembers {known}. "
                "Get the list back from your copies, or name a store that remembers more with "
                "--store; if these texts may be used again, run: {undo}",
                at=Place(list_path(card.path)),
                had=had,
                left=len(left.entries),
                store=store.root,
                known=len(known),
                undo=shlex.join(["finetune", "cards", "withdraw", str(card.path), "--undo"]),
            )
        )
    if not options.dry_run:
        write_list(card.path, entries, day=date.today())
        _seal(card.path, console=console, lang=lang)
    text = _restored(card, count=len(entries), lost=len(lost), dry_run=options.dry_run)
    console.say(text.in_language(lang), restored=lost)
    _close_dry_run(options, console=console, lang=lang)
    return 0


def _restored(card: DataCard, *, count: int, lost: int, dry_run: bool) -> Sentence:
    facts = {"card": card.name, "path": list_path(card.path), "lost": lost}
    if dry_run:
        return counted(
            "The list of {card} would be complete again: {count} entry, of which restored: {lost} "
            "({path}).",
            "The list of {card} would be complete again: {count} entries, of which restored: "
            "{lost} ({path}).",
            count,
            **facts,
        )
    return counted(
        "The list of {card} is complete again: {count} entry, of which restored: {lost} ({path}).",
        "The list of {card} is complete again: {count} entries, of which restored: {lost} "
        "({path}).",
        count,
        **facts,
    )


def _undo(
    card: DataCard, hashes: Collection[str], *, options: Namespace, console: Console, lang: str
) -> int:
    """Write into a list that texts may be used again."""
    left = read_list(card.path)
    foreign = [one for one in hashes if one != ALL and one not in left.withdrawn]
    if foreign:
        raise RecipeError(
            problem(
                "not-withdrawn",
                "some of these texts are not withdrawn: {count} ({path})",
                at=Place(key="--undo"),
                count=len(foreign),
                path=list_path(card.path),
            )
        )
    if not options.dry_run:
        entries = [*left.entries, *(BACK + one for one in sorted(hashes))]
        write_list(card.path, entries, day=date.today())
        _seal(card.path, console=console, lang=lang)
    text = _undone(card, hashes, dry_run=options.dry_run)
    console.say(text.in_language(lang), undone=sorted(hashes))
    _close_dry_run(options, console=console, lang=lang)
    return 0


def _undone(card: DataCard, hashes: Collection[str], *, dry_run: bool) -> Sentence:
    facts = {"card": card.name, "path": list_path(card.path)}
    if ALL in hashes:
        texts = sentence("all texts of {card}", card=card.name)
    else:
        texts = counted(
            "{count} record of {card}", "{count} records of {card}", len(hashes), card=card.name
        )
    if dry_run:
        return sentence("The list would permit again: {texts} ({path}).", texts=texts, **facts)
    return sentence("The list permits again: {texts} ({path}).", texts=texts, **facts)


def _seal(path: Path, *, console: Console, lang: str) -> None:
    """Write the seal of the list into the card, or show the line that its owner has to write."""
    line = seal_card(path, seal_of(read_list(path).entries))
    if line:
        text = sentence(
            "Write this line into {card} under `corpus:`, so that a lost list is noticed: {line}",
            card=path,
            line=line,
        )
        console.say(text.in_language(lang), write=line)


def _show(
    held: Sequence[taking.Held], *, store: Store, cards: Path, console: Console, lang: str
) -> None:
    if not held:
        text = sentence("Nothing in {store} contains any of them.", store=store.root)
        console.say(text.in_language(lang))
        return
    _show_table(held, store=store, console=console, lang=lang)
    for one in held:
        if one.damage:
            text = sentence(
                "{name}: its ledger cannot be read to the end, so it may contain some: {damage}",
                name=one.name,
                damage=one.damage,
            )
            console.say(text.in_language(lang), damaged=one.name)
    published = [str(place) for h in held for place in h.published]
    if published:
        text = sentence(
            "Published: {places}. Remove it there, and wherever else you published it.",
            places=_first(published),
        )
        console.say(text.in_language(lang), published=published)
    where = named_store(store.root)
    commands = [
        shlex.join(["finetune", "run", str(path), *where])
        for path in taking.recipes_to_run(cards, held)
    ]
    if commands:
        text = sentence("To train adapters without them: {commands}", commands="; ".join(commands))
        console.say(text.in_language(lang), again=commands)
    names = [word for h in held for word in ("--remove", h.name)]
    command = shlex.join(["finetune", "runs", *where, *names])
    text = sentence("To delete everything that contains them: {command}", command=command)
    console.say(text.in_language(lang), remove=[h.name for h in held])


def _show_table(held: Sequence[taking.Held], *, store: Store, console: Console, lang: str) -> None:
    title = sentence("artefacts in {store} that contain them", store=store.root).in_language(lang)
    facts = (dict(zip(COLUMNS, (h.name, h.recipe, h.records), strict=True)) for h in held)
    headings = [heading.in_language(lang) for heading in COLUMNS.values()]
    rows = [(h.name, h.recipe, _records(h).in_language(lang)) for h in held]
    console.table(title, headings, rows, name="held", facts=facts)


def _records(held: taking.Held) -> Sentence:
    if held.records is not None:
        return counted("{count} record", "{count} records", held.records)
    if held.damage:
        return sentence("unknown (ledger damaged)")
    if held.artifact.stage == "corpus":
        return sentence("the files themselves")
    if held.artifact.stage == "prepare":
        return sentence("unknown (no ledger)")
    return sentence("made from these texts")


def _first(places: Sequence[str]) -> Sentence:
    """Return the first places, and how many more there are."""
    shown = [str(place) for place in places[: taking.SHOWN_PLACES]]
    more = len(places) - len(shown)
    if more <= 0:
        return phrase(", ".join(shown))
    return sentence("{places} and {more} more", places=shown, more=more)
