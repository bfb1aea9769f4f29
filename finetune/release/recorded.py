"""Recorded results and facts of owners, prepared for the model card and the files beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from finetune.artefacts.gates.gate_evidence import evidence_of
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.gates.table import gates_of
from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.judged.summary import JudgedSummary, judged_of
from finetune.artefacts.outputs.output_facts import GroupOutputs
from finetune.artefacts.remake import how_to_remake
from finetune.artefacts.results import EvaluateResult, PrepareResult, read_result
from finetune.artefacts.scores import PairedTest, Score
from finetune.errors import StoreError
from finetune.messages import Place, Sentence, problem
from finetune.output.markdown import plain
from finetune.output.small_files import UnreadableError, read_json
from finetune.spec.card import DataCard
from finetune.spec.licence import MODEL_TERMS
from finetune.spec.permission import Terms
from finetune.spec.recipe import Corpus
from finetune.spec.sections.source import HubSource, LocalSource, MdcSource, UrlSource
from finetune.spec.terms.strictest import StrictestTerms
from finetune.spec.terms.term_sentences import said_of_terms
from finetune.spec.values.web_address import is_page

_Result = TypeVar("_Result")
_MAX_JSON_BYTES = 64 * 2**20  # reports of hundreds of languages and cards


@dataclass(frozen=True, slots=True)
class Licensing:
    """Permitted uses of a release, with reasons."""

    licence: str
    reasons: tuple[str, ...]
    gate: tuple[str, ...] = ()
    """Conditions of access that its corpora hand on."""
    name: str | None = None
    link: str | None = None
    terms: StrictestTerms | None = None
    """Terms of the communities behind its corpora."""

    @property
    def terms_said(self) -> tuple[Sentence, ...]:
        """The terms of communities, one sentence each."""
        return said_of_terms(self.terms) if self.terms else ()

    @property
    def shown_at_gate(self) -> tuple[str, ...]:
        """Conditions to accept before one gets the adapter; empty if everyone may have it."""
        is_gated = self.gate or (self.terms and self.terms.is_gated)
        return (*self.gate, *_texts(self.terms_said)) if is_gated else ()


def licensing(job: Job, terms: Terms) -> Licensing:
    """Return the terms with what the Hub wants beside `other`: a name and a link."""
    reasons, gate, community = _texts(terms.reasons), _texts(terms.gate), terms.community
    if terms.licence != "other":
        return Licensing(terms.licence, reasons, gate, terms=community)
    ids = {job.recipe.base.licence: MODEL_TERMS.get(job.recipe.base.licence)}
    for card in job.cards.values():
        name = card.license_name if card.license == "other" else card.license
        ids[name or card.license] = card.license_link or MODEL_TERMS.get(card.license)
    links = {link for link in ids.values() if link and is_page(link)}
    link = links.pop() if len(links) == 1 and len(ids) == 1 else "LICENSE"
    name = plain("-and-".join(sorted(ids)))
    return Licensing("other", reasons, gate, name=name, link=link, terms=community)


def _texts(sentences: Iterable[Sentence]) -> tuple[str, ...]:
    return tuple(map(str, sentences))


def released_languages(job: Job) -> list[str]:
    """Return the languages of the texts: first target languages, then source languages.

    Languages in which the adapter is tested alone are none of them.
    """
    return list(dict.fromkeys([*written_languages(job), *read_languages(job)]))


def written_languages(job: Job) -> list[str]:
    """Return the languages that the adapter was trained to write."""
    prepare = result_of(job, "prepare", PrepareResult)
    counts = prepare.per_language if prepare else {}
    trained = {x for x, each in counts.items() if each.splits.get("train", not each.splits)}
    written = [x for x in prepare.languages if x in trained] if prepare else []
    for corpus in _trained_corpora(job):
        card = job.cards[corpus.card].corpus
        written += [corpus.target] if corpus.target else card.languages[:1]
    return list(dict.fromkeys(written))


def read_languages(job: Job) -> list[str]:
    """Return the source languages of translations."""
    corpora = _trained_corpora(job)
    return list(dict.fromkeys(c.source for c in corpora if c.source and translates(c)))


def _trained_corpora(job: Job) -> list[Corpus]:
    return [corpus for corpus in corpora_of(job) if not corpus.evaluate_only]


def training_data(job: Job) -> list[dict[str, Any]]:
    """Return one record a data card: what it is, whose it is, and where it can be had."""
    return [_card_record(card) for card in job.cards.values()]


def trained_cards(job: Job) -> dict[str, DataCard]:
    """Return the cards without those of which no text was kept: blank files, all rejected."""
    rows = counts_by_card(job)
    kept = {row["card"] for row in rows if any(row["kept"].values())}
    unused = {row["card"] for row in rows} - kept
    return {name: card for name, card in job.cards.items() if name not in unused}


def counts_by_card(job: Job) -> list[dict[str, Any]]:
    """Return per phase, card and language: texts read, rejected by reason, kept by split."""
    return [
        row if phase is None else {"phase": phase} | row
        for phase, artifact in job.prepared
        for row in json_of(artifact, "report.json").get("funnel", ())
    ]


def result_of(job: Job, role: str, kind: type[_Result]) -> _Result | None:
    """Return the result of an input, or None without that input. StoreError if it is damaged."""
    artifact = job.inputs.get(role)
    return None if artifact is None else read_result(artifact, kind)


def json_of(artifact: Artifact | None, name: str) -> dict[str, Any]:
    """Return a JSON file of an artefact, or {} if it has none; StoreError if it is no mapping."""
    if artifact is None or not (artifact.path / name).is_file():
        return {}
    try:
        return read_json(artifact.path / name, dict[str, Any], max_bytes=_MAX_JSON_BYTES)
    except (OSError, UnreadableError) as error:
        raise StoreError(
            problem(
                "unreadable-file",
                "cannot be read ({why}); {remedy}",
                at=Place(artifact.path / name),
                why=str(error),
                remedy=how_to_remake(artifact.path),
            )
        ) from None


def corpora_of(job: Job) -> list[Corpus]:
    """Return the corpora of every phase whose card was not withdrawn."""
    found = [c for phase in job.recipe.training_phases for c in phase.corpora]
    return [c for c in found if c.card in job.cards]


def translates(corpus: Corpus) -> bool:
    """Return whether pairs of a corpus are trained on as translations."""
    return corpus.target is not None and corpus.use in ("auto", "translation")


def scores_of(job: Job) -> tuple[Score, ...]:
    """Return the scores of the evaluation."""
    evaluate = result_of(job, "evaluate", EvaluateResult)
    return evaluate.scores if evaluate else ()


def comparisons_of(job: Job) -> tuple[PairedTest, ...]:
    """Return the paired tests of the evaluation."""
    evaluate = result_of(job, "evaluate", EvaluateResult)
    return evaluate.comparisons if evaluate else ()


def gates_of_job(job: Job) -> tuple[GateResult, ...]:
    """Return what the evaluation must show before the release may be public."""
    evidence = evidence_of(
        job.recipe,
        job.cards,
        prepared=[read_result(artifact, PrepareResult) for _, artifact in job.prepared],
        evaluated=result_of(job, "evaluate", EvaluateResult) or EvaluateResult((), ()),
        judged=judged_of_job(job),
    )
    return gates_of(evidence, job.recipe.gates)


def judged_of_job(job: Job) -> tuple[JudgedSummary, ...]:
    """Return what speakers found in the outputs of the evaluation."""
    evaluate = job.inputs.get("evaluate")
    return judged_of(job.recipe.judgements, evaluation=evaluate.key) if evaluate else ()


def outputs_of(job: Job) -> tuple[GroupOutputs, ...]:
    """Return facts on the outputs of the evaluation."""
    evaluate = result_of(job, "evaluate", EvaluateResult)
    return evaluate.outputs if evaluate else ()


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
    elif isinstance(source, MdcSource):
        place = f"Mozilla Data Collective, data set {source.dataset}"
    else:
        place = f"{'' if source.is_installed else 'npm '}package {source.package}"
    return record | {"source": place, "sha256": sums}
