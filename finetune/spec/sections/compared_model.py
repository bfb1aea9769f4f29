"""Section `evaluate.models` of a recipe: other models that are shown beside base and adapter."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from finetune.errors import Unfit
from finetune.messages import Place, problem
from finetune.spec.language import Language
from finetune.spec.sections.base_model import Base, Name

COMPARED = "compared"
"""Key of its name in the content of a model's artefact."""


class ComparedModel(Base):
    """Another model on the same items: a causal one, or a translation model (NLLB, M2M100)."""

    name: Name
    """Name of the model in tables; no two have the same."""
    languages: dict[Language, str] = Field(default_factory=dict)
    """Language -> code of a translation model for it (M2M100: `wo`). Default: the same code, which
    is NLLB's."""


def role_of(name: str) -> str:
    """Return the role of a compared model among the inputs of `evaluate`."""
    return f"model:{name}"


def refuse_shared_names(models: Sequence[ComparedModel]) -> None:
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
