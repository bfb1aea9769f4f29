"""Texts as they are compared: what stands for each character, looked up as characters occur."""

from __future__ import annotations

import sys
import unicodedata

import numpy as np

from finetune.prepare.overlap.shingles import Meanings, comparable


def test_every_character_has_the_meaning_that_its_category_says() -> None:
    """Over all of Unicode: format characters vanish, digits are 0-9, punctuation, signs, space and
    controls are a space, and all else is itself. Hashes in artefacts depend on it."""
    codes = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    expected = codes.copy()
    for code in range(1, sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category == "Cf":
            expected[code] = 0xFFFFFFFF
        elif category == "Nd":
            expected[code] = ord(str(unicodedata.decimal(chr(code))))
        elif category[0] in "PSZC":
            expected[code] = ord(" ")
    assert (Meanings()[codes] == expected).all()


def test_only_blocks_that_occur_are_looked_up() -> None:
    """A text of one script costs one block, and asking again costs none."""
    meanings = Meanings()
    assert meanings.blocks == 0
    for _ in range(2):
        meanings[np.frombuffer("Ina kwana 12".encode("utf-32-le"), dtype="<u4")]
        assert meanings.blocks == 1


def test_a_text_with_a_nul_stays_one_text() -> None:
    """A file of an evaluation set may hold NUL characters; they are a space like other controls."""
    assert comparable(["ina\0kwana", "\0", "lafiya"]) == ["ina kwana", "\0", "lafiya"]
