"""Placeholders in translations: whether all are there, and the texts between them."""

from __future__ import annotations

import re
from collections import Counter

from finetune.text.placeholders import placeholder_spans, placeholders_differ, without_placeholders

TAG = re.compile(r"</?[A-Za-z][^<>\r\n]{0,300}>|</?[0-9]{1,4}/?>")
"""A tag of a message, a page or a subtitle: `<b>`, `</b>`, `<0>`, `<Trans>`; `3 < 5` has none."""
DIRECTION = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
"""Marks, embeddings and isolates of the direction of writing."""
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_CASES = re.compile(r"\{[^{},]{1,62},\s{0,9}(?:plural|select|selectordinal)\s{0,9},")


def has_words(text: str) -> bool:
    """Return whether a text has a letter besides its placeholders and entities.

    >>> [has_words(text) for text in ("%d %%", "{name}: 3", "&nbsp;", "%d files")]
    [False, False, False, True]
    """
    return any(map(str.isalpha, _ENTITY.sub(" ", without_placeholders(text))))


def is_kept(source: str, translation: str) -> bool:
    """Return whether a translation has the placeholders and entities of its source, and no tag.

    Tags of the source are no part of it: they are put back at their places.

    >>> [is_kept("Hi {name} &amp; all", text) for text in ("{name} &amp; co", "{name}", "<b>")]
    [True, False, False]
    """
    if placeholders_differ(source, translation) or TAG.search(translation):
        return False
    ours, theirs = (Counter(_ENTITY.findall(text)) for text in (source, translation))
    return ours == theirs


def placeholders_at(text: str) -> list[tuple[int, int]]:
    """Return where placeholders and entities of a text begin and end, in order."""
    entities = (found.span() for found in _ENTITY.finditer(text))
    return sorted([*placeholder_spans(text), *entities])


def between_placeholders(text: str) -> list[tuple[str, bool]]:
    """Return a text as (part, whether it is a placeholder or an entity), in order.

    Empty for a text with cases (ICU `plural`, `select`), whose placeholders hold words.

    >>> between_placeholders("Hi {name}!")
    [('Hi ', False), ('{name}', True), ('!', False)]
    """
    if _CASES.search(text):
        return []
    parts, at = [], 0
    for begin, end in placeholders_at(text):
        if begin < at:
            continue
        parts += [(text[at:begin], False), (text[begin:end], True)]
        at = end
    return [part for part in (*parts, (text[at:], False)) if part[0]]
