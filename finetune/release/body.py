"""The text of the model card, from what stages recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from finetune.artefacts.job import Job
from finetune.output.templates import text_environment
from finetune.release.recorded import (
    Licensing,
    corpora_of,
    counts_by_card,
    json_of,
    released_languages,
    result_of,
    scores_of,
    training_data,
    translates,
    where,
)
from finetune.spec.language import language_name
from finetune.spec.licence import obligations
from finetune.spec.recipe import Corpus, Phase
from finetune.spec.tables.metric import VALIDATION, metric
from finetune.spec.tables.task import metrics_asked


def card_body(job: Job, *, licence: Licensing) -> str:
    """Return the Markdown text under the front matter."""
    environment = text_environment(
        "finetune.release", filters={"cell": cell, "amount": _amount, "literal": _literal}
    )
    return environment.get_template("card.md.j2").render(**_facts(job, licence=licence))


def cell(value: object) -> str:
    """Return text that cannot break out of its table cell or turn into HTML.

    >>> cell("a|b <i>\\nc")
    'a\\\\|b &lt;i> c'
    """
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


def conclusions(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a plain sentence a comparison: what was and what was not shown."""
    return [_conclusion(c) for c in comparisons]


def seen_rows(train: Mapping[str, Any], *, phases: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row a phase, language and card: tokens, unique and repeated tokens, epochs.

    `train` is the result of the last phase's training, `phases` are the names of all. Phases that
    were trained before this was recorded are left out.
    """
    recorded = [*train.get("seen_before", ()), train.get("seen", ())]
    named = zip(phases[-len(recorded) :], recorded[-len(phases) :], strict=True)
    return [
        {"phase": phase, "repeated_tokens": row["tokens"] - row["unique_tokens"]} | row
        for phase, rows in named
        for row in rows
    ]


def mix_in_words(train: Mapping[str, Any]) -> str | None:
    """Return how languages were mixed in a sentence, or None if texts were taken as they are."""
    recorded = train.get("mix")
    if not recorded:
        return None
    mix = recorded["settings"]
    methods = [mix["method"], *(s["method"] for s in mix["stages"] if s["method"])]
    words = {
        "proportional": "by size",
        "temperature": f"by size with temperature {mix['temperature']:g}",
        "unimax": f"by UniMax with at most {mix['max_epochs']:g} epochs",
        "fixed": "by fixed weights",
    }
    used = ", then ".join(dict.fromkeys(words[method] for method in methods))
    stages = f", in {len(mix['stages'])} stages" if mix["stages"] else ""
    return f"Each {mix['by']} had a share of the {mix['unit']} {used}{stages}."


def extension_facts(
    vocabulary: Mapping[str, Any], evaluated: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return what new tokens changed, or None: costs by language, speed, and rows to make."""
    measured = evaluated.get("extension")
    if not vocabulary or not measured:
        return None
    costs = measured["bytes_per_token"].items()
    speeds = measured["tokens_per_second"]
    return {
        "tokens": vocabulary["tokens"],
        "rows": vocabulary["vocabulary"],
        "costs": [
            {
                "language": language_name(language),
                "seconds": {
                    side: speeds[side] * cost[side] for side in cost if speeds[side] is not None
                },
            }
            | cost
            for language, cost in costs
        ],
        "speeds": speeds,
        "training": measured["training_tokens"],
    }


def _facts(job: Job, *, licence: Licensing) -> dict[str, Any]:
    recipe = job.recipe
    prepare = result_of(job, "prepare")
    comparisons = list(result_of(job, "evaluate").get("comparisons", ()))
    licences = [recipe.base.licence, *(card.license for card in job.cards.values())]
    return {
        "repo": recipe.released.repo,
        "summary": recipe.released.summary.strip(),
        "base": recipe.base,
        "base_result": result_of(job, "base"),
        "licence": licence,
        "obligations": obligations(licences),
        "languages": [(lang, language_name(lang)) for lang in released_languages(job)],
        "rows": _table(job),
        "validation": metric(VALIDATION),
        "metrics": metrics_asked(recipe.evaluate.tasks, recipe.evaluate.metrics),
        "conclusions": conclusions(comparisons),
        "data": training_data(job),
        "prepared": [
            {
                "phase": phase,
                "counts": artifact.result.get("counts", {}),
                "rejected": _rejected(artifact.result),
            }
            for phase, artifact in job.prepared
        ],
        "tested": list(dict.fromkeys(where(s) for s in scores_of(job))),
        "lora": recipe.lora,
        "sequence_tokens": recipe.prepare.sequence_tokens,
        "phases": [_phase_record(phase) for phase in recipe.stages_of_training],
        "train": result_of(job, "train"),
        "mix": mix_in_words(result_of(job, "train")),
        "seen": seen_rows(
            result_of(job, "train"), phases=[p.name for p in recipe.stages_of_training]
        ),
        "vocabulary": result_of(job, "vocabulary"),
        "extension": extension_facts(result_of(job, "vocabulary"), result_of(job, "evaluate")),
        "prompts": _prompts(corpora_of(job)),
        "layout": recipe.prepare.layout,
        "chat_template": prepare.get("chat_template"),
        "versions": _versions(job),
        "funnel": counts_by_card(job),
        "has_loss_picture": (job.inputs["train"].path / "loss.png").is_file(),
    }


def _versions(job: Job) -> dict[str, str]:
    """Return the versions that trained the adapter, as its manifest recorded them."""
    from finetune import __version__

    manifest = json_of(job.inputs.get("train"), "manifest.json")
    recorded = manifest.get("environment", {})
    found = {"finetune": str(manifest.get("version", __version__))}
    if "python" in recorded:
        found["Python"] = recorded["python"]
    return found | recorded.get("packages", {})


def _rejected(prepare: Mapping[str, Any]) -> dict[str, int] | None:
    """Return texts left out by reason, or None if `prepare` recorded nothing about it."""
    if "rejected" not in prepare:
        return None
    return {reason: n for reason, n in sorted(prepare["rejected"].items()) if n}


def _table(job: Job) -> list[dict[str, Any]]:
    """Return a row a language and metric: base, adapter, and their comparison."""
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for score in scores_of(job):
        key = _subject(score)
        row = rows.setdefault(key, {"where": where(score), "n": score["n"], "test": None})
        row["metric"] = metric(score["metric"]).label
        row[score["system"]] = _with_interval(score)
    for c in result_of(job, "evaluate").get("comparisons", ()):
        if _subject(c) in rows:
            rows[_subject(c)]["test"] = c
    return [row for row in rows.values() if "base" in row and "adapter" in row]


def _with_interval(score: Mapping[str, Any]) -> str:
    places = metric(score["metric"]).decimals
    return f"{score['value']:.{places}f} [{score['low']:.{places}f}, {score['high']:.{places}f}]"


def _subject(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a score or comparison is about."""
    names = ("metric", "task", "language", "direction", "phase")
    return tuple(record.get(name) or "" for name in names)


def _conclusion(c: Mapping[str, Any]) -> str:
    row, place = metric(c["metric"]), where(c)
    test = f"{c['test']}, n = {c['n']}, p = {c['p_value']:.3g}"
    places = row.decimals
    values = f"{c['adapter']:.{places}f} against {c['base']:.{places}f}"
    low, high = f"{c['low']:+.{places}f}", f"{c['high']:+.{places}f}"
    interval = f"95 % interval of the difference {low} to {high}"
    shown = c["low"] > 0 or c["high"] < 0
    if c["better"] == "adapter" and shown:
        return f"{place}, {row.label}: the adapter is better, {values} ({interval}; {test})."
    if c["better"] == "base" and shown:
        return f"{place}, {row.label}: the adapter is **worse**, {values} ({interval}; {test})."
    found = "too few items to tell" if shown else "no difference was shown"
    return (
        f"{place}, {row.label} ({row.better} is better): {found}, {values} "
        f"({interval}; {test}). No gain is claimed."
    )


def _prompts(corpora: Sequence[Corpus]) -> list[dict[str, str]]:
    """Return a prompt as it was trained, once a direction."""
    found = {}
    for corpus in corpora:
        if corpus.source and corpus.target and translates(corpus):
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


def _amount(value: float) -> str:
    """Return a number for people: 12345 -> 12,345 and 0.123456 -> 0.123."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def _literal(text: str) -> str:
    """Return text as a Python string literal; JSON's form is one, and letters stay letters."""
    return json.dumps(text, ensure_ascii=False)
