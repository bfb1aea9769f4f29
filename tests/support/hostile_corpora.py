"""Corpora of every format that strangers could bring: damaged ones, bombs, and special files.

`mutated(seed, count)` and `bombs()` yield cases; `outcome(folder, case)` reads one as `prepare` and
`cards check` do and says whether it was read or refused. Anything else is raised: an error that is
no DataError, one that does not name the file, or a case that takes too long.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import struct
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from finetune.cards.brought_files import columns_of
from finetune.errors import DataError
from finetune.prepare.reading.drafts import Draft, entry_of, read
from finetune.readers.record import Record
from finetune.readers.units import units_of
from finetune.sources.files import SourceFile, in_archive
from finetune.spec.card import CorpusBlock, DataCard
from finetune.spec.formats import find_format
from finetune.spec.recipe import Corpus
from finetune.spec.withdrawn import record_hash

NASTY = (
    *("\x00", "\x1b[2J", "\u202e", "\ufeff", "\r\n", "\u2028", "\x85", "\t", '"', "\\", "{{7*7}}"),
    *(
        "<script>",
        "=1+1",
        "../../../../etc/passwd",
        "/etc/passwd",
        "/dev/zero",
        "file:///etc/passwd",
    ),
    *(
        "NaN",
        "1e400",
        "-1",
        "0",
        "9" * 30,
        "9" * 5000,
        "0x" + "f" * 300,
        "true",
        "null",
        "[]",
        "{}",
    ),
    *("&a;", "<!--", "<![CDATA[", "<?x ?>", "]]>", "\U0001f600" * 20, "e\u0301" * 50, "a" * 70_000),
    *("[" * 3000, "<a>" * 3000, '"\\ud800"', "\\UFFFFFFFF", "\\u0000", " ", "", "%s%n", "msgid"),
)
MAX_RECORDS = 5000
MAX_SECONDS = 10.0
PAIR: dict[str, Any] = {"kind": "parallel", "languages": ["eng_Latn", "hau_Latn"]}
CHAT: dict[str, Any] = {"kind": "chat", "languages": ["hau_Latn"]}


@dataclass(frozen=True, slots=True)
class Case:
    """A file, and the corpus block of its card."""

    name: str
    file: str
    data: bytes
    block: dict[str, Any]


def outcome(folder: Path, case: Case) -> str:
    """Return `read` or `refused`; raise AssertionError for any other way to end."""
    path = folder / case.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(case.data)
    if case.name.startswith(("messages", "aligned")):  # each language has a file
        other = folder / "en" / path.name
        other.parent.mkdir(exist_ok=True)
        other.write_text('{"menu.open": "Open", "b": "c"}')
    return outcome_of(path, case.block, name=case.file)


def outcome_of(path: Path, block: dict[str, Any], *, name: str) -> str:
    """Read a file that lies somewhere as one of a card."""
    source = {"kind": "files", "files": [{"path": name, "sha256": "0" * 64}]}
    facts = {"kind": "text", "languages": ["hau_Latn"], "source": source} | block
    card = DataCard(
        name="case",
        path=path.parent / "case.md",
        language=["ha"],
        license="mit",
        pretty_name="case",
        corpus=CorpusBlock.model_validate(facts),
        body="",
    )
    begin = time.process_time()
    try:
        form = find_format(card.corpus.format)
        files = in_archive(SourceFile(path, name), form=form)
        if card.corpus.format in ("messages", "aligned"):
            other = path.parents[1] / "en" / path.name
            files.append(SourceFile(other, f"en/{path.name}"))
        ended = "refused" if _take(card, files) else "read"
        problems: tuple[str, ...] = ()
    except DataError as error:
        ended, problems = "refused", tuple(map(str, error.problems))
    short = name.rpartition("/")[2]
    odd = [one[:200] for one in problems if short not in one or len(one) > 3000]
    assert not odd, odd
    took = time.process_time() - begin
    assert took < MAX_SECONDS, f"{name}: {ended} after {took:.1f} s of CPU"
    return ended


def _take(card: DataCard, files: list[SourceFile]) -> bool:
    """Read a card as `prepare` does; return whether a record was refused as malformed."""
    kind = card.corpus.kind
    languages = card.corpus.languages
    pair = {"source": languages[0], "target": languages[-1]} if kind == "parallel" else {}
    entry = entry_of(Corpus(card="case", **pair), card)
    is_refused = False
    for unit in islice(units_of(card, files), MAX_RECORDS):
        if isinstance(unit, Record):
            record_hash(unit.fields)
            read(Draft(entry, unit))
        else:
            is_refused = is_refused or unit.problem is not None
    form = find_format(card.corpus.format)
    if form.columns and kind == "text":
        columns_of(files[0].path, form=form)
    return is_refused


def mutated(seed: int, count: int) -> Iterator[Case]:
    """Yield damaged files, of one format after the other."""
    rng = random.Random(seed)
    formats = seeds()
    names = sorted(formats)
    for number in range(count):
        form = names[number % len(names)]
        case = rng.choice(formats[form])
        packed = form in ("xlsx", "docx") and rng.random() < 0.8
        binary = form in ("xlsx", "docx", "pdf", "parquet") or rng.random() < 0.2
        change = _zip_mutated if packed else bytes_mutated if binary else _text_mutated
        data = change(rng, case.data)
        yield Case(f"{form} {seed}-{number}", case.file, data, case.block)


def damaged_tables(seed: int, count: int) -> Iterator[Case]:
    """Yield Parquet tables, four of five with damage in the footer and no place else."""
    rng = random.Random(seed)
    whole = seeds()["parquet"]
    for number in range(count):
        case = rng.choice(whole)
        if rng.random() < 0.8:
            data = with_footer(case.data, bytes_mutated(rng, footer_of(case.data)))
        else:
            data = bytes_mutated(rng, case.data)
        yield Case(f"parquet {seed}-{number}", case.file, data, case.block)


def footer_of(table: bytes) -> bytes:
    """Return the footer of a Parquet table, without its length and the magic word."""
    length = struct.unpack("<I", table[-8:-4])[0]
    return table[-8 - length : -8]


def with_footer(table: bytes, footer: bytes) -> bytes:
    """Return a Parquet table with another footer."""
    data = table[: -8 - len(footer_of(table))]
    return data + footer + struct.pack("<I", len(footer)) + b"PAR1"


def _text_mutated(rng: random.Random, data: bytes) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        if not data:
            return rng.choice(NASTY).encode()
        begin, end = sorted((rng.randrange(len(data)), rng.randrange(len(data))))
        nasty = rng.choice(NASTY).encode()
        lines = data.split(b"\n")
        line = rng.randrange(len(lines))
        changes = (
            data[:begin] + bytes([data[begin] ^ 1 << rng.randrange(8)]) + data[begin + 1 :],
            data[:begin] + bytes([rng.randrange(256)]) + data[begin + 1 :],
            data[:begin],
            data[:begin] + data[end:],
            data[:end] + data[begin:end] * rng.choice((1, 2, 50)) + data[end:],
            data[:begin] + nasty + data[begin:],
            data[:begin] + nasty + data[begin:],
            b"\n".join([*lines[:line], nasty, *lines[line + 1 :]]),
            b"\n".join([*lines[:line], *lines[line + 1 :]]),
            b"\n".join([*lines[:line], lines[line], *lines[line:]]),
            data.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\x0b", b"\xc2\x85"))),
            rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00" * 16)) + data,
            re.sub(rb"[0-9]+", lambda _: rng.choice((b"-1", b"0", b"9" * 20, b"2147483648")), data),
        )
        data = rng.choice(changes)
    return data


def bytes_mutated(rng: random.Random, data: bytes) -> bytes:
    """Return bytes with a few of them changed, taken out or put in."""
    if rng.random() < 0.3:
        return _text_mutated(rng, data)
    out = bytearray(data)
    for _ in range(rng.choice((1, 2, 4, 16, 64))):
        if not out:
            break
        at = rng.randrange(len(out))
        kind = rng.randrange(6)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.choice((0, 255, 127, 128, 1))
        elif kind == 2:
            number = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 1 << 20))
            out[at : at + 4] = struct.pack("<I", number)
        elif kind == 3:
            del out[at : at + rng.choice((1, 2, 8, 100))]
        elif kind == 4:
            out[at:at] = rng.randbytes(rng.choice((1, 4, 32)))
        elif rng.random() < 0.2:
            del out[at:]
    return bytes(out)


def _zip_mutated(rng: random.Random, data: bytes) -> bytes:
    """Damage a member and pack the archive again, or damage the compression of one."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", 8) as new:
        names = old.namelist()
        victim = rng.choice(names)
        for name in names:
            content, written = old.read(name), name
            if name == victim:
                how = rng.random()
                if how < 0.7:
                    content = _text_mutated(rng, content)
                elif how < 0.8:
                    continue
                elif how < 0.9:
                    written = rng.choice(
                        ("../../evil.xml", "/etc/evil.xml", "a" * 300, name.upper())
                    )
            new.writestr(written, content)
    packed = out.getvalue()
    if rng.random() < 0.15:
        at = rng.randrange(30, len(packed) // 2)
        packed = packed[:at] + rng.randbytes(3) + packed[at + 3 :]
    return packed


def seeds() -> dict[str, list[Case]]:
    """Return whole files of every format."""
    from tests.support import brought_files as brought
    from tests.support.made.markers import usx_book

    text = "".join(f"Ina kwana lafiya {i * 7} ɗan gida.\n" for i in range(30))
    cases = [
        Case("text", "a.txt", text.encode(), {"format": "text"}),
        Case("text", "a.txt", text.encode("utf-16"), {"format": "text", "encoding": "utf-16"}),
        *_tables(),
        Case("xlsx", "a.xlsx", _book(brought), brought.XLSX),
        Case("docx", "a.docx", brought.docx(["Benn", "b"], table=[["a", "b"]]), brought.DOCX),
        Case("pdf", "a.pdf", brought.pdf("Nanga def?", "Waaw waaw", ""), brought.PDF),
        Case("aligned", "ha/m.json", b'{"menu.open": "Bude", "b": "c"}\n', _ALIGNED),
        Case("text", "a.txt", gzip.compress(text.encode()), {"format": "text"}),
        Case("text", "a.txt", _archive(text.encode()), {"format": "text"}),
        Case("tmx", "a.tmx", brought.tmx(_UNITS).encode(), brought.TMX),
        Case("po", "a.po", _CATALOGUE.encode(), brought.PO),
        Case("xliff", "a.xlf", _XLIFF.encode(), brought.XLIFF),
        Case("elan", "a.eaf", brought.eaf().encode(), brought.ELAN),
        Case("textgrid", "a.TextGrid", _TEXTGRID.encode(), _TIER),
        Case("textgrid", "a.TextGrid", _TEXTGRID.encode("utf-16"), _TIER),
        Case("usfm", "a.usfm", _USFM.encode(), {"format": "usfm"}),
        Case("usx", "a.usx", usx_book(0).data, {"format": "usx"}),
        Case("toolbox", "a.sfm", _TOOLBOX.encode(), brought.TOOLBOX),
        Case("html", "a.html", _PAGE.encode(), {"format": "html"}),
        Case("subtitles", "a.srt", _SUBTITLES.encode(), {"format": "subtitles"}),
        Case("subtitles", "a.vtt", ("WEBVTT\n\n" + _SUBTITLES).encode(), {"format": "subtitles"}),
    ]
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(case.name, []).append(case)
    return found


def _archive(data: bytes) -> bytes:
    """Return a ZIP archive with a text."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", 8) as archive:
        archive.writestr("a.txt", data)
    return out.getvalue()


def _book(brought: Any) -> bytes:
    rows = [["id", "texte", "qui"], [1, "Nanga def?", "Amina"], [None] * 3, [2, 7, None]]
    book: bytes = brought.xlsx({"Un": rows, "N": [["a"], ["x"]]}, font="Arial")
    return book


def _tables() -> Iterator[Case]:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    row = {"text": "Ina", "translation": {"ha": "a", "en": "b"}, "messages": turns}
    lines = "".join(json.dumps(row | {"n": n}) + "\n" for n in range(10)).encode()
    columns = {"eng_Latn": "translation.en", "hau_Latn": "translation.ha"}
    table = "text,who\n" + "".join(f'"Ina, kwana ""lafiya"" {i}",Musa\n' for i in range(10))
    keys = {"ha": {"menu": {"open": "Bude", "n": {"message": "x", "description": "d"}}, "b": "c"}}
    texts = {"text": "text"}
    yield Case("jsonl", "a.jsonl", lines, {"format": "jsonl", "columns": texts})
    yield Case("jsonl", "a.jsonl", lines, PAIR | {"format": "jsonl", "columns": columns})
    messages = {"messages": "messages"}
    yield Case("jsonl", "a.jsonl", lines, CHAT | {"format": "jsonl", "columns": messages})
    who = {"text": "text", "contributor": "who"}
    yield Case("csv", "a.csv", table.encode(), {"format": "csv", "columns": who})
    tabs = table.replace("text,who", "text\twho").replace(",Musa", "\tMusa").encode()
    yield Case("tsv", "a.tsv", tabs, {"format": "tsv", "columns": texts})
    yield Case("messages", "ha/m.json", json.dumps(keys).encode(), {
        **PAIR, "format": "messages", "columns": {"eng_Latn": "en", "hau_Latn": "ha"},
    })  # fmt: skip
    for compression in ("snappy", "zstd", "none"):
        data = parquet({"text": [f"Ina {i}" for i in range(50)], "m": [turns] * 50}, compression)
        yield Case("parquet", "a.parquet", data, {"format": "parquet", "columns": texts})
        block = CHAT | {"format": "parquet", "columns": {"messages": "m"}}
        yield Case("parquet", "a.parquet", data, block)


def parquet(columns: dict[str, Any], compression: str = "zstd", **settings: Any) -> bytes:
    """Return a Parquet table."""
    import pyarrow as arrow
    from pyarrow import parquet as tables

    out = io.BytesIO()
    tables.write_table(arrow.table(columns), out, compression=compression, **settings)
    return out.getvalue()


_ALIGNED = PAIR | {"format": "aligned", "columns": {"eng_Latn": "en", "hau_Latn": "ha"}}
_UNITS = (
    '<tu><tuv xml:lang="fr"><seg>Bonjour <bpt i="1">x</bpt></seg></tuv>'
    '<tuv xml:lang="wo"><seg>Salaam</seg></tuv></tu>\n'
) * 5
_CATALOGUE = """\
# x
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

#: a.c:1
#, fuzzy
msgid "open"
msgstr "bude"

msgid "one"
msgid_plural "many"
msgstr[0] "daya"
msgstr[1] "da yawa"

#~ msgid "old"
#~ msgstr "tsoho"
"""
_XLIFF = """\
<?xml version="1.0"?><xliff version="1.2"><file><body><trans-unit id="1">
<source>Bonjour <g id="1">x</g></source><target>Salaam</target></trans-unit></body></file></xliff>
"""
_TOOLBOX = (
    "\\_sh v3.0  400  Text\n\n\\id 1\n\\tx Nanga def\n\\ft Comment ça va\n\n\\id 2\n\\tx Waaw\n"
    "  waaw\n\\ft Oui\n"
)
_TIER = {"format": "textgrid", "columns": {"text": "tx"}}
_TEXTGRID = '''\
File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.5
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "tx"
        xmin = 0
        xmax = 2.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = "Nanga ""def"""
        intervals [2]:
            xmin = 1.5
            xmax = 2.5
            text = ""
'''
_USFM = r"""\id MAT x
\mt1 Mace
\c 1
\p
\v 1 Benn \f + \ft bis\f* \w x|y="z"\w* \wj a\wj*
\q1
\v 2-3 ñaar
\q2 ñett
\s ci
\p
\v 4 ...
"""
_PAGE = (
    "<!doctype html><html><body><h1>Ina</h1>\n<article><p>kwana <b>x</b> &amp; &#x41;</p>\n<ul>"
    "<li>a<li>b</ul></article><script>x</script><table><tr><td>c</td></tr></table></body></html>"
)
_SUBTITLES = (
    "1\n00:00:01.000 --> 00:00:02.000\nIna kwana\n\n2\n00:00:05.000 --> 00:00:06.000\n- Lafiya\n"
)


def bombs(scale: int = 1) -> Iterator[Case]:
    """Yield small files that ask for much memory or time; all of them are to be refused.

    They go a little beyond the limits of the readers as they are when this is called. `scale` 2
    adds what takes gigabytes to make.
    """
    from tests.support import corpus_bombs

    yield from corpus_bombs.archives()
    yield from corpus_bombs.trees()
    yield from corpus_bombs.tables(scale)
