"""Answers of the other models of a recipe: those to the translations of the UNNAMED tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from finetune.artefacts.job import Job
from finetune.evaluate.compared_models.loaded_model import LoadedModel
from finetune.evaluate.outputs import Generation, Likelihood
from finetune.evaluate.parts import Part
from finetune.models.decode.translation_models import is_translation_model
from finetune.spec.sections.compared_model import ComparedAdapter, ComparedModel, role_of
from finetune.spec.tables.task import UNNAMED, Group

TEXT, TRANSLATION = UNNAMED


def asked_groups(
    job: Job, model: ComparedModel | ComparedAdapter, task: str, groups: Sequence[Group]
) -> list[Group]:
    """Return the groups of a task, those that the model is not asked without their items.

    Asked are scored groups of translations; a translation model is not asked how likely they are.
    """
    takes = (
        task == TRANSLATION
        or isinstance(model, ComparedAdapter)
        or not is_translation_model(job.inputs[role_of(model.name)].path / "model")
    )
    return [one if takes and _is_asked(one) else replace(one, items=[]) for one in groups]


def _is_asked(group: Group) -> bool:
    return group.is_scored and all(i.direction and i.prompt and i.reference for i in group.items)


def answer(
    model: LoadedModel, task: str, part: Part, groups: Sequence[Group]
) -> list[list[Generation] | list[Likelihood] | None]:
    """Return the answers to translations, group by group; None where the model cannot be asked."""
    if task == TEXT:
        return [model.likelihoods(part, group.items) for group in groups]
    return [_written(model, part, group) for group in groups]


def _written(model: LoadedModel, part: Part, group: Group) -> list[Generation] | None:
    texts = model.translations(part, group.items)
    if texts is None:
        return None
    return [Generation(t, i.reference, i.source) for t, i in zip(texts, group.items, strict=True)]
