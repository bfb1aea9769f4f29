"""Stage `evaluate`: base and adapter on the same held-out items, in one run, with paired tests.

The base is loaded once and the adapter attached to it; the base's scores are the same weights with
the adapter switched off, so nothing but the adapter differs between the two. Where the vocabulary
was extended, the base is measured first, with its own tokenizer and without room for new tokens,
and the same documents are scored in the tokens of each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finetune import __version__
from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.errors import DataError
from finetune.evaluate.added import checked_outputs, groups_of
from finetune.evaluate.base_and_adapter import System, both_systems, tokens_per_second
from finetune.evaluate.compare import Asked, Outputs, pairs_of_task
from finetune.evaluate.generations import Generated, generated_by_both, write_generations
from finetune.evaluate.outputs import Generation
from finetune.evaluate.parts import Part, bytes_per_token, compared, parts_of
from finetune.evaluate.report import write_report
from finetune.evaluate.scores import Pair, as_result
from finetune.models.load import set_threads
from finetune.spec.tables.task import asked


@dataclass(frozen=True, slots=True)
class _Measured:
    """What one system gave."""

    outputs: list[list[Outputs]]
    """Task by task, part by part."""
    tokens_per_second: float | None


def run(job: Job) -> dict[str, Any]:
    """Evaluate an adapter against its base; write scores.json, generations.jsonl, report.html.

    In a recipe with phases, on the test texts of every phase, each by itself. Raises DataError if
    they hold no text.
    """
    set_threads(job.recipe.run.threads)
    settings = job.recipe.evaluate
    parts = parts_of(job)
    if not any(len(records) for part in parts for records in part.chosen["adapter"].values()):
        raise DataError(
            "evaluate: the test split holds no text; raise prepare.test_share "
            f"({job.recipe.prepare.test_share}) or add documents"
        )
    tasks = _asked(job, parts)
    measured = {
        system.name: _measure(job, system, parts, tasks=tasks) for system in both_systems(job)
    }
    pairs: list[Pair] = []
    generated: list[Generated] = []
    for number, one in enumerate(tasks):
        outputs = {name: found.outputs[number] for name, found in measured.items()}
        pairs += pairs_of_task(one, parts, outputs, settings=settings)
        generated += generated_by_both(one, parts, outputs)
    return _write(job, pairs, generated, extension=_extension(job, parts, measured))


def _asked(job: Job, parts: Sequence[Part]) -> list[Asked]:
    settings = job.recipe.evaluate
    of_all = (
        f"precision:{job.inputs['train'].result['precision']}"
        f"|bs:{settings.resamples}|seed:{settings.seed}|version:finetune-{__version__}"
    )
    return [
        Asked(
            task=task,
            metrics=metrics,
            groups=tuple(groups_of(task, job, part) for part in parts),
            conditions=f"{task.conditions(job)}|{of_all}",
        )
        for task, metrics in asked(settings.tasks, settings.metrics)
    ]


def _measure(
    job: Job, system: System, parts: Sequence[Part], *, tasks: Sequence[Asked]
) -> _Measured:
    outputs: list[list[Outputs]] = [
        [
            checked_outputs(one.task, one.task.answer(job, system, part, groups), groups=groups)
            for part, groups in zip(parts, one.groups, strict=True)
        ]
        for one in tasks
    ]
    if "vocabulary" not in job.inputs:
        return _Measured(outputs, None)
    return _Measured(outputs, tokens_per_second(system, _prompted(tasks)))


def _prompted(tasks: Sequence[Asked]) -> list[Item]:
    """Return the items that are answered by generating."""
    generating = [one for one in tasks if one.task.gives is Generation]
    return [i for one in generating for part in one.groups for group in part for i in group.items]


def _extension(
    job: Job, parts: Sequence[Part], measured: dict[str, _Measured]
) -> dict[str, Any] | None:
    """Return what the new tokens changed, besides the scores; None if there are none."""
    if "vocabulary" not in job.inputs:
        return None
    costs = {system: bytes_per_token(parts, system) for system in measured}
    both = zip(job.plain, job.prepared, strict=True)
    trained = [
        {
            role: a.result["counts"]["train"]["tokens"]
            for role, (_, a) in zip(costs, two, strict=True)
        }
        for two in both
    ]
    return {
        "new_tokens": job.inputs["vocabulary"].result["tokens"],
        "documents": compared(parts),
        "bytes_per_token": {
            language: {system: costs[system][language] for system in costs}
            for language in costs["base"]
        },
        "tokens_per_second": {
            system: found.tokens_per_second for system, found in measured.items()
        },
        "training_tokens": {system: sum(one[system] for one in trained) for system in costs},
    }


def _write(
    job: Job, pairs: list[Pair], generated: list[Generated], *, extension: dict[str, Any] | None
) -> dict[str, Any]:
    result = as_result(pairs) | ({"extension": extension} if extension else {})
    text = json.dumps(result, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (job.workspace / "scores.json").write_text(text, encoding="utf-8", newline="\n")
    write_generations(job.workspace / "generations.jsonl", generated)
    base, train = job.inputs["base"], job.inputs["train"]
    write_report(
        job.workspace / "report.html",
        pairs=pairs,
        generated=generated,
        facts={
            "Base model": base.result["hub_id"],
            "Base parameters": f"{base.result['parameters']:,}",
            "Adapter parameters": f"{train.result['trainable_parameters']:,}",
            "Training": f"best step {train.result['best_step']} of {train.result['steps']}, "
            f"{train.result['supervised_tokens']:,} supervised tokens",
            "Precision": train.result["precision"],
            "Prepared corpora": ", ".join(prepare.key for _, prepare in job.prepared),
            "Adapter": train.key,
            **_told(extension),
        },
        settings=job.recipe.evaluate,
        loss_picture=train.path / "loss.png",
    )
    return result


def _told(extension: dict[str, Any] | None) -> dict[str, str]:
    if extension is None:
        return {}
    costs = ", ".join(
        f"{language} {cost['base']:.2f} before, {cost['adapter']:.2f} with them"
        for language, cost in extension["bytes_per_token"].items()
    )
    trained, speeds = extension["training_tokens"], extension["tokens_per_second"]
    found = {
        "New tokens": f"{extension['new_tokens']:,}",
        "Bytes a token": costs,
        "Tokens of the training texts": f"{trained['base']:,} before, {trained['adapter']:,} with",
    }
    if all(speeds.values()):
        found["Writing"] = (
            f"{speeds['base']:.1f} tokens a second before, {speeds['adapter']:.1f} with them"
        )
    return found
