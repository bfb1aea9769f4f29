"""Files to translate, generated: subtitles, books, catalogues, tables, texts; mixed scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

from finetune.translate.formats.cut import Cut
from finetune.translate.formats.format_table import FORMATS
from finetune.translate.skeleton import Enclosed, Part, Segment
from finetune.translate.text_bytes import Opened, opened

WORDS = (
    *("Hello", "friend", "don't", "ƙwarai", "ɓera", "नमस्ते", "किताब", "سلام", "کتاب", "שלום"),
    *("ߒߞߏ", "ⵜⴰⵎⴰⵣⵉⵖⵜ", "สวัสดี", "你好", "e\u0301te\u0301", "3"),
)
PLACEHOLDERS = ("{name}", "%(x)s", "%d", "&amp;", "{0}", "%s")
TAGS = ("<i>", "</i>", "<b>", "</b>", "\u200f", "\u200e", "\u2067", "\u2069")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")


def cut_of(data: bytes, form: str, *, paragraphs: bool = False) -> Opened:
    """Return a file as its texts; of tables the column `text`."""
    columns = ("text",) if form in ("csv", "tsv") else ()
    return opened(data, FORMATS[form], Cut(Path(f"a.{form}"), columns, paragraphs))


def raw_of(parts: Sequence[Part]) -> str:
    """Return all of a file that is no text, in order."""
    found = []
    for part in parts:
        if isinstance(part, Segment):
            found += [raw_of(joint.parts) for joint in part.joints]
        else:
            found.append(raw_of(part.parts) if isinstance(part, Enclosed) else part)
    return "".join(found)


def other_words(text: str) -> str:
    """Return a "translation" with all placeholders of a text: its words backwards, and one more."""
    return " ".join([*reversed(text.split()), "kalma"])


def sentence(draw: Random, *, marks: Sequence[str] = TAGS, joins: Sequence[str] = " ") -> str:
    """Return a sentence with tags and placeholders; `joins` may stand between its words."""
    text = ""
    for number in range(draw.randint(1, 8)):
        text += draw.choice(joins) if number else ""
        text += draw.choice(("", "", *marks))
        text += draw.choice((*WORDS, *PLACEHOLDERS)) + draw.choice(("", *marks))
    return text


def txt(draw: Random) -> str:
    """Return lines and blank lines."""
    return "\n".join(draw.choice(("", sentence(draw))) for _ in range(9)) + "\n\n"


def srt(draw: Random, *, cues: int = 6) -> str:
    """Return an SRT file: positions, dialogues, empty cues, missing numbers."""
    blocks = []
    for number in range(1, cues + 1):
        clock = f"{number // 60:02d}:{number % 60:02d}"
        times = f"00:{clock},000 --> 00:{clock},900{draw.choice(('', ' X1:40 Y1:2'))}"
        leads = ("", "", "- ", "♪ ", "{\\an8}", "\u202b")
        lines = [draw.choice(leads) + sentence(draw) for _ in range(draw.randint(0, 3))]
        blocks.append("\n".join([*draw.choice(([], [str(number)], [str(number)])), times, *lines]))
    return "\n\n".join(blocks) + "\n"


def vtt(draw: Random) -> str:
    """Return a WebVTT file: names, settings, notes, voices, times of karaoke."""
    marks = (*TAGS, "<00:00:01.500>", "<c.yellow>", "</c>")
    blocks = ["WEBVTT"]
    for _ in range(6):
        if draw.random() < 0.2:
            blocks.append(draw.choice(("NOTE a\nb", "STYLE\n::cue { color: red }")))
            continue
        lines = [
            draw.choice(("", "<v Musa>", "- ")) + sentence(draw, marks=marks)
            for _ in range(draw.randint(1, 3))
        ]
        name = draw.choice(("", "intro\n", "7\n"))
        setting = draw.choice(("", " align:start position:10%"))
        blocks.append(f"{name}00:01.000 --> 00:02.000{setting}\n" + "\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def usfm(draw: Random, *, verses: int = 8) -> str:
    """Return a USFM book: footnotes, cross references, verse ranges, poetry, styles."""
    inside = (
        *("", "", "\\f + \\fr 1:2 \\ft Or \\+nd God\\+nd* said.\\f*", "\\nd Lord\\nd*"),
        *("\\x - \\xo 1:2 \\xt Jer 4:23\\x*", '\\w word|lemma="x" strong="H1"\\w*', "\\vp 3b\\vp*"),
        *('\\zaln-s |x="y"\\*', "\\zaln-e\\*", '\\fig cap|src="a.jpg"\\fig*', "\\qs Sela\\qs*"),
    )
    joints = (" ", " ", "\n", "\n\\q1 ", "\n\\q2 ", "\n\\p\n", "\n\\b\n\\m ")
    others = ("\\s A title", "\\c 2\n\\p", "\\r (Mark 1:1)", "\\rem x", "\\mt1 Book", "\\ip Intro")
    lines = ["\\id GEN test", "\\h Genesis", "\\c 1", "\\p"]
    for _ in range(verses):
        if draw.random() < 0.25:
            lines.append(draw.choice(others))
        pieces = (
            sentence(draw, marks=("\u200f",)) + draw.choice(inside) + draw.choice(joints)
            for _ in range(draw.randint(0, 4))
        )
        lines.append(f"\\v {draw.choice(('1', '2-3', '4a', '5,7'))} " + "".join(pieces))
    return "\n".join(lines) + "\n"


def csv(draw: Random, *, delimiter: str = ",") -> str:
    """Return a table with quoted line ends, marks and delimiters; the second column is `text`."""
    lines = [delimiter.join(("id", "text"))]
    for _ in range(5):
        texts = (sentence(draw, joins=(" ", " ", "\n", '"', delimiter)) for _ in range(2))
        lines.append(delimiter.join(_cell(text, draw, delimiter) for text in texts))
    return "\n".join(lines) + "\n"


def _cell(text: str, draw: Random, delimiter: str) -> str:
    must = any(sign in text for sign in f'"\n{delimiter}')
    return '"' + text.replace('"', '""') + '"' if must or draw.random() < 0.5 else text


def po(draw: Random) -> str:
    """Return a catalogue with contexts, plurals, flags, and translations that are there."""
    plural = "nplurals=2; plural=(n != 1);"
    blocks = [f'msgid ""\nmsgstr ""\n"Language: ha\\n"\n"Plural-Forms: {plural}\\n"\n']
    for number in range(6):
        one, many = (_string(sentence(draw, joins=(" ", " ", "\n", '"', "\\"))) for _ in range(2))
        first = f'#: a.c:{number}\nmsgctxt "m{number}"\nmsgid {one}\n'
        kind = draw.choice(("one", "one", "plural", "done", "fuzzy", "obsolete"))
        if kind == "plural":
            blocks.append(f'{first}msgid_plural {many}\nmsgstr[0] ""\nmsgstr[1] ""\n')
        elif kind == "obsolete":
            blocks.append('#~ msgid "old"\n#~ msgstr ""\n')
        else:
            flag = "#, fuzzy\n" if kind == "fuzzy" else ""
            blocks.append(f"{flag}{first}msgstr {many if kind in ('done', 'fuzzy') else EMPTY}\n")
    return "\n".join(blocks)


EMPTY = '""'


def _string(text: str) -> str:
    signs = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
    lines = text.split("\n")
    lines = [line + "\n" for line in lines[:-1]] + lines[-1:]
    quoted = ['"' + "".join(signs.get(c, c) for c in line) + '"' for line in lines]
    return quoted[0] if len(quoted) == 1 else "\n".join([EMPTY, *quoted])


def tsv(draw: Random) -> str:
    """Return a table with tabs."""
    return csv(draw, delimiter="\t")


FILES: Mapping[str, Callable[[Random], str]] = {
    made.__name__: made for made in (txt, csv, tsv, srt, vtt, usfm, po)
}
"""Format -> the text of a file of it, drawn at random."""
