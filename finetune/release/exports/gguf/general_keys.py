"""Metadata of a GGUF file: name, licence, languages and base, as the manifests have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from finetune.artefacts.adapter_source import AdapterSource
from finetune.spec.language import hub_code

HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Metadata of a GGUF file."""

    name: str
    """Of the release without its organisation, else of the recipe."""
    base_id: str
    base_revision: str | None = None
    organisation: str | None = None
    licence: str | None = None
    languages: tuple[str, ...] = ()
    """`hau_Latn`."""


def identity_of(source: AdapterSource) -> Identity:
    """Return name, licence, languages and base of an adapter."""
    organisation, _, name = source.name.rpartition("/")
    return Identity(
        name=name,
        organisation=organisation or None,
        base_id=source.base_id,
        base_revision=source.base_revision,
        licence=source.licence,
        languages=source.languages,
    )


def write_identity(writer: Any, identity: Identity) -> None:
    """Add the keys to a `gguf.GGUFWriter`. No path and no name of a machine is among them."""
    writer.add_name(identity.name)
    if identity.organisation:
        writer.add_organization(identity.organisation)
    if identity.licence:
        writer.add_license(identity.licence)
    if identity.languages:
        writer.add_languages(list(dict.fromkeys(map(hub_code, identity.languages))))
    organisation, _, base = identity.base_id.rpartition("/")
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, base)
    if organisation:
        writer.add_base_model_organization(0, organisation)
        writer.add_base_model_repo_url(0, f"{HUB}/{identity.base_id}")
    if identity.base_revision:
        writer.add_base_model_version(0, identity.base_revision)
