"""Corpora in the store: content of a card in keys, and places of its fetched files."""

from __future__ import annotations

from typing import Any

from finetune.artefacts.job import Artifact
from finetune.pipeline.manifest import Manifest
from finetune.pipeline.store import Store
from finetune.pipeline.verify import refuse_damaged
from finetune.spec.card import DataCard
from finetune.spec.formats import package_of

STAGE = "corpus"
READ_FIELDS = {
    *("kind", "languages", "source", "format", "columns", "encoding", "drop_matching", "admit"),
}
"""Fields of a card on which a prepared corpus depends; the rest is documentation."""
STATED_FIELDS = {"test", "unit", "separator", "header", "quotes", "sheets"}
"""The same, where a card states them: without them its key stays as it was before they existed."""

RELEASED_FIELDS = {
    *("language", "license", "license_name", "license_link", "pretty_name", "corpus", "body"),
}
"""Parts of a card that stand in a release."""


def corpus_content(card: DataCard) -> dict[str, Any]:
    """Return what the fetched files of a card depend on: where they come from."""
    return card.corpus.source.model_dump(mode="json")


def read_content(card: DataCard) -> dict[str, Any]:
    """Return what the records of a card depend on; of a package's format its version as well."""
    content = card.corpus.model_dump(mode="json", include=READ_FIELDS)
    content |= card.corpus.model_dump(mode="json", include=STATED_FIELDS, exclude_defaults=True)
    package = package_of(card.corpus.format)
    return content | ({"reader": package} if package else {})


def is_fetched_for(card: DataCard, artifact: Artifact, manifest: Manifest) -> bool:
    """Say whether an artefact holds the fetched files of a card."""
    return artifact.stage == STAGE and manifest.made_of == corpus_content(card)


def fetched_files(card: DataCard, *, store: Store) -> dict[str, Artifact]:
    """Return what resolve_files needs of the store for a card: `corpus:NAME`, if it was fetched.

    If it was fetched several times, the newest counts. Raises StoreError if that is damaged.
    """
    if not card.corpus.is_fetched:
        return {}
    found = [a for a, manifest in store.artifacts() if is_fetched_for(card, a, manifest)]
    refuse_damaged(found[-1:])
    return {f"{STAGE}:{card.name}": artifact for artifact in found[-1:]}
