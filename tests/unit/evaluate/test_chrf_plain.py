"""chrF++ without placeholders, markup and numbers."""

from __future__ import annotations

import pytest
from sacrebleu.metrics import CHRF

from finetune.evaluate.metrics.chrf_plain import METRIC, words
from finetune.evaluate.outputs import Generation


def _score(*pairs: tuple[str, str]) -> float:
    found = METRIC.statistics([Generation(text, wanted, None) for text, wanted in pairs])
    return float(METRIC.value(found.sum(axis=0)))


def test_what_is_copied_earns_nothing():
    """A text of placeholders, tags, addresses and numbers alone scores 0 however much is right."""
    copied = "{item1}, %(n)d, <b></b> 12 https://example.org %s"
    assert _score((f"Total {copied}", f"Jimlar {copied}")) < 10
    assert _score((copied, copied)) == 0.0


@pytest.mark.parametrize("text", ["Ina kwana?", "ሰላም ነው።", "ᱡᱚᱦᱟᱨ ᱜᱮ", "नमस्ते दुनिया"])
def test_texts_without_markup_score_as_before(text):
    """Plain texts in any script keep every character, so that the score is sacrebleu's."""
    assert words(text) == text
    other = text[:-2] + text[:1]
    expected = CHRF(word_order=2).corpus_score([other], [[text]]).score
    assert _score((other, text)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Sannu {{ name }}, ${x}", "Sannu"),
        ("%1$s na %2$s", "na"),
        (
            "Kana da {n, plural, =0 {babu sako} one {sako ɗaya} other {# saƙonni}}!",
            "Kana da babu sako sako ɗaya saƙonni",
        ),
        (
            "{n, plural, offset:1 zero {a} one {b {x}} two {c} few {d} many {e} other {f}}",
            "a b c d e f",
        ),
        (
            "{g, select, female {Ta {n, plural, one {zo} other {zo sau #}}} other {Ya zo one}} nan",
            "Ta zo zo sau Ya zo one nan",
        ),
        ("{n, plural, one {karshe", "karshe"),
        ("one other few", "one other few"),
        ("Danna <a href='x'>nan</a>.", "Danna nan"),
        ("Shafi na 5 cikin १२", "Shafi na cikin"),
    ],
)
def test_marks_of_each_kind_are_taken_out(text, left):
    """Names in braces, positions, cases of ICU, tags, and digits of any script."""
    assert words(text) == left
