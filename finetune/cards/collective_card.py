"""A card for a data set of Mozilla Data Collective: from its archive, and what the service states.

The service need not tell every condition through its client, so the card asks to read the page, and
forbids copies until the authority permits them. Never run against the real service.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.cards.headings import HEADINGS, NOT_STATED
from finetune.errors import RecipeError
from finetune.messages import ENGLISH, Place, problem
from finetune.output.markdown import inline
from finetune.output.yaml import yaml_text
from finetune.sources.checksums import sha256_of
from finetune.sources.data_collective.archive import (
    fetch_archive,
    names_in,
    place_of,
    sums_in,
)
from finetune.sources.data_collective.client import Details
from finetune.spec.card import DataCard
from finetune.spec.language import hub_code
from finetune.spec.licence import KNOWN
from finetune.spec.load import card_of
from finetune.spec.terms.community_licences import licence_named

_HUB_NAMES = {"gfdl-1.3": "gfdl", "odc-by-1.0": "odc-by", "odbl-1.0": "odbl"}
"""Short names of the service -> ids of the Hub, where they differ in more than capitals."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Languages, format and files of a data set, as a person names them."""

    name: str
    languages: Sequence[str]
    kind: str
    format: str
    files: Sequence[str]
    columns: Mapping[str, str] = field(default_factory=dict)


def files_of_dataset(dataset: str) -> tuple[Details, list[str]]:
    """Return what the service states of a data set, and the files of its archive.

    Raises as `finetune.sources.data_collective.archive.fetch_archive`, and DataError.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive, details = fetch_archive(dataset, Path(folder) / "archive")
        return details, names_in(archive, at=place_of(dataset))


def write_collective_card(
    dataset: str, chosen: Chosen, *, cards: Path, lang: str = ENGLISH
) -> DataCard:
    """Write the card of a data set, with the checksums of its files.

    Raises RecipeError if the card is there already or cannot be one, and as `files_of_dataset`.
    """
    target = cards / f"{chosen.name}.md"
    with tempfile.TemporaryDirectory() as folder:
        archive, details = fetch_archive(dataset, Path(folder) / "archive")
        sums = sums_in(archive, chosen.files, at=place_of(dataset))
        source = {
            "kind": "mdc",
            "dataset": details.id or dataset,
            "sha256": sha256_of(archive),
            "files": [{"path": name, "sha256": sums[name]} for name in chosen.files],
        }
    text = f"---\n{yaml_text(_front(details, chosen, source))}---\n{_prose(details, lang=lang)}"
    card = card_of(text, target)
    try:
        cards.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8", newline="\n") as out:
            out.write(text)
    except FileExistsError:
        raise RecipeError(
            problem("already-exists", "already exists; nothing was written", at=Place(target))
        ) from None
    return card


def _front(details: Details, chosen: Chosen, source: dict[str, Any]) -> dict[str, Any]:
    languages = list(chosen.languages)
    conditions = [details.restrictions, details.conditions, f"The conditions on {details.page}"]
    corpus = {
        "kind": chosen.kind,
        "format": chosen.format,
        "languages": languages,
        "columns": dict(chosen.columns),
        "source": source,
        "access": {"kind": "agree", "conditions": " ".join(one for one in conditions if one)},
        "terms": _terms(details),
        "contact": details.contact,
        "not_established": [
            "restrictions, forbidden uses and further conditions on the page of the data set, "
            "which the client need not tell"
        ],
    }
    return {
        "language": list(dict.fromkeys(hub_code(language) for language in languages)),
        **licence_keys(details),
        "pretty_name": details.name or chosen.name,
        "corpus": {key: value for key, value in corpus.items() if value},
    }


def licence_keys(details: Details) -> dict[str, str]:
    """Return the keys of a card for the licence of a data set.

    >>> licence_keys(Details("x", licence="CC-BY-4.0"))
    {'license': 'cc-by-4.0'}
    >>> licence_keys(Details("x", licence="NOODL-1.0"))["license_link"]
    'https://licensingafricandatasets.com/nwulite-obodo-license'
    """
    short = details.licence.lower()
    known = _HUB_NAMES.get(short, short)
    if known in KNOWN and known != "other":
        return {"license": known}
    name = details.licence or details.licence_name or "not stated"
    community = licence_named(f"{details.licence} {details.licence_name}")
    link = details.licence_page or (community.page if community else details.page)
    return {"license": "other", "license_name": name, "license_link": link}


def _terms(details: Details) -> dict[str, Any]:
    authority = {"who": details.organization, "page": details.page}
    use = details.forbidden_usage
    # one word would be read as a named use, which the owners did not choose
    forbidden = [use if " " in use else f"In the owners' words: {use}"] if use else []
    terms = {
        "authority": authority if details.organization else None,
        "forbidden_uses": forbidden,
        "rehosting": "ask",
    }
    return {key: value for key, value in terms.items() if value}


def _prose(details: Details, *, lang: str) -> str:
    unstated = NOT_STATED.in_language(lang)
    body = "".join(f"\n## {heading.in_language(lang)}\n\n{unstated}\n" for heading in HEADINGS)
    return f"# {inline(details.name or details.id)}\n{body}"
