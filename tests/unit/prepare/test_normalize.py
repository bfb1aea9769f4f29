from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.prepare.normalize import normalize

# the characters that matter here, more often than chance would bring them
TEXTS = st.text(
    st.one_of(
        st.sampled_from("\u200d\u200c\u02bc\u02bb\u1361\ufeff\0\r\n \u00a0\u0301\u0323\u0958eọ"),
        st.characters(exclude_categories=["Cs"]),
    )
)


@given(TEXTS)
def test_a_normalised_text_comes_back_unchanged(text: str) -> None:
    """Normalisation is idempotent."""
    once, _ = normalize(text)
    assert normalize(once) == (once, ())


@given(TEXTS)
def test_no_letter_mark_or_joiner_is_lost(text: str) -> None:
    """Every letter, mark, digit and joiner of a text is in the normalised one, as often."""

    def kept(value: str) -> list[str]:
        parts = unicodedata.normalize("NFD", value)
        wanted = [c for c in parts if unicodedata.category(c)[0] in "LMNPS"]
        return sorted(wanted + [c for c in parts if c in "\u200c\u200d"])

    assert kept(normalize(text)[0]) == kept(text)


@given(TEXTS)
def test_the_result_is_nfc(text: str) -> None:
    """What comes out is in normalisation form C, without NUL, carriage return or BOM."""
    result, _ = normalize(text)
    assert unicodedata.is_normalized("NFC", result)
    assert not set("\0\r\ufeff") & set(result)


@pytest.mark.parametrize(
    "text",
    ["क\u094d\u200dष", "می\u200cخواهم", "boroʼ", "ʻokina", "ሰላም፡ለዓለም", "ƙofa", "ﬁ", "½", "ọ́"],
)
def test_meaningful_characters_are_kept(text: str) -> None:
    """ZWJ, ZWNJ, modifier letters, okina, wordspace, and what NFKC would fold, stay."""
    assert normalize(text) == (text, ())


def test_every_change_is_named() -> None:
    """The names of all changes made are returned, once each."""
    text, changes = normalize("\ufeffe\u0301\0 \r\nb ")
    assert text == "é\nb"
    assert changes == ("byte-order-mark", "nul", "line-ends", "nfc", "surrounding-space")
