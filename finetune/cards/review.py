"""`finetune cards review`: what was left out of a card's texts, as a table for its speakers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact
from finetune.cards.words import Lang
from finetune.errors import RecipeError, StoreError
from finetune.output.spreadsheet import BYTE_ORDER_MARK, write_rows
from finetune.pipeline.store import Store
from finetune.prepare.checking.checks import REASONS

COLUMNS: Mapping[Lang, tuple[str, ...]] = {
    "en": ("language", "where it stands", "why it was left out", "text", "was that right?"),
    "fr": ("langue", "où il se trouve", "pourquoi il a été écarté", "texte", "était-ce juste ?"),
}
"""The last one is empty: it is for whoever reads the table."""


def newest_corpus(card: str, store: Store) -> Artifact:
    """Return the prepared corpus that was made last of those that hold a card.

    Raises RecipeError if there is none.
    """
    found = [
        (manifest["finished"], artifact)
        for artifact, manifest in store.artifacts()
        if artifact.stage == "prepare" and card in artifact.result["cards"]
    ]
    if not found:
        raise RecipeError(
            f"{card}: no prepared corpus in {store.root} holds this card; run `finetune prepare` "
            "with a recipe that names it first"
        )
    return max(found, key=lambda entry: entry[0])[1]


def write_review(card: str, corpus: Artifact, out: Path, *, lang: Lang) -> int:
    """Write the table of a card's left-out texts to `out`; return how many there are.

    Raises RecipeError if `out` is there already, or cannot be written.
    """
    try:
        with out.open("x", encoding="utf-8", newline="") as stream:
            stream.write(BYTE_ORDER_MARK)
            return write_rows(stream, COLUMNS[lang], _rows(card, corpus, lang=lang))
    except FileExistsError:
        raise RecipeError(f"{out}: is there already; name another file") from None
    except OSError as error:
        raise RecipeError(f"{out}: cannot be written: {error.strerror}") from None


def _rows(card: str, corpus: Artifact, *, lang: Lang) -> Iterator[tuple[Any, ...]]:
    meanings = {key: reason.en if lang == "en" else reason.fr for key, reason in REASONS.items()}
    path = corpus.path / "rejected.jsonl"
    try:
        stream = path.open(encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from None
    with stream:
        for line in stream:
            entry = json.loads(line)
            if entry["card"] == card:
                why = meanings.get(entry["reason"], entry["reason"])
                yield entry["language"], entry["where"], why, entry["text"], ""
