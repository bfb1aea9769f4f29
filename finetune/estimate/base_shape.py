"""The shape of a recipe's base, with its new tokens, from store or folder."""

from __future__ import annotations

from dataclasses import replace

from finetune.artefacts.results import VocabularyResult, read_result
from finetune.errors import StoreError
from finetune.messages import Place, problem
from finetune.output.paths import home_filled_in
from finetune.output.small_files import UnreadableError
from finetune.pipeline import plan
from finetune.pipeline.store import Store
from finetune.pipeline.store_folder import named_store
from finetune.pipeline.verify import refuse_damaged
from finetune.sizing.shape import ModelShape, model_shape
from finetune.sources.model_folder import look_at, read_config, reason_of
from finetune.spec.load import Project


def shape_with_new_tokens(project: Project, *, store: Store) -> tuple[ModelShape, tuple[str, ...]]:
    """Return the shape with the recipe's new tokens, and a note while their number is not known.

    Raises StoreError and RecipeError as `read_shape` does.
    """
    shape = read_shape(project, store=store)
    settings = project.recipe.vocabulary
    if settings is None:
        return shape, ()
    for step in plan.steps_of(project):
        if step.stage.name == "vocabulary" and (extended := store.find("vocabulary", step.key)):
            return replace(shape, new_tokens=read_result(extended, VocabularyResult).tokens), ()
    most = settings.max_size if settings.size == "auto" else settings.size
    note = f"number of new tokens not known yet; estimated with the maximum of {most:,}"
    return replace(shape, new_tokens=most), (note,)


def read_shape(project: Project, *, store: Store) -> ModelShape:
    """Return the shape of the base.

    Raises StoreError if neither store nor folder has its config.json, RecipeError for a folder
    that is damaged or a model that cannot be counted.
    """
    base, step = project.recipe.base, plan.steps_of(project)[0]
    found = store.find("base", step.key)
    if found is not None:
        refuse_damaged([found], names={"model/config.json"})
    folder = home_filled_in(base.model) if base.kind == "directory" else None
    path = found.path / "model" / "config.json" if found else folder and folder / "config.json"
    if path is None:
        raise StoreError(
            problem(
                "base-not-fetched",
                "base {base} is not in the store, so its size is unknown: run `{fetch}` first",
                at=Place(project.path),
                base=base.model,
                fetch=project.typed("fetch", *named_store(store.root)),
            )
        )
    if found is None and any(path.parent.glob("*.safetensors*")):  # without any it is a plan
        look_at(path.parent, where=f"{project.path}: base.model: {base.model}")
    try:
        config = read_config(path)
    except (OSError, UnreadableError) as error:
        raise StoreError(
            problem("unreadable-config", "{why}", at=Place(path), why=reason_of(error))
        ) from error
    return model_shape(config, source=str(path))
