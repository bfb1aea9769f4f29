"""Excel files written as raw XML, with a count of the texts in them that needs no reader."""

from __future__ import annotations

import io
import random
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
WORDS = ("Ina kwana", "Na gode \u0199warai", "\u0928\u092e\u0938\u094d", "a < b & c", "two\nlines")


@dataclass
class Book:
    """A file with its expected texts."""

    data: bytes
    texts: list[str] = field(default_factory=list)
    """Texts of records, in order."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Reason -> number of units."""


def book_of(
    sheets: dict[str, str],
    *,
    states: dict[str, str] | None = None,
    strings: str = "",
    extra: dict[str, str] | None = None,
) -> bytes:
    """Return an Excel file of sheets, given as the XML in each worksheet."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        listed = rels = ""
        for number, (name, xml) in enumerate(sheets.items(), start=1):
            state = f' state="{(states or {}).get(name)}"' if (states or {}).get(name) else ""
            listed += f'<sheet name="{escape(name)}" sheetId="{number}" r:id="rId{number}"{state}/>'
            rels += (
                f'<Relationship Id="rId{number}" Type="{OFFICE}/worksheet" '
                f'Target="worksheets/sheet{number}.xml"/>'
            )
            archive.writestr(
                f"xl/worksheets/sheet{number}.xml", f'<worksheet xmlns="{MAIN}">{xml}</worksheet>'
            )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{RELS}">{rels}</Relationships>'
        )
        if strings:
            archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}">{strings}</sst>')
        for name, xml in (extra or {}).items():
            archive.writestr(name, xml)
    return out.getvalue()


class Writer:
    """Writes cells in every way that Excel stores them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.strings, self.count = rng, "", 0

    def text(self, name: str, text: str) -> str:
        """Return a cell that holds a text."""
        stored = escape(text)
        form = self.rng.choice(("shared", "rich", "inline", "formula"))
        if form == "inline":
            return f'<c r="{name}" t="inlineStr"><is><t xml:space="preserve">{stored}</t></is></c>'
        if form == "formula":
            return f'<c r="{name}" t="str"><f>A1&amp;B1</f><v>{stored}</v></c>'
        if form == "rich":
            half = len(text) // 2
            parts = (escape(text[:half]), escape(text[half:]))
            runs = "<r><t>{}</t></r><r><rPr><b/></rPr><t>{}</t></r>".format(*parts)
            self.strings += f"<si>{runs}<rPh sb='0' eb='1'><t>kana</t></rPh></si>"
        else:
            self.strings += f"<si><t>{stored}</t></si>"
        self.count += 1
        return f'<c r="{name}" t="s"><v>{self.count - 1}</v></c>'


NO_TEXTS = {
    "not-text-cell": (
        '<c r="{0}"><v>45413</v></c>',
        '<c r="{0}" t="b"><v>1</v></c>',
        '<c r="{0}"><f>1+1</f><v>2</v></c>',
    ),
    "error-cell": (
        '<c r="{0}" t="e"><v>#NAME?</v></c>',
        '<c r="{0}" t="inlineStr"><is><t>#NOM?</t></is></c>',
    ),
    "formula-cell": ('<c r="{0}"><f>LEFT(A1,3)</f></c>', '<c r="{0}"><f>A1</f><v/></c>'),
    "missing-value": ('<c r="{0}" t="inlineStr"><is><t>N/A</t></is></c>',),
}


def generated(seed: int) -> Book:
    """Return a file with sheets, titles, hidden rows and cells without text."""
    rng = random.Random(seed)
    writer, book, sheets, states = Writer(rng), Book(b""), {}, {}
    for number in range(rng.randint(1, 4)):
        name, rows, line = f"S{number}", "", 0
        other, hidden = number > 0 and rng.random() < 0.25, number > 0 and rng.random() < 0.2
        states[name] = "hidden" if hidden else ""
        for _ in range(rng.choice((0, 0, 1, 3))):  # titles
            line += 1
            rows += f'<row r="{line}">{writer.text(f"A{line}", "A title")}</row>'
            book.rejected["above-header"] += not other
        line += 1
        names = ("x", "y") if other else ("id", rng.choice(("texte", "Texte ", "TEXTE")))
        rows += f'<row r="{line}">' + "".join(
            writer.text(f"{letter}{line}", cell) for letter, cell in zip("AC", names, strict=True)
        )
        rows += "</row>"
        book.rejected["sheet-not-read"] += other
        for _ in range(rng.randint(1, 6)):
            line += rng.randint(1, 3)
            unseen = rng.random() < 0.15
            kind = rng.choice(("text", "text", "text", *NO_TEXTS))
            if kind == "text":
                text = rng.choice(WORDS)
                cell = writer.text(f"C{line}", text)
            else:
                cell = rng.choice(NO_TEXTS[kind]).format(f"C{line}")
            attribute = ' hidden="1"' if unseen else ""
            first = f'<c r="A{line}"><f>ROW()</f><v>{line}</v></c>'
            rows += f'<row r="{line}"{attribute}>{first}{cell}</row>'
            if other:
                continue
            if unseen or hidden:
                book.rejected["hidden-row"] += 1
            elif kind == "text":
                book.texts.append(text)
            else:
                book.rejected[kind] += 1
        sheets[name] = (
            f'<sheetData>{rows}</sheetData><mergeCells><mergeCell ref="C2:C3"/></mergeCells>'
        )
    book.data = book_of(sheets, states=states, strings=writer.strings)
    return book
