"""Small files that ask for much memory or time, of every format."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from finetune.readers import (
    html,
    message_files,
    numbered_lines,
    office,
    xml_stream,
)
from finetune.readers.documents import word_parts
from finetune.readers.subtitles import passages
from finetune.readers.translated import po_entries
from tests.support import brought_files as brought
from tests.support.hostile_corpora import CHAT, PAIR, Case, parquet

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
SHEET = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
JSONL = {"format": "jsonl", "columns": {"text": "text"}}
MESSAGES = PAIR | {"format": "messages", "columns": {"eng_Latn": "en", "hau_Latn": "ha"}}
DOCUMENT, STYLES = "word/document.xml", "word/styles.xml"
FIRST_SHEET = "xl/worksheets/sheet1.xml"


def docx_of(body: str, *, styles: str | None = None) -> bytes:
    """Return a Word file with this body."""
    whole = f"<w:document {WORD}><w:body>{body}</w:body></w:document>"
    data = repacked(brought.docx(["a"]), {DOCUMENT: whole.encode()})
    if styles is not None:
        data = repacked(data, {STYLES: f"<w:styles {WORD}>{styles}</w:styles>".encode()})
    return data


def xlsx_of(rows: str, *, before: str = "", strings: str | None = None) -> bytes:
    """Return an Excel file whose sheet has these rows below the columns `texte` and `qui`."""
    names = '<row r="1"><c r="A1" t="inlineStr"><is><t>texte</t></is></c>'
    names += '<c r="B1" t="inlineStr"><is><t>qui</t></is></c></row>'
    sheet = f"<worksheet {SHEET}>{before}<sheetData>{names}{rows}</sheetData></worksheet>"
    changed = {FIRST_SHEET: sheet.encode()}
    if strings is not None:
        changed["xl/sharedStrings.xml"] = f"<sst {SHEET}>{strings}</sst>".encode()
    return repacked(brought.xlsx({"a": [["texte", "qui"], ["b", "c"]]}), changed)


def repacked(data: bytes, changed: dict[str, bytes], *, method: int = 8) -> bytes:
    """Return an archive with other members, those of `changed` compressed by a method."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", 8) as new:
        for name in dict.fromkeys([*old.namelist(), *changed]):
            if name in changed:
                new.writestr(name, changed[name], compress_type=method)
            else:
                new.writestr(name, old.read(name))
    return out.getvalue()


def archives() -> Iterator[Case]:
    """Yield office files."""
    yield from _word_files()
    yield from _sheets()
    plain = brought.docx(["a"])
    hidden = f"<!--{'x' * 5000}--><!DOCTYPE a [<!ENTITY b 'c'>]><w:document {WORD}/>"
    for name, data in {
        "a hidden document type": repacked(plain, {DOCUMENT: hidden.encode()}),
        "an odd encoding": repacked(
            plain, {DOCUMENT: '<?xml version="1.0" encoding="utf-7"?><a/>'.encode("utf-7")}
        ),
        "another compression": repacked(plain, {DOCUMENT: b"<a/>" * 99}, method=zipfile.ZIP_LZMA),
        "many members": repacked(plain, {f"{n}.bin": b"" for n in range(10_001)}),
        "a long directory": repacked(plain, {f"{n}{'x' * 500}": b"" for n in range(4500)}),
        "a member twice": _twice(plain),
        "damaged compression": damaged(plain),
        "a link out": plain.replace(b"PK\5\6", b"PK\6\7", 1),
    }.items():
        yield Case(f"docx: {name}", "bomb.docx", data, brought.DOCX)
    yield Case("pdf: inflates", "bomb.pdf", brought.pdf_bomb(), brought.PDF)


def _word_files() -> Iterator[Case]:
    many = word_parts.MAX_ELEMENTS + 100
    odd = '<w:p><w:pPr><w:pStyle w:val="x"/></w:pPr><w:r><w:t>a</w:t></w:r></w:p>'
    for name, data in {
        "runs in a paragraph": docx_of(f"<w:p>{'<w:r/>' * many}</w:p>"),
        "elements and no paragraph": docx_of("<w:x/>" * many),
        "nested": docx_of("<w:tbl><w:tr><w:tc>" * 400 + "</w:tc></w:tr></w:tbl>" * 400),
        "styles": docx_of(odd, styles="<w:style/>" * many),
        "another document": repacked(brought.docx(["a"]), {DOCUMENT: b"<html/>"}),
    }.items():
        yield Case(f"docx: {name}", "bomb.docx", data, brought.DOCX)


def _sheets() -> Iterator[Case]:
    many = office.MAX_ELEMENTS + 100
    text = '<c r="A{0}" t="inlineStr"><is><t>a</t></is></c>'
    for name, data in {
        "texts": xlsx_of("", strings="<si/>" * many),
        "cells in a row": xlsx_of(f'<row r="2">{"<c/>" * many}</row>'),
        "a row far below": xlsx_of(f'<row r="99999999999">{text.format(99999999999)}</row>'),
    }.items():
        yield Case(f"xlsx: {name}", "bomb.xlsx", data, brought.XLSX)


def _twice(data: bytes) -> bytes:
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as archive:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr(DOCUMENT, "<a/>")
    return out.getvalue()


def damaged(data: bytes) -> bytes:
    """Return a Word file whose document cannot be unpacked from somewhere on."""
    body = "".join(f"<w:p><w:r><w:t>Ina {n * 7919} kwana</w:t></w:r></w:p>" for n in range(3000))
    whole = repacked(data, {DOCUMENT: f"<w:document {WORD}><w:body>{body}".encode()})
    at = whole.index(DOCUMENT.encode()) + 9000
    return whole[:at] + b"\xff" * 40 + whole[at + 40 :]


def pdf_laughs(depth: int = 24) -> bytes:
    """Return a PDF whose page draws a form twice, which draws another one twice, and so on."""
    objects = {1: "<< /Type /Catalog /Pages 2 0 R >>"}
    objects[2] = "<< /Type /Pages /Kids [4 0 R] /Count 1 >>"
    objects[3] = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    objects[4] = (
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 5 0 R /Resources "
        "<< /Font << /F1 3 0 R >> /XObject << /X 6 0 R >> >> >>"
    )
    drawn = "/X Do /X Do"
    objects[5] = f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream"
    for at in range(6, 6 + depth):
        objects[at] = (
            f"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length {len(drawn)} /Resources "
            f"<< /Font << /F1 3 0 R >> /XObject << /X {at + 1} 0 R >> >> >>\n"
            f"stream\n{drawn}\nendstream"
        )
    said = "BT /F1 9 Tf (ha) Tj ET"
    objects[6 + depth] = (
        f"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length {len(said)} /Resources "
        f"<< /Font << /F1 3 0 R >> >> >>\nstream\n{said}\nendstream"
    )
    out, places = b"%PDF-1.4\n", []
    for number in sorted(objects):
        places.append(len(out))
        out += f"{number} 0 obj\n{objects[number]}\nendobj\n".encode()
    size = len(objects) + 1
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer << /Size {size} /Root 1 0 R >>\n"
    return out + f"{end}startxref\n{len(out)}\n%%EOF".encode()


def trees() -> Iterator[Case]:
    """Yield XML and web pages."""
    many = xml_stream.MAX_ELEMENTS + 100
    tags = Case("html: tags", "bomb.html", b"<p>a" * (html.MAX_TAGS + 1), {"format": "html"})
    deep = Case("html: nested", "bomb.html", b"<div>" * 50_000 + b"a", {"format": "html"})
    yield from (tags, deep)
    unit = brought.tmx(f"<tu><tuv xml:lang='wo'><seg>{'<x/>' * many}</seg></tuv></tu>")
    yield Case("tmx: a unit", "bomb.tmx", unit.encode(), brought.TMX)
    nested = brought.tmx("<x>" * many)
    yield Case("tmx: nested", "bomb.tmx", nested.encode(), brought.TMX)
    for dtd in (brought.LAUGHS, brought.FILE):
        data = f"{dtd}<xliff><segment><source>a</source></segment></xliff>".encode()
        yield Case("xliff: entities", "bomb.xlf", data, brought.XLIFF)
    circle = brought.eaf().replace('ANNOTATION_REF="a1"', 'ANNOTATION_REF="a3"')
    yield Case("elan: a circle", "bomb.eaf", circle.encode(), brought.ELAN)
    lost = brought.eaf().replace('ANNOTATION_REF="a1"', 'ANNOTATION_REF="a9"')
    yield Case("elan: nothing to refer to", "bomb.eaf", lost.encode(), brought.ELAN)
    values = brought.eaf().replace("<ANNOTATION_VALUE>Waaw.</ANNOTATION_VALUE>", "<x/>" * many)
    yield Case("elan: a tier", "bomb.eaf", values.encode(), brought.ELAN)


def tables(scale: int = 1) -> Iterator[Case]:
    """Yield tables, lists of messages and running text."""
    text = {"columns": {"text": "text"}}
    large = numbered_lines.MAX_LINE_BYTES + 99
    yield Case("text: a line", "bomb.txt", b"a" * large, {"format": "text"})
    yield Case("jsonl: a line", "bomb.jsonl", b'{"text": "' + b"a" * large, JSONL)
    yield Case("jsonl: nested", "bomb.jsonl", b'{"text": ' + b"[" * 10**6, JSONL)
    quote = b'text\n"' + b"a\n" * (large // 2 + 99)
    yield Case("csv: a quotation mark", "bomb.csv", quote, text | {"format": "csv"})
    cells = b'text\n"' + b'\n","' * (large // 2)
    yield Case("csv: cells", "bomb.csv", cells, text | {"format": "csv"})
    names = b'{"text": "a", "who": [' + b'"b", ' * 1000 + b'"c"]}\n'
    block = {"format": "jsonl", "columns": {"text": "text", "names": "who"}}
    yield Case("jsonl: names", "bomb.jsonl", names, block)
    record = b"\\tx a\n" + b"\\ft b\n" * (large // 2)
    yield Case("toolbox: a record", "bomb.sfm", record, brought.TOOLBOX)
    markers = b"\\tx a\n" + b"".join(b"\\m%d b\n" % n for n in range(10_100))
    yield Case("toolbox: markers", "bomb.sfm", markers, brought.TOOLBOX)
    lines = b"\r" * (passages.MAX_LINES + 1)
    yield Case("subtitles: lines", "bomb.srt", lines, {"format": "subtitles"})
    entries = b'msgid "a"\nmsgstr "b"\n' * (po_entries.MAX_PO_ENTRIES + 1)
    yield Case("po: entries", "bomb.po", entries, brought.PO)
    keys = b'{"' + b"k" * 900 + b'": {"' + b"k" * 900 + b'": "a"}}'
    yield Case("messages: a key", "ha/bomb.json", keys, MESSAGES)
    yield Case("messages: nested", "ha/bomb.json", b'{"a":' * 10**5, MESSAGES)
    strings = b'{"a": ["' + b'","' * (message_files.MAX_MESSAGES + 1) + b'"]}'
    yield Case("messages: texts", "ha/bomb.json", strings, MESSAGES)
    yield from _parquet(scale)


def _parquet(scale: int) -> Iterator[Case]:
    table: dict[str, Any] = {"format": "parquet", "columns": {"text": "text"}}
    if scale > 1:  # three gigabytes to make it
        page = parquet({"text": ["a" * (300 * 2**20)]}, use_dictionary=False)
        yield Case("parquet: a page", "bomb.parquet", page, table)
    import pyarrow as arrow

    empty = arrow.nulls(60_000_000, arrow.string())
    rows = parquet({"text": empty}, row_group_size=60_000_000)
    yield Case("parquet: rows", "bomb.parquet", rows, table)
    lists = arrow.ListArray.from_arrays([0, 11_000_000], arrow.nulls(11_000_000, arrow.string()))
    block = CHAT | {"format": "parquet", "columns": {"messages": "m"}}
    data = parquet({"m": lists}, data_page_size=2**30)
    yield Case("parquet: a list", "bomb.parquet", data, block)
