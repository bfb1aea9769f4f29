"""How a recipe says which texts are copies of each other, and which are part of an evaluation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from finetune.spec.section import Section


class Duplicates(Section):
    """Copies of a text that are not exact."""

    near: Literal["off"] | Annotated[float, Field(ge=0.5, le=1)] = 0.8
    """Texts that share this part of their character 5-grams (Jaccard) are near duplicates: one
    is kept, and no near copy of a held-out text is trained on. 0.8 is one typing mistake in about
    45 characters. `off` leaves out exact duplicates only."""
    min_characters: Annotated[int, Field(ge=1)] = 40
    """In shorter texts only case, digits' script, punctuation and space may differ, because there
    one word makes another text (`Delete class`, `Delete classes`)."""

    @property
    def threshold(self) -> float:
        """The similarity of near duplicates; above 1 if they are not looked for."""
        return 2.0 if self.near == "off" else self.near
