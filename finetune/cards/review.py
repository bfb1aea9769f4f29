"""`finetune cards review`: the rejected texts of a card, as a table for its speakers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact
from finetune.artefacts.results import PrepareResult
from finetune.errors import RecipeError
from finetune.messages import Place, problem, sentence
from finetune.output.failures import not_written
from finetune.output.spreadsheet import BYTE_ORDER_MARK, write_rows
from finetune.pipeline.store import Store
from finetune.pipeline.verify import refuse_damaged
from finetune.prepare.checking.checks import REASONS

REJECTED = "rejected.jsonl"
COLUMNS = (
    sentence("language"),
    sentence("place"),
    sentence("why it was rejected"),
    sentence("text"),
    sentence("was that right?"),
)
"""The last one is empty: it is for the reader of the table."""


def newest_corpus(card: str, store: Store) -> Artifact:
    """Return the newest prepared corpus that contains a card.

    Raises RecipeError if there is none.
    """
    corpora = [
        (manifest.finished, artifact)
        for artifact, manifest, result in store.results("prepare", PrepareResult)
        if card in result.cards
    ]
    if not corpora:
        raise RecipeError(
            problem(
                "not-prepared",
                "no prepared corpus in {store} contains this card; run `finetune prepare` with a "
                "recipe that names it first",
                at=Place(card),
                store=store.root,
            )
        )
    return max(corpora, key=lambda entry: entry[0])[1]


def write_review(card: str, corpus: Artifact, out: Path, *, lang: str) -> int:
    """Write the table of a card's rejected texts to `out`; return how many there are.

    Raises RecipeError if `out` is there already, or cannot be written; StoreError if the list of
    rejected texts is damaged.
    """
    refuse_damaged([corpus], names={REJECTED})
    try:
        with out.open("x", encoding="utf-8", newline="") as stream:
            stream.write(BYTE_ORDER_MARK)
            headings = [heading.in_language(lang) for heading in COLUMNS]
            return write_rows(stream, headings, _rows(card, corpus, lang=lang))
    except FileExistsError:
        raise RecipeError(
            problem("already-exists", "exists already; name another file", at=Place(out))
        ) from None
    except OSError as error:
        raise RecipeError(not_written(out, error)) from None


def _rows(card: str, corpus: Artifact, *, lang: str) -> Iterator[tuple[Any, ...]]:
    meanings = {key: reason.about.in_language(lang) for key, reason in REASONS.items()}
    path = corpus.path / REJECTED
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            entry = json.loads(line)
            if entry["card"] == card:
                why = meanings.get(entry["reason"], entry["reason"])
                yield entry["language"], entry["where"], why, entry["text"], ""
