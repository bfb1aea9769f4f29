"""Adapters that a recipe trained, in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from finetune.api.adapters.travelling_files import shipped_files
from finetune.api.recipes import not_built
from finetune.artefacts.adapter_source import AdapterSource
from finetune.artefacts.job import Artifact
from finetune.artefacts.results import PrepareResult, VocabularyResult, read_result
from finetune.errors import StoreError
from finetune.pipeline.gate import Opened, Purpose, open_project
from finetune.pipeline.plan import Step, steps_of, steps_up_to
from finetune.pipeline.store import Store
from finetune.pipeline.verify import refuse_damaged
from finetune.pipeline.withdrawals import refuse_lost_withdrawals

_TEMPLATE = "chat_template.jinja"
_READ = ("base", "prepare", "train", "vocabulary")


def of_recipe(
    path: Path, *, store: Store, purpose: Purpose, overrides: Sequence[str] = ()
) -> AdapterSource:
    """Return the adapter of a trained recipe; checksums are compared first.

    Raises RecipeError for what the gate refuses, StoreError if it is not trained, or damaged.
    """
    project = open_project(path, purpose=purpose, overrides=overrides)
    if purpose == "export":
        refuse_lost_withdrawals(project.cards.values(), store)
    train = steps_up_to(project, "train")[-1]
    found = _found(project, {**train.inputs, "train": train}, store)
    refuse_damaged(found.values())
    recipe, prepare = project.recipe, project.recipe.prepare
    vocabulary = found.get("vocabulary")
    prepared = found["prepare"]
    result = read_result(prepared, PrepareResult)
    of_chatml = result.chat_template == "chatml"
    return AdapterSource(
        name=recipe.released.repo if recipe.is_released else recipe.name,
        base=found["base"].path / "model",
        adapter=found["train"].path / "adapter",
        base_id=recipe.base.released_id,
        base_revision=recipe.base.revision,
        base_licence=recipe.base.licence,
        licence=project.terms.licence if project.terms else None,
        languages=result.languages,
        quantization=recipe.base.quantization,
        chat_template="plain" if prepare.layout == "plain" else prepare.chat_template,
        system_prompt=prepare.system_prompt,
        template=prepared.path / _TEMPLATE if of_chatml else None,
        whole_words=vocabulary is not None
        and read_result(vocabulary, VocabularyResult).whole_words,
        recipe=recipe,
        cards=project.cards,
        shipped=_shipped(project, store),
        prepared=prepared.path,
    )


def _found(project: Opened, steps: Mapping[str, Step], store: Store) -> dict[str, Artifact]:
    """Return the artefacts that are read, by role. StoreError if one is not there."""
    found = {}
    for role in _READ:
        if role not in steps:
            continue
        artifact = store.find(steps[role].stage.name, steps[role].key)
        if artifact is None:
            raise StoreError(not_built(project, store=store, verb="train"))
        found[role] = artifact
    return found


def _shipped(project: Opened, store: Store) -> dict[str, Path]:
    """Return what travels with the adapter, of the release in the store; nothing without one."""
    if not project.recipe.is_released:
        return {}
    step = next(step for step in steps_of(project) if step.stage.name == "release")
    release = store.find("release", step.key)
    if release is None:
        return {}
    refuse_damaged([release])
    return shipped_files(release.path)
