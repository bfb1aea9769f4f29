"""Section `evaluate.forgetting` of a recipe: texts of a language that the base knows."""

from __future__ import annotations

from finetune.spec.language import Language
from finetune.spec.section import Section
from finetune.spec.sections.base_model import Name


class Forgetting(Section):
    """Texts on which forgetting is measured; without this section English and French sources of
    held-out translations, else held-out replay data."""

    card: Name
    """A card of the recipe. Its test texts are scored; with `evaluate_only: true` on its entry all
    of its texts are, and none is trained on."""
    language: Language | None = None
    """Language of the texts. Default: English and French, as far as the card has them."""
