"""User files, one of each format, and damaged and hostile ones."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from finetune.errors import DataError

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


@dataclass(frozen=True)
class Expected:
    """Code of the problem of a file, its place in the file, and some of its facts."""

    code: str
    part: str
    line: int | None
    facts: dict[str, Any]

    def check(self, error: DataError, *, file: str) -> None:
        """Assert that an error is the expected one, and only that."""
        [problem] = error.problems
        assert problem.code == self.code
        assert problem.place.file == file
        assert problem.place.line == self.line
        assert str(problem.place.part or "").endswith(self.part)
        assert {name: problem.facts[name] for name in self.facts} == self.facts


def expected(code: str, part: str = "", *, line: int | None = None, **facts: Any) -> Expected:
    """Return what is expected of an error; `part`: the end of its place."""
    return Expected(code, part, line, facts)


HOSTILE: list[tuple[str, dict[str, Any], Callable[[], bytes | str], Expected]] = [
    ("bomb", XLSX, lambda: bomb("xl/workbook.xml"), expected("decompression-bomb")),
    ("bomb", DOCX, lambda: bomb("word/document.xml"), expected("decompression-bomb")),
    ("no archive", XLSX, lambda: b"PK\x03\x04 nothing", expected("damaged-archive")),
    ("no archive", DOCX, lambda: b"<html>", expected("damaged-archive")),
    ("other archive", XLSX, lambda: docx(["a"]), expected("unreadable-file")),
    ("other archive", DOCX, lambda: xlsx({"a": SHEET}), expected("unreadable-file")),
    (
        "entities",
        XLSX,
        lambda: with_member(
            xlsx({"a": SHEET}), "xl/worksheets/sheet1.xml", f"<?xml?>{LAUGHS}<x/>".encode()
        ),
        expected("xml-entities"),
    ),
    (
        "entities in UTF-16",
        DOCX,
        lambda: with_member(docx(["a"]), "word/document.xml", f"{LAUGHS}<x/>".encode("utf-16")),
        expected("xml-entities"),
    ),
    ("no column", XLSX, lambda: xlsx({"a": [["text"], ["x"]]}), expected("no-rows")),
    (
        "one column",
        XLSX,
        lambda: xlsx({"a": [["texte"], ["x"]]}),
        expected("no-column", "a!1", column="qui"),
    ),
    (
        "old font",
        XLSX,
        lambda: xlsx({"a": SHEET}, font="Kruti Dev 010"),
        expected("legacy-font", "a!2", package="hinlegacy"),
    ),
    (
        "old font",
        DOCX,
        lambda: docx(["x"], font="SutonnyMJ"),
        expected("legacy-font", "paragraph 1", package="bijoy2unicode"),
    ),
    (
        "old font",
        PDF,
        lambda: pdf("x", font="ABCDEF+Preeti"),
        expected("legacy-font", "page 1", package="npttf2utf"),
    ),
    ("no pdf", PDF, lambda: b"\x00" * 5000, expected("unreadable-file")),
    ("cut pdf", PDF, lambda: pdf("Nanga def")[:120], expected("unreadable-file")),
    ("bomb", PDF, pdf_bomb, expected("unreadable-file")),
    ("scan", PDF, lambda: pdf("", ""), expected("scan", pages=2)),
    ("laughs", TMX, lambda: tmx("<tu/>", head=LAUGHS), expected("xml-entities")),
    ("file", TMX, lambda: tmx("<tu>&e;</tu>", head=FILE), expected("xml-entities")),
    ("cut", TMX, lambda: tmx("<tu>")[:-9], expected("damaged-xml", line=1)),
    ("nul", TMX, lambda: tmx("<tu>\0</tu>"), expected("damaged-xml", line=1)),
    ("other xml", TMX, lambda: "<html/>", expected("no-units")),
    ("laughs", XLIFF, lambda: f"{LAUGHS}<xliff>&c;</xliff>", expected("xml-entities")),
    ("no xml", XLIFF, lambda: "x", expected("damaged-xml", line=1)),
    ("laughs", ELAN, lambda: eaf(head=LAUGHS), expected("xml-entities")),
    ("file", ELAN, lambda: eaf(head=FILE, wolof="&e;"), expected("xml-entities")),
    ("other xml", ELAN, lambda: "<html/>", expected("no-elan-file")),
    (
        "a time",
        ELAN,
        lambda: eaf().replace('"1500"', f'"{"9" * 400}"'),
        expected("unreadable-file"),
    ),
    (
        "broken",
        ELAN,
        lambda: eaf().replace('="ts2"/>', '="ts9"/>', 1)[:900],
        expected("damaged-xml", line=14),
    ),
    (
        "no tier",
        ELAN,
        lambda: eaf().replace('TIER_ID="fr"', 'TIER_ID="en"'),
        expected("no-tier", tier="fr"),
    ),
    (
        "latin-1",
        PO,
        lambda: 'msgid "caf\xe9"\nmsgstr ""\n'.encode("latin-1"),
        expected("wrong-encoding", line=1, offset=10, byte=0xE9),
    ),
    ("broken", PO, lambda: 'msgid "a\nmsgstr', expected("damaged-po", line=1)),
    ("nul", PO, lambda: 'msgid "a\0"\nmsgstr "b"\n', expected("nul-character")),
    ("nul", TOOLBOX, lambda: "\\tx a\0b\n", expected("nul-character", line=1)),
    ("no marker", TOOLBOX, lambda: "just text\n", expected("no-marker", line=1)),
    ("other marker", TOOLBOX, lambda: "\\tx a\n\\ge b\n", expected("no-marker", marker="\\ft")),
]
