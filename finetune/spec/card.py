"""A data card: Markdown whose YAML front matter the Hub accepts as a dataset card.

The Hub's own keys stay as the Hub spells them; what the Hub does not know stands in one block,
`corpus`. Owners of texts write it, so every field is explained in docs/data-cards.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from finetune.spec.language import Language
from finetune.spec.recipe import LicenceId, Name, RepoId, Revision, Section

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Format = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
"""Name of a reader in finetune/registry.py or of an installed plug-in; `check` knows them."""


class File(Section):
    """One file of a corpus. `path` is relative to the card, or to site-packages for a package."""

    path: str
    """Path of the file; may not leave the folder of the card (or of the package)."""
    sha256: Sha256
    """Checksum of the file: `sha256sum FILE`."""


class LocalSource(Section):
    """Files beside the card."""

    kind: Literal["files"]
    files: Annotated[list[File], Field(min_length=1)]
    """The files, read in this order."""


class PackageSource(Section):
    """Files inside an installed Python package."""

    kind: Literal["package"]
    package: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9._+-]+$")]
    """Distribution and exact version, e.g. `kolibri==0.19.5`."""
    files: Annotated[list[File], Field(min_length=1)]
    """The files, read in this order; paths start at site-packages."""


class HubSource(Section):
    """A dataset on the Hub at a pinned revision."""

    kind: Literal["hub"]
    dataset: RepoId
    """Dataset id, `org/name`."""
    revision: Revision
    """Commit of the dataset (40 hex digits)."""
    config: str | None = None
    """Configuration of the dataset, if it has several."""
    split: str = "train"
    """Split to read."""


Source = Annotated[LocalSource | PackageSource | HubSource, Field(discriminator="kind")]


class CorpusBlock(Section):
    """What the Hub's keys cannot say about a corpus."""

    kind: Literal["text", "parallel", "chat"]
    """`text`: documents; `parallel`: the same sentence in several languages; `chat`: conversations
    (or instruction records)."""
    languages: Annotated[list[Language], Field(min_length=1)]
    """Languages in the corpus; a parallel card lists every side."""
    source: Source
    """Where the files are."""
    format: Format
    """`text`: one document a line; `jsonl`, `csv`, `tsv`, `parquet`: records; `messages`: JSON
    files of key -> text, one file a language, paired by key (software translations). Or the name
    of an installed plug-in's reader."""
    columns: dict[str, str] = Field(default_factory=dict)
    """What is in which column. text: `{text: COLUMN}`; parallel: `{hau_Latn: COLUMN, ...}`
    (messages: `{hau_Latn: PATH-PART}`, the part of a path that tells the language); chat:
    `{messages: COLUMN}` or `{instruction: COLUMN, input: COLUMN, answer: COLUMN}`."""
    encoding: Literal["utf-8", "utf-16"] = "utf-8"
    """Encoding of text files."""
    drop_matching: str | None = None
    """Texts in which this regular expression finds something are rejected and counted, e.g.
    placeholders of software messages."""
    consent: str = ""
    """On which basis the texts may be used, and who may withdraw them."""
    contact: str = ""
    """Whom to ask about the corpus."""
    personal_data: Literal["none-known", "present", "removed"] = "none-known"
    """Whether the texts hold personal data, as far as the owner knows."""
    status: Literal["verified", "not-run"] = "verified"
    """`not-run`: written from documentation; the authors could not open the corpus."""

    @model_validator(mode="after")
    def _columns_fit_kind(self) -> CorpusBlock:
        if self.kind == "parallel":
            if len(self.languages) < 2:
                raise ValueError("languages: a parallel card needs at least two languages")
            missing = [lang for lang in self.languages if lang not in self.columns]
            if missing:
                raise ValueError(f"columns: no column for {', '.join(missing)}")
        elif len(self.languages) != 1:
            raise ValueError(f"languages: a {self.kind} card has exactly one language")
        if self.kind == "text" and self.format != "text" and "text" not in self.columns:
            raise ValueError("columns: say which column holds the text: {text: COLUMN}")
        if self.kind == "chat" and not (
            {"messages"} <= set(self.columns) or {"instruction", "answer"} <= set(self.columns)
        ):
            raise ValueError("columns: needs `messages`, or `instruction` and `answer`")
        if (self.format == "messages") != (self.kind == "parallel" and self.format == "messages"):
            raise ValueError("format: `messages` is for parallel cards")
        if self.format == "text" and self.kind != "text":
            raise ValueError(f"format: `text` holds documents, not {self.kind} records")
        return self


class DataCard(Section):
    """A card as read from its file; unknown Hub keys were checked and kept in `hub_metadata`."""

    name: Name
    """The file's name without `.md`."""
    path: Path
    """The card's file."""
    language: list[str]
    """ISO 639 codes, as the Hub wants them."""
    license: LicenceId
    """Hub licence id, or `other` with `license_name` and `license_link`."""
    license_name: str | None = None
    license_link: str | None = None
    pretty_name: str
    """Title for people."""
    corpus: CorpusBlock
    hub_metadata: dict[str, object] = Field(default_factory=dict)
    """The other keys of the front matter (Hub keys), as written."""
    body: str
    """The Markdown below the front matter."""

    @model_validator(mode="after")
    def _other_is_named(self) -> DataCard:
        if self.license == "other" and not (self.license_name and self.license_link):
            raise ValueError("license: `other` needs license_name and license_link")
        return self
