"""Trained adapters: found in the store, and loaded on their base."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.api.recipes import not_built, open_recipe, store_at
from finetune.artefacts.job import Artifact
from finetune.errors import StoreError
from finetune.pipeline.gate import Opened
from finetune.pipeline.plan import steps_up_to
from finetune.pipeline.store import Store
from finetune.pipeline.verify import refuse_damaged


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A base with its adapter, as PEFT and transformers know them."""

    model: Any
    """`peft.PeftModel` in evaluation mode; its `generate` is that of transformers."""
    tokenizer: Any
    """`transformers.PreTrainedTokenizerFast`, with the tokens that the adapter added."""
    without_adapter: Callable[[], AbstractContextManager[Any]]
    """`with trained.without_adapter():` makes the model the base."""


def load_adapter(recipe: Opened | Path | str, *, store: Path | str | None = None) -> TrainedModel:
    """Load base, adapter and tokenizer of a recipe that was trained, on the device that is here.

    Checksums are compared first. Raises StoreError if it is not trained, or damaged.
    """
    opened = recipe if isinstance(recipe, Opened) else open_recipe(recipe, purpose="chat")
    found = trained_artefacts(opened, store_at(store))
    from finetune.models.kinds import kind_of
    from finetune.models.load import (
        adapter_tokenizer,
        choose_device,
        load_tokenizer,
        resolve_precision,
    )

    folder, adapter = found["base"].path / "model", found["train"].path / "adapter"
    device, kind = choose_device(), kind_of(folder)
    model = kind.load_base(
        folder,
        precision=resolve_precision("auto", device, base=folder),
        quantization=opened.recipe.base.quantization,
        device=device,
    )
    model = kind.load_adapter(model, adapter).eval()
    tokenizer = adapter_tokenizer(adapter, load_tokenizer(folder))
    return TrainedModel(model, tokenizer, model.disable_adapter)


def trained_artefacts(opened: Opened, store: Store, *, adapter: bool = True) -> dict[str, Artifact]:
    """Return base and adapter (`base`, `train`), checksums compared; the base alone if asked.

    Raises StoreError with the command that trains, if they are not there.
    """
    found = {}
    for step in steps_up_to(opened, "train"):
        artifact = store.find(step.stage.name, step.key)
        if artifact:
            found[step.stage.name] = artifact
    needed = ("base", "train") if adapter else ("base",)
    if any(name not in found for name in needed):
        raise StoreError(not_built(opened, store=store, verb="train"))
    refuse_damaged(found[name] for name in needed)
    return {name: found[name] for name in needed}
