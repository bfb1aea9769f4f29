"""Corpora in the store: what keys hold of a card, and where what was fetched for it lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune.artefacts.job import Artifact
from finetune.pipeline.store import Store
from finetune.spec.card import DataCard
from finetune.spec.formats import package_of

STAGE = "corpus"
READ_FIELDS = {"kind", "languages", "source", "format", "columns", "encoding", "drop_matching"}
"""What a prepared corpus depends on in a card; the rest is for people."""


def corpus_content(card: DataCard) -> dict[str, Any]:
    """Return what the fetched files of a card depend on: where they come from."""
    return card.corpus.source.model_dump(mode="json")


def read_content(card: DataCard) -> dict[str, Any]:
    """Return what the records of a card depend on; of a package's format its version as well."""
    content = card.corpus.model_dump(mode="json", include=READ_FIELDS)
    package = package_of(card.corpus.format)
    return content | ({"reader": package} if package else {})


def is_fetched_for(card: DataCard, artifact: Artifact, manifest: Mapping[str, Any]) -> bool:
    """Say whether an artefact holds the fetched files of a card."""
    return artifact.stage == STAGE and manifest["content"]["content"] == corpus_content(card)


def fetched_files(card: DataCard, *, store: Store) -> dict[str, Artifact]:
    """Return what resolve_files needs of the store for a card: `corpus:NAME`, if it was fetched.

    If it was fetched several times, the newest counts.
    """
    if not card.corpus.is_fetched:
        return {}
    return {
        f"{STAGE}:{card.name}": artifact
        for artifact, manifest in store.artifacts()
        if is_fetched_for(card, artifact, manifest)
    }
