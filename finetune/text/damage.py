"""Damaged text: decoded with the wrong encoding (mojibake), lost letters, letters of an old font.

Of ftfy only the repair of encodings is used.
"""

from __future__ import annotations

import re

MAX_LOST_SHARE = 0.005
MAX_PRIVATE_SHARE = 0.5
PRIVATE_USE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")
_LOST = re.compile("[\ufffd\x80-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""Replacement characters, controls that no text has, and code points that are no characters. Not
what this Python does not know yet: it may be a letter of a script younger than it."""
_TRACES = re.compile("[\xc2-\xf4][\x80-\xbf\u0152-\u017e\u02c6-\u02dc\u2013-\u2122]")
"""First two bytes of a character in UTF-8, read as Latin-1 or Windows-1252, the
encodings that nearly all mojibake comes from."""


def repaired(text: str) -> str:
    r"""Return a text with its mojibake repaired and all else as it is.

    Of ftfy (Speer 2019) only `fix_encoding` is used: no compatibility forms, straight quotation
    marks, expanded ligatures or widths, no HTML.

    >>> repaired("FutuwwÃ© ﬁ “a”")
    'Futuwwé ﬁ “a”'
    """
    if text.isascii():
        return text
    from ftfy import TextFixerConfig, fix_encoding

    return fix_encoding(
        text,
        TextFixerConfig(
            unescape_html=False,
            restore_byte_a0=True,
            replace_lossy_sequences=False,
            decode_inconsistent_utf8=True,
            fix_c1_controls=True,
            explain=False,
        ),
    )


def looks_broken(text: str) -> bool:
    """Return whether a text holds what looks like mojibake, without changing it.

    >>> looks_broken("CÃ´te"), looks_broken("Côte")
    (True, False)
    """
    if text.isascii() or not _TRACES.search(text):
        return False
    from ftfy.badness import is_bad

    return bool(is_bad(text)) and repaired(text) != text


def is_damaged(text: str) -> bool:
    r"""Return whether letters are lost, or most of a text has no public meaning (an old font).

    >>> is_damaged("na\ufffdga"), is_damaged("naga")
    (True, False)
    """
    if text.isascii():
        return False
    lost = len(_LOST.findall(text))
    if lost > MAX_LOST_SHARE * len(text):
        return True
    return len(PRIVATE_USE.findall(text)) > MAX_PRIVATE_SHARE * len("".join(text.split()))
