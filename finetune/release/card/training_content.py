"""Summary of the training content, in the sections of the template of the European Commission.

The template is that of article 53(1)(d) of regulation (EU) 2024/1689, published on 24 July 2025
(digital-strategy.ec.europa.eu, "Template for general-purpose AI model providers to summarise their
training content"); headings are its own. What no stage or data card recorded is to be filled in by
the provider; whether the regulation applies to an adapter is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.artefacts.job import Job
from finetune.artefacts.results import PrepareResult, read_result
from finetune.output.templates import markdown_environment
from finetune.release.contents import write_json
from finetune.release.recorded import counts_by_card, training_data
from finetune.spec.card import DataCard
from finetune.spec.language import language_name
from finetune.spec.sections.source import LocalSource

if TYPE_CHECKING:
    from jinja2 import Template

PAGE = "TRAINING_CONTENT.md"
FACTS = "training_content.json"
TO_FILL = "to be filled in by you"
SIZES = ((10**9, "Less than 1 billion tokens"), (10**13, "1 billion to 10 trillion tokens"))
LARGEST = "More than 10 trillion tokens"
PUBLIC, UNDECIDED = "2.1", "2.2 or 2.6"
"""Sections of the template for sources."""


def write_training_content(job: Job, folder: Path) -> None:
    """Write the summary as Markdown and as JSON."""
    facts = training_content(job)
    write_json(folder / FACTS, facts)
    sections = {f"s{name.replace('.', '')}": facts[name] for name in facts if name[0].isdigit()}
    page = _template().render(sections, to_fill=TO_FILL, self_name=job.recipe.released.repo)
    (folder / PAGE).write_text(page, "utf-8")


@cache
def _template() -> Template:
    filters = {"amount": lambda value: f"{value:,}"}
    environment = markdown_environment("finetune.release.card", filters=filters)
    return environment.get_template("training_content.md.j2")


def training_content(job: Job) -> dict[str, Any]:
    """Return the facts by section; `to be filled in by you` where nothing is recorded."""
    sources = _sources(job)
    public = [source for source in sources if source["section"] == PUBLIC]
    tokens = sum(_prepared(artifact).counts.train.tokens for _, artifact in job.prepared)
    base = job.recipe.base
    return {
        "template": "Commission template for article 53(1)(d) of regulation (EU) 2024/1689",
        "1.1": {"provider": TO_FILL, "authorised_representative": TO_FILL},
        "1.2": {
            "model": job.recipe.released.repo,
            "model_dependencies": {"base": base.released_id, "revision": base.revision},
            "date_of_placement": TO_FILL,
        },
        "1.3": {
            "modalities": ["text"],
            "tokens": tokens,
            "size": _size(tokens),
            "languages": _languages(job),
            "kinds": sorted({source["kind"] for source in sources}),
            "latest_date_of_acquisition": TO_FILL,
        },
        "2.1": {"used": "yes" if public else TO_FILL, "sources": public},
        "2.2": {
            "commercially_licensed": TO_FILL,
            "private_of_third_parties": TO_FILL,
            "sources_to_assign": [one for one in sources if one["section"] == UNDECIDED],
        },
        "2.3": {"crawled": TO_FILL},
        "2.4": {"user_data": TO_FILL},
        "2.5": {
            "synthetic": TO_FILL,
            "cards_with_machine_translations": [
                name for name, card in job.cards.items() if "machine" in card.corpus.admit
            ],
        },
        "2.6": {"other": TO_FILL},
        "3.1": {
            "code_of_practice": TO_FILL,
            "measures": TO_FILL,
            "consent": [_consent(card) for card in job.cards.values()],
        },
        "3.2": {"measures": TO_FILL, "rejected": _rejected(job)},
        "3.3": {"personal_data": [_personal(card) for card in job.cards.values()]},
    }


def _prepared(artifact: Any) -> PrepareResult:
    return read_result(artifact, PrepareResult)


def _size(tokens: int) -> str:
    """Return the range of the template.

    >>> _size(42_000), _size(10**9)
    ('Less than 1 billion tokens', '1 billion to 10 trillion tokens')
    """
    return next((name for most, name in SIZES if tokens < most), LARGEST)


def _languages(job: Job) -> list[dict[str, Any]]:
    """Return the target texts by language: documents, words and tokens over all phases."""
    found: dict[str, dict[str, Any]] = {}
    for _, artifact in job.prepared:
        for code, counts in _prepared(artifact).per_language.items():
            row = found.setdefault(
                code,
                {
                    **{"language": code, "name": language_name(code)},
                    **{"documents": 0, "words": 0, "tokens": 0},
                },
            )
            for name in ("documents", "words", "tokens"):
                row[name] += getattr(counts, name)
    return list(found.values())


def _sources(job: Job) -> list[dict[str, Any]]:
    """Return the corpora: where they are from, how large, under which licence."""
    kept: dict[str, int] = {}
    for row in counts_by_card(job):
        kept[row["card"]] = kept.get(row["card"], 0) + row["kept"].get("train", 0)
    found = [_source(job.cards[facts["card"]], facts, kept) for facts in training_data(job)]
    return [source for source in found if source["training_texts"] != 0]  # tested with alone


def _source(card: DataCard, facts: Mapping[str, Any], kept: Mapping[str, int]) -> dict[str, Any]:
    is_public = (
        not isinstance(card.corpus.source, LocalSource) and card.corpus.access.kind == "open"
    )
    named = ("card", "title", "kind", "languages", "licence", "licence_link", "source", "contact")
    return {name: facts[name] for name in named} | {
        "section": PUBLIC if is_public else UNDECIDED,
        "access": card.corpus.access.kind,
        "training_texts": kept.get(card.name),
    }


def _consent(card: DataCard) -> dict[str, Any]:
    """Return what owners and contributors agreed to, and opt-outs that were carried out."""
    withdrawals = card.corpus.withdrawals
    return {
        "card": card.name,
        "basis": card.corpus.consent.basis,
        "stated": card.corpus.consent.sentence,
        "opt_out": card.corpus.consent.withdrawal or TO_FILL,
        "withdrawn_entries": withdrawals.entries if withdrawals else 0,
    }


def _personal(card: DataCard) -> dict[str, Any]:
    return {
        "card": card.name,
        "personal_data": card.corpus.personal_data,
        "personal_names": card.corpus.personal_names,
    }


def _rejected(job: Job) -> dict[str, int]:
    """Return how many texts were rejected, by reason, over all phases."""
    found: dict[str, int] = {}
    for _, artifact in job.prepared:
        for reason, number in (_prepared(artifact).rejected or {}).items():
            found[reason] = found.get(reason, 0) + number
    return {reason: number for reason, number in sorted(found.items()) if number}
