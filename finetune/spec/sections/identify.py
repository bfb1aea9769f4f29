"""Section `prepare.identify` of a recipe: language identification."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from finetune.errors import Unfit
from finetune.messages import Place, problem
from finetune.spec.language import Language
from finetune.spec.section import PathText, Section

Packaged = Literal["py3langid", "franc", "heliport"]
PACKAGES: Mapping[str, str] = {
    "py3langid": "py3langid",
    "franc": "pyfranc",
    "heliport": "heliport",
}
"""Packaged model -> the distribution that holds it."""
Share = Annotated[float, Field(gt=0, lt=1)]


class FastTextModel(Section):
    """A language-identification model in fastText's format: GlotLID, OpenLID, IndicLID, lid.176."""

    fasttext: PathText
    """Path of the file (`.bin` or `.ftz`)."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Checksum of the file: `sha256sum FILE`. Keys and the lock hold it instead of the path."""

    @property
    def name(self) -> str:
        """Name of the model in reports: its file name."""
        return Path(self.fasttext).name


class Identify(Section):
    """Language identification of each text, per line."""

    action: Literal["report", "drop", "off"] = "report"
    """`report` counts texts in another language or script; `drop` also rejects them (reasons
    `other-language`, `other-script`); `off` checks nothing. Texts in a language without a model
    are kept."""
    models: tuple[Packaged | FastTextModel, ...] = ("py3langid", "franc")
    """Models, the most reliable first. `py3langid` and `franc` come with the extra `langid`,
    `heliport` is an extra of its own (licence GPL-3.0); `{fasttext: PATH, sha256: SUM}` is a file
    of yours. A model judges only the languages that it supports."""
    contrast: tuple[Language, ...] = ("eng_Latn", "fra_Latn")
    """Other languages that may occur in the texts, beside those of the cards and the closely
    related languages that finetune knows. Only these can be detected."""
    thresholds: dict[Language, Share] = Field(default_factory=dict)
    """Confidence threshold for another language, by declared language. Default: the measured value
    of the model (docs/data/language-id.md)."""
    min_letters: Annotated[int, Field(ge=1)] = 20
    """Minimum number of letters; in shorter lines only the script is checked."""
    fallback: bool = True
    """Train a small classifier on the cards for languages without a model."""
    warn_share: Share = 0.05
    """Fraction of texts in another language from which a warning is shown."""
    drop_share: Share = 0.5
    """With `drop`: fraction of letters in lines of another language from which a text is rejected.
    Texts are kept or rejected as a whole."""

    @property
    def files(self) -> tuple[FastTextModel, ...]:
        """Models from files of the user."""
        return tuple(model for model in self.models if isinstance(model, FastTextModel))

    @model_validator(mode="after")
    def _each_once(self) -> Identify:
        names = [m if isinstance(m, str) else m.name for m in self.models]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise Unfit(
                problem(
                    "named-twice",
                    "{name!r} is there twice; name each once",
                    at=Place(key="models"),
                    name=twice[0],
                )
            )
        return self
