"""Duplicates, and the evaluation sets that must never be trained on, as a recipe names them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from finetune.spec.section import Section

FINGERPRINT_SUFFIX = ".fingerprint"
TABLES = (".csv", ".tsv", ".jsonl")


class EvaluationSet(Section):
    """One file of an evaluation set; name every language side that there is."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.+-]{0,79}$")]
    """What reports and the model card call it, e.g. `flores-plus-devtest`."""
    path: str
    """The file: text with one sentence a line, a table (`.csv`, `.tsv`, `.jsonl`), or the
    `.fingerprint` that `finetune cards fingerprint` makes of either, which holds no text."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Checksum of the file: `sha256sum FILE`."""
    columns: list[str] = Field(default_factory=list)
    """Of a table: the columns with texts, every language side."""
    overlap: Annotated[float, Field(gt=0, le=1)] = 0.5
    """A training text goes that holds this part of the character 16-grams of one of its texts."""

    @property
    def kind(self) -> Literal["fingerprint", "table", "text"]:
        """Which of the three forms the file has, by its name."""
        suffix = Path(self.path).suffix.lower()
        if suffix == FINGERPRINT_SUFFIX:
            return "fingerprint"
        return "table" if suffix in TABLES else "text"

    @model_validator(mode="after")
    def _columns_of_a_table(self) -> EvaluationSet:
        if (self.kind == "table") != bool(self.columns):
            raise ValueError(
                f"columns: name the columns of {self.path!r} that hold texts"
                if self.kind == "table"
                else f"columns: {self.path!r} has none; leave the key out"
            )
        return self


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
