"""Section `evaluate.models` of a recipe: other models that are shown beside base and adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Discriminator, Field, Tag, model_validator

from finetune.errors import Unfit
from finetune.messages import Place, problem
from finetune.spec.language import Language
from finetune.spec.section import PathText, Section
from finetune.spec.sections.base_model import Base, LicenceId, Name, Revision, is_hub_id

COMPARED = "compared"
"""Key of its name in the content of a model's artefact."""


class ComparedModel(Base):
    """Another model on the same items: a causal one, with or without an adapter, or a translation
    model (NLLB, M2M100)."""

    name: Name
    """Name of the model in tables; no two have the same."""
    languages: dict[Language, str] = Field(default_factory=dict)
    """Language -> code of a translation model for it (M2M100: `wo`). Default: the same code, which
    is NLLB's."""
    adapter: PathText | None = None
    """LoRA adapter on the model: a folder, or a Hub id (`org/name`). Default: the model alone."""
    adapter_revision: Revision | None = None
    """Commit of the adapter on the Hub (40 hex digits). Required if `adapter` is a Hub id."""

    @model_validator(mode="after")
    def _pins_its_adapter(self) -> ComparedModel:
        _refuse_unpinned(self.adapter, self.adapter_revision)
        return self


class ComparedAdapter(Section):
    """Another adapter on the recipe's own base, on the same items."""

    name: Name
    """Name of the adapter in tables; no two have the same."""
    adapter: PathText
    """LoRA adapter: its folder (of a release, or `train/KEY` of a store), or a Hub id
    (`org/name`)."""
    adapter_revision: Revision | None = None
    """Commit of the adapter on the Hub (40 hex digits). Required if `adapter` is a Hub id."""
    licence: LicenceId | None = None
    """Licence of the adapter, shown beside its scores. Default: none is shown."""

    @model_validator(mode="after")
    def _is_pinned(self) -> ComparedAdapter:
        _refuse_unpinned(self.adapter, self.adapter_revision)
        return self


def _form(said: object) -> str:
    def has(name: str) -> bool:
        return name in said if isinstance(said, dict) else hasattr(said, name)

    return "adapter of the base" if has("adapter") and not has("model") else "a model"


Compared = Annotated[
    Annotated[ComparedModel, Tag("a model")]
    | Annotated[ComparedAdapter, Tag("adapter of the base")],
    Discriminator(_form),
]


def _refuse_unpinned(adapter: str | None, revision: str | None) -> None:
    if adapter is not None and is_hub_id(adapter) and revision is None:
        raise Unfit(
            problem(
                "no-revision",
                "needed for the Hub adapter {adapter!r} (40 hex digits of a commit), so that the "
                "same recipe always means the same weights; a folder begins with ./",
                at=Place(key="adapter_revision"),
                adapter=adapter,
            )
        )


def local_adapters(models: Sequence[ComparedModel | ComparedAdapter]) -> list[str]:
    """Return the adapters that are folders, as the recipe names them."""
    named = (model.adapter for model in models if model.adapter is not None)
    return [adapter for adapter in named if not is_hub_id(adapter)]


def is_local(model: Base | ComparedAdapter) -> bool:
    """Return whether all of a model is in files that the recipe names, none on the Hub."""
    if isinstance(model, Base) and model.kind not in ("gguf", "directory"):
        return False
    adapter = getattr(model, "adapter", None)
    return adapter is None or not is_hub_id(adapter)


def role_of(name: str) -> str:
    """Return the role of a compared model among the inputs of `evaluate`."""
    return f"model:{name}"


def refuse_shared_names(models: Sequence[ComparedModel | ComparedAdapter]) -> None:
    """Raise Unfit if two models have one name."""
    names = [model.name for model in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Unfit(
            problem(
                "compared-model-twice",
                "two are called {name!r}; give each a name of its own",
                at=Place(key="models"),
                name=twice[0],
            )
        )
