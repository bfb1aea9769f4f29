"""Markup in texts: tags, wiki templates, placeholders, addresses, code."""

from __future__ import annotations

import json
import re
import unicodedata

_MARKUP = re.compile(
    r"<[^<>\n]{1,300}>"
    r"|&(?:\w{2,10}|#\w{1,7});"
    r"|\{\{[^{}\n]{0,300}\}\}|(?<![^\n])(?:\{\||\|-)[^\n]{0,300}|\|\}|\[\[(?:[^\[\]|\n]{0,200}\|)?|\]\]|'{2,5}|={2,6}"
    r"|\$?\{[^{}\n]{0,120}\}|%(?:\(\w{1,40}\))?[sdf]\b|%\d\$[sd]|__\w{1,40}__"
    r"|https?://\S{1,2000}|[{}<>|\\;]"
)
"""HTML, entities, wikitext, placeholders of five frameworks, web addresses, signs of code."""
_MAYBE = re.compile(r"[<>{}\[\]|%&\\;=_']|https?:|^\||\$")
"""Without one of these nothing of it is there; a class of characters is found ten times as fast."""
_CODE = re.compile(
    r"\b(?:function\s*(?:\w+\s*)?\(|var\s+\w+\s*=|document\.|window\.|@media\b|!important)"
)
"""JavaScript and style sheets that a page left in its text. C4 (Raffel et al. 2020) drops every
line with the word JavaScript and every page with a brace, too much for the texts of software."""
_LOREM = re.compile(r"\blorem\s+ipsum\b|\bdolor\s+sit\s+amet\b", re.IGNORECASE)
"""C4 drops pages with this text of typesetters."""


_TAG = re.compile(
    r"</?(?:p|br|div|span|font|li|ul|ol|td|tr|th|table|h[1-6]|img|a\s+href)\b[^<>\n]{0,300}>",
    re.IGNORECASE,
)
"""Tags of pages; software has `<b>` and `<0>` in its messages."""
_LIST = re.compile(r"\[\s*(?:'[^'\n]*'|\"[^\"\n]*\")\s*(?:,\s*(?:'[^'\n]*'|\"[^\"\n]*\")\s*)*\]")
MAX_CHARACTERS = 100_000
"""A longer text is not tried as JSON."""


def markup_share(text: str) -> float:
    """Return the share of a text's visible characters that are markup.

    >>> markup_share("<b>na</b>"), markup_share("waaw")
    (0.7777777777777778, 0.0)
    """
    visible = sum(map(len, text.split()))
    if not visible:
        return 0.0
    marked = sum(len("".join(found[0].split())) for found in _MARKUP.finditer(text))
    return marked / visible


def is_markup(text: str, *, max_share: float) -> bool:
    """Return whether a text is mostly markup: no word is left without it, or little of it.

    A word with a placeholder, however long its name, is a word: software writes so.

    >>> [is_markup(text, max_share=0.8) for text in ("{count} %s", "Nuyo {very_long_name}")]
    [True, False]
    """
    if max_share >= 1 or not (_MAYBE.search(text) and _MARKUP.search(text)):
        return False
    if not any(unicodedata.category(c)[0] == "L" for c in _MARKUP.sub(" ", text)):
        return True
    return len(text) > LONG_CHARACTERS and (
        markup_share(text) > max_share or len(_CODE.findall(text)) > 2
    )


LONG_CHARACTERS = 80
"""Longer texts are judged by the share of their markup, shorter ones by whether a word is left."""


def is_placeholder_text(text: str) -> bool:
    """Return whether a text is what typesetters fill pages with.

    >>> is_placeholder_text("Lorem ipsum dolor sit amet")
    True
    """
    return _LOREM.search(text) is not None


def without_markup_lines(text: str, *, max_share: float) -> str:
    """Return a text of several lines without those that are mostly markup."""
    if max_share >= 1 or "\n" not in text or not (_MAYBE.search(text) and _MARKUP.search(text)):
        return text
    kept = [line for line in text.split("\n") if not is_markup(line, max_share=max_share)]
    return "\n".join(kept)


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
