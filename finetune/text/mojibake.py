"""Text that was decoded with the wrong encoding, and ftfy to repair it, held to that alone."""

from __future__ import annotations

import re

_TRACES = re.compile("[\xc2-\xf4][\x80-\xbf\u0152-\u017e\u02c6-\u02dc\u2013-\u2122]")
"""What the first two bytes of a character in UTF-8 become in Latin-1 or Windows-1252, the
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
    """Say whether a text holds what looks like mojibake, without changing it.

    >>> looks_broken("CÃ´te"), looks_broken("Côte")
    (True, False)
    """
    if text.isascii() or not _TRACES.search(text):
        return False
    from ftfy.badness import is_bad

    return bool(is_bad(text)) and repaired(text) != text
