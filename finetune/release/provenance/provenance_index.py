"""`provenance.json`: versions, inputs, cards and artefacts of a release.

The file of a stranger is read with the same model that writes ours.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from finetune.sources.archives import refused_name
from finetune.spec.sections.base_model import LicenceId, Name, RepoId
from finetune.spec.sections.source import Sha256

SCHEMA = 1
FOLDER = "provenance"
INDEX, RECIPE, SUMS, TERMS = "provenance.json", "recipe.json", "SHA256SUMS", "terms.json"
CARDS, MANIFESTS, INPUTS = "data_cards", "manifests", "inputs"
MOST_ENTRIES = 10_000
_LINE = 400
_FOLDER = re.compile(r"inputs/[a-z0-9][a-z0-9-]{0,99}")


def _inner(name: str) -> str:
    if why := refused_name(name):
        raise PydanticCustomError("name", "{0}", {"0": why})
    return name


def _in_inputs(folder: str) -> str:
    if not _FOLDER.fullmatch(folder):
        raise PydanticCustomError("folder", "is no folder of `inputs`")
    return folder


Line = Annotated[str, StringConstraints(max_length=_LINE)]
InnerName = Annotated[str, AfterValidator(_inner)]
Stage = Annotated[str, StringConstraints(pattern=r"^[a-z]{1,40}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Software(_Part):
    """finetune itself, as it built the release."""

    version: Line
    commit: Line
    """Hex digits, or `unknown`."""
    changed: bool
    """True if files differed from the commit."""


class LocalInput(_Part):
    """Files of the maker that the recipe names, as checksums."""

    key: Line
    """Key in the recipe."""
    folder: Annotated[str, AfterValidator(_in_inputs)]
    """Their place in the recipe of the release."""
    files: Annotated[dict[InnerName, Sha256], Field(max_length=MOST_ENTRIES)]
    """Name in the folder -> sha256; empty: not recorded."""


class CardNote(_Part):
    """A data card of the recipe."""

    card: Name
    licence: LicenceId
    sha256: Sha256
    """Of what the card states (`card_sha256`)."""
    left_out: Literal["restricted", "withdrawn"] | None
    """Reason for which the card is not included; None: it is in `data_cards`."""


class ArtefactNote(_Part):
    """An artefact that the release was made from."""

    stage: Stage
    key: Key
    role: Line | None
    """Among the inputs of the release; None: an input of an input."""
    manifest: bool
    """True if its manifest is in `manifests`."""

    @property
    def file(self) -> str:
        """Name of its manifest in the folder."""
        return f"{MANIFESTS}/{self.stage}-{self.key}.json"


class ProvenanceIndex(_Part):
    """`provenance.json`."""

    schema_: Annotated[int, Field(alias="schema", ge=SCHEMA, le=SCHEMA)]
    repo: RepoId
    finetune: Software
    packages: Annotated[dict[Line, Line], Field(max_length=MOST_ENTRIES)]
    """Name -> version of what finetune and the recipe need, where the release was built."""
    trained_on: dict[str, Any]
    """Versions and kind of machine of the training."""
    inputs: Annotated[list[LocalInput], Field(max_length=MOST_ENTRIES)]
    cards: Annotated[list[CardNote], Field(max_length=MOST_ENTRIES)]
    artefacts: Annotated[list[ArtefactNote], Field(max_length=MOST_ENTRIES)]
