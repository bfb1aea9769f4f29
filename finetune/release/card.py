"""The model card: front matter and text, only from what stages recorded and owners wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.errors import ReleaseError
from finetune.output.html import text_environment
from finetune.release.mixture import mix_in_words, seen_rows
from finetune.release.new_tokens import extension_facts
from finetune.spec.card import DataCard, HubSource, LocalSource, UrlSource
from finetune.spec.language import bcp47, hub_code, language_name
from finetune.spec.licence import MODEL_TERMS, obligations
from finetune.spec.permission import Terms
from finetune.spec.recipe import Corpus, Phase

METRICS = {
    # metric of a score -> (Hub metric id, name for people, whether more is better)
    "bits_per_byte": ("bits_per_byte", "bits per byte", False),
    "chrf++": ("chrf", "chrF++", True),
}


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


def render_card(job: Job, *, licence: Licensing) -> str:
    """Return the README.md of a release: front matter and body.

    Raises:
        ReleaseError: huggingface_hub's card classes do not accept the front matter.
    """
    from huggingface_hub import ModelCard

    environment = text_environment(
        "finetune.release", filters={"cell": cell, "amount": _amount, "literal": _literal}
    )
    body = environment.get_template("card.md.j2").render(**_facts(job, licence=licence))
    data = front_matter(job, licence=licence)
    text = f"---\n{data.to_yaml()}\n---\n\n{body}"
    try:
        read = ModelCard(text, ignore_metadata_errors=False)
    except ValueError as error:
        raise ReleaseError(f"the Hub would not accept the model card: {error}") from error
    if read.data.to_dict() != data.to_dict():
        raise ReleaseError("the model card does not read back as it was written; report this")
    return text


def front_matter(job: Job, *, licence: Licensing) -> Any:
    """Return the Hub metadata of the release as `huggingface_hub.ModelCardData`."""
    from huggingface_hub import ModelCardData

    languages = released_languages(job)
    base = job.recipe.base
    results = _eval_results(job)
    extra: dict[str, Any] = {"base_model_relation": "adapter"}
    if licence.gate:
        extra["extra_gated_prompt"] = "\n\n".join(licence.gate)
    extra["language_details"] = ", ".join(bcp47(lang) for lang in languages)
    return ModelCardData(
        language=list(dict.fromkeys(hub_code(lang) for lang in languages)),
        license=licence.licence,
        license_name=licence.name,
        license_link=licence.link,
        library_name="peft",
        pipeline_tag="translation" if all(map(_translates, _corpora(job))) else "text-generation",
        base_model=base.released_id,
        tags=["lora", f"base_model:adapter:{base.released_id}", *languages],
        datasets=_hub_datasets(job) or None,
        metrics=sorted({METRICS[s["metric"]][0] for s in _scores(job)}) or None,
        model_name=job.recipe.released.repo.rpartition("/")[2] if results else None,
        eval_results=results or None,
        **extra,
    )


def released_languages(job: Job) -> list[str]:
    """Return the languages of the texts: first what was learned to write, then what it reads."""
    corpora = _corpora(job)
    written = list(_result(job, "prepare").get("languages", ()))
    for corpus in corpora:
        card = job.cards[corpus.card].corpus
        written += [corpus.target] if corpus.target else card.languages[:1]
    read = [c.source for c in corpora if c.source and _translates(c)]
    return list(dict.fromkeys([*written, *read]))


def _corpora(job: Job) -> list[Corpus]:
    """Return the corpora of every phase whose card was not withdrawn."""
    found = [c for phase in job.recipe.stages_of_training for c in phase.corpora]
    return [c for c in found if c.card in job.cards]


def training_data(job: Job) -> list[dict[str, Any]]:
    """Return one record a data card: what it is, whose it is, and where it can be had."""
    return [_card_record(card) for card in job.cards.values()]


def cell(value: object) -> str:
    """Return text that cannot break out of its table cell or turn into HTML.

    >>> cell("a|b <i>\\nc")
    'a\\\\|b &lt;i> c'
    """
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


def conclusions(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a plain sentence a comparison: what was and what was not shown."""
    return [_conclusion(c) for c in comparisons]


def _facts(job: Job, *, licence: Licensing) -> dict[str, Any]:
    recipe = job.recipe
    prepare = _result(job, "prepare")
    comparisons = list(_result(job, "evaluate").get("comparisons", ()))
    licences = [recipe.base.licence, *(card.license for card in job.cards.values())]
    return {
        "repo": recipe.released.repo,
        "summary": recipe.released.summary.strip(),
        "base": recipe.base,
        "base_result": _result(job, "base"),
        "licence": licence,
        "obligations": obligations(licences),
        "languages": [(lang, language_name(lang)) for lang in released_languages(job)],
        "rows": _table(job),
        "conclusions": conclusions(comparisons),
        "data": training_data(job),
        "prepared": [
            {
                "phase": phase,
                "counts": _by_split(artifact.result.get("counts", {})),
                "rejected": _rejected(artifact.result),
            }
            for phase, artifact in job.prepared
        ],
        "tested": list(dict.fromkeys(_where(s) for s in _scores(job))),
        "lora": recipe.lora,
        "sequence_tokens": recipe.prepare.sequence_tokens,
        "phases": [_phase_record(phase) for phase in recipe.stages_of_training],
        "train": _result(job, "train"),
        "mix": mix_in_words(_result(job, "train")),
        "seen": seen_rows(
            _result(job, "train"), phases=[p.name for p in recipe.stages_of_training]
        ),
        "vocabulary": _result(job, "vocabulary"),
        "extension": extension_facts(_result(job, "vocabulary"), _result(job, "evaluate")),
        "prompts": _prompts(_corpora(job)),
        "layout": recipe.prepare.layout,
        "chat_template": prepare.get("chat_template"),
        "versions": _versions(job),
        "funnel": counts_by_card(job),
        "has_loss_picture": (job.inputs["train"].path / "loss.png").is_file(),
    }


def _versions(job: Job) -> dict[str, str]:
    """Return the versions that trained the adapter, as its manifest recorded them."""
    from finetune import __version__

    manifest = _json_of(job.inputs.get("train"), "manifest.json")
    recorded = manifest.get("environment", {})
    found = {"finetune": str(manifest.get("version", __version__))}
    if "python" in recorded:
        found["Python"] = recorded["python"]
    return found | recorded.get("packages", {})


def _json_of(artifact: Artifact | None, name: str) -> dict[str, Any]:
    """Return a JSON file of an artefact, or {} if it has none."""
    if artifact is None or not (artifact.path / name).is_file():
        return {}
    content: dict[str, Any] = json.loads((artifact.path / name).read_text("utf-8"))
    return content


def counts_by_card(job: Job) -> list[dict[str, Any]]:
    """Return per phase, card and language: texts read, rejected by reason, kept by split."""
    return [
        row if phase is None else {"phase": phase} | row
        for phase, artifact in job.prepared
        for row in _json_of(artifact, "report.json").get("funnel", ())
    ]


def _result(job: Job, role: str) -> Mapping[str, Any]:
    artifact: Artifact | None = job.inputs.get(role)
    return artifact.result if artifact else {}


def _by_split(counts: Mapping[str, Any]) -> dict[str, Any]:
    return {split: counts[split] for split in ("train", "validation", "test") if split in counts}


def _rejected(prepare: Mapping[str, Any]) -> dict[str, int] | None:
    """Return texts left out by reason, or None if `prepare` recorded nothing about it."""
    if "rejected" not in prepare:
        return None
    return {reason: n for reason, n in sorted(prepare["rejected"].items()) if n}


def _scores(job: Job) -> list[Mapping[str, Any]]:
    return [s for s in _result(job, "evaluate").get("scores", ()) if s["metric"] in METRICS]


def _where(record: Mapping[str, Any]) -> str:
    """Return the language or direction of a score for people.

    >>> _where({"language": "hau_Latn", "direction": "eng_Latn>hau_Latn"})
    'English to Hausa'
    >>> _where({"language": "hau_Latn", "phase": "texts"})
    'Hausa (texts)'
    """
    if record.get("direction"):
        source, _, target = record["direction"].partition(">")
        name = f"{language_name(source)} to {language_name(target)}"
    else:
        name = language_name(record["language"])
    return f"{name} ({record['phase']})" if record.get("phase") else name


def _table(job: Job) -> list[dict[str, Any]]:
    """Return a row a language and metric: base, adapter, and their comparison."""
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for score in _scores(job):
        key = _subject(score)
        row = rows.setdefault(key, {"where": _where(score), "n": score["n"], "test": None})
        row["metric"] = METRICS[score["metric"]][1]
        row[score["system"]] = score
    for c in _result(job, "evaluate").get("comparisons", ()):
        if _subject(c) in rows:
            rows[_subject(c)]["test"] = c
    return [row for row in rows.values() if "base" in row and "adapter" in row]


def _subject(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a score or comparison is about."""
    names = ("metric", "language", "direction", "phase")
    return tuple(record.get(name) or "" for name in names)


def _conclusion(c: Mapping[str, Any]) -> str:
    name, more = METRICS.get(c["metric"], (c["metric"], c["metric"], True))[1:]
    where = _where(c)
    test = f"{c['test']}, n = {c['n']}, p = {c['p_value']:.3g}"
    values = f"{c['adapter']:.3f} against {c['base']:.3f}"
    interval = f"95 % interval of the difference {c['low']:+.3f} to {c['high']:+.3f}"
    shown = c["low"] > 0 or c["high"] < 0
    if c["better"] == "adapter" and shown:
        return f"{where}, {name}: the adapter is better, {values} ({interval}; {test})."
    if c["better"] == "base" and shown:
        return f"{where}, {name}: the adapter is **worse**, {values} ({interval}; {test})."
    wanted = "higher" if more else "lower"
    found = "too few items to tell" if shown else "no difference was shown"
    return (
        f"{where}, {name} ({wanted} is better): {found}, {values} "
        f"({interval}; {test}). No gain is claimed."
    )


def _eval_results(job: Job) -> list[Any]:
    from huggingface_hub import EvalResult

    hub = [c.corpus.source for c in job.cards.values() if isinstance(c.corpus.source, HubSource)]
    only = hub[0] if len(hub) == 1 and len(job.cards) == 1 else None
    results = []
    for score in _scores(job):
        if score["system"] != "adapter" or not isfinite(score["value"]):
            continue
        identifier, name, _ = METRICS[score["metric"]]
        which = score.get("direction") or score["language"]
        results.append(
            EvalResult(
                task_type="translation" if score.get("direction") else "text-generation",
                dataset_type=only.dataset if only else "held-out",
                dataset_name=f"held-out test documents, {_where(score)}",
                dataset_config=which,
                dataset_split="test",
                dataset_revision=only.revision if only else None,
                metric_type=identifier,
                metric_name=name,
                metric_value=round(score["value"], 4),
                metric_args={"signature": score["signature"], "n": score["n"]},
            )
        )
    return results


def _hub_datasets(job: Job) -> list[str]:
    sources = (card.corpus.source for card in job.cards.values())
    return list(dict.fromkeys(s.dataset for s in sources if isinstance(s, HubSource)))


def _translates(corpus: Corpus) -> bool:
    return corpus.target is not None and corpus.use in ("auto", "translation")


def _prompts(corpora: Sequence[Corpus]) -> list[dict[str, str]]:
    """Return a prompt as it was trained, once a direction."""
    found = {}
    for corpus in corpora:
        if corpus.source and corpus.target and _translates(corpus):
            source, target = language_name(corpus.source), language_name(corpus.target)
            text = corpus.prompt.replace("{source_name}", source)
            text = text.replace("{target_name}", target)
            found[(source, target)] = {"source": source, "target": target, "text": text}
    return list(found.values())


def _phase_record(phase: Phase) -> dict[str, Any]:
    settings = phase.train.model_dump(mode="json", exclude={"start_from"}, exclude_none=True)
    return {
        "name": phase.name,
        "settings": settings,
        "continues": phase.train.start_from is not None,
    }


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
        where = ", ".join(file.url for file in source.files)
    elif isinstance(source, LocalSource):
        where = "files of its owner"
    else:
        where = f"{'' if source.is_installed else 'npm '}package {source.package}"
    return record | {"source": where, "sha256": sums}


def _amount(value: float) -> str:
    """Return a number for people: 12345 -> 12,345 and 0.123456 -> 0.123."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def _literal(text: str) -> str:
    """Return text as a Python string literal; JSON's form is one, and letters stay letters."""
    return json.dumps(text, ensure_ascii=False)
