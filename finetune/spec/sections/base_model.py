"""Section `base` of a recipe: an open model, and where it comes from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from finetune.errors import Unfit
from finetune.messages import Place, problem
from finetune.spec.section import PathText, Section

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]
RepoId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}$"),
]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Quantization = Literal["none", "8bit", "4bit"]
LicenceId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]{0,63}$")]


def is_hub_id(place: str) -> bool:
    """Return whether a place of weights is a Hub id; a path starts with `.`, `/` or `~`."""
    return not place.startswith((".", "/", "~")) and place.count("/") == 1


class Base(Section):
    """Base model."""

    model: PathText
    """Location of the weights: a Hub id (`org/name`), a directory, a `.gguf` file, or
    `package:DIST/PATH` for a file inside an installed package (PATH from site-packages)."""
    further_parts: list[Annotated[str, StringConstraints(pattern=r"^package:[^/]+/.+$")]] = Field(
        default_factory=list
    )
    """Further parts of a `.gguf` file that packages carry in pieces, in order; `model` is the first
    part. Each is `package:DIST/PATH`."""
    hub_id: RepoId | None = None
    """Hub id of the base in the released adapter. Required unless `model` is a Hub id."""
    revision: Revision | None = None
    """Commit of the base on the Hub (40 hex digits). Required if `model` is a Hub id."""
    licence: LicenceId
    """Licence of the base model in the spelling of the Hub (`apache-2.0`, `gemma`, `llama3.2`)."""
    quantization: Quantization = "none"
    """Quantization of the frozen base to 8 or 4 bits (bitsandbytes)."""

    @property
    def package_files(self) -> list[tuple[str, str]]:
        """Distribution and path of each file of a base of kind `package`."""
        if self.kind != "package":
            return []
        names = [one.removeprefix("package:") for one in (self.model, *self.further_parts)]
        return [(name, path) for name, _, path in (one.partition("/") for one in names)]

    @property
    def is_hub(self) -> bool:
        """Return whether `model` has to be fetched from the Hub."""
        return self.kind == "hub"

    @property
    def kind(self) -> Literal["hub", "package", "gguf", "directory"]:
        """Form of `model`; a path starts with `.`, `/` or `~`."""
        if self.model.startswith("package:"):
            return "package"
        if self.model.endswith(".gguf"):
            return "gguf"
        return "hub" if is_hub_id(self.model) else "directory"

    @property
    def released_id(self) -> str:
        """The Hub id that adapter and card name."""
        return self.hub_id or self.model

    @model_validator(mode="after")
    def _names_a_hub_base(self) -> Base:
        if self.further_parts and self.kind != "package":
            raise Unfit(
                problem(
                    "parts-without-package",
                    "only files of packages (`model: package:DIST/PATH`) have further parts; "
                    "remove it",
                    at=Place(key="further_parts"),
                )
            )
        if not self.is_hub and self.hub_id is None:
            raise Unfit(
                problem(
                    "no-hub-id",
                    "needed, because the released adapter must name its base on the Hub, and "
                    "{model!r} is a local model",
                    at=Place(key="hub_id"),
                    model=self.model,
                )
            )
        if self.is_hub and self.revision is None:
            raise Unfit(
                problem(
                    "no-revision",
                    "needed for the Hub model {model!r} (40 hex digits of a commit), so that the "
                    "same recipe always means the same weights",
                    at=Place(key="revision"),
                    model=self.model,
                )
            )
        return self
