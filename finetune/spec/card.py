"""A data card: Markdown whose YAML front matter the Hub accepts as a dataset card.

The Hub's own keys stay as the Hub spells them; what the Hub does not know stands in one block,
`corpus`. Owners of texts write it, so every field is explained in docs/data-cards.md.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from finetune.errors import DataError
from finetune.spec.formats import Format, known_format
from finetune.spec.language import Language
from finetune.spec.recipe import LicenceId, Name, RepoId, Revision
from finetune.spec.section import Section

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FormatName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
"""Name of a format in finetune/spec/formats.py or of an installed package; `check` knows them."""
Glottocode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{4}[0-9]{4}$")]
"""Code of glottolog.org for a language or dialect, e.g. `nucl1347`."""
Use = Literal["train-models", "publish-models", "commercial", "research", "education", "share"]


def _inside(path: str) -> str:
    r"""Refuse a path that leaves its folder, on any system.

    >>> _inside("texts/a.txt")
    'texts/a.txt'
    """
    parts = path.split("/")
    if path.startswith(("/", "~")) or ".." in parts or "\\" in path or path[1:2] == ":":
        raise ValueError(f"{path!r} leaves the folder; name a file inside it, with `/` between")
    if not path.isprintable() or "" in parts:
        raise ValueError(f"{path!r} holds an empty part or an invisible character")
    return path


ALL = "all"
"""The line of a withdrawal list that withdraws every record of a card."""
InnerPath = Annotated[str, AfterValidator(_inside)]


class File(Section):
    """One file of a corpus. `path` is relative to the card, or to site-packages for a package."""

    path: InnerPath
    """Path of the file; may not leave the folder of the card (or of the package)."""
    sha256: Sha256
    """Checksum of the file: `sha256sum FILE`."""


class LocalSource(Section):
    """Files beside the card."""

    kind: Literal["files"]
    files: Annotated[list[File], Field(min_length=1)]
    """The files, read in this order."""


_PYPI = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9._+-]+")
_NPM = re.compile(
    r"(@[a-z0-9][a-z0-9._~-]*/)?[a-z0-9][a-z0-9._~-]*==[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?"
)


class PackageSource(Section):
    """Files inside a package of an exact version: an installed Python package, or one of npm."""

    kind: Literal["package"]
    package: str
    """Name and exact version, e.g. `kolibri==0.19.5`."""
    registry: Literal["pypi", "npm"] = "pypi"
    """`pypi`: an installed Python package. `npm`: `finetune fetch` gets it with your own `npm`."""
    files: Annotated[list[File], Field(min_length=1)]
    """The files, read in this order; paths start at site-packages, those of npm with `package/`."""

    @property
    def is_installed(self) -> bool:
        """Whether the files lie in site-packages, rather than being fetched."""
        return self.registry == "pypi"

    @model_validator(mode="after")
    def _exact(self) -> PackageSource:
        if not (_PYPI if self.is_installed else _NPM).fullmatch(self.package):
            raise ValueError(
                f"package: {self.package!r} is no NAME==VERSION of {self.registry}; write the "
                "exact version, e.g. kolibri==0.19.5"
            )
        return self


class HubSource(Section):
    """A dataset on the Hub at a pinned revision."""

    kind: Literal["hub"]
    dataset: RepoId
    """Dataset id, `org/name`."""
    revision: Revision | None = None
    """Commit of the dataset (40 hex digits). Without one the corpus cannot be fetched, and
    `not_established` must list `source.revision`."""
    config: str | None = None
    """Configuration of the dataset, if it has several."""
    split: str = "train"
    """Split to read."""


class UrlFile(Section):
    """One file on the web, fetched once by `finetune fetch`."""

    url: Annotated[
        str, StringConstraints(pattern=r"^(https://|http://(localhost|127\.0\.0\.1)[:/])\S+$")
    ]
    """Address; only https."""
    path: InnerPath
    """What messages, reports and readers call the file."""
    sha256: Sha256
    """Checksum of the file."""


class UrlSource(Section):
    """Files on the web."""

    kind: Literal["url"]
    files: Annotated[list[UrlFile], Field(min_length=1)]
    """The files, read in this order."""


Source = Annotated[LocalSource | PackageSource | HubSource | UrlSource, Field(discriminator="kind")]


class Variety(Section):
    """Which form of a language it is; one entry a language, or several."""

    language: Language
    """One of `languages`."""
    glottocode: Glottocode | None = None
    """The dialect's or language's code on glottolog.org."""
    dialect: str = ""
    """Dialect or region, in the words of its speakers."""
    orthography: str = ""
    """Which spelling standard the texts follow, if one."""


class People(Section):
    """Who spoke, wrote, translated or labelled, as far as they agreed to tell."""

    who: str
    """In a sentence: who they are, their first language, how they were found."""
    number: Annotated[int, Field(ge=0)] | None = None
    """How many."""
    compensation: str = ""
    """Whether and how they were paid."""


class Consent(Section):
    """On which basis the texts may be used, and how that ends."""

    basis: Literal["written", "spoken", "community", "licence", "public-domain", "not-stated"] = (
        "not-stated"
    )
    """`written` or `spoken`: every contributor agreed. `community`: its council did. `licence`:
    published under a licence, nobody was asked."""
    statement: str = ""
    """What was agreed, in a sentence."""
    withdrawal: str = ""
    """Who may withdraw texts, and how they ask for it."""
    expires: date | None = None
    """Last day on which it holds; after it nothing is trained or released."""

    @property
    def sentence(self) -> str:
        """All of it in one line for people; empty if nothing is stated."""
        parts = [f"{self.basis}: {self.statement}".removeprefix("not-stated: ").removesuffix(": ")]
        parts += [f"withdrawal: {self.withdrawal}"] if self.withdrawal else []
        parts += [f"until {self.expires}"] if self.expires else []
        return "; ".join(part for part in parts if part not in ("", "not-stated"))


class Access(Section):
    """Whether somebody has to say yes before the texts are used."""

    kind: Literal["open", "agree", "ask"] = "open"
    """`agree`: whoever accepts the conditions. `ask`: the owner decides on each request."""
    conditions: str = ""
    """What one has to accept."""


class CorpusBlock(Section):
    """What the Hub's keys cannot say about a corpus."""

    kind: Literal["text", "parallel", "chat"]
    """`text`: documents; `parallel`: the same sentence in several languages; `chat`: conversations
    (or instruction records)."""
    languages: Annotated[list[Language], Field(min_length=1)]
    """Languages in the corpus; a parallel card lists every side."""
    source: Source
    """Where the files are."""
    format: FormatName
    """What the files are: one of the formats in finetune/spec/formats.py, which docs/data-cards.md
    lists, or one that an installed package adds."""
    columns: dict[str, str] = Field(default_factory=dict)
    """What is in which column. text: `{text: COLUMN}`, and nothing if the files hold running text;
    parallel: `{hau_Latn: COLUMN, ...}`; chat: `{messages: COLUMN}` or
    `{instruction: COLUMN, input: COLUMN, answer: COLUMN}`. What a column is in a format (a tier, a
    code, a part of the path ...) stands with the format. Tables may have `contributor: COLUMN` (who
    gave the text) and `names: COLUMN` (people named in it)."""
    encoding: Literal["utf-8", "utf-16"] = "utf-8"
    """Encoding of text files."""
    drop_matching: str | None = None
    """Texts in which this regular expression finds something are rejected and counted, e.g.
    placeholders of software messages."""
    varieties: list[Variety] = Field(default_factory=list)
    """Dialect and orthography of each language."""
    speakers: People | None = None
    """Who spoke or wrote the texts; a plain sentence is taken as `who`."""
    annotators: People | None = None
    """Who translated, transcribed or labelled them."""
    consent: Consent = Consent()
    """On which basis the texts may be used, and who may withdraw them; a plain sentence is taken
    as its `statement`."""
    access: Access = Access()
    """Whether somebody has to say yes before the texts are used."""
    permitted_uses: list[Use] = Field(default_factory=list)
    """Uses that the owners permit; empty: what the licence permits. Without `train-models` nothing
    is trained, without `publish-models` nothing released, without `commercial` an adapter is
    non-commercial, without `share` the texts are not published."""
    contact: str = ""
    """Whom to ask about the corpus."""
    personal_data: Literal["none-known", "present", "removed"] = "none-known"
    """Whether the texts hold personal data, as far as the owner knows. `present`: a recipe must
    mask or drop every kind that a pattern finds."""
    personal_names: Literal["not-stated", "none", "public-figures", "pseudonymised", "present"] = (
        "not-stated"
    )
    """Names of people in the texts; no program finds them in every language. `public-figures`: only
    of people known to all; `pseudonymised`: replaced by others; `present`: also of private people,
    which needs a column `names` (they are masked), or their consent."""
    known_problems: list[str] = Field(default_factory=list)
    """What is known to be wrong with the texts, a sentence each."""
    not_established: list[str] = Field(default_factory=list)
    """Facts that could not be found out: names of keys (`source.revision`, `license`) or sentences.
    `finetune check` says them."""
    status: Literal["verified", "not-run", "withdrawn"] = "verified"
    """`not-run`: written from documentation; the authors could not open the corpus. `withdrawn`:
    the owners took it back; nothing of it is used any more."""

    @property
    def is_fetched(self) -> bool:
        """Whether `finetune fetch` has to get the files from the network."""
        source = self.source
        if isinstance(source, PackageSource):
            return not source.is_installed
        return isinstance(source, HubSource | UrlSource)

    @field_validator("consent", mode="before")
    @classmethod
    def _statement(cls, value: Any) -> Any:
        return {"statement": value} if isinstance(value, str) else value

    @field_validator("speakers", "annotators", mode="before")
    @classmethod
    def _who(cls, value: Any) -> Any:
        return {"who": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _facts_fit(self) -> CorpusBlock:
        for number, variety in enumerate(self.varieties):
            if variety.language not in self.languages:
                raise ValueError(
                    f"varieties[{number}].language: {variety.language!r} is none of `languages`: "
                    f"{', '.join(self.languages)}"
                )
        unpinned = isinstance(self.source, HubSource) and self.source.revision is None
        if unpinned and "source.revision" not in self.not_established:
            raise ValueError(
                "source.revision: missing; write the commit (40 hex digits) of the dataset, or add "
                "`source.revision` to `not_established`"
            )
        return self

    @model_validator(mode="after")
    def _columns_fit_kind(self) -> CorpusBlock:
        parallel = self.kind == "parallel"
        if parallel and len(self.languages) < 2:
            raise ValueError("languages: a parallel card needs at least two languages")
        if not parallel and len(self.languages) != 1:
            raise ValueError(f"languages: a {self.kind} card has exactly one language")
        # a name that nobody knows here is told by `check`: the package that reads it is missing
        form = known_format(self.format) or Format(self.format, read="", documents=True)
        if self.kind not in form.kinds:
            if form.documents:
                raise ValueError(f"format: `{form.name}` holds documents, not {self.kind} records")
            raise ValueError(f"format: `{form.name}` is for {' and '.join(form.kinds)} cards")
        missing = [lang for lang in self.languages if lang not in self.columns]
        if parallel and missing:
            raise ValueError(f"columns: no column for {', '.join(missing)}")
        if self.kind == "text" and not form.documents and "text" not in self.columns:
            raise ValueError("columns: say which column holds the text: {text: COLUMN}")
        if self.kind == "chat" and not (
            {"messages"} <= set(self.columns) or {"instruction", "answer"} <= set(self.columns)
        ):
            raise ValueError("columns: needs `messages`, or `instruction` and `answer`")
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
    withdrawn: frozenset[str] = frozenset()
    """Hashes of withdrawn records, or `all`; from `withdrawn/NAME.txt` beside the card."""

    @property
    def is_withdrawn(self) -> bool:
        """Whether the whole card was withdrawn."""
        return self.corpus.status == "withdrawn" or ALL in self.withdrawn

    @model_validator(mode="after")
    def _other_is_named(self) -> DataCard:
        if self.license == "other" and not (self.license_name and self.license_link):
            raise ValueError("license: `other` needs license_name and license_link")
        return self

    @field_validator("license", mode="before")
    @classmethod
    def _hub_spelling(cls, value: Any) -> Any:
        if isinstance(value, str) and value != value.lower():
            raise ValueError(
                f"{value!r}: the Hub spells licences in small letters: {value.lower()}"
            )
        return value


def drop_pattern(card: DataCard) -> re.Pattern[str] | None:
    """Return what the card's `drop_matching` looks for, if it has one.

    Raises DataError if it is no regular expression.
    """
    pattern = card.corpus.drop_matching
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise DataError(
            f"{card.path}: corpus.drop_matching: {pattern!r} is no regular expression: {error}"
        ) from None
