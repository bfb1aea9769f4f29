"""Writer of the folder `provenance`: from recipe, cards and manifests alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from finetune import __version__
from finetune.artefacts.job import Artifact, Job
from finetune.errors import RecipeError
from finetune.launch.installed import DISTRIBUTION, closure, source_commit
from finetune.release.contents import write_json
from finetune.release.leaks import Private, without_leaks
from finetune.release.provenance.card_facts import (
    card_facts,
    card_sha256,
    card_text,
    left_out,
    list_text,
)
from finetune.release.provenance.provenance_index import (
    CARDS,
    FOLDER,
    INDEX,
    MANIFESTS,
    RECIPE,
    SCHEMA,
    TERMS,
    ArtefactNote,
    CardNote,
    LocalInput,
    ProvenanceIndex,
    Software,
)
from finetune.release.provenance.recorded_inputs import local_inputs
from finetune.release.recorded import json_of
from finetune.spec.card import DataCard
from finetune.spec.recipe import Recipe
from finetune.spec.resolved import as_text, recipe_values
from finetune.spec.sections.identify import PACKAGES
from finetune.spec.sections.publish import Publish
from finetune.spec.sections.source import PackageSource
from finetune.spec.terms.strictest import StrictestTerms

NOT_INCLUDED = "not included"
"""Stands in manifests for what a restricted card states."""
VARYING = (
    *("started", "finished", "seconds", "tokens_per_second", "energy", "energy_before"),
    *("environment", "files"),
)
"""Fields of manifests that differ between equal runs: times, speed and energy; machine; checksums
of files that hold them."""
_BY_CARD = ("cards", "withdrawn")
"""Fields of manifests that map a card to what it states, or to its withdrawn records."""
_KEPT = {
    *("schema", "stage", "key", "name", "lineage", "version", "content", "inputs", "result"),
    *("files", "started", "finished"),
}
"""Fields of manifests that stand in a release."""
_ENVIRONMENT = {
    *("python", "packages", "machine", "system", "processor", "threads", "gpu"),
}
"""Fields of their environments that do."""
_TEXTS = {"vocabulary": ("samples",)}
"""Fields of results that hold texts, by stage."""


@dataclass(frozen=True, slots=True)
class _Found:
    """An artefact that the release was made from, and its manifest."""

    stage: str
    key: str
    role: str | None
    """Among the inputs of the release."""
    manifest: Mapping[str, Any]
    card: str | None = None
    """Of which it holds the fetched texts."""


def write_provenance(
    job: Job,
    cards: Mapping[str, DataCard],
    *,
    private: Private,
    public: tuple[str, ...],
    terms: StrictestTerms | None = None,
) -> None:
    """Write the folder into `job.workspace`. `cards` are all that the recipe names.

    Private facts in what people wrote are replaced by signs. Raises ReleaseError for a number that
    is not finite.
    """
    folder = job.workspace / FOLDER
    for shelf in (MANIFESTS, CARDS):
        (folder / shelf).mkdir(parents=True, exist_ok=True)
    clean = partial(without_leaks, private=private, public=public)
    notes = [_card_note(card) for _, card in sorted(cards.items())]
    for note in notes:
        if note.left_out is None:
            _write_card(cards[note.card], folder / CARDS, clean=clean)
    hidden = {note.card for note in notes if note.left_out is not None}
    found = _artefacts(job)
    artefacts = []
    for one in found:
        has = bool(one.manifest) and one.card not in hidden
        artefact = ArtefactNote(stage=one.stage, key=one.key, role=one.role, manifest=has)
        artefacts.append(artefact)
        if has:
            write_json(folder / artefact.file, clean(_shown(one, hidden=hidden)))
    trained = [one.manifest for one in found if one.stage == "train"]
    first = trained[-1].get("content", {}).get("content", {}) if trained else {}
    recipe, inputs = local_inputs(job, start=first)
    (folder / RECIPE).write_text(as_text(_recipe(recipe, clean=clean)), "utf-8")
    index = _index(job, cards, inputs=inputs, notes=notes, artefacts=artefacts)
    if terms:
        write_json(folder / TERMS, clean(asdict(terms)))
    write_json(folder / INDEX, clean(index.model_dump(mode="json", by_alias=True)))


def _index(
    job: Job,
    cards: Mapping[str, DataCard],
    *,
    inputs: list[LocalInput],
    notes: list[CardNote],
    artefacts: list[ArtefactNote],
) -> ProvenanceIndex:
    source = source_commit()
    trained = json_of(job.inputs.get("train"), "manifest.json")
    software = Software(version=__version__, commit=source.commit, changed=source.changed)
    facts = {"repo": job.recipe.released.repo, "finetune": software}
    facts |= {"packages": _packages(job.recipe, cards), "trained_on": _environment(trained)}
    facts |= {"inputs": inputs, "cards": notes, "artefacts": artefacts}
    return ProvenanceIndex.model_validate({"schema": SCHEMA} | facts)


def _environment(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a manifest records of versions and machine; nothing else that stands there."""
    found = manifest.get("environment")
    return {k: v for k, v in found.items() if k in _ENVIRONMENT} if isinstance(found, dict) else {}


def _packages(recipe: Recipe, cards: Mapping[str, DataCard]) -> dict[str, str]:
    """Return name -> installed version of finetune, what it needs, and what the recipe reads."""
    named = [
        card.corpus.source.package.partition("==")[0]
        for card in cards.values()
        if isinstance(card.corpus.source, PackageSource) and card.corpus.source.is_installed
    ]
    named += [name for model in recipe.models for name, _ in model.package_files]
    identify = recipe.prepare.identify.models
    named += [PACKAGES[model] for model in identify if isinstance(model, str)]
    ours = closure([DISTRIBUTION], extras=frozenset({"train"}), absent=True)
    return dict(sorted((closure(named, absent=True) | ours).items()))


def _card_note(card: DataCard) -> CardNote:
    return CardNote(
        card=card.name, licence=card.license, sha256=card_sha256(card), left_out=left_out(card)
    )


def _write_card(card: DataCard, folder: Path, *, clean: Any) -> None:
    text = card_text(clean(card_facts(card)), clean(card.body))
    (folder / f"{card.name}.md").write_text(text, "utf-8")
    if entries := list_text(card):
        (folder / "withdrawn").mkdir(exist_ok=True)
        (folder / "withdrawn" / f"{card.name}.txt").write_text(entries, "utf-8")


def _recipe(recipe: Recipe, *, clean: Any) -> Any:
    """Return the values of the recipe without where it is published and without private facts.

    If they are in a name, so that no recipe is left without them, they stay: the scan of the
    release refuses them, with the line.
    """
    values = recipe_values(recipe.model_copy(update={"publish": Publish.with_defaults()}))
    cleaned = clean(values)
    if cleaned == values:
        return values
    try:
        Recipe.model_validate(cleaned)
    except (ValidationError, RecipeError):
        return values
    return cleaned


def _artefacts(job: Job) -> list[_Found]:
    """Return the inputs of the release and, behind them, their inputs, each once."""
    waiting = list(job.inputs.items())
    seen: dict[tuple[str, str], _Found] = {}
    while waiting:
        role, artifact = waiting.pop(0)
        if (artifact.stage, artifact.key) in seen:
            continue
        manifest = json_of(artifact, "manifest.json")
        kind, _, card = role.partition(":")
        seen[(artifact.stage, artifact.key)] = _Found(
            artifact.stage,
            artifact.key,
            role if job.inputs.get(role) is artifact else None,
            manifest,
            card=card if kind == "corpus" else None,
        )
        for inner, name in sorted(manifest.get("inputs", {}).items()):
            stage, _, key = str(name).partition("/")
            path = artifact.path.parents[1] / stage / key
            waiting.append((inner, Artifact(stage, key, path, {})))
    return list(seen.values())


def _shown(one: _Found, *, hidden: Collection[str]) -> dict[str, Any]:
    """Return a manifest without its digest, texts, and what restricted cards state."""
    manifest = {key: value for key, value in one.manifest.items() if key in _KEPT}
    manifest["environment"] = _environment(one.manifest)
    if isinstance(manifest.get("content"), dict):
        manifest["content"] = _redacted(manifest["content"], hidden)
    result = manifest.get("result", {})
    texts = _TEXTS.get(one.stage, ())
    return manifest | {"result": {k: v for k, v in result.items() if k not in texts}}


def _redacted(value: Any, hidden: Collection[str]) -> Any:
    if isinstance(value, list):
        return [_redacted(inner, hidden) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        key: {name: NOT_INCLUDED if name in hidden else facts for name, facts in inner.items()}
        if key in _BY_CARD and isinstance(inner, dict)
        else _redacted(inner, hidden)
        for key, inner in value.items()
    }
