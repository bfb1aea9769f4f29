"""Reasons to leave a text out: each has its case, and lets good short texts pass."""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.spec.text_checks import TextChecks
from finetune.text.boilerplate import MAX_LINES, RepeatedLines
from finetune.text.markup import is_markup, markup_share, without_markup_lines
from finetune.text.quality import why_not
from finetune.text.repetition import compression, duplicate_share, is_repetition
from finetune.text.spread import MIN_TEXTS, Spread

DEFAULT = TextChecks()
OFF = TextChecks(
    damaged="keep",
    placeholder_text="keep",
    max_markup_share=1,
    min_letter_share=0,
    max_repetition=1,
)
WORDS = [f"w{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(400)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("na\ufffdga def", "damaged"),
        ("na\x92ga", "damaged"),
        ("\ue001\ue002\ue003 \ue004", "damaged"),
        ("Lorem ipsum dolor sit amet", "placeholder-text"),
        ("<div class='a'></div>", "markup"),
        ("{count} / {total}", "markup"),
        ("%s: %(n)d", "markup"),
        ("{{Infobox | a = b}} " * 6, "markup"),
        ("https://host.sn/a/b", "markup"),
        ("12:30", "few-letters"),
        ("— … ।", "few-letters"),
        ("1 2 3 4 5 6 7 8 9 a " * 6, "few-letters"),
        ("ha" * 40, "repetition"),
        ("waaw " * 60, "repetition"),
        ("na " + "a" * 100, "repetition"),
        ("\u0e01\u0e02\u0e04\u0e07" * 200, "repetition"),
    ],
)
def test_each_rule_has_its_case(text: str, reason: str) -> None:
    """A text that is damaged, markup, numbers or repetition is left out; every rule can be off."""
    assert why_not(text, DEFAULT) == reason
    assert why_not(text, OFF) is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a",
            "Waaw",
            "\u0915",
            "\u1c5a\u1c5b",
            "\U0001e900",
            "\ua4d0",
            "\u02bb\u0101",
            "10 km",
            "A4",
        ),
        *(
            "ndank-ndank",
            "piano piano",
            "ha ha ha",
            "Nuyo {very_long_placeholder_name}",
            "<b>Na</b>",
        ),
        *(
            "%s min",
            "e.g. 192.168.0.100:8080",
            "3. a",
            "$10/7$ \ud55c\uad6d\uc5b4",
            "http://a.sn na",
        ),
        *("\U00010d4a\U00010d4b", "\U0001e5d0\U0001e5d1", "\ue001 " + "waaw na " * 5),
        *("x" * 29, "_" * 40 + " na " + " ".join(WORDS[:20])),
    ],
)
def test_short_good_texts_pass(text: str) -> None:
    """One letter of any script, also a young one, a proverb, a button with a placeholder."""
    assert why_not(text, DEFAULT) is None


def test_a_lost_letter_in_a_long_text_is_forgiven() -> None:
    """One of a thousand characters does not cost a page."""
    assert why_not("\ufffd" + " ".join(WORDS), DEFAULT) is None


def test_answers_may_be_numbers() -> None:
    """In a conversation `42` is an answer."""
    assert why_not("42", DEFAULT, needs_letters=False) is None


def test_a_refrain_is_no_repetition() -> None:
    """A song of which three of seven stanzas are the refrain stays; five of six do not."""
    refrain = WORDS[:12]
    stanzas = [WORDS[20 + 12 * n : 32 + 12 * n] for n in range(4)]
    song = [*stanzas[0], *refrain, *stanzas[1], *refrain, *stanzas[2], *refrain, *stanzas[3]]
    assert 0.2 < duplicate_share(song) < 0.5
    assert not is_repetition(" ".join(song), max_share=0.5)
    assert is_repetition(" ".join([*refrain * 5, *stanzas[0]]), max_share=0.5)


def test_the_share_of_duplicates_is_counted_by_hand() -> None:
    """Of fifteen one-letter words the second five repeat the first: five characters."""
    assert duplicate_share(list("abcdeabcdefghij")) == 5 / 15
    assert duplicate_share(list("abcdefghijklmno")) == 0
    assert duplicate_share([]) == 0
    assert duplicate_share(list("a" * 10)) == 9 / 10


def test_compression_compares_scripts() -> None:
    """The same letters one block further compress alike, though UTF-8 has more bytes for them."""
    latin = " ".join(WORDS)
    deva = "".join(chr(0x905 + ord(c) - 97) if c.isalpha() else c for c in latin)
    assert abs(compression(latin) - compression(deva)) < 0.5


@given(st.text(), st.booleans())
def test_judging_never_fails(text: str, needs_letters: bool) -> None:
    """Any text has one reason of those that are known, or none."""
    reasons = {None, "damaged", "placeholder-text", "markup", "few-letters", "repetition"}
    assert why_not(text, DEFAULT, needs_letters=needs_letters) in reasons
    assert why_not(text, OFF) is None
    assert 0 <= markup_share(text) <= 1


def test_lines_of_markup_are_taken_out_of_a_page() -> None:
    """Template lines go, text lines stay, and an address in a sentence is no markup."""
    text = "{| class='a'\nNa nga def\n|-\n<br/>\nXool http://a.sn fii\n|}"
    assert without_markup_lines(text, max_share=0.8) == "Na nga def\nXool http://a.sn fii"
    assert without_markup_lines(text, max_share=1) == text
    assert not is_markup("Na nga def", max_share=0.8)


def test_lines_that_head_many_texts_are_removed_after_so_many() -> None:
    """The first three pages keep their header, whatever page number; a refrain stays."""
    lines = RepeatedLines(3)
    pages = [
        f"Njiitlaay {n}\n{WORDS[n]}\n{WORDS[n + 9]}\nyaay\n{WORDS[n + 40]}\na{n}b\nc"
        for n in range(9)
    ]
    out = [lines.without(page) for page in pages]
    assert out[:3] == pages[:3]
    assert all(page.startswith(WORDS[n]) and "yaay" in page for n, page in enumerate(out) if n >= 3)
    assert RepeatedLines(0).without(pages[0]) == pages[0]
    assert RepeatedLines(1).without("a line") == "a line"
    assert len(lines.times) <= MAX_LINES


def test_lengths_far_outside_are_seen_and_few_texts_judge_nobody() -> None:
    """Among lengths of 10 to 40 a thousand times longer one is outside; before 200 none is."""
    spread = Spread()
    for n in range(MIN_TEXTS - 1):
        spread.add(10 + n % 31)
    assert not spread.is_outlier(1e6)
    for n in range(1000):
        spread.add(10 + n % 31)
    assert spread.is_outlier(1e6)
    assert spread.is_outlier(0.001)
    assert not spread.is_outlier(80)
    assert not spread.is_outlier(5)
    for _ in range(5):
        spread.add(1e6)
    assert spread.is_outlier(1e6)


@pytest.mark.parametrize(
    "piece", ["a", "a ", "{", "<a ", "[[", "a\n", "\ue001", "ab", "&a", "\u0915"]
)
def test_hostile_texts_are_judged_in_linear_time(piece: str) -> None:
    """A megabyte of any of it takes seconds."""
    text = piece * (1_000_000 // len(piece))
    started = time.perf_counter()
    why_not(text, DEFAULT)
    RepeatedLines(1).without(without_markup_lines(text, max_share=0.8))
    assert time.perf_counter() - started < 20


@pytest.mark.skipif(find_spec("kolibri") is None, reason="the package kolibri is not installed")
def test_texts_of_software_lose_only_what_has_no_word() -> None:
    """Of Kolibri's strings in six languages what is left out is markup or numbers, under 2 %."""
    spec = find_spec("kolibri")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent / "locale"
    reasons: dict[str | None, int] = {}
    for folder in ("ha", "yo", "hi_IN", "bn_BD", "ur_PK", "sw_TZ"):
        for file in sorted((root / folder / "LC_MESSAGES").glob("*.json")):
            for text in json.loads(file.read_text(encoding="utf-8")).values():
                if isinstance(text, str) and text:
                    reason = why_not(text, DEFAULT)
                    reasons[reason] = reasons.get(reason, 0) + 1
    assert reasons.keys() <= {None, "markup", "few-letters"}
    assert reasons[None] > 0.98 * sum(reasons.values())
