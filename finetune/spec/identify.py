"""The section `prepare.identify`: which models say what language a text is in, and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from finetune.spec.language import Language
from finetune.spec.section import Section

Packaged = Literal["py3langid", "franc", "heliport"]
PACKAGES: Mapping[str, str] = {
    "py3langid": "py3langid",
    "franc": "pyfranc",
    "heliport": "heliport",
}
"""Packaged model -> the distribution that holds it."""
EXTRAS: Mapping[str, str] = {"heliport": "heliport"}
"""Packaged model -> the extra of ours that installs it; the others come with finetune."""
Share = Annotated[float, Field(gt=0, lt=1)]


class FastTextModel(Section):
    """A language-identification model in fastText's format: GlotLID, OpenLID, IndicLID, lid.176."""

    fasttext: str
    """Path of the file (`.bin` or `.ftz`)."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Checksum of the file: `sha256sum FILE`. Keys and the lock hold it, and never the path."""

    @property
    def name(self) -> str:
        """What reports call the model: the name of its file."""
        return Path(self.fasttext).name


class Identify(Section):
    """Whether each text is in the language that its card says, line by line."""

    action: Literal["report", "drop", "off"] = "report"
    """`report` counts what looks like another language or script and changes nothing; `drop` also
    leaves such texts out (reasons `other-language`, `other-script`); `off` looks at nothing. A
    language that no model knows is never dropped."""
    models: tuple[Packaged | FastTextModel, ...] = ("py3langid", "franc")
    """Models, the most trusted first. `py3langid` and `franc` come with finetune; `heliport` is an
    extra (its licence is GPL-3.0); `{fasttext: PATH, sha256: SUM}` is a file of yours. A model is
    only asked about languages that it knows."""
    contrast: tuple[Language, ...] = ("eng_Latn", "fra_Latn")
    """Languages that may have strayed into the texts, beside those of the recipe's cards and the
    near relatives that finetune knows. Only these can be found."""
    thresholds: dict[Language, Share] = Field(default_factory=dict)
    """How sure a model must be before a text that claims a language is called another one; by the
    language claimed. Default: what was measured for the model (docs/language-id.md)."""
    min_letters: Annotated[int, Field(ge=1)] = 20
    """Lines with fewer letters are too short to judge by more than their script."""
    fallback: bool = True
    """For a language that no model knows: a small classifier trained on the cards themselves."""
    warn_share: Share = 0.05
    """Warn loudly when a larger share of a card's texts looks like something else."""
    drop_share: Share = 0.5
    """With `drop`: a text goes when the lines that look like something else hold more than this
    share of its letters. Texts are kept or dropped whole."""

    @property
    def files(self) -> tuple[FastTextModel, ...]:
        """The models that are files of the user."""
        return tuple(model for model in self.models if isinstance(model, FastTextModel))

    @model_validator(mode="after")
    def _each_once(self) -> Identify:
        names = [m if isinstance(m, str) else m.name for m in self.models]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"models: {twice[0]!r} is there twice; name each model once")
        return self
