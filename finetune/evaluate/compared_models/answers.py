"""Answers of the other models of a recipe, one model after another, kept like those of shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.evaluate.compare import Asked, Outputs
from finetune.evaluate.compared_models.loaded_model import LoadedModel, load_model
from finetune.evaluate.measurement import FOLDER
from finetune.evaluate.measuring.shards import Shard, read_answers, write_answers
from finetune.evaluate.outputs import Generation, Likelihood
from finetune.evaluate.parts import Part
from finetune.output.durable import make_folder
from finetune.spec.sections.compared_model import ComparedAdapter, ComparedModel
from finetune.spec.tables.task import UNNAMED, Group

TEXT, TRANSLATION = UNNAMED
"""The tasks that other models are asked: the translations of each."""
ByTask = Mapping[str, Sequence[Outputs]]
"""Name of a task -> answers, part by part."""


def answers_of_models(job: Job, parts: Sequence[Part], tasks: Sequence[Asked]) -> dict[str, ByTask]:
    """Return what each model of the recipe answers, by its name.

    To be called when base and adapter are measured and gone: one model is in memory at a time.
    """
    wanted = [one for one in tasks if one.task.name in UNNAMED]
    return {model.name: _answers(job, model, parts, wanted) for model in job.recipe.evaluate.models}


def _answers(
    job: Job, model: ComparedModel | ComparedAdapter, parts: Sequence[Part], tasks: Sequence[Asked]
) -> ByTask:
    @cache
    def loaded() -> LoadedModel:
        return load_model(job, model)

    folder = job.workspace / FOLDER / f"model.{model.name}"
    make_folder(folder)
    found: dict[str, list[Outputs]] = {}
    for one in tasks:
        for number, (part, groups) in enumerate(zip(parts, one.groups, strict=True)):
            path = folder / f"{one.task.name}.{number}.jsonl"
            shard = Shard(tuple((n, tuple(range(len(g.items)))) for n, g in enumerate(groups)))
            answers = read_answers(path, one.task, shard)
            if answers is None:
                every = tuple(i for g in groups for i in g.items if isinstance(i, Item))
                asked = replace(part, asked=every)  # so that texts are cut as the adapter's are
                answers = [_answer(loaded(), one.task.name, asked, group) for group in groups]
                write_answers(path, one.task, shard, answers)
            found.setdefault(one.task.name, []).append(answers)
    return found


def _answer(
    model: LoadedModel, task: str, part: Part, group: Group
) -> list[Generation] | list[Likelihood] | None:
    """Return the answers to a group of translations; None for another group."""
    items = group.items
    if not group.is_scored or not all(i.direction and i.prompt and i.reference for i in items):
        return None
    if task == TEXT:
        return model.likelihoods(part, items)
    texts = model.translations(part, items)
    if texts is None:
        return None
    return [Generation(t, i.reference, i.source) for t, i in zip(texts, items, strict=True)]
