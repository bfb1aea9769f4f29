"""Hard-wrapped text: lines that end where a page or window was full, not where a sentence ends.

Such lines are seen by how they go on (no final mark, then a small letter) and by how full they are:
a line to which the first word of the next would have fitted was not wrapped. Lists, verse and
strings of software end their lines where they want to, so that few of their lines are full.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

FINAL_MARKS = frozenset(
    ".?!:;…‽·।॥។៕៖། ༎༏༐༑༔၊။᱾᱿۔؟؛።፡፣፤፥፧፨߸߹߷𞥞𞥟。！？．：；、︒｡ฯ๚๛ຯ՝՞։჻᠃᠉꓿꛳꛷꯫꧈꧉᭟᭞᪨᪩᪪᪫𑇅𑇆𑁇𑁈𑅁𑙁𑙂𑱁𑱂"
    + "\u2e2e\u203c\u2047\u2048\u2049"
) - {" "}
"""Marks that end a sentence or clause, in any script."""
MIN_PAIRS = 15
"""Lines without a final mark that are needed for a judgement."""
MAX_FINAL = 0.65
"""Share of lines with a final mark above which lines are taken for sentences."""
MAX_FINAL_PLAIN = 0.85
PLAIN = 0.8
"""The same if a small letter follows at least this share of the lines, and as many are full."""
MIN_LOWER = 0.35
"""Share of lines after which a small letter follows, in scripts that have such letters."""
MIN_FULL = 0.6
MIN_FULL_WITHOUT_CASE = 0.75
"""Share of full lines, if small letters speak for wrapping, and if there are none."""
MIN_WIDTH = 25
"""Characters of a wrapped line; shorter ones are lists of words or subtitles."""
SLACK = 0.06
"""Share of the width by which a full line may be shorter: letters of unequal width."""
LONG_WORD = 0.25
"""Share of the width that a word may have; lists of words are no full lines."""
WIDTH_PERCENTILE = 0.95
UNSPACED_WORD = 8
"""Characters of a word, at most, in scripts without spaces."""
_CLOSING = "\"'”’»›)]}）」』】〉》*_ \t"
_QUOTED = re.compile(r"(?:>[ \t]?)+")
_OPENING = "\"'“‘«‹([{（「『【〈《*_¿¡—–- \t"
_UNSPACED = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19FF),  # Tai Le, New Tai Lue, symbols of Khmer
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x2E80, 0x312F),  # Chinese, Japanese
    (0x31A0, 0x4DBF),
    (0x4E00, 0xA4CF),  # with Yi
    (0xA980, 0xA9FF),  # Javanese, Burmese
    (0xAA60, 0xAADF),  # Burmese, Tai Viet
    (0xF900, 0xFAFF),
    (0xFE30, 0xFE4F),
    (0xFF00, 0xFF60),  # wide forms
    (0x1B000, 0x1B16F),
    (0x20000, 0x3FFFF),
)
"""Ranges of scripts that are written without spaces between words, with their marks."""


@dataclass(frozen=True, slots=True)
class Wrapping:
    """Counts over lines, and what follows from them."""

    lines: int
    """Lines that are not blank."""
    final: float
    """Share of them with a final mark."""
    lower: float | None
    """Share of lines without one after which a small letter follows; None without such letters."""
    full: float
    """Share of lines without one that are full."""
    blocks: int
    """Blocks between blank lines."""
    is_wrapped: bool


def unquoted(line: str) -> tuple[int, str]:
    """Return how often a line is quoted, as e-mails mark it, and the line without these marks.

    >>> unquoted("> > Nanga def?"), unquoted("Maa ngi fi.")
    ((2, 'Nanga def?'), (0, 'Maa ngi fi.'))
    """
    marks = _QUOTED.match(line)
    return (marks[0].count(">"), line[marks.end() :]) if marks else (0, line)


def joined_lines(lines: Iterable[str]) -> str:
    """Return the text of wrapped lines: with a space between words, and without one where the
    script has none, or after a hyphen, which stays.

    >>> [joined_lines(x) for x in (["Nanga ", "def?"], ["ភាសា", "ខ្មែរ"], ["well-", "known"])]
    ['Nanga def?', 'ភាសាខ្មែរ', 'well-known']
    """
    parts: list[str] = []
    for line in lines:
        begins = line.lstrip()
        if parts and begins and not _are_joined(parts[-1], begins):
            parts[-1] = parts[-1].rstrip() + " "
        if begins:
            parts.append(begins)
    return "".join(parts).strip()


def _are_joined(before: str, after: str) -> bool:
    if before[-1].isspace():
        return False
    if before[-1] in "-\u2010\u00ad":
        return len(before) > 1 and before[-2].isalnum()
    return is_unspaced(before[-1]) or is_unspaced(after[0])


def is_unspaced(letter: str) -> bool:
    """Return whether a letter is of a script that is written without spaces between words."""
    code = ord(letter)
    return code >= 0x0E00 and any(first <= code <= last for first, last in _UNSPACED)


def wrapping_of(lines: Sequence[str]) -> Wrapping:
    """Return whether lines of a file, blank ones included, are hard-wrapped."""
    filled = [line.strip() for line in lines if line.strip()]
    blocks = sum(
        bool(line.strip()) and not (n and lines[n - 1].strip()) for n, line in enumerate(lines)
    )
    ended = [ends_a_sentence(line) for line in filled]
    pairs = [pair for pair in _pairs(lines) if not ends_a_sentence(pair[0])]
    cased = [found for _, after in pairs if (found := _starts_small(after)) is not None]
    lower = sum(cased) / len(cased) if len(cased) >= MIN_PAIRS else None
    full = max((_full_share(pairs, filled, width=width) for width in (len, _columns)), default=0)
    final = sum(ended) / max(1, len(ended))
    is_plain = lower is not None and lower >= PLAIN and full >= PLAIN
    enough = len(pairs) >= MIN_PAIRS and final <= (MAX_FINAL_PLAIN if is_plain else MAX_FINAL)
    wide = _width([len(line) for line in filled]) >= MIN_WIDTH if filled else False
    if lower is None:
        seems = full >= MIN_FULL_WITHOUT_CASE
    else:
        seems = lower >= MIN_LOWER and full >= MIN_FULL
    return Wrapping(len(filled), final, lower, full, blocks, enough and wide and seems)


def ends_a_sentence(line: str) -> bool:
    """Return whether a line ends in a mark that ends a sentence or clause, in any script.

    >>> [ends_a_sentence(line) for line in ("Waaw.", "« Waaw ! »", "ठीक है।", "Maa ngi")]
    [True, True, True, False]
    """
    bare = line.rstrip(_CLOSING)
    return bool(bare) and bare[-1] in FINAL_MARKS


def _pairs(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each line with the next, where no blank line stands between them."""
    for before, after in pairwise(lines):
        if before.strip() and after.strip():
            yield before.strip(), after.strip()


def _starts_small(line: str) -> bool | None:
    """Return whether a line starts with a small letter; None for one without case."""
    bare = line.lstrip(_OPENING)
    if not bare or bare[0].lower() == bare[0].upper():
        return None
    return bare[0].islower()


def _full_share(
    pairs: Sequence[tuple[str, str]], filled: Sequence[str], *, width: Callable[[str], int]
) -> float:
    """Return the share of lines to which the first word of the next would not have fitted."""
    if not pairs:
        return 0.0
    limit = _width([width(line) for line in filled])
    slack = SLACK * limit
    longest = LONG_WORD * limit
    full = sum(
        width(line) + min(longest, _first_word(after, width)) > limit - slack
        for line, after in pairs
    )
    return full / len(pairs)


def _first_word(line: str, width: Callable[[str], int]) -> int:
    if is_unspaced(line[0]):
        return 1 if ord(line[0]) >= 0x2E80 else UNSPACED_WORD
    return 1 + width(line.split(maxsplit=1)[0])


def _width(widths: Sequence[int]) -> int:
    return sorted(widths)[int(WIDTH_PERCENTILE * (len(widths) - 1))]


def _columns(line: str) -> int:
    """Return the columns of a line on a terminal: marks need none, wide letters two."""
    if line.isascii():
        return len(line)
    return sum(
        0
        if unicodedata.category(c) in ("Mn", "Me", "Cf")
        else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in line
    )
