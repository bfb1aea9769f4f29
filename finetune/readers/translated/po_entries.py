"""Entries of a gettext catalogue (PO), as its lines have them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from finetune.errors import DataError
from finetune.messages import Problem, Sentence, problem, sentence
from finetune.readers.guards import SPLIT, large_file, no_nul, opened, too_much
from finetune.readers.numbered_lines import whole_utf8
from finetune.sources.files import SourceFile

MAX_PO_BYTES = 64 * 2**20
MAX_PO_LINES = 2_000_000
MAX_PO_ENTRIES = 400_000
"""A catalogue is read as a whole; the largest of software have some ten thousand entries."""
MAX_FORMS = 20
COMPILED = (b"\xde\x12\x04\x95", b"\x95\x04\x12\xde")
"""The first bytes of a compiled catalogue (MO)."""
CHARSET = re.compile(rb"charset=([\w.:-]{1,40})", re.IGNORECASE)
_CHARSETS = re.compile(
    r"(?:iso-?8859-?\d{1,2}|latin-?\d|cp\d{3,4}|windows-?\d{3,4}|koi8-?[rut]|mac-?\w+|tis-?620"
    r"|euc-?(?:jp|kr|cn)|gb2312|gbk|gb18030|big5(?:-?hkscs)?|shift_?jis|viscii|ptcp154|us-?ascii"
    r"|ascii)",
    re.IGNORECASE,
)
"""Encodings of catalogues besides UTF-8; other codecs of Python are no encodings of text."""
KEYWORD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr)(?:\[(\d{1,3})\])?\s*(?=\")")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "v": "\v", "f": "\f"}


@dataclass(slots=True)
class Entry:
    """An entry; the texts are None where it has no such line."""

    line: int
    """Of its first keyword."""
    msgctxt: str | None = None
    msgid: str | None = None
    msgid_plural: str | None = None
    msgstr: dict[int, str] = field(default_factory=dict)
    """Form -> text; an entry without plural forms has form 0."""
    flags: frozenset[str] = frozenset()
    obsolete: bool = False
    problem: Problem | None = None
    """The fault of a damaged entry."""
    raw: list[str] = field(default_factory=list)
    """Its lines."""

    @property
    def is_header(self) -> bool:
        """Return whether it describes the file."""
        return self.msgid == "" and not self.msgctxt and not self.obsolete


def entries_of(file: SourceFile) -> Iterator[Entry]:
    """Yield the entries of a catalogue, the header among them.

    Raises DataError for a file that is too large, compiled, in an unknown encoding, or no
    catalogue. A damaged entry ends at the next blank line, and has its problem.
    """
    reading = _Reading(file)
    for number, raw in enumerate(_lines(file), start=1):
        line = raw.strip()
        obsolete = line.startswith("#~")
        if obsolete:
            line = line[2:].lstrip()
        if not line or line.startswith(("#", "|")):
            yield from reading.aside(line)
        else:
            yield from reading.line(number, line, obsolete=obsolete)
    yield from reading.end()


@dataclass(slots=True)
class _Reading:
    """The entry that the lines so far belong to."""

    file: SourceFile
    entry: Entry | None = None
    flags: set[str] = field(default_factory=set)
    """Of the comments since the last entry."""
    part: tuple[str, int] | None = None
    """The text that the next quoted line belongs to."""
    further: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    """The lines of each text after its first."""

    def aside(self, line: str) -> Iterator[Entry]:
        """Take a blank line, which ends an entry, or a comment, which ends a whole one."""
        if self.entry is not None and (self.entry.msgstr or self.entry.problem or not line):
            yield from self.end()
        if line.startswith("#,"):
            self.flags |= {flag.strip() for flag in line[2:].split(",")}
        self.part = None

    def line(self, number: int, line: str, *, obsolete: bool) -> Iterator[Entry]:
        """Take a line with a text."""
        keyword = KEYWORD.match(line)
        entry = self.entry
        begins = keyword is not None and keyword[1] in ("msgctxt", "msgid")
        whole = entry is not None and entry.problem is None
        if begins and entry is not None and whole and (entry.msgstr or entry.obsolete != obsolete):
            yield from self.end()
        if self.entry is None:
            self.entry = Entry(number, flags=frozenset(self.flags), obsolete=obsolete)
        self.entry.raw.append(line)
        if self.entry.problem is None:
            try:
                self.part = _take(self.entry, line, keyword, self.part, self.further)
            except ValueError as error:
                self.entry.problem = _damaged(self.file, number, error.args[0])

    def end(self) -> Iterator[Entry]:
        """Yield the entry, if there is one."""
        if self.entry is not None:
            for (name, form), lines in self.further.items():
                if name == "msgstr":
                    self.entry.msgstr[form] += "".join(lines)
                else:
                    setattr(self.entry, name, getattr(self.entry, name) + "".join(lines))
            yield _whole(self.entry, self.file)
        self.entry, self.part = None, None
        self.flags, self.further = set(), {}


def _take(
    entry: Entry,
    line: str,
    keyword: re.Match[str] | None,
    part: tuple[str, int] | None,
    further: dict[tuple[str, int], list[str]],
) -> tuple[str, int]:
    """Add a line to an entry and return the part it belongs to; ValueError for an odd one."""
    quoted = QUOTED.fullmatch(line, keyword.end() if keyword else 0)
    if quoted is None:
        raise ValueError(sentence("a text without its quotation marks"))
    text = ESCAPE.sub(unescaped, quoted[1])
    if keyword is None:
        if part is None:
            raise ValueError(sentence("a text without msgid or msgstr"))
        further.setdefault(part, []).append(text)
        return part
    name, form = keyword[1], int(keyword[2] or 0)
    there = form in entry.msgstr if name == "msgstr" else getattr(entry, name) is not None
    if there or form >= MAX_FORMS:
        raise ValueError(sentence("{name} stands there twice", name=name))
    if name == "msgstr":
        entry.msgstr[form] = text
    else:
        setattr(entry, name, text)
    return name, form


def _whole(entry: Entry, file: SourceFile) -> Entry:
    if entry.problem is None and (entry.msgid is None or not entry.msgstr):
        what = (
            sentence("an entry without msgid")
            if entry.msgid is None
            else (sentence("an entry without msgstr"))
        )
        entry.problem = _damaged(file, entry.line, what)
    return entry


def unescaped(found: re.Match[str]) -> str:
    """Return the character that an escape (`ESCAPE`) stands for."""
    code = found[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8))
    return _LETTERS.get(code, code)


def _damaged(file: SourceFile, line: int | None, why: Sentence | str) -> Problem:
    return problem(
        "damaged-po",
        "is not an entry of a PO file that can be read ({why}); correct it, or save the file again "
        "from the program it comes from",
        at=file.place(line),
        why=why,
    )


def _lines(file: SourceFile) -> Sequence[str]:
    """Return the lines of a catalogue. DataError for a file that is too large, or is none."""
    text = no_nul(_decoded(file), at=file.place())
    if text.count("\n") > MAX_PO_LINES or text.count("msgid") > MAX_PO_ENTRIES:
        what = sentence("lines, or {entries} entries", entries=MAX_PO_ENTRIES)
        raise too_much(file.place(), what=what, limit=MAX_PO_LINES, instead=SPLIT)
    if text.strip() and "msgid" not in text:
        raise DataError(_damaged(file, None, sentence("it has no msgid")))
    # a line ends at a line feed, and not at U+2028 or a form feed inside a text
    return re.split(r"\r\n|\n|\r", text)


def _decoded(file: SourceFile) -> str:
    """Return the text of a catalogue, in the encoding that its header states."""
    with opened(file) as stream:
        head = stream.read(2**16)
    command = f"msgunfmt {file.name}"
    if head.startswith(COMPILED):
        raise DataError(
            problem(
                "compiled-catalogue",
                "is a compiled catalogue (MO), without the marks of translators; use the PO file "
                "it was made from, or write one: {command}",
                at=file.place(),
                command=command,
            )
        )
    found = CHARSET.search(head)
    stated = found[1].decode("ascii") if found else "utf-8"
    if not _CHARSETS.fullmatch(stated):
        return whole_utf8(file, max_bytes=MAX_PO_BYTES, too_large=SPLIT).decode("utf-8-sig")
    with opened(file) as stream:
        data = stream.read(MAX_PO_BYTES + 1)
    if len(data) > MAX_PO_BYTES:
        raise large_file(file, limit=MAX_PO_BYTES, instead=SPLIT)
    try:
        codec = codecs.lookup(stated).name
        text = data.decode(codec)
    except LookupError:
        unknown = sentence("no such encoding is known here")
        raise DataError(_charset(file, stated, unknown)) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        differs = sentence("line {line:d} is in another encoding", line=line)
        raise DataError(_charset(file, stated, differs)) from None
    if not data.isascii() and _is_utf8(data):
        raise DataError(_charset(file, stated, sentence("the file is UTF-8")))
    return text


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _charset(file: SourceFile, charset: str, why: Sentence) -> Problem:
    return problem(
        "charset-of-header",
        "its header states charset={charset}, which does not hold ({why}); correct the header",
        at=file.place(),
        charset=charset,
        why=why,
    )
