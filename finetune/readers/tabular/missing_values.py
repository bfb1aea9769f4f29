"""Cells of tables that stand for no text: markers of missing values, and errors of spreadsheets.

`nan` and `None` are also words (`nan` is "here" in Hausa). So a marker that could be a word counts
only where programs wrote it: in the spelling of their exports, in at least three cells and one cell
in a hundred of its column.
"""

from __future__ import annotations

import re
from collections import Counter

from finetune.readers.reasons import ERROR_CELL, FORMULA_CELL, MISSING

NO_WORDS = frozenset(
    {"\\N", "N/A", "n/a", "#N/A", "<NA>", "<N/A>", "(null)", "[null]", "-nan", "1.#QNAN"}
)
"""Markers that are no word of a language."""
WORDS = frozenset({"nan", "NaN", "None", "NULL", "null", "NA", "NaT", "nil", "undefined"})
"""Markers of exports that could be words."""
MIN_CELLS = 3
MIN_SHARE = 0.01
_ERROR = re.compile(
    r"#(?:[\u00bf]?[^\W\d_a-z]{2,12}(?:/0)?[!?]|DIV/0!|N/D|NV|\u041d/\u0414|(?:VALUE|REF|NAME|NUM|SPILL|CALC)[!?])"
)


_AS_TEXT = re.compile(r'="((?:[^"]|"")*)"')
_CALL = re.compile(r"=[A-Z][A-Z.]{1,30}\(.*\)", re.DOTALL)
_YES = frozenset({"true", "1", "yes"})


def as_shown(text: str) -> str:
    """Return what a spreadsheet shows of a cell: `="..."` is how programs keep a text a text.

    >>> as_shown('="Nanga def?"'), as_shown('="a ""b"" c"'), as_shown("=ma")
    ('Nanga def?', 'a "b" c', '=ma')
    """
    found = _AS_TEXT.fullmatch(text.strip()) if text.lstrip().startswith('="') else None
    return text if found is None else found[1].replace('""', '"')


def is_yes(text: str) -> bool:
    """Return whether a cell says that something holds.

    >>> is_yes("True"), is_yes("")
    (True, False)
    """
    return text.strip().casefold() in _YES


def marker_of(text: str) -> str | None:
    """Return the word that may stand for a missing value, if a cell holds nothing else.

    >>> marker_of(" NaN "), marker_of("Nan"), marker_of("nan, gida")
    ('NaN', None, None)
    """
    word = text.strip()
    return word if word in WORDS else None


def markers_in(counts: Counter[str], *, cells: int) -> frozenset[str]:
    """Return the words of a column that stand for missing values; `cells`: filled ones."""
    least = max(MIN_CELLS, MIN_SHARE * cells)
    return frozenset(word for word, count in counts.items() if count >= least)


def reason_of(text: str, markers: frozenset[str] = frozenset()) -> str | None:
    """Return the reason to reject a cell that stands for no text, or None.

    >>> reason_of("#NAME?"), reason_of("#NOM?"), reason_of("N/A"), reason_of("#BringBackOurGirls")
    ('error-cell', 'error-cell', 'missing-value', None)
    """
    word = text.strip()
    if word in NO_WORDS or word in markers:
        return MISSING
    if word.startswith("=") and _CALL.fullmatch(word):
        return FORMULA_CELL
    return ERROR_CELL if word.startswith("#") and _ERROR.fullmatch(word) else None
