"""Markup in texts: tags, wiki templates, placeholders, addresses, code."""

from __future__ import annotations

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
