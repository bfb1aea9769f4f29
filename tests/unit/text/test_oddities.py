"""Findings on texts that are reported without a change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.text.oddities import FINDINGS, findings, mostly_other
from tests.support.linear_time import flood, within_cpu_seconds


@pytest.mark.parametrize(
    ("script", "text", "names"),
    [
        ("Latn", "Nanga def 12 {n}", []),
        ("Latn", "\u0253\u0257 \u014b\u02bc", []),
        ("Latn", "abc \u0430\u0431", ["mixed-script"]),
        ("Latn", "a\u0430b", ["mixed-script", "mixed-script-word"]),
        ("Deva", "\u0915\u093e <b>{name}</b> %s", []),
        ("Deva", "\u0915\u093e\u0916\u0917 Ko", ["mixed-script"]),
        ("Deva", "Kolibri", []),
        ("Deva", "Good morning", ["other-script"]),
        ("Arab", "\u0627\u0628", ["right-to-left"]),
        ("Arab", "\u0627\u0628 a", ["mixed-direction", "mixed-script", "right-to-left"]),
        ("Nkoo", "\u07ca\u07cb", ["right-to-left"]),
        ("Olck", "\u1c5a\u1c5b \u1c7e", []),
        ("Jpan", "\u4e00\u3042\u30a2", []),
        ("Latn", "a\u200e\u2067\ue001", ["direction-controls", "direction-marks", "private-use"]),
        ("Latn", "C\u00c3\u00b4te", ["looks-broken"]),
        ("Latn", "C\u00f4te \u00c0 \u00bb", []),
        ("Latn", "Tom &amp; Mary", ["html-entities"]),
        ("Latn", "5 &lt; 7 &eacute;", ["html-entities"]),
        ("Latn", "It&#39;s", ["html-entities"]),
        ("Latn", "AT&T; R&D &c. x&y;", []),
        ("Latn", "?a=1&copy=2", []),
        ("Latn", "the teacher &apos;s", ["html-entities", "moses-escapes"]),
        ("Latn", "well @-@ known", ["moses-escapes"]),
        ("Latn", "so tired @-@", []),
        ("Latn", "j=C3=ABr=C3=ABj=C3=ABf", ["encoded-letters"]),
        ("Latn", "j\\u00ebr ak j%C3%ABf", ["encoded-letters"]),
        ("Latn", "https://example.org/j%C3%ABf a=1", []),
        ("Latn", "<p>Nanga def?</p>", ["page-tags"]),
        ("Latn", "a <b>c</b> <0>d</0> 1 < 2 > 1", []),
        ("Latn", '{"a": "Nanga def?"}', ["json-text"]),
        ("Latn", "['Nanga', 'def?']", ["json-text"]),
        ("Latn", "[ree] {name}", []),
        ("Latn", "> Nanga def?", ["quote-marks"]),
        ("Latn", ">:( a > b", []),
        ("Latn", "\ufb01n", ["presentation-forms"]),
        ("Arab", "\ufe91\ufe8e", ["presentation-forms", "right-to-left"]),
        ("Arab", "\ufe8e\ufe91", ["presentation-forms", "right-to-left", "visual-order"]),
        ("Arab", "\u0628\u0627 \ufdfa \ufdf2 \ufd3e", ["right-to-left"]),
    ],
)
def test_odd_lines_are_found(script: str, text: str, names: list[str]) -> None:
    """Scripts, directions, hidden controls and broken encodings are named; placeholders are of no
    script."""
    assert sorted(f.name for f in findings(text, script=script)) == names
    assert set(names) <= FINDINGS.keys()


def test_lines_are_counted_and_the_first_is_shown() -> None:
    """Two lines of four are mixed; the sample is the first of them."""
    text = "\u0915\n\u0916 a\n\u0917\nb \u0918"
    (mixed,) = findings(text, script="Deva")
    assert (mixed.name, mixed.lines, mixed.line) == ("mixed-script", 2, "\u0916 a")


def test_most_letters_decide_which_script_a_text_is_in() -> None:
    """Half of the letters are enough, and a text without letters is in every script."""
    assert mostly_other("\u0430\u0431 a", script="Latn")
    assert not mostly_other("\u0430 a", script="Latn")
    assert not mostly_other("12 %", script="Deva")


@given(st.text(), st.sampled_from(["Latn", "Arab", "Deva", "Ethi"]))
def test_looking_never_fails(text: str, script: str) -> None:
    """Whatever a text holds, findings are names that are explained, each once, with a line."""
    found = list(findings(text, script=script))
    assert len({f.name for f in found}) == len(found)
    assert all(f.name in FINDINGS and f.line in text and f.lines > 0 for f in found)


@pytest.mark.parametrize(
    "piece", ["\u0915", "@\u00e9", "{\u00e9", "<\u00e9 ", "a\u0430", "\u00c3\u00a9"]
)
def test_hostile_texts_are_looked_through_in_linear_time(piece: str) -> None:
    """A text without a space, or full of half-open tags, takes seconds."""
    with within_cpu_seconds():
        list(findings(flood(piece), script="Deva"))
