"""Message catalogues (PO): a segment per line of a message that has no translation yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from finetune.readers.translated.plurals import PluralRule, plural_rule
from finetune.readers.translated.po import source_of_form
from finetune.readers.translated.po_entries import ESCAPE, KEYWORD, QUOTED, Entry, unescaped
from finetune.translate.formats.inline_marks import each_line, lines_of
from finetune.translate.skeleton import Enclosed, Part, segments_in

_ESCAPED = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\r": "\\r", "\a": "\\a", "\b": "\\b"}
_ESCAPED |= {"\v": "\\v", "\f": "\\f", "\n": "\\n"}
_TO_ESCAPE = re.compile(r'[\\"\t\r\n\a\b\v\f]')
_LINES = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(slots=True)
class _Read:
    """An entry, and where the texts of its msgstr stand."""

    entry: Entry
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Form -> from its first quotation mark to its last."""
    is_damaged: bool = False


def cut_po(text: str) -> list[Part]:
    """Return a catalogue with the source of each empty msgstr in its place.

    Translations that are there, fuzzy and obsolete entries and the header stay. Of a message with
    plural forms each form is translated from `msgid` or `msgid_plural`, as the rule in the header
    asks for. A message of which a line has no translation keeps its empty msgstr.
    """
    end = "\r\n" if "\r\n" in text else "\n"
    parts: list[Part] = []
    done, rule = 0, None
    for read in _entries(text):
        entry = read.entry
        if entry.is_header:
            rule = _rule(entry) or rule
            continue
        if read.is_damaged or entry.msgid is None:
            continue
        for form, (begin, stop) in sorted(read.spans.items(), key=lambda one: one[1]):
            source = source_of_form(entry, form, rule)
            if entry.msgstr[form] or not source.strip():
                continue
            several = f" [{form}]" if entry.msgid_plural is not None else ""
            inside = tuple(each_line(source, label=f"{entry.line}{several}"))
            if not any(segments_in(inside)):  # `%s`: gettext shows the source itself
                continue
            enclosed = partial(_quoted, end=end)
            parts += [text[done:begin], Enclosed(inside, enclosed, unless_all=text[begin:stop])]
            done = stop
    return [*parts, text[done:]]


def _rule(header: Entry) -> PluralRule | None:
    lines = header.msgstr.get(0, "").split("\n")
    stated = (line.partition(":")[2] for line in lines if line.startswith("Plural-Forms"))
    return plural_rule(next(stated, ""))


def _quoted(text: str, *, end: str) -> str:
    """Return a text as the strings of an entry, one per line."""
    lines = [f'"{_TO_ESCAPE.sub(_escape, line)}"' for line in _LINES.findall(text)]
    return lines[0] if len(lines) == 1 else end.join(['""', *lines])


def _escape(found: re.Match[str]) -> str:
    return _ESCAPED[found[0]]


def _entries(text: str) -> Iterator[_Read]:
    """Yield the entries that are not obsolete, with the places of their msgstr."""
    read: _Read | None = None
    part: tuple[str, int] | None = None
    flags: frozenset[str] = frozenset()
    at = 0
    for number, (body, end) in enumerate(lines_of(text), start=1):
        begin, at = at, at + len(body) + len(end)
        line = body.strip()
        if not line or line.startswith(("#", "|")):
            part = None
            if read is not None and read.entry.msgstr:
                yield read
                read, flags = None, frozenset()
            if line.startswith("#,"):
                flags |= {flag.strip() for flag in line[2:].split(",")}
            continue
        keyword = KEYWORD.match(line)
        begins = keyword is not None and keyword[1] in ("msgctxt", "msgid")
        if begins and read is not None and read.entry.msgstr:
            yield read
            read, flags = None, frozenset()
        if read is None:
            read = _Read(Entry(number, flags=flags))
        part = _take(read, line, keyword, part, at=begin + body.index(line[0]))
    if read is not None and read.entry.msgstr:
        yield read


def _take(
    read: _Read, line: str, keyword: re.Match[str] | None, part: tuple[str, int] | None, *, at: int
) -> tuple[str, int] | None:
    """Add a line, which begins at `at`, to an entry; return the text that it belongs to."""
    quoted = QUOTED.fullmatch(line, keyword.end() if keyword else 0)
    part = (keyword[1], int(keyword[2] or 0)) if keyword else part
    if quoted is None or part is None:
        read.is_damaged = True
        return None
    name, form = part
    text = ESCAPE.sub(unescaped, quoted[1])
    if name == "msgstr":
        read.entry.msgstr[form] = read.entry.msgstr.get(form, "") + text
        start = at + quoted.start() if keyword else read.spans[form][0]
        read.spans[form] = (start, at + quoted.end())
    else:
        setattr(read.entry, name, (getattr(read.entry, name) or "") + text)
    return part
