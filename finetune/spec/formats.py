"""The formats of corpora: one row each, and those that installed packages add.

A row says all that the program knows of a format; the function that reads it stands in
`finetune/readers/` and is imported when a file is read. A package outside adds a format with an
entry point of the format's name, which leads to a `Format` (or only to a function that reads
records with columns):

    [project.entry-points."finetune.readers"]
    radio = "my_package.radio:FORMAT"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune.errors import RecipeError
from finetune.spec.entry_points import find, installed, load, loaded, origin

GROUP = "finetune.readers"


@dataclass(frozen=True, slots=True)
class Format:
    """What is known of a format of files."""

    name: str
    """What `corpus.format` of a card says."""
    read: str
    """"module:function" of `read(files, *, corpus) -> iterator of finetune.readers.record.Record`,
    which raises DataError with file and line for what it cannot read."""
    suffixes: tuple[str, ...] = ()
    """How names of such files end, in small letters; no two formats share one."""
    kinds: tuple[str, ...] = ("text", "parallel", "chat")
    """Kinds of cards that it can be read for."""
    documents: bool = False
    """Whether its files hold running text and nothing else: a `text` card of it has no columns."""
    line_per_text: bool = False
    """Whether each line of a file is a text."""
    columns: str = ""
    """"module:function" that returns the names that `columns` may use in a file, if its files name
    them."""
    fixed_columns: tuple[str, ...] = ()
    """The names themselves, if they are the same in every file: the original, its translation."""
    columns_are: str = "columns"
    """What the names are, for the card guide."""
    extra: str = ""
    """Optional extra of this project (pyproject.toml) with what reading it needs."""
    packages: tuple[str, ...] = ()
    """Packages of PyPI that reading it needs, beyond what is always there."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What such a file is and what one text of it is, in English (`en`) and French (`fr`)."""
    hostile: bytes = b""
    """A small file that must be refused in words, never with a traceback; a test tries it."""

    @property
    def has_columns(self) -> bool:
        """Whether a file tells what `columns` of its card can name."""
        return bool(self.columns or self.fixed_columns)

    def in_words(self, lang: str) -> str:
        """Return the name, and in brackets what it is."""
        said = self.words.get(lang) or self.words.get("en")
        return f"{self.name} ({said})" if said else self.name


_ROWS = (
    Format(
        "text",
        "finetune.readers.tables:read_text",
        suffixes=(".txt", ".text"),
        kinds=("text",),
        documents=True,
        line_per_text=True,
        words={"en": "plain text, one text per line", "fr": "texte simple, un texte par ligne"},
        hostile=b"caf\xe9\n",
    ),
    Format(
        "csv",
        "finetune.readers.tables:read_csv",
        suffixes=(".csv",),
        columns="finetune.readers.tables:csv_columns",
        words={
            "en": "table with commas between columns and a line of names",
            "fr": "tableau, virgules entre les colonnes et une ligne de noms",
        },
        hostile=b'text\n"a\n',
    ),
    Format(
        "tsv",
        "finetune.readers.tables:read_tsv",
        suffixes=(".tsv", ".tab"),
        columns="finetune.readers.tables:tsv_columns",
        words={
            "en": "table with tabs between columns and a line of names",
            "fr": "tableau, tabulations entre les colonnes et une ligne de noms",
        },
        hostile=b"text\tother\na\n",
    ),
    Format(
        "jsonl",
        "finetune.readers.tables:read_jsonl",
        suffixes=(".jsonl", ".ndjson"),
        columns="finetune.readers.tables:jsonl_columns",
        columns_are="keys",
        words={"en": "one JSON record per line", "fr": "un enregistrement JSON par ligne"},
        hostile=b"{x}\n",
    ),
    Format(
        "parquet",
        "finetune.readers.tables:read_parquet",
        suffixes=(".parquet",),
        columns="finetune.readers.tables:parquet_columns",
        words={"en": "table of a data set", "fr": "tableau d'un jeu de données"},
        hostile=b"PAR1 nothing PAR1",
    ),
    Format(
        "messages",
        "finetune.readers.tables:read_messages",
        kinds=("parallel",),
        columns_are="the part of a path that tells the language",
        words={
            "en": "JSON files of key and text, one per language, paired by key (translations of "
            "software)",
            "fr": "fichiers JSON de clés et de textes, un par langue, appariés par clé "
            "(traductions de logiciels)",
        },
        hostile=b"\xe9",
    ),
    Format(
        "xlsx",
        "finetune.readers.office:read_xlsx",
        suffixes=(".xlsx",),
        columns="finetune.readers.office:xlsx_columns",
        extra="office",
        packages=("openpyxl", "defusedxml"),
        words={
            "en": "Excel sheets with a row of names",
            "fr": "feuilles Excel avec une ligne de noms",
        },
        hostile=b"PK\x03\x04 nothing",
    ),
    Format(
        "docx",
        "finetune.readers.office:read_docx",
        suffixes=(".docx",),
        kinds=("text",),
        documents=True,
        extra="office",
        packages=("python-docx",),
        words={
            "en": "Word file, one text per paragraph",
            "fr": "fichier Word, un texte par paragraphe",
        },
        hostile=b"<html>",
    ),
    Format(
        "pdf",
        "finetune.readers.office:read_pdf",
        suffixes=(".pdf",),
        kinds=("text",),
        documents=True,
        extra="office",
        packages=("pypdf",),
        words={
            "en": "PDF with a text layer, one text per page",
            "fr": "PDF avec du texte, un texte par page",
        },
        hostile=b"%PDF-1.4 nothing",
    ),
    Format(
        "html",
        "finetune.readers.html:read_html",
        suffixes=(".html", ".htm"),
        kinds=("text", "parallel"),
        documents=True,
        columns_are="the part of a path that tells the language",
        words={
            "en": "web pages, one text per paragraph, list item or heading; or the same page in "
            "several languages, paired by its structure",
            "fr": "pages web, un texte par paragraphe, élément de liste ou titre ; ou la même page "
            "en plusieurs langues, appariée par sa structure",
        },
        hostile=b"<p>caf\xe9",
    ),
    Format(
        "subtitles",
        "finetune.readers.subtitles:read_subtitles",
        suffixes=(".srt", ".vtt"),
        kinds=("text",),
        documents=True,
        extra="subtitles",
        packages=("webvtt-py",),
        words={
            "en": "subtitles (SRT or WebVTT), one text per stretch of speech without a pause",
            "fr": "sous-titres (SRT ou WebVTT), un texte par passage parlé sans pause",
        },
        hostile=b"1\n00:00:01 -->\nBenn.\n",
    ),
    Format(
        "tmx",
        "finetune.readers.translations:read_tmx",
        suffixes=(".tmx",),
        columns="finetune.readers.translations:tmx_languages",
        columns_are="codes of languages, e.g. `fr-FR`",
        extra="translations",
        packages=("defusedxml",),
        words={
            "en": "translation memory, one record per unit",
            "fr": "mémoire de traduction, un enregistrement par unité",
        },
        hostile=b"<tmx><tu>",
    ),
    Format(
        "po",
        "finetune.readers.translations:read_po",
        suffixes=(".po",),
        fixed_columns=("msgid", "msgstr"),
        extra="translations",
        packages=("polib",),
        words={
            "en": "gettext catalogue, one record per entry",
            "fr": "catalogue gettext, un enregistrement par entrée",
        },
        hostile=b'msgid "a\nmsgstr',
    ),
    Format(
        "xliff",
        "finetune.readers.translations:read_xliff",
        suffixes=(".xlf", ".xliff"),
        fixed_columns=("source", "target"),
        extra="translations",
        packages=("defusedxml",),
        words={
            "en": "XLIFF translations, one record per unit",
            "fr": "traductions XLIFF, un enregistrement par unité",
        },
        hostile=b"<xliff>",
    ),
    Format(
        "elan",
        "finetune.readers.fieldwork:read_elan",
        suffixes=(".eaf",),
        columns="finetune.readers.fieldwork:elan_tiers",
        columns_are="tiers",
        extra="fieldwork",
        packages=("pympi-ling", "defusedxml"),
        words={
            "en": "annotated recording of ELAN, one record per annotation",
            "fr": "enregistrement annoté dans ELAN, un enregistrement par annotation",
        },
        hostile=b"<html/>",
    ),
    Format(
        "toolbox",
        "finetune.readers.fieldwork:read_toolbox",
        suffixes=(".sfm",),
        columns="finetune.readers.fieldwork:toolbox_markers",
        columns_are="markers",
        words={
            "en": "glossed texts of Toolbox or Shoebox, one record per first marker",
            "fr": "textes glosés de Toolbox ou Shoebox, un enregistrement par premier marqueur",
        },
        hostile=b"just text\n",
    ),
)
FORMATS: Mapping[str, Format] = {row.name: row for row in _ROWS}
"""Our own formats by name."""
PLAIN = FORMATS["text"]
"""What a file is if nothing says otherwise."""
FETCHED = FORMATS["parquet"]
"""How data sets of the Hub lie here once they are fetched, whatever they were there."""


def known_format(name: str) -> Format | None:
    """Return a format, ours or an installed package's; None if there is none of the name.

    Raises RecipeError if a package has it and it cannot be loaded.
    """
    if name in FORMATS:
        return FORMATS[name]
    target = installed(GROUP).get(name)
    return None if target is None else _described(name, target)


def find_format(name: str) -> Format:
    """Return a format, ours or an installed package's. Raises RecipeError for an unknown one.

    >>> find_format("tmx").suffixes
    ('.tmx',)
    """
    if name in FORMATS:
        return FORMATS[name]
    return _described(name, find(name, group=GROUP, known=_targets()))


def format_of_suffix(suffix: str) -> Format | None:
    """Return the format of files whose names end so, ours first; None if no format claims it."""
    suffix = suffix.lower()
    for form in FORMATS.values():
        if suffix in form.suffixes:
            return form
    for name, target in sorted(installed(GROUP).items()):
        if name not in FORMATS and suffix in (form := _described(name, target)).suffixes:
            return form
    return None


def all_formats() -> list[Format]:
    """Return every format, ours in the order of the table and then those of installed packages."""
    others = {name: target for name, target in installed(GROUP).items() if name not in FORMATS}
    return [*_ROWS, *(_described(name, others[name]) for name in sorted(others))]


def packages_of(form: Format) -> tuple[str, ...]:
    """Return what to install to read a format: all of its extra, so that it is done once.

    >>> packages_of(FORMATS["po"])
    ('defusedxml', 'polib')
    """
    rows = [row for row in _ROWS if form.extra and row.extra == form.extra] or [form]
    return tuple(dict.fromkeys(package for row in rows for package in row.packages))


def package_of(name: str) -> str | None:
    """Return which version of which package reads a format, for a key; None for one of ours.

    None as well for a name that nobody knows: whether a recipe may run is asked elsewhere.
    """
    if name in FORMATS or name not in installed(GROUP):
        return None
    return origin(name, group=GROUP, known=_targets())


def reader(name: str) -> Any:
    """Return the function that reads a format. Raises RecipeError for an unknown one."""
    return load(find_format(name).read)


def _targets() -> dict[str, str]:
    return {name: form.read for name, form in FORMATS.items()}


def _described(name: str, target: str) -> Format:
    """Return the format that an entry point leads to."""
    found = loaded(name, target, group=GROUP)
    if isinstance(found, Format) and found.name == name:
        return found
    if isinstance(found, Format) or not callable(found):
        what = f"the format {found.name!r}" if isinstance(found, Format) else repr(found)
        raise RecipeError(
            f"the reader {name!r} of an installed package is {what} ({target}), not a format of "
            "that name or a function that reads; tell those who wrote it"
        )
    return Format(name, target)
