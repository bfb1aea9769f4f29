from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from fontTools import unicodedata as unicode
from hypothesis import example, given
from hypothesis import strategies as st

from finetune.spec.script import direction, script_of
from finetune.spec.sections.text_checks import TextChecks
from finetune.text.damage import looks_broken, repaired
from finetune.text.letters import LATIN_SHAPES, LOOK_ALIKES, PROFILES, repairs_of
from finetune.text.normalize import CHANGES, MAX_MARKS, normalize
from tests.support.linear_time import flood, within_cpu_seconds

# the characters that matter here, more often than chance would bring them
ODD = (
    "\u200d\u200c\u02bc\u02bb\u1361\ufeff\0\r\n \u00a0\u0301\u0323\u0958eọ\u200b\u094d\u00ad"
    "\u202e\u2066\ufe0f\ufe0e\U000e0041\U0001f3f4\u2060\u2028\x0b\x1b\x85εаηɖ\u0439يکك\u0652"
    "\ufe91\ufe8e\ufee6\ufefb\ufc60\ufb01&#;a(1"
)
TEXTS = st.text(st.one_of(st.sampled_from(ODD), st.characters(exclude_categories=["Cs"])))
LANGUAGES = st.sampled_from(["", "xyz_Latn", "tha_Thai", *PROFILES])
CHECKS = st.builds(
    TextChecks,
    invisible=st.sampled_from(["remove", "keep"]),
    direction_controls=st.sampled_from(["remove", "drop", "keep"]),
    direction_overrides=st.sampled_from(["remove", "drop", "keep"]),
    look_alikes=st.booleans(),
    escapes=st.booleans(),
    presentation_forms=st.booleans(),
    visual_order=st.booleans(),
)
SCRIPTS = (
    *("Latn", "Arab", "Deva", "Beng", "Guru", "Gujr", "Orya", "Taml", "Telu", "Knda", "Mlym"),
    *("Sinh", "Olck", "Mtei", "Wara", "Adlm", "Nkoo", "Ethi", "Tfng", "Vaii", "Cyrl", "Grek"),
    *("Hebr", "Thai", "Khmr", "Mymr", "Tibt"),
)


@given(TEXTS, LANGUAGES, CHECKS)
@example("\u0301\u094d\u200b", "hin_Deva", TextChecks())
@example("e\u200b\u0301", "", TextChecks())
def test_a_normalised_text_comes_back_unchanged(
    text: str, language: str, checks: TextChecks
) -> None:
    """Normalisation is idempotent for every language and policy."""
    once = normalize(text, language=language, checks=checks)
    twice = normalize(once.text, language=language, checks=checks)
    assert (twice.text, twice.changes) == (once.text, ())


@given(TEXTS)
def test_no_letter_mark_or_joiner_is_lost(text: str) -> None:
    """Every letter, mark, digit and joiner of a text is in the normalised one, as often."""

    def kept(value: str) -> list[str]:
        parts = unicodedata.normalize("NFD", value)
        selectors = range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)  # surplus ones may go
        return sorted(
            c
            for c in parts
            if (unicodedata.category(c)[0] in "LMNPS" or c in "\u200c\u200d")
            and not any(ord(c) in block for block in selectors)
        )

    assert kept(normalize(text).text) == kept(text)


def letters_of(script: str) -> str:
    """Return every letter and mark of a script that this Python's Unicode data knows."""
    first = unicode.script_name(script).upper()
    blocks = (
        range(0x80, 0x3100),
        range(0xA000, 0xAC00),
        range(0xFB00, 0x12000),
        range(0x1E900, 0x1EF00),
    )
    return "".join(
        chr(code)
        for block in blocks
        for code in block
        if unicodedata.name(chr(code), "").startswith(f"{first} ")
        and unicodedata.category(chr(code))[0] in "LM"
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_letter_of_a_script_survives_in_a_word(script: str) -> None:
    """Each letter and mark of our scripts stays, as NFC writes it, whatever the language says."""
    letters = letters_of(script)
    assert len(letters) > 25
    for language in ("", f"xyz_{script}"):
        for letter in letters:
            word = f"x{letter}\u200d{letter}\u200c{letter}x"
            assert normalize(word, language=language).text == unicodedata.normalize("NFC", word)


@pytest.mark.parametrize("language", PROFILES)
def test_a_profile_never_touches_a_letter_of_its_own_orthography(language: str) -> None:
    """Letters of the published alphabet are no source of a repair, and every repair ends."""
    repairs = repairs_of(language)
    assert not set(PROFILES[language].letters) & repairs.keys()
    assert not set("".join(repairs.values())) & repairs.keys()
    assert PROFILES[language].source
    for wrong, right in repairs.items():
        assert unicodedata.category(wrong)[0] == unicodedata.category(right[0])[0] == "L"
        assert wrong.isupper() == right.isupper() or script_of(wrong) == "Latn"


@pytest.mark.parametrize(
    ("language", "before", "after"),
    [
        ("wol_Latn", "\u03b7aa", "\u014baa"),  # eta for eng
        ("kab_Latn", "t\u03b3uri", "t\u0263uri"),  # Greek gamma
        ("kab_Latn", "a\u0511di", "a\u025bdi"),  # Cyrillic reversed ze
        ("ewe_Latn", "\u0110eka", "\u0189eka"),  # D with stroke for the African D
        ("ewe_Latn", "m\u1f72", "m\u025b\u0300"),  # a composed Greek epsilon
        ("hau_Latn", "\u0256an", "\u0257an"),  # the wrong d
        ("hau_Latn", "k\u0430sa", "kasa"),  # Cyrillic a
        ("urd_Arab", "\u0643\u064a\u0627 \u0679", "\u06a9\u06cc\u0627 \u0679"),
        ("urd_Arab", "\u0647\u0654 \u0679", "\u06c2 \u0679"),  # heh with hamza composes again
    ],
)
def test_repairs_follow_the_orthography(language: str, before: str, after: str) -> None:
    """A look-alike becomes the letter of the alphabet, and the change has its name."""
    done = normalize(before, language=language)
    assert (done.text, done.changes) == (after, ("look-alikes",))
    assert normalize(before, language="xyz_Latn").text == unicodedata.normalize("NFC", before)
    off = TextChecks(look_alikes=False)
    assert "look-alikes" not in normalize(before, language=language, checks=off).changes


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("wol_Latn", "\u039b\u03cc\u03b3\u03bf\u03c2"),  # a Greek word
        ("wol_Latn", "\u043c\u0438\u0440"),  # a Russian word
        ("wol_Latn", "\u03b1-xy\u03c0\u03bf"),  # a foreign letter that no rule knows
        ("bam_Latn", "\u03b5"),  # a single Greek letter
        ("fuc_Latn", "\u0253\u0257\u01b4\u014b"),
        ("urd_Arab", "\u0643\u064a\u0641"),  # Arabic alone
        ("urd_Arab", "\u0679 \u0643\u0650\u062a\u0627\u0628\u064c"),  # a vocalised quotation
        ("snd_Arab", "\u06aa \u0643\u064a"),  # Sindhi has both
        ("pbt_Arab", "\u064a\u06cc\u06d0\u06cd"),  # Pashto has four yehs
        ("xyz_Latn", "k\u0430sa"),  # no profile
    ],
)
def test_what_no_profile_repairs_stays(language: str, text: str) -> None:
    """Words in another script, quotations and languages without a profile are left alone."""
    assert normalize(text, language=language).text == text


def test_look_alikes_are_of_one_shape_by_their_names() -> None:
    """The tables hold letters only, and no letter is a look-alike of two that meet in a profile."""
    assert all(unicodedata.category(wrong)[0] == "L" for wrong in LATIN_SHAPES)
    for letter, wrong in LOOK_ALIKES.items():
        assert letter not in wrong
        assert all(unicodedata.category(one)[0] == "L" for one in wrong)


@given(TEXTS)
def test_the_result_is_nfc(text: str) -> None:
    """The result is in normalisation form C, without NUL, carriage return or BOM."""
    done = normalize(text)
    assert done.refused == "mark-flood" or unicodedata.is_normalized("NFC", done.text)
    assert not set("\0\r\ufeff") & set(done.text)


@given(st.text(st.characters(), max_size=20))
def test_halves_of_characters_never_pass(text: str) -> None:
    """Two halves of a character are joined; a lone half is shown as damage; UTF-8 works."""
    halves = text + "\ud83d\ude00" + text + "\ud83d"
    done = normalize(halves).text
    done.encode()
    assert "\U0001f600" in done
    assert "\ufffd" in done


@pytest.mark.parametrize(
    "text",
    [
        *("क\u094d\u200dष", "می\u200cخواهم", "boroʼ", "ʻokina", "ሰላም፡ለዓለም", "ƙofa", "ﬁ", "½"),
        *("ọ́", "\u0915\u093c", "\u09a1\u09bc", "\U0001e8d0", "\u07ca\u07eb", "\u200fא", "\ue001"),
        *("\u2764\ufe0f", "\U0001f3f4\U000e0067\U000e0062\U000e007f", "\u0915\u094d\u200b\u0937"),
    ],
)
def test_meaningful_characters_are_kept(text: str) -> None:
    """Joiners, modifier letters, wordspace, nukta, tones, direction marks, flags, and what NFKC
    would fold, stay."""
    assert normalize(text) == type(normalize(""))(text, ())


def test_every_change_is_named() -> None:
    """The names of all changes made are returned, once each, and each is explained."""
    done = normalize("\ufeffe\u0301\0 \r\nb ")
    assert done.text == "é\nb"
    names = ("byte-order-mark", "nul", "line-ends", "nfc", "surrounding-space")
    assert done.changes == names
    assert set(names) <= CHANGES.keys()


@pytest.mark.parametrize(
    ("text", "name", "after"),
    [
        ("hy\xadphen", "soft-hyphen", "hyphen"),
        ("a\u200bb", "zero-width-space", "ab"),
        ("a\u2060b", "invisible", "ab"),
        ("a\U000e0041\U000e0042b", "tag-characters", "ab"),
        ("a\ufe0f\ufe01\U000e0100", "variation-selectors", "a\ufe0f"),
        ("a\u2066b\u2069", "direction-controls", "ab"),
        ("a\x1b\x07b", "control-characters", "ab"),
        ("a\u2028b\x0cc", "line-ends", "a\nb\nc"),
    ],
)
def test_invisible_characters_go_by_policy(text: str, name: str, after: str) -> None:
    """Invisible characters are removed and named; `keep` keeps all but control characters."""
    assert normalize(text) == type(normalize(""))(after, (name,))
    keep = TextChecks(invisible="keep", direction_controls="keep", direction_overrides="keep")
    kept = normalize(text, checks=keep)
    if name in ("control-characters", "line-ends"):
        assert kept.text == after
    else:
        assert kept == type(normalize(""))(text, ())


def test_zero_width_spaces_part_words_where_scripts_need_them() -> None:
    """Khmer and Thai write word boundaries with U+200B, so it stays there."""
    text = "\u1780\u200b\u1781"
    assert normalize(text, language="khm_Khmr").text == text
    assert normalize(text, language="wol_Latn").changes == ("zero-width-space",)


@pytest.mark.parametrize(
    ("text", "policy", "refused", "after"),
    [
        ("a\u202eb", {}, "direction-controls", "a\u202eb"),
        ("a\u202eb", {"direction_overrides": "remove"}, None, "ab"),
        ("a\u202eb", {"direction_overrides": "keep"}, None, "a\u202eb"),
        ("a\u202ab\u202c", {}, None, "ab"),
        ("a\u202ab\u202c", {"direction_controls": "drop"}, "direction-controls", "a\u202ab\u202c"),
        ("a\u202ab\u202c", {"direction_controls": "keep"}, None, "a\u202ab\u202c"),
        ("a\u200eb", {}, None, "a\u200eb"),
    ],
)
def test_direction_controls_follow_the_policy(
    text: str, policy: dict[str, str], refused: str | None, after: str
) -> None:
    """Overrides, which hide what is stored, leave a text out; embeddings only leave the text."""
    done = normalize(text, checks=TextChecks.model_validate(policy))
    assert (done.refused, done.text) == (refused, after)


def broken(text: str, encoding: str = "cp1252") -> str:
    return text.encode().decode(encoding)


@pytest.mark.parametrize("letters", ["\u00e9\u00e8\u00f1", "\u014b\u0253", "\u2019\u2026"])
def test_mojibake_is_repaired_only_when_asked(letters: str) -> None:
    """Text decoded as Windows-1252 comes back; without the switch it is only noticed."""
    text = f"nday {letters} jaam"
    wrong = broken(text, "latin-1")
    assert normalize(wrong, checks=TextChecks(mojibake=True)).changes[0] == "mojibake"
    assert normalize(wrong, checks=TextChecks(mojibake=True)).text == text
    assert looks_broken(wrong)
    assert "mojibake" not in normalize(wrong).changes


@pytest.mark.parametrize(
    "text", ["ﬁn", "“a” ‘b’", "½ ² ｗｉｄｅ", "&amp; <b>", "a…b", "Çà et là », É»", "\x1b[0m", "ĳ"]
)
def test_the_repair_of_mojibake_changes_nothing_else(text: str) -> None:
    """Ligatures, curly quotation marks, wide letters, entities and escapes stay as they are."""
    assert repaired(text) == text
    assert not looks_broken(text)


@given(st.text(st.characters(min_codepoint=0xA0, exclude_categories=["Cs", "Cc", "Co", "Cn"])))
def test_the_repair_of_mojibake_keeps_other_scripts(text: str) -> None:
    """Letters of scripts that no single-byte encoding of the West writes are never touched."""
    plain = "".join(c for c in text if ord(c) >= 0x700 and not 0x1E00 <= ord(c) < 0x2E00)
    assert repaired(plain) == plain


FLOODS = {
    "no space": "a",
    "marks": "\u0301\u0323",
    "marks and spaces": "\u0301 ",
    "zero width": "\u094d\u200b",
    "tags": "\U000e0041",
    "selectors": "\ufe0f",
    "overrides": "\u202e",
    "look-alikes": "a\u0430",
    "line ends": " \r\n",
    "nul": "\0",
    "halves": "\ud800",
}


@pytest.mark.parametrize("kind", FLOODS)
def test_hostile_texts_take_linear_time(kind: str) -> None:
    """A flood of the worst that can be typed is normalised within seconds; a quadratic step
    would take minutes."""
    with within_cpu_seconds():
        normalize(flood(FLOODS[kind]), language="wol_Latn", checks=TextChecks(mojibake=True))


def test_a_flood_of_marks_is_refused_before_it_is_sorted() -> None:
    """More marks on a letter than the stream-safe format of Unicode allows is no writing."""
    assert normalize("a" + "\u0301" * MAX_MARKS).refused is None
    assert normalize("bb" + "\u0301\u0323" * MAX_MARKS).refused == "mark-flood"


@pytest.mark.parametrize(
    ("letter", "script", "turned"),
    [
        ("\U00010d5d", "Gara", "rtl"),
        ("\U00011392", "Tutg", "ltr"),
        ("\U00011bc8", "Sunu", "ltr"),
        ("\U00016108", "Gukh", "ltr"),
        ("\U00016d48", "Krai", "ltr"),
        ("\U0001e4d8", "Nagm", "ltr"),
        ("\U0001e5d8", "Onao", "ltr"),
    ],
)
def test_letters_younger_than_python_are_letters(letter: str, script: str, turned: str) -> None:
    """Garay (Wolof), Ol Onal and the like have a script, though this Python may not know them."""
    assert script_of(letter) == script
    assert direction(f"und_{script}") == turned


def test_this_file_is_plain(tmp_path: Path) -> None:
    """Test cases are written as code points, so that no editor changes them unseen."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert not set(text) & set("\u200b\u200c\u200d\u202e\u00ad\ufeff\u2066")
