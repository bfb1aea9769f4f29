"""Web pages and PDF files."""

from __future__ import annotations

from html import escape

from tests.support.made import Made, Texts

_SEEN = (
    *("<p>{0}</p>", "<li>{0}", "<h2>{0}</h2>", "<div><b>{0}</b></div>", "<pre>{0}</pre>"),
    *("<table><tr><td>{0}</td></tr></table>", "<blockquote><a href='x'>{0}</a></blockquote>"),
    *("<details><summary>{0}</summary></details>", "<nav>{0}</nav>", "<section>{0}</section>"),
    *("<p><ruby>{0}<rp>(</rp></ruby></p>", "<p><script>no()</script>{0}<style>x</style></p>"),
)
_UNSEEN = {
    "<p><noscript>{0}</noscript></p>": "hidden-text",
    "<template><p>{0}</p></template>": "hidden-text",
    "<p hidden>{0}</p>": "hidden-text",
    "<div style='color: red; display: none'>{0}</div>": "hidden-text",
    "<video>{0}</video>": "hidden-text",
    "<p><img alt='{0}'></p>": "picture-description",
    "<svg><text>{0}</text></svg>": "drawn-text",
    "<math><mi>{0}</mi></math>": "equation",
    "<p><del>{0}</del></p>": "deleted-text",
    "<p><ruby><rt>{0}</rt></ruby></p>": "ruby",
}


_ENDS = ("Yau da safe", "Bayan karatu", "A kasuwa", "Da dare", "Washegari", "Haka muka yi")


def web_page(seed: int) -> Made:
    """Return a page of texts that are shown and others that are not."""
    texts = Texts(seed)
    made = Made({"format": "html"})
    title = texts.next()
    made.left.append(("peripheral", title))
    body = ""
    for _ in range(texts.rng.randint(3, 9)):
        text = texts.next()
        if texts.rng.random() < 0.4:
            form, reason = texts.rng.choice(list(_UNSEEN.items()))
            made.left.append((reason, text))
        else:
            form = texts.rng.choice(_SEEN)
            made.records.append({"text": text})
        body += form.format(escape(text)) + "\n"
    made.data = f"<!doctype html><head><title>{title}</title></head><body>{body}</body>".encode()
    return made


def pdf_file(seed: int) -> Made:
    """Return a PDF of several pages with a head, a page number, cut words and a scanned page."""
    texts = Texts(seed)
    made = Made({"format": "pdf"})
    pages: list[list[str]] = []
    count = texts.rng.randint(3, 6)
    known = "makaranta" if seed % 2 else "jarrabawa"
    for number in range(count):
        head = f"Labarin Gari h{number}z"
        first, last = (f"{_ENDS[(number + 3 * at) % 6]} u{2 * number + at}z" for at in (0, 1))
        lines = [head, f"{first} {known[:5]}-", f"{known[5:]}, sun tafi wa-", f"je {last}"]
        whole = [f"{first} {known},", "sun tafi wa-", f"je {last}"]
        if number == 0:
            lines.append(f"{known} ta gari")
            whole.append(f"{known} ta gari")
        lines.append(f"- {12 + number} -")
        pages.append(lines)
        made.records.append({"text": "\n".join(whole)})
        made.left += [("page-head", head), ("page-head", f"- {12 + number} -")]
    made.data = written(pages)
    return made


def written(pages: list[list[str]]) -> bytes:
    """Return a PDF with these lines on its pages."""
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, lines in enumerate(pages):
        shown = " T* ".join(f"({line.replace('(', '').replace(')', '')}) Tj" for line in lines)
        drawn = f"BT /F1 12 Tf 14 TL 72 700 Td {shown} ET"
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
    size, start = len(objects) + 1, len(out)
    out += f"xref\n0 {size}\n0000000000 65535 f \n{table}".encode()
    return out + f"trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF".encode()
