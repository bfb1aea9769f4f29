"""The formats of corpora: one row each, and those that installed packages add.

A row is everything that the program knows of a format; the function that reads it stands in
`finetune/readers/` and is imported when a file is read. A package outside adds a format with an
entry point of the format's name, which leads to a `Format` (or only to a function that reads
records with columns):

    [project.entry-points."finetune.readers"]
    radio = "my_package.radio:FORMAT"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from finetune.errors import RecipeError
from finetune.messages import Sentence, phrase, problem, sentence
from finetune.spec.entry_points import blamed, find, installed, load, loaded, origin

GROUP = "finetune.readers"
UNITS = ("line", "paragraph", "file")
VERSES = ("verse", "paragraph", "file")
TEXT_KEYS = ("encoding",)
TABLE_KEYS = (*TEXT_KEYS, "separator", "header", "quotes")


@dataclass(frozen=True, slots=True)
class Format:
    """A file format."""

    name: str
    """Value of `corpus.format` in a card."""
    read: str
    """"module:function" of `read(files, *, corpus) -> iterator of finetune.readers.record.Record`,
    which raises DataError with file and line for what it cannot read."""
    suffixes: tuple[str, ...] = ()
    """Suffixes of such files, in lower case; unique per format."""
    kinds: tuple[str, ...] = ("text", "parallel", "chat")
    """Kinds of cards that it can be read for."""
    documents: bool = False
    """True if its files hold running text and nothing else: a `text` card of it has no columns."""
    line_per_text: bool = False
    """True if each line of a file is a text."""
    several_documents: bool = False
    """True if a file may hold several documents, such as books or sheets."""
    units: tuple[str, ...] = ()
    """Values of `unit` in a `text` card of it; empty: a text of its own kind."""
    file_per_language: bool = False
    """True if the files of a parallel card are one per language, paired with each other."""
    columns: str = ""
    """"module:function" that returns the names that `columns` may use in a file, if its files name
    them."""
    fixed_columns: tuple[str, ...] = ()
    """The names themselves, if they are the same in every file: the original, its translation."""
    tags: str = ""
    """"module:function" that returns column -> language tag for a file, if its files state the
    languages of the fixed columns."""
    recognised: str = ""
    """"module:function" of `recognised(file) -> bool` for files that are often called as those of
    another format; it reads their first lines."""
    columns_are: str = "columns"
    """Description of the names, for the card guide."""
    keys: tuple[str, ...] = TEXT_KEYS
    """Keys of the card beside `columns` that its reader takes."""
    found_keys: str = ""
    """"module:function" of `keys(file, **stated) -> dict`: the values of `keys` that a file needs
    in its card; DataError where it leaves them in doubt."""
    understood: str = ""
    """"module:function" of `understood(file, *, corpus) -> list of (Sentence, Sentence)`: what the
    reader found out about a file, with words for it."""
    begins: bytes = b""
    """Regular expression for the first bytes of such a file, if they show the format."""
    member: str = ""
    """Member of the ZIP archive that such a file is."""
    test_column: bool = False
    """True if `test` in its cards may name a column: its reader returns records by `record_of`."""
    extra: str = ""
    """Extra of this project (finetune/spec/tables/extras.py) with what reading it needs."""
    about: Sentence | None = None
    """Description of such a file and of one text in it."""
    hostile: bytes = b""
    """A small file that must be refused in words, never with a traceback; a test tries it."""

    @property
    def has_columns(self) -> bool:
        """Return whether the names for `columns` can be read from a file."""
        return bool(self.columns or self.fixed_columns)


_ROWS = (
    Format(
        "text",
        "finetune.readers.running_text:read_text",
        suffixes=(".txt", ".text"),
        kinds=("text",),
        documents=True,
        line_per_text=True,
        units=UNITS,
        about=sentence("plain text, one text per line"),
        hostile=b"caf\xe9\n",
    ),
    Format(
        "chat-export",
        "finetune.readers.chat_export:read_chat_export",
        kinds=("text",),
        documents=True,
        recognised="finetune.readers.chat_export:is_chat_export",
        about=sentence("exported chat (WhatsApp, Telegram), one text per message"),
        hostile=b"[01.05.24, 10:02:11] A: caf\xe9\n",
    ),
    Format(
        "transcript",
        "finetune.readers.plain.transcript:read_transcript",
        kinds=("text",),
        documents=True,
        understood="finetune.readers.plain.transcript:transcript_understood",
        about=sentence("transcript of speech (`Name: text`), one text per turn of a speaker"),
        hostile=b"A: caf\xe9\n",
    ),
    Format(
        "csv",
        "finetune.readers.tabular.tables_read:read_csv",
        suffixes=(".csv",),
        test_column=True,
        columns="finetune.readers.tabular.tables_read:csv_columns",
        found_keys="finetune.readers.tabular.tables_read:csv_keys",
        recognised="finetune.readers.called_text:is_separated",
        keys=TABLE_KEYS,
        understood="finetune.readers.tabular.tables_read:csv_understood",
        about=sentence("table with commas, semicolons, tabs or bars between columns"),
        hostile=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    ),
    Format(
        "tsv",
        "finetune.readers.tabular.tables_read:read_tsv",
        suffixes=(".tsv", ".tab"),
        test_column=True,
        columns="finetune.readers.tabular.tables_read:tsv_columns",
        found_keys="finetune.readers.tabular.tables_read:tsv_keys",
        recognised="finetune.readers.tabular.text_tables:is_text_table",
        keys=TABLE_KEYS,
        understood="finetune.readers.tabular.tables_read:tsv_understood",
        about=sentence("table with tabs between columns"),
        hostile=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    ),
    Format(
        "jsonl",
        "finetune.readers.json_records:read_json",
        suffixes=(".jsonl", ".ndjson"),
        test_column=True,
        columns="finetune.readers.json_records:json_columns",
        recognised="finetune.readers.called_text:is_json",
        columns_are="keys",
        about=sentence("one JSON record per line"),
        hostile=b"{x}\n{x}\n",
    ),
    Format(
        "json",
        "finetune.readers.json_records:read_json",
        suffixes=(".json",),
        test_column=True,
        columns="finetune.readers.json_records:json_columns",
        columns_are="keys",
        about=sentence("JSON array of records, or an object with one list of them"),
        hostile=b'[{"text": "a"',
    ),
    Format(
        "parquet",
        "finetune.readers.parquet:read_parquet",
        suffixes=(".parquet",),
        test_column=True,
        columns="finetune.readers.parquet:parquet_columns",
        extra="parquet",
        keys=(),
        begins=b"PAR1",
        about=sentence("table of a data set"),
        hostile=b"PAR1 nothing PAR1",
    ),
    Format(
        "messages",
        "finetune.readers.message_files:read_messages",
        recognised="finetune.readers.message_files:is_messages",
        kinds=("parallel",),
        file_per_language=True,
        columns_are="the part of a path that names the language",
        keys=(),
        about=sentence(
            "messages of software (JSON, Android, Apple, Java), a file per language, paired by key"
        ),
        hostile=b"\xe9",
    ),
    Format(
        "aligned",
        "finetune.readers.translated.aligned:read_aligned",
        kinds=("parallel",),
        file_per_language=True,
        columns_are="the part of a path that names the language",
        about=sentence(
            "plain text, one file per language, line by line the same sentences (OPUS, FLORES)"
        ),
        hostile=b"\xe9",
    ),
    Format(
        "xlsx",
        "finetune.readers.office:read_xlsx",
        several_documents=True,
        suffixes=(".xlsx",),
        test_column=True,
        columns="finetune.readers.office:xlsx_columns",
        found_keys="finetune.readers.office:xlsx_keys",
        understood="finetune.readers.office:xlsx_understood",
        extra="office",
        keys=("header", "sheets"),
        member="xl/workbook.xml",
        about=sentence("Excel sheets with a header row"),
        hostile=b"PK\x03\x04 nothing",
    ),
    Format(
        "docx",
        "finetune.readers.documents.word:read_docx",
        suffixes=(".docx",),
        kinds=("text", "parallel"),
        documents=True,
        columns="finetune.readers.documents.word:docx_columns",
        understood="finetune.readers.documents.word:docx_understood",
        columns_are="header cells, or numbers, of the columns of a table",
        keys=(),
        member="word/document.xml",
        units=("paragraph", "file"),
        about=sentence("Word file, one text per paragraph; or its tables, one record per row"),
        hostile=b"<html>",
    ),
    Format(
        "pdf",
        "finetune.readers.documents.pdf:read_pdf",
        understood="finetune.readers.documents.pdf:pdf_understood",
        suffixes=(".pdf",),
        kinds=("text",),
        documents=True,
        extra="pdf",
        keys=(),
        begins=rb"%PDF",
        units=("file",),
        about=sentence("PDF with a text layer, one text per page"),
        hostile=b"%PDF-1.4 nothing",
    ),
    Format(
        "html",
        "finetune.readers.html:read_html",
        suffixes=(".html", ".htm"),
        kinds=("text", "parallel"),
        documents=True,
        file_per_language=True,
        columns_are="the part of a path that names the language",
        keys=(),
        begins=rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).){0,999}+-->\s*)*<(?i:!doctype\s+html|html|head|body|table)\b",
        units=("paragraph", "file"),
        about=sentence(
            "web pages, one text per paragraph, list item or heading; or the same page in several "
            "languages, paired by its structure"
        ),
        hostile=b"<p>caf\xe9",
    ),
    Format(
        "subtitles",
        "finetune.readers.subtitles.translations:read_subtitles",
        suffixes=(".srt", ".vtt", ".ass", ".ssa", ".sbv", ".sub", ".ttml", ".dfxp"),
        recognised="finetune.readers.called_text:is_subtitles",
        kinds=("text", "parallel"),
        documents=True,
        file_per_language=True,
        columns_are="the part of a path that names the language",
        extra="subtitles",
        units=("file",),
        about=sentence(
            "subtitles, one text per passage of a speaker without a pause; or a file per language, "
            "paired by time"
        ),
        hostile=b"1\n00:00:01 -->\nBenn.\n",
    ),
    Format(
        "tmx",
        "finetune.readers.translated.tmx:read_tmx",
        suffixes=(".tmx",),
        columns="finetune.readers.translated.tmx:tmx_languages",
        columns_are="codes of languages, e.g. `fr-FR`",
        extra="translations",
        keys=(),
        about=sentence("translation memory, one record per unit"),
        hostile=b"<tmx><tu>",
    ),
    Format(
        "po",
        "finetune.readers.translated.po:read_po",
        suffixes=(".po",),
        fixed_columns=("msgid", "msgstr"),
        tags="finetune.readers.translated.po:po_languages",
        recognised="finetune.readers.called_text:is_po",
        understood="finetune.readers.translated.po:po_understood",
        keys=(),
        about=sentence("gettext catalogue, one record per entry"),
        hostile=b"\xde\x12\x04\x95 compiled",
    ),
    Format(
        "xliff",
        "finetune.readers.translated.xliff:read_xliff",
        suffixes=(".xlf", ".xliff", ".mxliff", ".sdlxliff"),
        fixed_columns=("source", "target"),
        tags="finetune.readers.translated.xliff:xliff_languages",
        understood="finetune.readers.translated.xliff:xliff_understood",
        extra="translations",
        keys=(),
        about=sentence("XLIFF translations, one record per unit"),
        hostile=b"<xliff>",
    ),
    Format(
        "elan",
        "finetune.readers.fieldwork.elan:read_elan",
        suffixes=(".eaf",),
        columns="finetune.readers.fieldwork.elan:elan_tiers",
        understood="finetune.readers.fieldwork.elan:elan_understood",
        columns_are="tiers",
        extra="fieldwork",
        keys=(),
        about=sentence("ELAN annotation file, one record per annotation"),
        hostile=b"<html/>",
    ),
    Format(
        "textgrid",
        "finetune.readers.fieldwork.textgrid:read_textgrid",
        suffixes=(".textgrid",),
        columns="finetune.readers.fieldwork.textgrid:textgrid_tiers",
        columns_are="tiers",
        keys=(),
        understood="finetune.readers.fieldwork.textgrid:textgrid_understood",
        about=sentence("Praat TextGrid, one record per interval or point with a text"),
        hostile=b'"ooTextFile"\n"TextGrid"\n0 1 <exists> 99 "a',
    ),
    Format(
        "usfm",
        "finetune.readers.fieldwork.usfm:read_usfm",
        several_documents=True,
        recognised="finetune.readers.fieldwork.usfm_markers:is_usfm",
        understood="finetune.readers.fieldwork.usfm:usfm_understood",
        suffixes=(".usfm", ".ptx"),
        kinds=("text", "parallel"),
        documents=True,
        columns_are="the part of a path that names the language",
        units=VERSES,
        file_per_language=True,
        about=sentence("USFM of Paratext, one text per verse or paragraph, or paired by verse"),
        hostile=b"\\tx just a text\n",
    ),
    Format(
        "usx",
        "finetune.readers.fieldwork.usx:read_usx",
        several_documents=True,
        suffixes=(".usx",),
        kinds=("text", "parallel"),
        documents=True,
        columns_are="the part of a path that names the language",
        keys=(),
        extra="fieldwork",
        units=VERSES,
        file_per_language=True,
        about=sentence("USX, the XML form of USFM, read as USFM"),
        hostile=b"<usx><book>",
    ),
    Format(
        "toolbox",
        "finetune.readers.fieldwork.toolbox:read_toolbox",
        suffixes=(".sfm",),
        columns="finetune.readers.fieldwork.toolbox:toolbox_markers",
        recognised="finetune.readers.fieldwork.toolbox:is_toolbox",
        understood="finetune.readers.fieldwork.toolbox:toolbox_understood",
        columns_are="markers",
        about=sentence("glossed texts of Toolbox or Shoebox, one record per first marker"),
        hostile=b"just text\n",
    ),
)
FORMATS: Mapping[str, Format] = {row.name: row for row in _ROWS}
"""Our own formats by name."""
PLAIN = FORMATS["text"]
"""Format of a file without any other sign."""
ALIGNED = FORMATS["aligned"]
"""Format of files that differ in the language of their names."""
FETCHED = FORMATS["parquet"]
"""Format of Hub data sets after `fetch`."""


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


def is_built_in(name: str) -> bool:
    """Return whether a format is one of ours, and not of an installed package."""
    return name in FORMATS


def package_of(name: str) -> str | None:
    """Return which version of which package reads a format, for a key; None for one of ours.

    None as well for an unknown name: validity is checked elsewhere.
    """
    if name in FORMATS or name not in installed(GROUP):
        return None
    return origin(name, group=GROUP, known=_targets())


def reader(name: str) -> Any:
    """Return the function that reads a format. Raises RecipeError for an unknown one.

    That of a package raises PackageError, with its name, for whatever goes wrong in it.
    """
    target = find_format(name).read
    if name in FORMATS:
        return load(target)
    read = loaded(name, target, group=GROUP)

    @wraps(read)
    def records(files: Any, *, corpus: Any) -> Iterator[Any]:
        with blamed(name, group=GROUP, known=_targets()):
            yield from read(files, corpus=corpus)

    return records


def _targets() -> dict[str, str]:
    return {name: form.read for name, form in FORMATS.items()}


def _described(name: str, target: str) -> Format:
    """Return the format that an entry point leads to."""
    found = loaded(name, target, group=GROUP)
    if isinstance(found, Format) and found.name == name:
        return found
    if isinstance(found, Format) or not callable(found):
        what = phrase(repr(found))
        if isinstance(found, Format):
            what = sentence("the format {name!r}", name=found.name)
        raise RecipeError(
            problem(
                "no-reader",
                "the reader {name!r} of an installed package is {what} ({target}), not a format of "
                "that name or a function that reads; tell its authors",
                name=name,
                what=what,
                target=target,
            )
        )
    return Format(name, target)
