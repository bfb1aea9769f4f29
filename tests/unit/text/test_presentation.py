"""Letters stored as shapes become letters, and lines of display order are turned round."""

from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.spec.sections.text_checks import TextChecks
from finetune.text.normalize import normalize
from finetune.text.presentation import FORMS, in_reading_order, is_visual, without_forms
from tests.support.linear_time import within_cpu_seconds

SENTENCES = (
    "بچے باہر کھیل رہے ہیں",
    "پانی بہت ٹھنڈا ہے",
    "السلام عليكم ورحمة الله وبركاته",
    "میں کل بازار جاؤں گا",
    "رُبَّ أَخٍ لَكَ لَمْ تَلِدْهُ أُمُّكَ",
    "في عام ٢٠٢٤ كتب (أحمد) كتابه عن Windows 10 بسعر 12.50 دينار",
    "کیا آپ نے «کتاب» پڑھی؟",
)
REPAIRS = TextChecks(presentation_forms=True, visual_order=True)
_SHAPES: dict[str, dict[str, str]] = {}
for _form in FORMS:
    _tag, *_codes = unicodedata.decomposition(_form).split()
    if len(_codes) == 1:
        _SHAPES.setdefault(_tag, {})[chr(int(_codes[0], 16))] = _form


def shaped(text: str) -> str:
    """Return a text as a PDF file stores it: each letter in the shape that its neighbours give."""
    initial, final = _SHAPES["<initial>"], _SHAPES["<final>"]
    bare = [at for at, c in enumerate(text) if not unicodedata.combining(c)]
    out = list(text)
    for place, at in enumerate(bare):
        before = text[bare[place - 1]] if place else ""
        after = text[bare[place + 1]] if place + 1 < len(bare) else ""
        from_before = before in initial and text[at] in final
        to_after = text[at] in initial and after in final
        tag = ("<isolated>", "<initial>", "<final>", "<medial>")[2 * from_before + to_after]
        out[at] = _SHAPES[tag].get(text[at], text[at])
    return "".join(out)


def displayed(text: str) -> str:
    """Return a line as it is displayed, left to right: words reversed, but numbers and Latin."""
    mirrored = str.maketrans("()«»", ")(»«")
    stays = set("0123456789٠١٢٣٤٥٦٧٨٩.") | set(string.ascii_letters)
    line, run = "", ""
    for character in reversed(text):
        if character in stays:
            run = character + run
        else:
            line, run = line + run + character.translate(mirrored), ""
    line += run
    return line.replace("10 Windows", "Windows 10")


@pytest.mark.parametrize("text", SENTENCES)
def test_shapes_become_the_letters_that_were_typed(text: str) -> None:
    """A shaped text comes back letter by letter; one in letters is not touched."""
    assert shaped(text) != text
    assert not is_visual(shaped(text))
    assert normalize(shaped(text), checks=REPAIRS).text == text
    assert normalize(text, checks=REPAIRS).changes == ()


@pytest.mark.parametrize("text", [t for t in SENTENCES if "\u064e" not in t])
def test_a_line_in_display_order_is_turned_round(text: str) -> None:
    """The shapes show the order; numbers, Latin words and brackets end as they were."""
    line = displayed(shaped(text))
    assert is_visual(line)
    done = normalize(line, checks=REPAIRS)
    assert done.text == text
    assert done.changes == ("visual-order", "presentation-forms")


@pytest.mark.parametrize("text", SENTENCES[:5])
def test_marks_stay_on_their_letters(text: str) -> None:
    """Marks may have been reversed with the letters, or stand behind them."""
    shapes = shaped(text)
    clusters: list[str] = []
    for character in shapes:
        if unicodedata.combining(character) and clusters:
            clusters[-1] += character
        else:
            clusters.append(character)
    for line in (shapes[::-1], "".join(reversed(clusters))):
        assert normalize(line, checks=REPAIRS).text == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("text", SENTENCES)
def test_without_shapes_the_order_is_not_guessed(text: str) -> None:
    """A reversed text in plain letters stays as it is, whatever the settings."""
    assert not is_visual(text[::-1])
    assert in_reading_order(text[::-1]) == text[::-1]


def test_both_repairs_are_off_unless_asked_for() -> None:
    """By default shapes are reported and stay."""
    line = displayed(shaped(SENTENCES[0]))
    assert normalize(line).text == line


def test_what_is_no_letter_or_written_on_purpose_stays() -> None:
    """Tatweel, joiners, word ligatures, ornate parentheses and other compatibility characters."""
    for (
        kept
    ) in "\u0640\u200c\u200d\ufdfa\ufdfb\ufdfd\ufdf2\ufdfc\ufd3e\ufd3f\u00bd\u2460\uff21\u1e9b":
        assert without_forms(f"\u0628{kept}\u0627") == f"\u0628{kept}\u0627"


def test_each_form_is_nfkc_of_itself_alone() -> None:
    """Every form of the three blocks with letters, less the carrier of a lone mark."""
    for form, letters in FORMS.items():
        assert (
            letters == unicodedata.normalize("NFKC", form).lstrip(" \u0640") or letters == "\u0640"
        )
        assert 0xFB00 <= ord(form) <= 0xFDEF or 0xFE70 <= ord(form) <= 0xFEFC
    assert {"\ufb01", "\ufb50", "\ufefb", "\ufe8d"} <= FORMS.keys()


@given(st.text(st.sampled_from([*FORMS, *"\u0628\u064e\u0640\u200d a1(.\n\u05d0"]), max_size=30))
def test_both_repairs_are_idempotent(text: str) -> None:
    """A line that was turned is not turned again."""
    turned = in_reading_order(text)
    assert in_reading_order(turned) == turned
    assert sorted(turned.translate(str.maketrans(")", "("))) == sorted(
        text.translate(str.maketrans(")", "("))
    )
    assert without_forms(without_forms(text)) == without_forms(text)


@pytest.mark.parametrize("piece", ["\ufe8e", "\ufe8e\ufe91", "\ufe8ea", "\ufc60", "\ufe8e1."])
def test_hostile_lines_are_turned_in_linear_time(piece: str) -> None:
    """A hundred thousand letters without a space takes seconds."""
    with within_cpu_seconds():
        normalize(piece * 60_000, checks=REPAIRS)
