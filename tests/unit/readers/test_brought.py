"""Files that people bring: what is in them is read, what is wrong or hostile is told clearly."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import DataError
from finetune.readers import guards as outsiders
from finetune.readers.translations import read_po
from finetune.sources.files import SourceFile
from finetune.spec.formats import find_format, packages_of
from tests.unit.readers.test_tables import read

PAIR: dict[str, Any] = {"kind": "parallel", "languages": ["fra_Latn", "wol_Latn"]}
XLSX: dict[str, Any] = {"format": "xlsx", "columns": {"text": "texte", "contributor": "qui"}}
TMX: dict[str, Any] = PAIR | {"format": "tmx", "columns": {"fra_Latn": "fr", "wol_Latn": "wo"}}
PO: dict[str, Any] = PAIR | {"format": "po", "columns": {"fra_Latn": "msgid", "wol_Latn": "msgstr"}}
XLIFF: dict[str, Any] = PAIR | {
    "format": "xliff",
    "columns": {"fra_Latn": "source", "wol_Latn": "target"},
}
ELAN: dict[str, Any] = PAIR | {
    "format": "elan",
    "columns": {"fra_Latn": "fr", "wol_Latn": "wo"},
}
TOOLBOX: dict[str, Any] = PAIR | {
    "format": "toolbox",
    "columns": {"fra_Latn": "ft", "wol_Latn": "tx"},
}
DOCX: dict[str, Any] = {"format": "docx"}
PDF: dict[str, Any] = {"format": "pdf"}


def xlsx(sheets: dict[str, list[list[Any]]], *, font: str | None = None) -> bytes:
    """Return an Excel file."""
    import openpyxl
    from openpyxl.styles import Font

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        if font:
            for cells in sheet.iter_rows():
                for cell in cells:
                    cell.font = Font(name=font)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def docx(paragraphs: list[str], *, table: list[list[str]] = [], font: str = "") -> bytes:  # noqa: B006
    """Return a Word file with paragraphs, then a table."""
    import docx as library

    document = library.Document()
    for text in paragraphs:
        run = document.add_paragraph().add_run(text)
        if font:
            run.font.name = font
    if table:
        made = document.add_table(len(table), len(table[0]))
        for row, cells in zip(made.rows, table, strict=True):
            for cell, text in zip(row.cells, cells, strict=True):
                cell.text = text
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def pdf(*pages: str, font: str = "Helvetica") -> bytes:
    """Return a PDF file with a text layer; an empty page has none."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        f"<< /Type /Font /Subtype /Type1 /BaseFont /{font} >>",
    ]
    for number, text in enumerate(pages):
        drawn = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET" if text else ""
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>"
        )
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    start = len(out)
    size = len(objects) + 1
    out += f"xref\n0 {size}\n0000000000 65535 f \n{table}".encode()
    return out + f"trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF".encode()


def tmx(units: str, *, head: str = "") -> str:
    """Return a translation memory."""
    return f'<?xml version="1.0"?>{head}<tmx version="1.4"><header/><body>{units}</body></tmx>'


def eaf(*, wolof: str = "Nanga def?", head: str = "") -> str:
    """Return an ELAN file with a tier and its translation, and one annotation without."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>{head}
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0"
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>
<TIME_ORDER>
<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="0"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1500"/>
<TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="1500"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="2000"/>
</TIME_ORDER>
<TIER LINGUISTIC_TYPE_REF="t" PARTICIPANT="Amina" TIER_ID="wo">
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
<ANNOTATION_VALUE>{wolof}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
<ANNOTATION_VALUE>Waaw.</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
</TIER>
<TIER LINGUISTIC_TYPE_REF="r" PARENT_REF="wo" TIER_ID="fr">
<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1">
<ANNOTATION_VALUE>Ça va ?</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
</TIER>
<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="t" TIME_ALIGNABLE="true"/>
<LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" LINGUISTIC_TYPE_ID="r" TIME_ALIGNABLE="false"/>
<CONSTRAINT DESCRIPTION="1-1" STEREOTYPE="Symbolic_Association"/>
</ANNOTATION_DOCUMENT>"""


def test_rows_of_excel_sheets(tmp_path: Path) -> None:
    """Rows below the columns of every sheet that has them; numbers are text, empty rows nothing."""
    data = xlsx(
        {
            "Un": [["id", "texte", "qui"], [1, "Nanga def?", "Amina"], [None] * 3, [2, 7, None]],
            "Notes": [["about", "this"], ["x", "y"]],
            "Deux": [["texte", "qui"], ["Waaw ñaar", "Musa"]],
        }
    )
    found = read(tmp_path, data, **XLSX)
    assert found == [
        ("corpus.xlsx: Un!2", {"text": "Nanga def?"}),
        ("corpus.xlsx: Un!4", {"text": "7"}),
        ("corpus.xlsx: Deux!2", {"text": "Waaw ñaar"}),
    ]


def test_paragraphs_of_word_files(tmp_path: Path) -> None:
    """Each filled paragraph is a document, and so is each cell of a table, in order."""
    data = docx(["Benn.", "  ", "Ñaar\nñett."], table=[["a", "b"], ["c", "d"]])
    texts = [fields["text"] for _, fields in read(tmp_path, data, **DOCX)]
    assert texts == ["Benn.", "Ñaar ñett.", "a", "b", "c", "d"]


def test_pages_of_pdf_files(tmp_path: Path) -> None:
    """Each page with a text layer is a document; a blank page is none."""
    found = read(tmp_path, pdf("Nanga def?", "", "Waaw."), **PDF)
    assert found == [
        ("corpus.pdf: page 1", {"text": "Nanga def?"}),
        ("corpus.pdf: page 3", {"text": "Waaw."}),
    ]


def test_units_of_translation_memories(tmp_path: Path) -> None:
    """Codes match by case and by their beginning; inline markup is left out and its words kept."""
    units = (
        '<tu><tuv xml:lang="FR-fr"><seg>Ouvre <ph>&lt;b&gt;</ph><hi>la</hi> porte</seg></tuv>'
        '<tuv xml:lang="wo"><seg>Ubbil bunt bi</seg></tuv></tu>'
        '<tu><tuv xml:lang="fr"><seg>Oui</seg></tuv></tu>'
    )
    dtd = '<!DOCTYPE tmx SYSTEM "tmx14.dtd">'
    assert read(tmp_path, tmx(units, head=dtd), **TMX) == [
        ("corpus.tmx: unit 1", {"fra_Latn": "Ouvre la porte", "wol_Latn": "Ubbil bunt bi"}),
        ("corpus.tmx: unit 2", {"fra_Latn": "Oui", "wol_Latn": None}),
    ]


def test_entries_of_po_files(tmp_path: Path) -> None:
    """Fuzzy entries are untranslated, obsolete ones are gone, plural forms are entries."""
    text = """\
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "porte"
msgstr "bunt"

#, fuzzy
msgid "clé"
msgstr "caabi?"

msgid "un jour"
msgid_plural "%d jours"
msgstr[0] "benn bis"
msgstr[1] "%d fan"

#~ msgid "vieux"
#~ msgstr "màgget"
"""
    found = [fields for _, fields in read(tmp_path, text, **PO)]
    assert found == [
        {"fra_Latn": "porte", "wol_Latn": "bunt"},
        {"fra_Latn": "clé", "wol_Latn": None},
        {"fra_Latn": "un jour", "wol_Latn": "benn bis"},
        {"fra_Latn": "%d jours", "wol_Latn": "%d fan"},
    ]


@pytest.mark.parametrize(
    ("version", "unit"),
    [
        ("1.2", "<trans-unit id='1'>{}</trans-unit>"),
        ("2.0", "<unit id='1'><segment>{}</segment></unit>"),
    ],
)
def test_units_of_xliff_files(tmp_path: Path, version: str, unit: str) -> None:
    """Both versions of the standard, with their markup left out."""
    sides = "<source>Ouvre <x id='1'/>la <g id='2'>porte</g></source><target>Ubbil</target>"
    text = f"<xliff version='{version}'><file>{unit.format(sides)}</file></xliff>"
    [(where, fields)] = read(tmp_path, text, **XLIFF)
    assert where == "corpus.xliff: unit 1"
    assert fields == {"fra_Latn": "Ouvre la porte", "wol_Latn": "Ubbil"}


def test_tiers_of_elan_files(tmp_path: Path) -> None:
    """A translation tier is paired by time; what has none counts as missing there."""
    columns = {"wol_Latn": "wo", "fra_Latn": "fr"}
    corpus = ELAN | {"languages": ["wol_Latn", "fra_Latn"], "columns": columns}
    assert read(tmp_path, eaf(), **corpus) == [
        ("corpus.elan: 0.000 s", {"wol_Latn": "Nanga def?", "fra_Latn": "Ça va ?"}),
        ("corpus.elan: 1.500 s", {"wol_Latn": "Waaw.", "fra_Latn": None}),
    ]


def test_records_of_toolbox_files(tmp_path: Path) -> None:
    """The first marker begins a record, wrapped lines are joined, the header is no record."""
    text = (
        "\\_sh v3.0  400  Text\n\n"
        "\\ref 1\n\\tx Nanga\n\\ge 2SG\n\\tx def?\n\\ft Comment\nça va ?\n\n"
        "\\ref 2\n\\tx Waaw.\n\\ft Oui.\n"
    )
    assert read(tmp_path, text, **TOOLBOX) == [
        ("corpus.toolbox:3", {"wol_Latn": "Nanga def?", "fra_Latn": "Comment ça va ?"}),
        ("corpus.toolbox:10", {"wol_Latn": "Waaw.", "fra_Latn": "Oui."}),
    ]


def bomb(member: str) -> bytes:
    """Return an archive of a few kilobytes that unpacks to 64 MiB."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(member, b"0" * 64 * 2**20)
    return stream.getvalue()


def pdf_bomb() -> bytes:
    """Return a PDF file of some kilobytes whose page unpacks to 256 MiB."""
    packed = zlib.compress(b"0" * 256 * 2**20, 9)
    head = pdf("MARK").partition(b"<< /Length")[0]
    stream = b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(packed)
    return head + stream + packed + b"\nendstream\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF"


def with_member(data: bytes, member: str, content: bytes) -> bytes:
    """Return an archive in which one member is replaced."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name == member else old.read(name))
    return stream.getvalue()


LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)
FILE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
SHEET = [["texte", "qui"], ["benn", "x"]]
HOSTILE: list[tuple[str, dict[str, Any], Callable[[], bytes | str], str]] = [
    ("bomb", XLSX, lambda: bomb("xl/workbook.xml"), "made to fill the memory"),
    ("bomb", DOCX, lambda: bomb("word/document.xml"), "made to fill the memory"),
    ("no archive", XLSX, lambda: b"PK\x03\x04 nothing", "save it again as a plain"),
    ("no archive", DOCX, lambda: b"<html>", "save it again as a plain"),
    ("other archive", XLSX, lambda: docx(["a"]), "is not an Excel file"),
    ("other archive", DOCX, lambda: xlsx({"a": SHEET}), "is not a Word file"),
    (
        "entities",
        XLSX,
        lambda: with_member(
            xlsx({"a": SHEET}), "xl/worksheets/sheet1.xml", f"<?xml?>{LAUGHS}<x/>".encode()
        ),
        "defines entities of its own",
    ),
    (
        "entities in UTF-16",
        DOCX,
        lambda: with_member(docx(["a"]), "word/document.xml", f"{LAUGHS}<x/>".encode("utf-16")),
        "defines entities of its own",
    ),
    (
        "formula",
        XLSX,
        lambda: xlsx({"a": [["texte", "qui"], ['=HYPERLINK("http://x","y")', "x"]]}),
        "a!A2: holds a formula and no text",
    ),
    ("no column", XLSX, lambda: xlsx({"a": [["text"], ["x"]]}), "below the columns 'texte'"),
    ("one column", XLSX, lambda: xlsx({"a": [["texte"], ["x"]]}), "no column 'qui'"),
    ("old font", XLSX, lambda: xlsx({"a": SHEET}, font="Kruti Dev 010"), "package 'hinlegacy'"),
    ("old font", DOCX, lambda: docx(["x"], font="SutonnyMJ"), "package 'bijoy2unicode'"),
    ("old font", PDF, lambda: pdf("x", font="ABCDEF+Preeti"), "package 'npttf2utf'"),
    ("no pdf", PDF, lambda: b"\x00" * 2000, "is not a PDF file"),
    ("cut pdf", PDF, lambda: pdf("Nanga def")[:120], "is not a PDF file"),
    ("bomb", PDF, pdf_bomb, "is not a PDF file that can be read"),
    ("scan", PDF, lambda: pdf("", ""), "2 pages and no text in them"),
    ("laughs", TMX, lambda: tmx("<tu/>", head=LAUGHS), "defines entities of its own"),
    ("file", TMX, lambda: tmx("<tu>&e;</tu>", head=FILE), "defines entities of its own"),
    ("cut", TMX, lambda: tmx("<tu>")[:-9], "is not XML that can be read"),
    ("nul", TMX, lambda: tmx("<tu>\0</tu>"), "is not XML that can be read"),
    ("other xml", TMX, lambda: "<html/>", "holds no <tu>"),
    ("laughs", XLIFF, lambda: f"{LAUGHS}<xliff>&c;</xliff>", "defines entities of its own"),
    ("empty", XLIFF, lambda: "", "is not XML that can be read"),
    ("laughs", ELAN, lambda: eaf(head=LAUGHS), "defines entities of its own"),
    ("file", ELAN, lambda: eaf(head=FILE, wolof="&e;"), "defines entities of its own"),
    ("other xml", ELAN, lambda: "<html/>", "is not a file of ELAN"),
    ("broken", ELAN, lambda: eaf().replace('="ts2"/>', '="ts9"/>', 1)[:900], "ELAN file that can"),
    ("no tier", ELAN, lambda: eaf().replace('TIER_ID="fr"', 'TIER_ID="en"'), "no tier 'fr'"),
    ("latin-1", PO, lambda: 'msgid "caf\xe9"\nmsgstr ""\n'.encode("latin-1"), "is not a PO file"),
    ("broken", PO, lambda: 'msgid "a\nmsgstr', "is not a PO file"),
    ("nul", PO, lambda: 'msgid "a\0"\nmsgstr "b"\n', "holds a NUL character"),
    ("nul", TOOLBOX, lambda: "\\tx a\0b\n", "corpus.toolbox:1: holds a NUL character"),
    ("no marker", TOOLBOX, lambda: "just text\n", "begins with no marker"),
    ("other marker", TOOLBOX, lambda: "\\tx a\n\\ge b\n", "no marker \\\\ft"),
]


@pytest.mark.parametrize(
    ("corpus", "make", "words"),
    [case[1:] for case in HOSTILE],
    ids=[f"{case[1]['format']}: {case[0]}" for case in HOSTILE],
)
def test_what_is_broken_or_hostile_is_told_clearly(
    tmp_path: Path, corpus: dict[str, Any], make: Callable[[], bytes | str], words: str
) -> None:
    """Bombs, entities, NULs, formulas, scans, old fonts and torn files are errors in words."""
    with pytest.raises(DataError, match=words) as caught:
        read(tmp_path, make(), **corpus)
    assert f"corpus.{corpus['format']}" in str(caught.value)


def test_no_depth_is_too_deep_for_a_translation_memory(tmp_path: Path) -> None:
    """A hundred thousand nested elements give their words and no full stack."""
    deep = "<hi>" * 100_000 + "benn" + "</hi>" * 100_000
    unit = f"<tu><tuv xml:lang='wo'><seg>{deep}</seg></tuv></tu>"
    [(_, fields)] = read(tmp_path, tmx(unit), **TMX)
    assert fields["wol_Latn"] == "benn"


def test_a_large_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the library never sees it."""
    monkeypatch.setattr(outsiders, "MAX_FILE_BYTES", 10)
    with pytest.raises(DataError, match="larger than 0 MiB; split it"):
        read(tmp_path, pdf("x"), **PDF)


@pytest.mark.parametrize(
    ("corpus", "module"),
    [
        (XLSX, "openpyxl"),
        (DOCX, "docx"),
        (PDF, "pypdf"),
        (PO, "polib"),
        (TMX, "defusedxml.ElementTree"),
        (ELAN, "pympi"),
    ],
)
def test_a_missing_library_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: dict[str, Any], module: str
) -> None:
    """Without the optional library the message says what to type."""

    def missing(name: str) -> Any:
        if name == module:
            raise ImportError(name)
        return __import__(name)

    monkeypatch.setattr(outsiders, "import_module", missing)
    packages = " ".join(packages_of(find_format(corpus["format"])))
    with pytest.raises(DataError, match=f"which is not installed; pip install {packages}$"):
        read(tmp_path, "x", **corpus)


@pytest.mark.parametrize("font", ["Noto Sans Devanagari", "Charis SIL", "Nirmala UI", "", None])
def test_fonts_of_today_are_fine(font: str | None) -> None:
    """Unicode fonts, also those of the same scripts, are not taken for old ones."""
    outsiders.refuse_legacy_font(font, where="x")


def test_the_path_of_a_po_file_is_never_taken_for_its_text(tmp_path: Path) -> None:
    """A file that does not exist is an error, and its name is not parsed as a catalogue."""
    file = SourceFile(tmp_path / "none.po", "none.po")
    with pytest.raises(DataError, match="cannot be read"):
        list(read_po([file], corpus=None))  # type: ignore[arg-type]
