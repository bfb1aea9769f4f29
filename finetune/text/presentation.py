"""Presentation forms: letters stored as their shapes, and lines stored in the order of display.

Both come from PDF files and old word processors. The blocks are Alphabetic Presentation Forms
(U+FB00-FB4F) and Arabic Presentation Forms A and B (U+FB50-FDFF, U+FE70-FEFF). What has no letters
(the ornate parentheses) stays as it is, and so do the signs that people write on purpose: the word
ligatures U+FDF0-FDFF, such as the name of God and the Basmala.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

_BLOCKS = ((0xFB00, 0xFDEF), (0xFE70, 0xFEFC))
_TAGS = frozenset(("<compat>", "<font>", "<isolated>", "<final>", "<initial>", "<medial>"))
_JOINED = {"<isolated>": (0, 0), "<final>": (1, 0), "<initial>": (0, 1), "<medial>": (1, 1)}
"""Joins of a shape, 0 or 1: to the letter before it, and to the letter behind it."""
_CARRIERS = " \u0640"
"""NFKC puts a space or a tatweel under a mark that has a form of its own; no text had it."""


def _decomposed() -> Iterator[tuple[str, str, str]]:
    """Yield each form with the tag of its decomposition, and its letters."""
    for low, high in _BLOCKS:
        for form in map(chr, range(low, high + 1)):
            tag = unicodedata.decomposition(form).partition(" ")[0]
            if tag in _TAGS:
                letters = unicodedata.normalize("NFKC", form)
                yield form, tag, letters.lstrip(_CARRIERS) or letters


FORMS: Mapping[str, str] = {form: letters for form, _, letters in _decomposed()}
"""Form -> its letters (NFKC of this code point alone)."""
_LETTERS = str.maketrans(dict(FORMS))
FORM = re.compile(f"[{''.join(FORMS)}]")
_SHAPES: Mapping[str, tuple[int, int]] = {
    form: _JOINED[tag]
    for form, tag, letters in _decomposed()
    if tag in _JOINED and not unicodedata.combining(letters[0])
}
_APART, _JOINER = (0, 0), "\u200d"
_DUAL = frozenset(FORMS[form] for form, shape in _SHAPES.items() if shape == (0, 1))
"""Letters that join on both sides: they have an initial form."""
_RIGHT = frozenset(FORMS[form] for form, shape in _SHAPES.items() if shape == (1, 0)) | _DUAL
_BRACKETS = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_OPENING, _CLOSING = "([{<«", ")]}>»"
_LEFT_TO_RIGHT = re.compile("L(?:[^R]*[LN])?|N(?:S?N)*")
_RIGHT_TO_LEFT = re.compile("R(?:[^L]*R)?M*")


def without_forms(text: str) -> str:
    """Return a text with its presentation forms replaced by letters, and all else as it is.

    >>> without_forms("\\ufe91\\ufe8e\\u0640") == "\\u0628\\u0627\\u0640"
    True
    """
    return text if text.isascii() else text.translate(_LETTERS)


def is_visual(line: str) -> bool:
    """Return whether a line is stored in the order of display, by the shapes of its letters.

    Two letters side by side have shapes that fit one order or the other: a final form in front of
    an initial one is read from the end. A line without such shapes gives no answer.

    >>> is_visual("\\ufe8e\\ufe91"), is_visual("\\ufe91\\ufe8e"), is_visual("\\u0627\\u0628")
    (True, False, False)
    """
    if line.isascii() or not FORM.search(line):
        return False
    forward = backward = 0
    shown = [c for c in line if not unicodedata.combining(FORMS.get(c, c)[0])]
    for one, other in zip([" ", *shown], [*shown, " "], strict=True):
        if _tells(one) and _tells(other):
            logical, visual = _fits(one, other), _fits(other, one)
            forward += logical and not visual
            backward += visual and not logical
    return backward > 2 * forward


def _tells(character: str) -> bool:
    """Return whether it is known if a character is joined: a shape, or what parts words."""
    return character in _SHAPES or not (character.isalpha() or character == _JOINER)


def _fits(first: str, second: str) -> bool:
    """Return whether two characters are shaped as if they were read in this order."""
    one, other = FORMS.get(first, first)[-1], FORMS.get(second, second)[0]
    joined = one in _DUAL and other in _RIGHT
    behind, before = _SHAPES.get(first, _APART)[1], _SHAPES.get(second, _APART)[0]
    return behind == joined == before


def in_reading_order(text: str) -> str:
    """Return a text with its lines of display order turned round; digits and Latin stay in order.

    Turned are lines whose shapes show it (`is_visual`), and no others.
    """
    if text.isascii() or not FORM.search(text):
        return text
    return "\n".join(_turned(line) if is_visual(line) else line for line in text.split("\n"))


def _turned(line: str) -> str:
    """Return a line of display order in reading order (the reverse of UAX #9, rule L2)."""
    classes = "".join(map(_direction, line))
    if classes.count("R") >= classes.count("L"):
        return _reversed(line, classes)
    turned, end = [], 0  # Latin, with words from right to left in it
    for run in _RIGHT_TO_LEFT.finditer(classes):
        turned += [line[end : run.start()], _reversed(line[slice(*run.span())], run[0])]
        end = run.end()
    return "".join((*turned, line[end:]))


def _reversed(line: str, classes: str) -> str:
    """Return a line reversed, with its numbers and Latin words in order and brackets mirrored."""
    # a mark in front of a word: each character was reversed, not each letter with its marks
    units = re.compile(".M*" if not re.search("(?:^|[^RM])M", classes) else ".")
    parts, end = [], 0
    for run in _LEFT_TO_RIGHT.finditer(classes):
        parts += [*_units(line, classes, units, end, run.start()), line[slice(*run.span())]]
        end = run.end()
    parts += _units(line, classes, units, end, len(line))
    turned = "".join(reversed(parts))
    first = next((c for c in turned if c in _CLOSING or c in _OPENING), "")
    return turned.translate(_BRACKETS) if first in _CLOSING else turned


def _units(line: str, classes: str, units: re.Pattern[str], start: int, end: int) -> list[str]:
    return [line[slice(*unit.span())] for unit in units.finditer(classes, start, end)]


def _direction(character: str) -> str:
    """Return R or L for letters, N for digits, S for what stands in numbers, M for marks, or O."""
    found = unicodedata.bidirectional(character)
    return {"R": "R", "AL": "R", "L": "L", "EN": "N", "AN": "N", "NSM": "M"}.get(
        found, "S" if found in ("CS", "ES") else "O"
    )
