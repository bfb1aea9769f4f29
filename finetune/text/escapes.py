"""Escapes that a program left in a text: `&eacute;`, `&#39;`, `@-@` of Moses, `=C3=AB`."""

from __future__ import annotations

import html
import re
import unicodedata
from html.entities import html5

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][\dA-Fa-f]{1,6}|[A-Za-z][A-Za-z\d]{1,31});", re.ASCII)
"""With its semicolon: `&copy=1` in an address is none."""
_AMPERSANDS = re.compile(r"&(?:(?:amp|AMP|#0*38|#[xX]0*26);)+")
MAX_DEPTH = 4
"""Entities that spell entities are undone so many times."""
_OF_MOSES = {"&bar;": "|", "&bra;": "[", "&ket;": "]"}
"""Names of older versions of Moses, which HTML does not know."""
_MOSES = re.compile(r"&(?:apos|bar|bra|ket|#124|#91|#93);")
_ANY_OF_MOSES = re.compile(r"&(?:amp|lt|gt|quot|apos|bar|bra|ket|#124|#91|#93);")
_JOINER = re.compile(r"(?<=[^\s@]) @([-–,.:/])@ (?=[^\s@])")
_STANDS_APART = re.compile(r"\S [,;?!.](?= |$)", re.MULTILINE)


_ADDRESS = re.compile(r"https?://\S+")
_ENCODED = re.compile(
    r"(?:=[C-F][\dA-F]=[89AB][\dA-F])"
    r"|(?:%[C-Fc-f][\dA-Fa-f]%[89ABab][\dA-Fa-f])"
    r"|\\u[\dA-Fa-f]{4}|\\x[C-Fc-f][\dA-Fa-f]\\x[89ABab][\dA-Fa-f]"
    r"|\+A[A-P][A-Za-z\d+/]-"
)
"""Two bytes of UTF-8 as e-mails, addresses and Python write them, escapes of JSON, and UTF-7."""


def has_entities(text: str) -> bool:
    """Return whether a text holds an HTML entity.

    >>> has_entities("Tom &amp; Mary"), has_entities("AT&T; R&D &c.")
    (True, False)
    """
    return "&" in text and any(_character(found) != found[0] for found in _ENTITY.finditer(text))


def has_moses_escapes(text: str) -> bool:
    """Return whether a text holds escapes of Moses's tokenizer, or its `@-@` between words.

    >>> [has_moses_escapes(text) for text in ("teacher &apos;s", "well @-@ known", "@-@")]
    [True, True, False]
    """
    if "&" in text and _MOSES.search(text):
        return True
    return "@" in text and _JOINER.search(text) is not None


def has_encoded_letters(text: str) -> bool:
    r"""Return whether letters are written as codes; those of web addresses do not count.

    >>> [has_encoded_letters(t) for t in ("j=C3=ABr", "j\\u00ebr", "https://x.org/%C3%AB", "50%")]
    [True, True, False, False]
    """
    return _ENCODED.search(text) is not None and bool(_ENCODED.search(_ADDRESS.sub(" ", text)))


def unescaped(text: str) -> str:
    """Return a text without escapes; those that were escaped twice too.

    `@-@` is joined only in a text that shows Moses in another way: by an escape, or by a comma or
    full stop that stands apart. Alone it may be a face.

    >>> unescaped("caf&amp;eacute; &#39;a&#39; &c; &#0;")
    "café 'a' &c; &#0;"
    >>> unescaped("A well @-@ known man ."), unescaped("I sleep @-@ a lot")
    ('A well-known man .', 'I sleep @-@ a lot')
    """
    if "@" in text and (_ANY_OF_MOSES.search(text) or _STANDS_APART.search(text)):
        text = _JOINER.sub(r"\1", text)
    for _ in range(MAX_DEPTH):
        if "&" not in text:
            break
        text = _ENTITY.sub(_character, _AMPERSANDS.sub("&", text))
    return text


def _character(entity: re.Match[str]) -> str:
    """Return what an entity stands for; the entity itself if that is no character of a text."""
    written = entity[0]
    if written in _OF_MOSES:
        return _OF_MOSES[written]
    if written[1] != "#":
        return html5.get(written[1:], written)
    character = html.unescape(written)
    is_text = character in ("\n", "\t") or unicodedata.category(character[:1] or "\0")[0] != "C"
    return character if is_text and character != "\ufffd" else written
