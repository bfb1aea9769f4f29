"""Escapes of web pages and of Moses become characters, only where the recipe asks for it."""

from __future__ import annotations

import pytest

from finetune.spec.sections.text_checks import TextChecks
from finetune.text.normalize import normalize
from tests.support.linear_time import flood, within_cpu_seconds

ON = TextChecks(escapes=True)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Tom &amp; Mary suna nan", "Tom & Mary suna nan"),
        ("Ya ce &quot;zo&quot;", 'Ya ce "zo"'),
        ("Akwai sanyi &#39;yau&#x27;", "Akwai sanyi 'yau'"),
        ("caf&eacute; caf&amp;eacute; caf&amp;amp;eacute;", "café café café"),
        ("ba&nbsp;sosai", "ba\u00a0sosai"),
        ("&#150;", "\u2013"),
        ("The teacher &apos;s &#91; book &#93; &bar;", "The teacher 's [ book ] |"),
        ("A well @-@ known man .", "A well-known man ."),
        ("1 @,@ 000 &amp; 3 @.@ 5", "1,000 & 3.5"),
        ("I am tired @-@", "I am tired @-@"),
        ("I am tired @-@ very", "I am tired @-@ very"),
        ("@-@ &amp;", "@-@ &"),
        ("AT&T; R&D &c. &unknown; &#; &#x;", "AT&T; R&D &c. &unknown; &#; &#x;"),
        ("https://a.example/?a=1&copy=2&reg", "https://a.example/?a=1&copy=2&reg"),
        ("&#0; &#8; &#xD800; &#x110000;", "&#0; &#8; &#xD800; &#x110000;"),
        ("if a && b; c", "if a && b; c"),
    ],
)
def test_escapes_become_characters(text: str, right: str) -> None:
    """With the setting each escape is one character, what is no escape stays; else all stays."""
    done = normalize(text, checks=ON)
    assert done.text == right
    assert done.changes == (("escapes",) if right != text else ())
    assert normalize(right, checks=ON).changes == ()
    assert normalize(text).text == text


@pytest.mark.parametrize("piece", ["&amp;", "amp;", "&#38;#38;", "&", "&a", " @-@", "&#"])
def test_hostile_escapes_take_linear_time(piece: str) -> None:
    """A long text of ampersands takes seconds."""
    with within_cpu_seconds():
        normalize("&" + flood(piece), checks=ON)
