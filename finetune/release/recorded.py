"""What stages recorded and owners wrote, as the model card and the files beside it need it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.spec.card import DataCard, HubSource, LocalSource, UrlSource
from finetune.spec.language import language_name
from finetune.spec.licence import MODEL_TERMS
from finetune.spec.permission import Terms
from finetune.spec.recipe import Corpus
from finetune.spec.tables.task import task_of


@dataclass(frozen=True, slots=True)
class Licensing:
    """What a release may be used for, and why."""

    licence: str
    reasons: tuple[str, ...]
    gate: tuple[str, ...] = ()
    """Conditions of access that its corpora hand on."""
    name: str | None = None
    link: str | None = None


def licensing(job: Job, terms: Terms) -> Licensing:
    """Return the terms with what the Hub wants beside `other`: a name and a link."""
    if terms.licence != "other":
        return Licensing(terms.licence, terms.reasons, terms.gate)
    ids = {job.recipe.base.licence: MODEL_TERMS.get(job.recipe.base.licence)}
    for card in job.cards.values():
        name = card.license_name if card.license == "other" else card.license
        ids[name or card.license] = card.license_link or MODEL_TERMS.get(card.license)
    links = {link for link in ids.values() if link}
    link = links.pop() if len(links) == 1 and len(ids) == 1 else "LICENSE"
    name = "-and-".join(sorted(ids))
    return Licensing("other", terms.reasons, terms.gate, name=name, link=link)


def released_languages(job: Job) -> list[str]:
    """Return the languages of the texts: first what was learned to write, then what it reads."""
    corpora = corpora_of(job)
    written = list(result_of(job, "prepare").get("languages", ()))
    for corpus in corpora:
        card = job.cards[corpus.card].corpus
        written += [corpus.target] if corpus.target else card.languages[:1]
    read = [c.source for c in corpora if c.source and translates(c)]
    return list(dict.fromkeys([*written, *read]))


def training_data(job: Job) -> list[dict[str, Any]]:
    """Return one record a data card: what it is, whose it is, and where it can be had."""
    return [_card_record(card) for card in job.cards.values()]


def counts_by_card(job: Job) -> list[dict[str, Any]]:
    """Return per phase, card and language: texts read, rejected by reason, kept by split."""
    return [
        row if phase is None else {"phase": phase} | row
        for phase, artifact in job.prepared
        for row in json_of(artifact, "report.json").get("funnel", ())
    ]


def result_of(job: Job, role: str) -> Mapping[str, Any]:
    """Return what the stage of an input recorded; nothing if the input is not there."""
    artifact: Artifact | None = job.inputs.get(role)
    return artifact.result if artifact else {}


def json_of(artifact: Artifact | None, name: str) -> dict[str, Any]:
    """Return a JSON file of an artefact, or {} if it has none."""
    if artifact is None or not (artifact.path / name).is_file():
        return {}
    content: dict[str, Any] = json.loads((artifact.path / name).read_text("utf-8"))
    return content


def corpora_of(job: Job) -> list[Corpus]:
    """Return the corpora of every phase whose card was not withdrawn."""
    found = [c for phase in job.recipe.stages_of_training for c in phase.corpora]
    return [c for c in found if c.card in job.cards]


def translates(corpus: Corpus) -> bool:
    """Return whether pairs of a corpus are trained on as translations."""
    return corpus.target is not None and corpus.use in ("auto", "translation")


def scores_of(job: Job) -> list[Mapping[str, Any]]:
    """Return the scores of the evaluation, as they were recorded."""
    return list(result_of(job, "evaluate").get("scores", ()))


def where(record: Mapping[str, Any]) -> str:
    """Return the language or direction of a score for people.

    >>> where({"language": "hau_Latn", "direction": "eng_Latn>hau_Latn"})
    'English to Hausa'
    >>> where({"language": "hau_Latn", "phase": "texts"})
    'Hausa (texts)'
    """
    if record.get("direction"):
        source, _, target = record["direction"].partition(">")
        name = f"{language_name(source)} to {language_name(target)}"
    else:
        name = language_name(record["language"])
    named = [task_of(record).label] if record.get("task") else []
    named += [record["phase"]] if record.get("phase") else []
    return f"{name} ({', '.join(named)})" if named else name


def _card_record(card: DataCard) -> dict[str, Any]:
    source = card.corpus.source
    record: dict[str, Any] = {
        "card": card.name,
        "title": card.pretty_name,
        "licence": card.license if card.license != "other" else card.license_name,
        "licence_link": card.license_link,
        "languages": list(card.corpus.languages),
        "kind": card.corpus.kind,
        "consent": card.corpus.consent.sentence,
        "contact": card.corpus.contact,
        "personal_data": card.corpus.personal_data,
    }
    if isinstance(source, HubSource):
        return record | {"source": f"Hub dataset {source.dataset}", "revision": source.revision}
    sums = {
        file.path: file.sha256 for file in source.files
    }  # paths are relative to card or package
    if isinstance(source, UrlSource):
        place = ", ".join(file.url for file in source.files)
    elif isinstance(source, LocalSource):
        place = "files of its owner"
    else:
        place = f"{'' if source.is_installed else 'npm '}package {source.package}"
    return record | {"source": place, "sha256": sums}
