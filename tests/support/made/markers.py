"""USFM and Toolbox files."""

from __future__ import annotations

from tests.support.made import Made, Texts

_STYLES = (
    *(r"\wj {0}\wj*", r"\add {0}\add*", r"\qt-s |who=x\*{0}\qt-e\*", r"\w {0}|lemma=x\w*"),
    *(r"\wj \+nd {0}\+nd*\wj*", "{0}", "{0}", r"\k {0}\k* //"),
)
_NOTES = (
    (r"\f + \fr 1:1 \ft {0}\f*", "note"),
    (r"\x - \xo 1:1 \xt {0}\x*", "note"),
    (r"\fe * \ft {0}\fe*", "note"),
    (r"\fig {0}|src=a.jpg size=col\fig*", "picture-description"),
    (r"\fig |a.jpg|col|||{0}|1.1\fig*", "picture-description"),
)


class _Book:
    """A book of verses that is being written; `made` gets what must be read."""

    def __init__(self, seed: int, *, unit: str) -> None:
        self.texts = Texts(seed)
        self.rng = self.texts.rng
        self.made = Made({"format": "usfm"} | ({"unit": unit} if unit != "verse" else {}))
        self.unit = unit
        self.lines: list[str] = []
        self.open: list[str] = []
        """Parts of the open verse or paragraph."""

    def end(self) -> None:
        """End the open verse or paragraph."""
        text = "".join(self.open)
        if text:
            self.made.records.append({"text": text})
        self.open = []

    def beside(self, marker: str, reason: str) -> None:
        """Add a line that is no text."""
        text = self.texts.next()
        self.lines.append(f"\\{marker} {text}")
        self.made.left.append((reason, text))

    def title(self) -> None:
        """Add a title."""
        self.end()
        text = self.texts.next()
        self.lines.append(f"\\{self.rng.choice(['s', 's1', 'ms', 'd', 'mt2'])} {text}")
        self.made.records.append({"text": text})

    def piece(self) -> str:
        """Return a text with a style and perhaps a note, and take it down."""
        text = self.texts.next()
        written = self.rng.choice(_STYLES).format(text)
        if self.rng.random() < 0.3:
            note, reason = self.rng.choice(_NOTES)
            noted = self.texts.next()
            written += note.format(noted)
            self.made.left.append((reason, noted))
        return written, text  # type: ignore[return-value]

    def verse(self, number: str) -> None:
        """Add a verse in one of several layouts."""
        if self.unit == "verse":
            self.end()
        layout = self.rng.choice(["plain", "plain", "poetry", "paragraphs", "row"])
        pieces = [self.piece() for _ in range(1 if layout == "plain" else 2)]
        (first, text), *others = pieces
        if layout == "poetry":
            self.paragraph("q1")
        elif layout == "row":
            self.paragraph("tr")
            first = f"\\tc1 {first}"
        self.lines.append(
            f"\\v {number} {first}" if layout != "row" else f"\\tr \\v {number} {first}"
        )
        self.add(text)
        for other, more in others:
            if layout == "row":
                self.lines[-1] += f" \\tc2 {other}"
                self.open.append(f" {more}")
            else:
                marker = "q2" if layout == "poetry" else "p"
                self.paragraph(marker, ends=layout != "poetry")
                self.lines.append(f"{self.lines.pop()} {other}")
                self.open.append(("\n" if layout == "poetry" else " " if self.open else "") + more)
        if self.unit == "verse":
            return
        self.paragraph("p")

    def add(self, text: str) -> None:
        """Add text to the open verse or paragraph."""
        self.open.append((" " if self.open else "") + text)

    def paragraph(self, marker: str, *, ends: bool = True) -> None:
        """Begin a paragraph."""
        if self.unit == "paragraph" and ends:
            self.end()
        if marker != "tr":
            self.lines.append(f"\\{marker}")


def usfm_book(seed: int, *, unit: str = "verse") -> Made:
    """Return a book with titles, notes, poetry, tables, bridges and verses that are still empty."""
    book = _Book(seed, unit=unit)
    book.beside("id MAT", "peripheral")
    book.lines += [r"\usfm 3.0", r"\ide UTF-8"]
    book.beside("h", "peripheral")
    book.beside("toc1", "peripheral")
    book.beside("rem", "comment")
    for chapter in range(1, book.rng.randint(2, 3)):
        book.end()
        book.lines.append(f"\\c {chapter}")
        book.title()
        book.lines.append("\\p")
        for number in range(1, 2 * book.rng.randint(2, 5), 2):
            book.verse(book.rng.choice([f"{number}", f"{number}-{number + 1}", f"{number}a"]))
            if book.rng.random() < 0.2:
                book.title()
                book.beside("r", "peripheral")
                book.lines.append("\\p")
    book.end()
    book.made.data = ("\ufeff" * (seed % 2) + "\n".join(book.lines) + "\n").encode()
    return book.made


def toolbox(seed: int) -> Made:
    """Return interlinear texts: wrapped lines, a title before the records, other markers."""
    texts = Texts(seed)
    columns = {"wol_Latn": "tx", "fra_Latn": "ft"}
    if seed % 2:
        columns["record"] = "ref"
    block = {"kind": "parallel", "languages": ["wol_Latn", "fra_Latn"], "columns": columns}
    made = Made({"format": "toolbox"} | block)
    lines = [r"\_sh v3.0  400  Text", "", *([r"\id a title"] if seed % 2 else [])]
    for number in range(texts.rng.randint(2, 8)):
        first, more, french = texts.next(), texts.next(), texts.next()
        lines += [
            f"\\ref {number}",
            f"\\tx {first}",
            r"\ge x",
            f"\\tx {more.replace(' ', chr(10))}",
        ]
        lines += [f"\\ft {french}", ""]
        made.records.append({"wol_Latn": f"{first} {more}", "fra_Latn": french})
    made.data = "\n".join(lines).encode()
    return made


def usx_book(seed: int) -> Made:
    """Return a book in XML, with titles, notes, styles, a bridge and verses that are empty."""
    texts = Texts(seed)
    made = Made({"format": "usx"})

    def left(reason: str, form: str) -> str:
        text = texts.next()
        made.left.append((reason, text))
        return form.format(text)

    def title() -> str:
        text = texts.next()
        made.records.append({"text": text})
        return f'<para style="s1">{text}</para>'

    body = left("peripheral", '<book code="MAT" style="id">{0}</book>')
    body += left("comment", '<para style="rem">{0}</para>')
    body += f'<chapter number="1" style="c"/>{title()}<para style="p">'
    for number in range(1, texts.rng.randint(3, 8), 2):
        text, more = texts.next(), texts.next()
        note = left("note", '<note style="f" caller="+"><char style="ft">{0}</char></note>')
        body += f'<verse number="{number}-{number + 1}" style="v"/>{text}{note}'
        body += f' <char style="wj"><char style="nd">{more}</char></char><verse eid="x"/></para>'
        made.records.append({"text": f"{text} {more}"})
        poem = texts.next()
        body += f'<para style="q1">{poem}</para>{title()}<para style="p">'
        made.records[-2]["text"] += f"\n{poem}"
    body += '<verse number="99" style="v"/>...</para><chapter eid="MAT 1"/>'
    made.data = f'<?xml version="1.0"?><usx version="3.0">{body}</usx>'.encode()
    return made
