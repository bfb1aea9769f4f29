"""Deletion of what holds withdrawn texts: only what this program wrote, one place after another."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from finetune.cards.catalogue import write_catalogue
from finetune.cards.erasure.erasure_listing import Found, Listing, write_listing
from finetune.errors import StoreError
from finetune.messages import Place, problem
from finetune.output.durable import flush
from finetune.pipeline.store import Store
from finetune.release.folder_hub import record_path
from finetune.spec.card import DataCard
from finetune.spec.load import all_cards


def erase(
    listing: Listing,
    card: DataCard,
    *,
    store: Store,
    lang: str,
    done: Callable[[Found], object] = lambda _: None,
) -> Listing:
    """Delete every place of a listing that is to be deleted; return the listing after it.

    A catalogue is written anew, without the texts. The listing on disk is current at every instant.

    Raises StoreError if an artefact is being built, or a place cannot be deleted.
    """
    write_listing(card.path, listing)
    for one in listing.to_erase:
        try:
            _delete(one, card, store=store, lang=lang)
        except OSError as error:
            raise StoreError(
                problem(
                    "not-erased",
                    "cannot be deleted ({why}); mend that, and run the same command again: it goes "
                    "on from here",
                    at=Place(one.path),
                    why=error.strerror or str(error),
                )
            ) from error
        listing = listing.with_erased(one)
        write_listing(card.path, listing)
        done(one)
    return listing


def _delete(one: Found, card: DataCard, *, store: Store, lang: str) -> None:
    path = Path(one.path)
    match one.kind:
        case "artefact":
            store.remove(*one.name.split("/"))
        case "unfinished":
            stage, key = one.name.split("/")
            if store.path_of(stage, key).is_dir():
                store.tidy(stage, key)
            else:
                store.remove(stage, key)
        case "catalogue":
            if path.is_file():
                write_catalogue(all_cards(card.path.parent), path.parent, lang=lang)
        case "bundle" if path.is_dir():
            shutil.rmtree(path)
        case _ if one.files:
            _delete_files(path, one.files)
            if one.kind == "published":
                record_path(path).unlink(missing_ok=True)
        case _:
            path.unlink(missing_ok=True)
    if path.parent.is_dir():
        flush(path.parent)


def _delete_files(folder: Path, names: tuple[str, ...]) -> None:
    """Delete files of ours in a folder; then folders that are empty, the folder itself too."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
    above = {p for name in names for p in (folder / name).parents if p.is_relative_to(folder)}
    for place in sorted(above, key=lambda p: -len(p.parts)):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
