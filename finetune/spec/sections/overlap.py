"""Sections of a recipe on near duplicates and contamination."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from finetune.errors import Unfit
from finetune.messages import Place, problem
from finetune.spec.section import PathText, Section

FINGERPRINT_SUFFIX = ".fingerprint"
TABLES = (".csv", ".tsv", ".jsonl")


class EvaluationSet(Section):
    """A file of an evaluation set; list every language version of it."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.+-]*$", max_length=80)]
    """Name in reports and on the model card, for example `flores-plus-devtest`."""
    path: PathText
    """The file: text with one sentence per line, a table (`.csv`, `.tsv`, `.jsonl`), or the
    `.fingerprint` that `finetune cards fingerprint` makes of either, which contains no text."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Checksum of the file: `sha256sum FILE`."""
    columns: list[str] = Field(default_factory=list)
    """Columns of a table that contain texts, in every language."""
    overlap: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Contamination threshold: a training text that contains this fraction of the character
    16-grams of an evaluation text is removed."""

    @property
    def kind(self) -> Literal["fingerprint", "table", "text"]:
        """Form of the file, by its name."""
        suffix = Path(self.path).suffix.lower()
        if suffix == FINGERPRINT_SUFFIX:
            return "fingerprint"
        return "table" if suffix in TABLES else "text"

    @model_validator(mode="after")
    def _columns_of_a_table(self) -> EvaluationSet:
        if (self.kind == "table") != bool(self.columns):
            raise Unfit(
                problem(
                    "no-columns",
                    "name the columns of {path!r} that contain texts",
                    at=Place(key="columns"),
                    path=self.path,
                )
                if self.kind == "table"
                else problem(
                    "columns-of-no-table",
                    "{path!r} has none; leave the key out",
                    at=Place(key="columns"),
                    path=self.path,
                )
            )
        return self


class Duplicates(Section):
    """Near-duplicate removal; exact duplicates are always removed."""

    near: Literal["off"] | Annotated[float, Field(ge=0.5, le=1)] = 0.8
    """Jaccard similarity of character 5-grams from which texts are near duplicates: one is kept,
    and near copies of validation and test texts are removed from training. 0.8 is one typing error
    per 45 characters. `off`: only exact duplicates are removed."""
    min_characters: Annotated[int, Field(ge=1)] = 40
    """Minimum length for near duplicates. In shorter texts one word changes the meaning (`Delete
    class`, `Delete classes`), so only case, digits' script, punctuation and space may differ."""

    minimal_pair_characters: Annotated[int, Field(ge=0)] = 200
    """Maximum length of minimal pairs: near texts that differ in a word or number that matters
    (left, right; 1998, 2002). Both are kept for training. 0: only one of them is kept."""

    @property
    def threshold(self) -> float:
        """Similarity of near duplicates; above 1 if the search is off."""
        return 2.0 if self.near == "off" else self.near
