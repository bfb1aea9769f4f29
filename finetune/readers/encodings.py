"""Encodings of text files: found by signs that leave no doubt, proposed where there is doubt."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from finetune.errors import DataError
from finetune.messages import Sentence, phrase, problem, sentence
from finetune.readers.guards import opened
from finetune.sources.files import SourceFile
from finetune.spec.values.table_keys import Encoding
from finetune.text.shown import quotable

HEAD_BYTES = 2**16
"""Beginning of a file that shows UTF-16 without its mark."""
PROPOSAL_BYTES = 2**20
"""Beginning of a file that shows which encoding it may have."""
MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
ZERO_SHARE = 0.02
"""Zero bytes among the bytes of UTF-16: every space and line end has one."""
PLAIN_ZERO_SHARE = 0.2
MAX_BLOCKS = 4
"""Unicode blocks of 256 characters in one file; more are letters taken for halves of characters."""
PROPOSED: tuple[Encoding, ...] = (
    *("windows-1252", "windows-1250", "windows-1251", "windows-1256", "windows-1253"),
    *("windows-1254", "windows-1255", "windows-1257", "windows-1258", "mac-roman"),
    *("iso-8859-15", "iso-8859-2", "iso-8859-16", "koi8-r", "koi8-u"),
)
"""The most common ones first: where two read a file equally well, the first is proposed."""
SCORE_STEP = 0.02
"""Smaller differences between the shares of good words do not count."""
MOST_PROPOSALS = 2
MOST_READINGS = 6
TRIED_LINES = 200
CELL_ENDS = ";\t|"
WINDOW = 48
"""Characters of a line that are shown; with its encoding they fit into 80 columns."""
MIN_SCORE = 0.8
SAMPLE_WORDS = 5
_BETWEEN = re.compile(r"[\s,;|:/()]+")
"""Also what stands between the cells of a table."""
_EDGES = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True, slots=True)
class Found:
    """The encoding of a file."""

    codec: str
    start: int
    """Bytes of its mark."""
    how: str = ""
    """Sign that it was found by, where the card does not state it: `mark` or `zeros`."""

    @property
    def about(self) -> Sentence:
        """Its name, and how it was found."""
        name = self.codec.upper()
        if self.how == "mark":
            return sentence("{name}, by its byte order mark", name=name)
        if self.how == "zeros":
            return sentence("{name}, by its zero bytes (it has no byte order mark)", name=name)
        return phrase(name)

    @property
    def key(self) -> Encoding:
        """Its value in a card."""
        return "utf-16" if self.codec.startswith("utf-16") else self.codec  # type: ignore[return-value]


def found_encoding(stream: BinaryIO, encoding: Encoding, file: SourceFile) -> Found:
    """Return the encoding of an open file; `encoding`: that of the card.

    UTF-16 is read by its mark, or by its zero bytes, whatever the card states. Raises DataError for
    UTF-32, and for a file that is not the UTF-16 of its card.
    """
    head = stream.read(HEAD_BYTES)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise DataError(
            problem(
                "utf-32", "is UTF-32, which is not read; save the file as UTF-8", at=file.place(1)
            )
        )
    if head[:2] in MARKS:
        return Found(MARKS[head[:2]], 2, "mark")
    if encoding in ("utf-8", "utf-16"):
        if codec := _by_zeros(head):
            return Found(codec, 0, "zeros")
        if encoding == "utf-16":
            raise DataError(
                problem(
                    "no-byte-order",
                    "has no UTF-16 byte order mark, and is not UTF-16; remove `encoding` from the "
                    "card, or save the file as UTF-8",
                    at=file.place(1),
                )
            )
    return Found(encoding, 3 if encoding == "utf-8" and head.startswith(codecs.BOM_UTF8) else 0)


def _by_zeros(head: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark, or None for any other file."""
    zeros = (head[::2].count(0), head[1::2].count(0))
    most, fewest = max(zeros), min(zeros)
    if most < max(1, ZERO_SHARE * len(head)) or fewest > most / 20:
        return None
    codec = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    text = _as(codec, head[: len(head) // 2 * 2] if len(head) == HEAD_BYTES else head)
    if text is None or any(ord(c) < 32 and c not in "\t\n\r\x0b\x0c" for c in text):
        return None
    blocks = {ord(character) >> 8 for character in text}
    plain = most >= PLAIN_ZERO_SHARE * len(head)
    return codec if plain or len(blocks) <= MAX_BLOCKS < len(text) // 4 else None


def _as(codec: str, data: bytes) -> str | None:
    try:
        # a character may be cut at the end of the head
        return codecs.getincrementaldecoder(codec)().decode(data, final=len(data) % 2 == 1)
    except UnicodeDecodeError:
        return None


def decoded(data: bytes, codec: str) -> str:
    """Return bytes as text; UnicodeDecodeError for what no text of the encoding has.

    The controls U+0080 to U+009F of ISO 8859 count as such: they are letters of Windows.
    """
    text = data.decode(codec)
    if codec.startswith("iso-8859"):
        control = next((at for at, byte in enumerate(data) if 0x80 <= byte < 0xA0), None)
        if control is not None:
            raise UnicodeDecodeError(codec, data, control, control + 1, "control character")
    return text


@dataclass(frozen=True, slots=True)
class Reading:
    """A file as it reads in an encoding that it may have."""

    encoding: Encoding
    words: Sequence[str]
    """Some that show the difference."""
    line: str
    """The part of a line that shows it best, without personal data."""


def proposal(file: SourceFile, *, codec: str) -> Sentence:
    """Return what to do with a file that is not of its encoding: a proposal with a sample.

    A file in which some lines are UTF-8 and others are not is named with a line of each.
    """
    unfit, fit = _foreign_lines(file) if codec == "utf-8" else ({}, {})
    if unfit and fit:
        return sentence(
            "but line {fit:d} is UTF-8: the file was joined from parts of different encodings; "
            "save each part as UTF-8",
            fit=next(iter(fit)),
            unfit=next(iter(unfit)),
        )
    proposed = _proposals(list(unfit.values()), worse=SCORE_STEP)
    if not proposed:
        return sentence("save the file in the encoding that the card states")
    looks = [
        phrase(f"{one.encoding} ({', '.join(one.words)})") for one in proposed[:MOST_PROPOSALS]
    ]
    return sentence(
        "it looks like {looks}; if these words are right, write `encoding: {name}` in the card "
        "(`finetune cards new --encoding {name}`), or save the file as UTF-8",
        looks=looks,
        name=proposed[0].encoding,
    )


def readings_of(file: SourceFile) -> list[Reading]:
    """Return how a file that is not UTF-8 reads in each encoding that it may have, best first.

    None for a file that was joined from parts of different encodings. No two read the same.
    """
    unfit, fit = _foreign_lines(file)
    lines = list(unfit.values())
    if fit or not lines:
        return []
    proposed = _proposals(lines, worse=1)
    texts = {one.encoding: _telling(lines, proposed, one.encoding) for one in proposed}
    windows = dict(zip(texts, _windows(list(texts.values())), strict=True))
    found = {
        one.encoding: Reading(one.encoding, one.words, windows[one.encoding]) for one in proposed
    }
    different = {one.line: one for one in reversed(list(found.values()))}
    return list(reversed(different.values()))[:MOST_READINGS]


def _foreign_lines(file: SourceFile) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """Return the first lines that are not ASCII by number: those that are not UTF-8, and others."""
    try:
        with opened(file) as stream:
            head = stream.read(PROPOSAL_BYTES)
    except OSError:
        head = b""
    if b"\0" in head:
        return {}, {}
    lines = [(n, line) for n, line in enumerate(head.split(b"\n"), start=1) if not line.isascii()]
    if len(head) == PROPOSAL_BYTES:
        lines = lines[:-1]
    unfit = {number: line for number, line in lines if not _is_utf8(line)}
    return unfit, {number: line for number, line in lines if number not in unfit}


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _proposals(lines: Sequence[bytes], *, worse: float) -> list[Reading]:
    """Return the encodings in which most words are some, the best first, without a line.

    `worse`: by how much the share of such words may be smaller than in the best encoding.
    """
    data = b"\n".join(lines)
    scored: list[tuple[float, Reading]] = []
    for name in PROPOSED:
        try:
            words = _words(decoded(data, name))
        except UnicodeDecodeError:
            continue
        good = [word for word in words if _is_good(word)]
        if words and len(good) >= MIN_SCORE * len(words):
            sample = [_shown(word) for word in list(dict.fromkeys(good))[:SAMPLE_WORDS]]
            scored.append((len(good) / len(words), Reading(name, sample, "")))
    best = max((score for score, _ in scored), default=0)
    scored.sort(key=lambda one: int((best - one[0]) / SCORE_STEP))
    first = {tuple(one.words): one for _, one in reversed(scored)}
    return [one for score, one in scored if score > best - worse and first[tuple(one.words)] is one]


def _telling(lines: Sequence[bytes], proposed: Sequence[Reading], name: Encoding) -> str:
    """Return the line that most encodings read differently, as one of them reads it."""

    def tells(line: bytes) -> tuple[int, int]:
        readings = {line.decode(one.encoding, "replace") for one in proposed}
        return len(readings), len({byte for byte in line if byte > 127})

    line = max((line.strip() for line in lines[:TRIED_LINES]), key=tells)
    return quotable(line.decode(name, "replace"))


def _windows(texts: Sequence[str]) -> list[str]:
    """Return the same part of each text, around the first place in which they differ.

    Of a row of a table it is within one cell: the next one may be the name of a person.
    """
    pairs = enumerate(zip(*texts, strict=False))
    at = next((at for at, found in pairs if len(set(found)) > 1), 0)
    at = at or next((at for at, letter in enumerate(texts[0]) if not letter.isascii()), 0)
    begin = max(texts[0].rfind(sign, 0, at) for sign in CELL_ENDS) + 1
    ends = [end for sign in CELL_ENDS if (end := texts[0].find(sign, at)) >= 0]
    texts = [text[begin : min(ends, default=None)] for text in texts]
    start = max(0, at - begin - WINDOW // 2)
    parts = [(text[start : start + WINDOW], len(text) > start + WINDOW) for text in texts]
    return [f"{'… ' if start else ''}{part}{' …' if more else ''}" for part, more in parts]


def _words(text: str) -> list[str]:
    """Return the words with a letter outside of ASCII; never a number or an address."""
    return [
        word
        for part in _BETWEEN.split(text)
        if not part.isascii() and (word := _EDGES.sub("", part)) and not word.isascii()
    ]


def _shown(word: str) -> str:
    """Return a word, of one without an end the part around its first letter that tells."""
    if len(word) <= WINDOW:
        return word
    at = next(at for at, letter in enumerate(word) if not letter.isascii())
    start = max(0, at - WINDOW // 2)
    return f"{'…' if start else ''}{word[start : start + WINDOW]}…"


def _is_good(word: str) -> bool:
    """Return whether a word looks like one: letters of one script, not with capitals inside."""
    letters = re.sub(r"[-'\u2019]", "", word)
    if not all(unicodedata.category(c)[0] in "LM" for c in letters):
        return False
    scripts = {unicodedata.name(c, "?").split()[0] for c in letters if c.isalpha()}
    if len(scripts) != 1 or not (letters.islower() or letters.isupper() or letters.istitle()):
        return scripts in ({"ARABIC"}, {"HEBREW"})
    return scripts != {"LATIN"} or len(letters) < 3 or any(c.isascii() for c in letters)
