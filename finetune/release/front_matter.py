"""The front matter of the model card: Hub metadata and model-index."""

from __future__ import annotations

from math import isfinite
from typing import Any

from finetune.artefacts.job import Job
from finetune.artefacts.scores import Score
from finetune.artefacts.verdicts import where
from finetune.output.markdown import inline
from finetune.release.card.energy_said import emissions_of_job, hub_emissions
from finetune.release.recorded import (
    Licensing,
    corpora_of,
    released_languages,
    scores_of,
    translates,
)
from finetune.spec.language import bcp47, hub_code
from finetune.spec.sections.source import HubSource
from finetune.spec.tables.metric import metric
from finetune.spec.tables.task import task_of


def front_matter(job: Job, *, licence: Licensing) -> Any:
    """Return the Hub metadata of the release as `huggingface_hub.ModelCardData`."""
    from huggingface_hub import ModelCardData

    languages = released_languages(job)
    base = job.recipe.base
    results = _eval_results(job)
    extra: dict[str, Any] = {"base_model_relation": "adapter"}
    if shown_at_gate := licence.shown_at_gate:
        # the Hub shows it as Markdown; alone in its paragraph, a pipe begins no table
        shown = (inline(condition).replace(r"\|", "|") for condition in shown_at_gate)
        extra["extra_gated_prompt"] = "\n\n".join(shown)
    extra |= hub_emissions(job, emissions_of_job(job))
    extra["language_details"] = ", ".join(bcp47(lang) for lang in languages)
    return ModelCardData(
        language=list(dict.fromkeys(hub_code(lang) for lang in languages)),
        license=licence.licence,
        license_name=licence.name,
        license_link=licence.link,
        library_name="peft",
        pipeline_tag="translation" if all(map(translates, corpora_of(job))) else "text-generation",
        base_model=base.released_id,
        tags=["lora", f"base_model:adapter:{base.released_id}", *languages],
        datasets=_hub_datasets(job) or None,
        metrics=sorted({metric(s.metric).hub_id for s in _published(job)}) or None,
        model_name=job.recipe.released.repo.rpartition("/")[2] if results else None,
        eval_results=results or None,
        **extra,
    )


def _eval_results(job: Job) -> list[Any]:
    from huggingface_hub import EvalResult

    hub = [c.corpus.source for c in job.cards.values() if isinstance(c.corpus.source, HubSource)]
    only = hub[0] if len(hub) == 1 and len(job.cards) == 1 else None
    results = []
    for score in _published(job):
        row, task = metric(score.metric), task_of(score.task, direction=score.direction)
        items = task.dataset or f"held-out test {score.unit}s"
        of_base = ", base without adapter" if score.system == "base" else ""
        results.append(
            EvalResult(
                task_type=task.hub_task,
                dataset_type=task.dataset or (only.dataset if only else "held-out"),
                dataset_name=f"{items}, {where(score)}",
                dataset_config=score.direction or score.language,
                dataset_split="test",
                dataset_revision=only.revision if only and not task.dataset else None,
                metric_type=row.hub_id,
                metric_name=f"{row.label}{of_base}",
                metric_value=round(score.value, 4),
                metric_args={"signature": score.signature, "n": score.n, "system": score.system},
            )
        )
    return results


def _published(job: Job) -> list[Score]:
    """Return the scores of adapter and base in metrics from which something can be claimed.

    The adapter's first, because a list of models shows the first.
    """
    found = [
        score
        for system in ("adapter", "base")
        for score in scores_of(job)
        if score.system == system and isfinite(score.value)
    ]
    return [score for score in found if metric(score.metric).is_judged]


def _hub_datasets(job: Job) -> list[str]:
    sources = (card.corpus.source for card in job.cards.values())
    return list(dict.fromkeys(s.dataset for s in sources if isinstance(s, HubSource)))
