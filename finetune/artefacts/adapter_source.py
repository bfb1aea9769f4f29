"""An adapter ready for use: its folder, that of its base, and what is known of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pydantic is slow to start
    from finetune.spec.card import DataCard
    from finetune.spec.recipe import Recipe
    from finetune.spec.sections.base_model import Quantization


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSource:
    """An adapter of a recipe, of a folder or of the Hub, with its base."""

    name: str
    """Name of the release (`org/name`); without a release that of the recipe or the folder."""
    base: Path
    """Model folder: config.json, safetensors, tokenizer."""
    adapter: Path
    """Folder with adapter_config.json, adapter_model.safetensors and, where the adapter has its
    own, the tokenizer."""
    base_id: str
    """Hub id of the base."""
    base_revision: str | None = None
    """Commit of the base, where it is known."""
    base_licence: str | None = None
    licence: str | None = None
    """Licence of the adapter as its recipe or model card states it; None: not stated."""
    languages: tuple[str, ...] = ()
    """Languages of its training (`wol_Latn`); empty: not stated."""
    quantization: Quantization = "none"
    """Of the base in training."""
    chat_template: str | None = None
    """Layout of its prompts: `model` (the base's template), `chatml`, `plain`; None: not stated."""
    system_prompt: str = "base"
    """As `prepare.system_prompt` of a recipe."""
    template: Path | None = None
    """File of the chat template, where it is not that of the tokenizer."""
    whole_words: bool = False
    """True if its tokenizer splits words by an expression of its own."""
    recipe: Recipe | None = None
    """Recipe, or the one that a release records; None for an adapter of another program."""
    cards: Mapping[str, DataCard] = field(default_factory=dict)
    """Data cards of a recipe; empty for others, whose cards lie in `shipped`."""
    commit: str | None = None
    """Commit of an adapter of the Hub."""
    shipped: Mapping[str, Path] = field(default_factory=dict)
    """Card, notices, licences and provenance that travel with it: name in the folder -> file."""
    prepared: Path | None = None
    """Prepared corpora in the store, with the test texts; None outside of recipes."""
