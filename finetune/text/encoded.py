"""Texts in the form that a program stored them in: encoded letters, tags of HTML, JSON."""

from __future__ import annotations

import json
import re

_ADDRESS = re.compile(r"https?://\S+")
_ENCODED = re.compile(
    r"(?:=[C-F][\dA-F]=[89AB][\dA-F])"
    r"|(?:%[C-Fc-f][\dA-Fa-f]%[89ABab][\dA-Fa-f])"
    r"|\\u[\dA-Fa-f]{4}|\\x[C-Fc-f][\dA-Fa-f]\\x[89ABab][\dA-Fa-f]"
    r"|\+A[A-P][A-Za-z\d+/]-"
)
"""Two bytes of UTF-8 as e-mails, addresses and Python write them, escapes of JSON, and UTF-7."""
_TAG = re.compile(
    r"</?(?:p|br|div|span|font|li|ul|ol|td|tr|th|table|h[1-6]|img|a\s+href)\b[^<>\n]{0,300}>",
    re.IGNORECASE,
)
"""Tags of pages; software has `<b>` and `<0>` in its messages."""
_LIST = re.compile(r"\[\s*(?:'[^'\n]*'|\"[^\"\n]*\")\s*(?:,\s*(?:'[^'\n]*'|\"[^\"\n]*\")\s*)*\]")
MAX_CHARACTERS = 100_000
"""A longer text is not tried as JSON."""


def has_encoded_letters(text: str) -> bool:
    r"""Return whether letters are written as codes; those of web addresses do not count.

    >>> [has_encoded_letters(t) for t in ("j=C3=ABr", "j\\u00ebr", "https://x.org/%C3%AB", "50%")]
    [True, True, False, False]
    """
    return _ENCODED.search(text) is not None and bool(_ENCODED.search(_ADDRESS.sub(" ", text)))


def has_page_tags(text: str) -> bool:
    """Return whether a text has tags of a web page.

    >>> [has_page_tags(text) for text in ("<p>Nanga def?</p>", "a < b > c", "Click <b>here</b>")]
    [True, False, False]
    """
    return "<" in text and _TAG.search(text) is not None


def is_json(text: str) -> bool:
    """Return whether a text is an object, or a list of texts, as programs store them in a cell.

    >>> [is_json(t) for t in ('{"a": "b"}', "['a', 'b']", '["a"]', "[1]", "[laughs]", "{name}")]
    [True, True, True, False, False, False]
    """
    bare = text.strip()
    if not bare.startswith(("{", "[")) or not bare.endswith(("}", "]")):
        return False
    if _LIST.fullmatch(bare):
        return True
    if len(bare) > MAX_CHARACTERS:
        return False
    try:
        value = json.loads(bare)
    except (RecursionError, ValueError):
        return False
    return isinstance(value, dict) or any(isinstance(one, dict | str) for one in value)
