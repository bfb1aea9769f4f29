"""Repetition inside a text, and lines that a page repeats or fills with markup."""

from __future__ import annotations

from finetune.text.markup import is_markup, without_markup_lines
from finetune.text.repetition import (
    MAX_LINES,
    RepeatedLines,
    compression,
    duplicate_share,
    is_repetition,
)

WORDS = [f"w{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(400)]


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
