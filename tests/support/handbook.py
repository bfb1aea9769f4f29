"""Pages of this project's documentation as Word, PDF and HTML files: the handbook of a recipe.

`python -m tests.support.handbook` writes them into data_cards/handbook/ and prints their checksums.
The same pages give the same bytes. Code and commands are omitted.
"""

from __future__ import annotations

import hashlib
import io
import re
import textwrap
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data_cards/handbook"
PAGES = {
    "docx": [
        "cluster/interactive",
        "cluster/odd-sites",
        "cluster/other-schedulers",
        "cluster/shared-store",
    ],
    "pdf": ["evaluate/judging", "evaluate/report", "evaluate/reproduce"],
    "html": ["train/advise", "train/base-models", "train/mixing"],
}
"""Format -> pages below docs/."""
LINES_PER_PAGE = 46
CHARACTERS_PER_LINE = 88
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LINK = re.compile(r"\[([^\]]*)\]\([^)\s]*\)")
_SEPARATOR = re.compile(r"\|[\s:|-]+\|?$")


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a page: a heading (`level` 1 to 6), else a paragraph, list item or table row."""

    text: str
    level: int = 0


def blocks_of(page: str) -> list[Block]:
    """Return the parts of a Markdown page, without code.

    >>> page = "# A `title`\\n\\nOne\\nline.\\n\\n| a | b |\\n|---|---|\\n| 1 | 2 |"
    >>> [block.text for block in blocks_of(page)]
    ['A title', 'One line.', 'a: b', '1: 2']
    """
    found: list[Block] = []
    lines: list[str] = []
    fenced = False
    for line in [*page.splitlines(), ""]:
        fenced ^= line.startswith("```")
        text = "" if fenced or line.startswith(("```", "    ", "<!--")) else line.strip()
        heading = re.match(r"(#+) (.*)", text)
        alone = heading is not None or text.startswith("|")
        if lines and (alone or not text or text.startswith("- ")):
            found.append(Block(_plain(" ".join(lines))))
            lines.clear()
        if heading:
            found.append(Block(_plain(heading[2]), level=len(heading[1])))
        elif alone:
            found.append(Block(_row(text)))
        elif text:
            lines.append(text.removeprefix("- "))
    return [block for block in found if block.text]


def _row(text: str) -> str:
    """Return a row of a table as a line, nothing for the one below its header."""
    if _SEPARATOR.match(text):
        return ""
    first, *cells = (_plain(cell) for cell in re.split(r"(?<!\\)\|", text.strip("|")))
    return f"{first}: {'; '.join(cells)}" if cells else first


def _plain(text: str) -> str:
    text = _LINK.sub(r"\1", text).replace("**", "").replace("`", "").replace("\\|", "|")
    return " ".join(text.replace("<", "").replace(">", "").split())


def as_docx(blocks: Sequence[Block]) -> bytes:
    """Return a Word file."""
    import docx

    document = docx.Document()
    for block in blocks:
        if block.level:
            document.add_heading(block.text, level=block.level)
        else:
            document.add_paragraph(block.text)
    made, stream = io.BytesIO(), io.BytesIO()
    document.save(made)
    with zipfile.ZipFile(made) as parts, zipfile.ZipFile(stream, "w") as archive:
        for name in sorted(parts.namelist(), key=lambda one: (one != "[Content_Types].xml", one)):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, parts.read(name))
    return stream.getvalue()


def as_html(blocks: Sequence[Block]) -> bytes:
    """Return a web page."""
    body = "\n".join(
        f"<{tag}>{escape(block.text)}</{tag}>"
        for block in blocks
        for tag in [f"h{block.level}" if block.level else "p"]
    )
    title = escape(blocks[0].text)
    head = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    return f"{head}</head><body>\n{body}\n</body></html>\n".encode()


def as_pdf(blocks: Sequence[Block]) -> bytes:
    """Return a PDF file with a text layer, a font that every reader has, and pages of lines.

    Raises UnicodeEncodeError for letters that the font's encoding (Windows 1252) lacks.
    """
    lines = [
        line for block in blocks for line in (*textwrap.wrap(block.text, CHARACTERS_PER_LINE), "")
    ]
    pages = [lines[at : at + LINES_PER_PAGE] for at in range(0, len(lines), LINES_PER_PAGE)]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        drawn = b"BT /F1 10 Tf 14 TL 50 760 Td\n"
        for line in page:
            shown = re.sub(rb"([\\()])", rb"\\\1", line.encode("cp1252"))
            drawn += b"(" + shown + b") Tj T*\n"
        drawn += b"ET"
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            b"/Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>" % (5 + 2 * number)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn))
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    size, start = len(objects) + 1, len(out)
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    out += f"xref\n0 {size}\n0000000000 65535 f \n{table}".encode()
    return out + f"trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF".encode()


WRITERS = {"docx": as_docx, "pdf": as_pdf, "html": as_html}


def main() -> None:
    """Write the files of the handbook, and print the lines of their cards."""
    FOLDER.mkdir(exist_ok=True)
    for form, pages in PAGES.items():
        for page in pages:
            data = WRITERS[form](blocks_of((ROOT / f"docs/{page}.md").read_text("utf-8")))
            path = FOLDER / f"{page.rpartition('/')[2]}.{form}"
            path.write_bytes(data)
            print(f"      - path: {path.relative_to(ROOT / 'data_cards')}")
            print(f"        sha256: '{hashlib.sha256(data).hexdigest()}'")


if __name__ == "__main__":
    main()
