"""Word files: tracked changes, content controls, text boxes, notes, tables, hidden text ..."""

from __future__ import annotations

import io
import zipfile
from typing import Any
from xml.sax.saxutils import escape

from tests.support.made import Made, Texts

_SPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml"'
)
_KIND = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_STYLES = (
    '<w:style w:type="character" w:styleId="Secret"><w:rPr><w:vanish/></w:rPr></w:style>'
    '<w:style w:type="character" w:styleId="Child"><w:basedOn w:val="Secret"/></w:style>'
)


def packed(body: str, **others: str) -> bytes:
    """Return a Word file; `others`: kind of a part -> its content."""
    out = io.BytesIO()
    members = {"document": f"<w:document {_SPACES}><w:body>{body}</w:body></w:document>"}
    roots = {"header": "hdr", "footer": "ftr"}
    for kind, content in {"styles": _STYLES, **others}.items():
        root = f"w:{roots.get(kind, kind)}"
        members[kind] = f"<{root} {_SPACES}>{content}</{root}>"
    of_main = "".join(
        f'<Relationship Id="r{n}" Type="{_KIND}/{kind}" Target="{kind}.xml"/>'
        for n, kind in enumerate(members)
        if kind != "document"
    )
    main = f'<Relationship Id="r1" Type="{_KIND}/officeDocument" Target="word/document.xml"/>'
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, relations in {"": main, "word/": of_main}.items():
            file = f"{name}_rels/{'document.xml' if name else ''}.rels"
            archive.writestr(
                file, f'<Relationships xmlns="{_RELATIONS}">{relations}</Relationships>'
            )
        for name, content in members.items():
            archive.writestr(f"word/{name}.xml", content)
    return out.getvalue()


def run(text: str, *, settings: str = "", tag: str = "t") -> str:
    """Return a run."""
    return f'<w:r>{settings}<w:{tag} xml:space="preserve">{escape(text)}</w:{tag}></w:r>'


def paragraph(inner: str, *, settings: str = "") -> str:
    """Return a paragraph."""
    return f"<w:p>{settings}{inner}</w:p>"


def box(inner: str) -> str:
    """Return a text box as Word writes it: in its own form, and once more in the old one."""
    content = f"<w:txbxContent>{inner}</w:txbxContent>"
    return (
        "<w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wps:txbx>"
        f"{content}</wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:shape><v:textbox>"
        f"{content}</v:textbox></v:shape></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
    )


SEEN = {
    "inserted": "<w:ins>{0}</w:ins>",
    "moved here": "<w:moveTo>{0}</w:moveTo>",
    "control": "<w:sdt><w:sdtPr/><w:sdtContent>{0}</w:sdtContent></w:sdt>",
    "control in control": (
        "<w:sdt><w:sdtContent><w:sdt><w:sdtContent>{0}</w:sdtContent></w:sdt></w:sdtContent></w:sdt>"
    ),
    "link": "<w:hyperlink>{0}</w:hyperlink>",
    "smart tag": "<w:smartTag><w:smartTagPr/>{0}</w:smartTag>",
    "custom": "<w:customXml>{0}</w:customXml>",
    "field": '<w:fldSimple w:instr="PAGE">{0}</w:fldSimple>',
    "long field": (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>REF x</w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>{0}<w:r><w:fldChar w:fldCharType="end"/>'
        "</w:r>"
    ),
    "direction": '<w:bdo w:val="rtl"><w:dir>{0}</w:dir></w:bdo>',
    "inserted link": "<w:ins><w:hyperlink>{0}</w:hyperlink></w:ins>",
    "ruby": "<w:r><w:ruby><w:rubyPr/><w:rubyBase>{0}</w:rubyBase></w:ruby></w:r>",
}
"""Forms around runs whose text is shown."""
_SECRET, _CHILD = (f'<w:rPr><w:rStyle w:val="{name}"/></w:rPr>' for name in ("Secret", "Child"))


def _unseen(kind: str, text: str) -> tuple[str, str]:
    """Return a part of a paragraph that is not shown, and the reason."""
    deleted = run(text, tag="delText")
    made = {
        "deleted": (f"<w:del>{deleted}</w:del>", "deleted-text"),
        "moved away": (f"<w:moveFrom>{run(text)}</w:moveFrom>", "deleted-text"),
        "deleted insertion": (f"<w:ins><w:del>{deleted}</w:del></w:ins>", "deleted-text"),
        "hidden": (run(text, settings="<w:rPr><w:vanish/></w:rPr>"), "hidden-text"),
        "hidden style": (run(text, settings=_SECRET), "hidden-text"),
        "style on hidden": (run(text, settings=_CHILD), "hidden-text"),
        "reading": (f"<w:r><w:ruby><w:rt>{run(text)}</w:rt></w:ruby></w:r>", "ruby"),
        "equation": (f"<m:oMath><m:r><m:t>{text}</m:t></m:r></m:oMath>", "equation"),
        "empty form": (
            "<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>"
            f"{run(text)}</w:sdtContent></w:sdt>",
            "placeholder",
        ),
        "picture": (
            f'<w:r><w:drawing><wp:docPr id="1" descr="{text}"/></w:drawing></w:r>',
            "picture-description",
        ),
        "drawn": (f"<w:r><w:drawing><a:p><a:r><a:t>{text}</a:t></a:r></a:p></w:drawing></w:r>",
                  "drawn-text"),
        "word art": (f'<w:r><w:pict><v:textpath string="{text}"/></w:pict></w:r>', "drawn-text"),
    }  # fmt: skip
    return made[kind]


UNSEEN = (
    *("deleted", "moved away", "deleted insertion", "hidden", "hidden style", "style on hidden"),
    *("reading", "equation", "empty form", "picture", "drawn", "word art"),
)


class _Writer:
    """Parts of a file with random contents; `made` gets what must be read."""

    def __init__(self, seed: int) -> None:
        self.texts = Texts(seed)
        self.rng = self.texts.rng
        self.made = Made({"format": "docx"})

    def paragraph(self, *, settings: str = "", boxes: bool = True) -> str:
        """Return a paragraph of several parts."""
        inner, shown, left, boxed = "", [], {}, []  # type: ignore[var-annotated]
        for _ in range(self.rng.randint(1, 4)):
            form = self.rng.choice([*SEEN, *UNSEEN, "plain", "plain"])
            text = self.texts.next()
            if form in UNSEEN:
                part, reason = _unseen(form, text)
                left.setdefault(reason, []).append(text)
            else:
                part = SEEN.get(form, "{0}").format(run(f"{text} "))
                shown.append(text)
            inner += part
        if boxes and self.rng.random() < 0.2:
            text = self.texts.next()
            inner += box(paragraph(run(text)))
            boxed.append(text)
        self._add(shown, left)
        self.made.records += [{"text": text} for text in boxed]
        return paragraph(inner, settings=settings)

    def _add(self, shown: list[str], left: dict[str, list[str]]) -> None:
        if shown:
            self.made.records.append({"text": " ".join(shown)})
        self.made.left += [(reason, text) for reason, texts in left.items() for text in texts]

    def plain(self, *, reason: str = "") -> str:
        """Return a paragraph of one run, which is read or rejected."""
        text = self.texts.next()
        if reason:
            self.made.left.append((reason, text))
        else:
            self.made.records.append({"text": text})
        return paragraph(run(text))

    def table(self) -> str:
        """Return a table with merged cells, deleted rows and a table inside."""
        rows = f"<w:tr><w:tc>{self.plain()}</w:tc><w:tc>{self.plain()}</w:tc></w:tr>"
        merged = '<w:tcPr><w:vMerge w:val="continue"/></w:tcPr>'
        rows += f"<w:tr><w:tc>{merged}{self.plain(reason='hidden-text')}</w:tc>"
        rows += f"<w:tc>{self.plain()}{self.plain()}</w:tc></w:tr>"
        deleted = f"<w:tc>{self.plain(reason='deleted-text')}</w:tc>"
        rows += f"<w:tr><w:trPr><w:del/></w:trPr>{deleted}</w:tr>"
        inside = f"<w:tbl><w:tr><w:tc>{self.plain()}</w:tc></w:tr></w:tbl>"
        return f"<w:tbl>{rows}<w:tr><w:tc>{inside}{self.plain()}</w:tc></w:tr></w:tbl>"

    def joined(self) -> str:
        """Return two paragraphs of which the end of the first was deleted: one text."""
        first, second = self.texts.next(), self.texts.next()
        mark = "<w:pPr><w:rPr><w:del/></w:rPr></w:pPr>"
        self.made.records.append({"text": f"{first} {second}"})
        return paragraph(run(f"{first} "), settings=mark) + paragraph(run(second))


def word_file(seed: int) -> Made:
    """Return a Word file with whatever there is."""
    write = _Writer(seed)
    forms: list[Any] = [write.paragraph, write.paragraph, write.table, write.joined]
    wrapped = "<w:sdt><w:sdtPr/><w:sdtContent>{0}</w:sdtContent></w:sdt>"
    body = ""
    for _ in range(write.rng.randint(2, 7)):
        block = write.rng.choice(forms)()
        body += wrapped.format(block) if write.rng.random() < 0.3 else block
    unfilled = (
        "<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{0}</w:sdtContent></w:sdt>"
    )
    body += unfilled.format(write.plain(reason="placeholder"))
    notes = '<w:footnote w:type="separator" w:id="-1"><w:p/></w:footnote>'
    comments = f'<w:comment w:id="1">{write.plain(reason="comment")}</w:comment>'
    header = write.plain(reason="page-head")
    footer = write.plain(reason="page-head")
    end = f'<w:endnote w:id="1">{write.plain()}</w:endnote>'
    notes += f'<w:footnote w:id="1">{write.plain()}</w:footnote>'
    write.made.data = packed(
        body, comments=comments, endnotes=end, footer=footer, footnotes=notes, header=header
    )
    return write.made


def word_table(seed: int, *, by_number: bool) -> Made:
    """Return a Word file with tables in two languages, and texts outside of them."""
    texts = Texts(seed)
    columns = {"wol_Latn": "Wolof", "fra_Latn": "Français"}
    if by_number:
        columns = {"wol_Latn": "2", "fra_Latn": "1"}
    block = {"kind": "parallel", "languages": ["wol_Latn", "fra_Latn"], "columns": columns}
    made = Made({"format": "docx"} | block)

    def cell(*lines: str, settings: str = "") -> str:
        inner = "".join(paragraph(run(line)) for line in lines) or "<w:p/>"
        return f"<w:tc>{settings}{inner}</w:tc>"

    header = f"<w:tr>{cell(' français')}{cell('WOLOF ')}</w:tr>"
    if by_number:
        header = header.replace("<w:tr>", "<w:tr><w:trPr><w:tblHeader/></w:trPr>")
    body = ""
    for _ in range(2):
        rows = ""
        for _ in range(texts.rng.randint(1, 5)):
            french, wolof, more = texts.next(), texts.next(), texts.next()
            rows += f"<w:tr>{cell(french)}{cell(wolof, more)}</w:tr>"
            made.records.append({"wol_Latn": f"{wolof}\n{more}", "fra_Latn": french})
        alone = texts.next()
        rows += f"<w:tr>{cell(alone)}{cell()}</w:tr><w:tr>{cell()}{cell()}</w:tr>"
        made.records.append({"wol_Latn": None, "fra_Latn": alone})
        between = texts.next()
        body += f"<w:tbl>{header}{rows}</w:tbl>{paragraph(run(between))}"
        made.left.append(("not-in-table", between))
    note = texts.next()
    other = f"<w:tbl><w:tr>{cell(note)}</w:tr></w:tbl>"
    made.left.append(("not-in-table", note))
    made.data = packed(body + other)
    return made
