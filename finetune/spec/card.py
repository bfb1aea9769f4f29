"""A data card: Markdown whose YAML front matter the Hub accepts as a dataset card.

The Hub's own keys stay as the Hub spells them; what the Hub does not know stands in one block,
`corpus`. docs/reference/data-card-fields.md explains every field.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from finetune.errors import Unfit, suggestion
from finetune.messages import Place, Sentence, problem, sentence
from finetune.spec.formats import Format, known_format
from finetune.spec.language import HubLanguage, Language
from finetune.spec.section import Section
from finetune.spec.sections.base_model import LicenceId, Name
from finetune.spec.sections.community_terms import CommunityTerms
from finetune.spec.sections.people import Access, Consent, People, Withdrawals
from finetune.spec.sections.source import LocalSource, PackageSource, Source
from finetune.spec.sections.split_column import SplitColumn
from finetune.spec.values.expressions import Expression, checked, compiled
from finetune.spec.values.table_keys import TABLE_KEYS, Encoding, Header, Quotes, Separator

FormatName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
"""Name of a format in finetune/spec/formats.py or of an installed package; `check` knows them."""
Glottocode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{4}[0-9]{4}$")]
"""Code of glottolog.org for a language or dialect, e.g. `nucl1347`."""
Use = Literal["train-models", "publish-models", "commercial", "research", "education", "share"]


ALL = "all"
"""The line of a withdrawal list that withdraws every record of a card."""


class Variety(Section):
    """Variety of a language; one or several entries per language."""

    language: Language
    """One of `languages`."""
    glottocode: Glottocode | None = None
    """The dialect's or language's code on glottolog.org."""
    dialect: str = ""
    """Dialect or region, in the words of its speakers."""
    orthography: str = ""
    """Spelling standard of the texts, if there is one."""


def _form_of_test(said: Any) -> str:
    if isinstance(said, dict | SplitColumn):
        return "section"
    return "files" if isinstance(said, list) else "word"


Test = Annotated[
    Annotated[Literal["none"] | None, Tag("word")]
    | Annotated[list[str], Tag("files")]
    | Annotated[SplitColumn, Tag("section")],
    Discriminator(_form_of_test),
]
"""The records of the test split: `none`, files, or a column."""


class CorpusBlock(Section):
    """Facts of a corpus that have no key of the Hub."""

    kind: Literal["text", "parallel", "chat"]
    """`text`: documents; `parallel`: the same sentence in several languages; `chat`: conversations
    (or instruction records)."""
    languages: Annotated[list[Language], Field(min_length=1)]
    """Languages in the corpus; a parallel card lists all of them."""
    source: Source
    """Location of the files."""
    format: FormatName
    """Format of the files: one of those in finetune/spec/formats.py, which
    docs/reference/data-card-fields.md lists, or one that an installed package adds."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Contents of the columns. text: `{text: COLUMN}`, and nothing if the files hold running text;
    parallel: `{hau_Latn: COLUMN, ...}`; chat: `{messages: COLUMN}` or
    `{instruction: COLUMN, input: COLUMN, answer: COLUMN}`. What a column is in a format (a tier, a
    code, a part of the path ...) stands with the format. Tables may have `contributor: COLUMN` (who
    gave the text), `names: COLUMN` (people named in it) and `document: COLUMN` (the book, article
    or broadcast that it is a part of)."""
    unit: Literal["line", "paragraph", "verse", "file"] | None = None
    """One text of a file of running text: a line, a paragraph between blank lines (its wrapped
    lines are joined), a verse (USFM), or the whole file. Absent: what the format states."""
    encoding: Encoding = "utf-8"
    """Encoding of text files. UTF-16 is also read without this key, by its byte order mark."""
    separator: Separator | None = None
    """Separator of a table: a sign such as `;`, or `tab`, or `none` for a single column. Needed
    only where the file leaves it in doubt."""
    header: Header | None = None
    """Line (of a sheet: row) of a table with the names of the columns, or `none` if there is none:
    `columns` are then numbers from 1. Needed only where the names in `columns` do not show it."""
    quotes: Quotes | None = None
    """Quotation marks at the beginning of a cell: `quoted` if they enclose it, `literal` if they
    are part of its text. Needed only where the file leaves it in doubt."""
    sheets: list[str] = Field(default_factory=list)
    """Sheets of an Excel file that are read, also if they are hidden. Default: every visible sheet
    that has the columns."""
    test: Test = None
    """Records of the test split. Default: a fraction of the texts, chosen by their hash (recipe:
    `prepare.test_share`). `none`: no record; nothing is claimed for this corpus, which suits a
    small one. A file of this card, or a list: all their records, and no others. `{column: split,
    value: test}`: those with this value in a column of a table."""
    drop_matching: Annotated[str, AfterValidator(checked)] | None = None
    """Texts in which this regular expression finds something are rejected and counted, e.g.
    placeholders of software messages. Python's notation without look-around and back references
    (finetune/spec/values/expressions.py)."""
    admit: list[Literal["unreviewed", "machine"]] = Field(default_factory=list)
    """Translations that are read although their file marks them: `unreviewed` (fuzzy entries of PO,
    states of XLIFF that ask for a review), `machine` (machine translation in TMX and XLIFF)."""
    varieties: list[Variety] = Field(default_factory=list)
    """Dialect and orthography of each language."""
    speakers: People | None = None
    """Authors and speakers of the texts; a plain sentence is taken as `who`."""
    annotators: People | None = None
    """Translators, transcribers and annotators."""
    consent: Consent = Consent.with_defaults()
    """Basis of use, and the way to withdraw texts; a plain sentence is taken as its `statement`."""
    access: Access = Access.with_defaults()
    """Conditions of access to the texts."""
    permitted_uses: list[Use] = Field(default_factory=list)
    """Uses that the owners permit; empty: what the licence permits. Without `train-models` nothing
    is trained, without `publish-models` nothing released, without `commercial` an adapter is
    non-commercial, without `share` the texts are not published."""
    terms: CommunityTerms | None = None
    """Terms of the community behind the texts that no generic licence states."""
    contact: str = ""
    """Contact for questions about the corpus."""
    personal_data: Literal["not-stated", "none-known", "present", "removed"] = "not-stated"
    """Personal data in the texts, as far as the owner knows. `present`, and as long as it is not
    stated: a recipe must mask or drop every kind that a pattern finds."""
    personal_names: Literal["not-stated", "none", "public-figures", "pseudonymised", "present"] = (
        "not-stated"
    )
    """Names of people in the texts; no program finds them in every language. `public-figures`: only
    of people known to all; `pseudonymised`: replaced by others; `present`: also of private people,
    which needs a column `names` (they are masked), or their consent."""
    known_problems: list[str] = Field(default_factory=list)
    """Known problems of the texts, one sentence each."""
    not_established: list[str] = Field(default_factory=list)
    """Facts that could not be established: names of keys (`source.revision`, `license`) or
    sentences. `finetune check` lists them."""
    status: Literal["not-stated", "verified", "not-run", "withdrawn"] = "not-stated"
    """`verified`: the authors opened the corpus and compared it with the card. `not-run`: written
    from documentation; the authors could not open the corpus. `withdrawn`: the owners withdrew it;
    nothing of it is used."""
    withdrawals: Withdrawals | None = None
    """Written by `finetune cards withdraw`, not by hand: the withdrawal list (`withdrawn/NAME.txt`)
    must have these entries."""

    @property
    def is_fetched(self) -> bool:
        """Return whether `finetune fetch` has to get the files from the network."""
        source = self.source
        if isinstance(source, PackageSource):
            return not source.is_installed
        return not isinstance(source, LocalSource)

    @field_validator("consent", mode="before")
    @classmethod
    def _statement(cls, value: Any) -> Any:
        return {"statement": value} if isinstance(value, str) else value

    @field_validator("test", mode="before")
    @classmethod
    def _one_file(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) and value != "none" else value

    @field_validator("speakers", "annotators", mode="before")
    @classmethod
    def _who(cls, value: Any) -> Any:
        return {"who": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _facts_fit(self) -> CorpusBlock:
        for number, variety in enumerate(self.varieties):
            if variety.language not in self.languages:
                raise Unfit(
                    problem(
                        "variety-of-other-language",
                        "{language!r} is none of `languages`: {languages}",
                        at=Place(key=f"varieties[{number}].language"),
                        language=variety.language,
                        languages=self.languages,
                    )
                )
        unpinned = self.source.kind == "hub" and self.source.revision is None
        if unpinned and "source.revision" not in self.not_established:
            raise Unfit(
                problem(
                    "no-revision-of-dataset",
                    "missing; write the commit (40 hex digits) of the dataset, or add "
                    "`source.revision` to `not_established`",
                    at=Place(key="source.revision"),
                )
            )
        return self

    @model_validator(mode="after")
    def _test_files_are_here(self) -> CorpusBlock:
        known = [file.path for file in getattr(self.source, "files", None) or ()]
        for number, name in enumerate(self.test if isinstance(self.test, list) else ()):
            if name not in known:
                raise Unfit(
                    problem(
                        "test-file-not-in-card",
                        "{name!r} is no file of this card{hint}",
                        at=Place(key=f"test[{number}]"),
                        name=name,
                        hint=suggestion(name, known, listed=len(known)),
                    )
                )
        return self

    @model_validator(mode="after")
    def _test_column_fits(self) -> CorpusBlock:
        form = known_format(self.format)
        if not isinstance(self.test, SplitColumn):
            return self
        if form and not form.test_column:
            raise Unfit(
                problem(
                    "test-column-of-other-format",
                    "a column cannot name the test records of the format {format}; name files of "
                    "the card instead",
                    at=Place(key="test"),
                    format=form.name,
                )
            )
        if self.test.column in self.columns.values():
            raise Unfit(
                problem(
                    "test-column-taken",
                    "{column!r} is one of `columns` too; name the column that says which records "
                    "are the test",
                    at=Place(key="test.column"),
                    column=self.test.column,
                )
            )
        return self

    @model_validator(mode="after")
    def _unit_fits_format(self) -> CorpusBlock:
        form = known_format(self.format)
        units = form.units if form and self.kind == "text" else ()
        if form and self.unit is not None and self.unit not in units:
            raise Unfit(
                problem(
                    "unit-of-other-format",
                    "{unit!r} is not for the format {format} in a card of kind {kind}; remove it",
                    at=Place(key="unit"),
                    unit=self.unit,
                    format=form.name,
                    kind=self.kind,
                )
            )
        return self

    @model_validator(mode="after")
    def _columns_fit_kind(self) -> CorpusBlock:
        parallel = self.kind == "parallel"
        if parallel and len(self.languages) < 2:
            raise Unfit(
                problem(
                    "too-few-languages",
                    "a parallel card needs at least two languages",
                    at=Place(key="languages"),
                )
            )
        if not parallel and len(self.languages) != 1:
            raise Unfit(
                problem(
                    "too-many-languages",
                    "a {kind} card has exactly one language",
                    at=Place(key="languages"),
                    kind=self.kind,
                )
            )
        # `check` reports an unknown name: the package that reads it is missing
        form = known_format(self.format) or Format(self.format, read="", documents=True)
        if self.kind not in form.kinds:
            raise Unfit(
                problem(
                    "format-of-other-kind",
                    "`{format}` is for cards of kind {kinds}, and this card is of kind {kind}",
                    at=Place(key="format"),
                    format=form.name,
                    kinds=form.kinds,
                    kind=self.kind,
                )
            )
        for key in TABLE_KEYS:
            if known_format(self.format) and key not in form.keys and self._states(key):
                raise Unfit(
                    problem(
                        "key-of-other-format",
                        "is not for the format {format}; remove it",
                        at=Place(key=key),
                        format=form.name,
                    )
                )
        missing = [lang for lang in self.languages if lang not in self.columns]
        if parallel and missing:
            raise self._lacks(sentence("no column for {languages}", languages=missing))
        if self.kind == "text" and not form.documents and "text" not in self.columns:
            example = "{text: COLUMN}"
            raise self._lacks(sentence("name the column of the text: {example}", example=example))
        if self.kind == "chat" and not (
            {"messages"} <= set(self.columns) or {"instruction", "answer"} <= set(self.columns)
        ):
            raise self._lacks(sentence("needs `messages`, or `instruction` and `answer`"))
        return self

    def _states(self, key: str) -> bool:
        """Return whether a key differs from its default."""
        return bool(
            getattr(self, key)
            != type(self).model_fields[key].get_default(call_default_factory=True)
        )

    @staticmethod
    def _lacks(what: Sentence) -> Unfit:
        return Unfit(problem("columns-lack", what, at=Place(key="columns")))


class DataCard(Section):
    """A card as read from its file; unknown Hub keys were checked and kept in `hub_metadata`."""

    name: Name
    """The file's name without `.md`."""
    path: Path
    """The card's file."""
    language: list[HubLanguage]
    """ISO 639-1 or 639-3 codes, which the Hub takes."""
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
        """Return whether the whole card was withdrawn."""
        return self.corpus.status == "withdrawn" or ALL in self.withdrawn

    @model_validator(mode="after")
    def _other_is_named(self) -> DataCard:
        if self.license == "other" and not (self.license_name and self.license_link):
            raise Unfit(
                problem(
                    "licence-without-name",
                    "`other` needs license_name and license_link",
                    at=Place(key="license"),
                )
            )
        return self

    @field_validator("license", mode="before")
    @classmethod
    def _hub_spelling(cls, value: Any) -> Any:
        if isinstance(value, str) and value != value.lower():
            raise Unfit(
                problem(
                    "licence-in-capitals",
                    "{licence!r}: the Hub writes licences in small letters: {small}",
                    licence=value,
                    small=value.lower(),
                )
            )
        return value


def drop_pattern(card: DataCard) -> Expression | None:
    """Return what the card's `drop_matching` looks for, if it has one."""
    pattern = card.corpus.drop_matching
    return compiled(pattern) if pattern else None
