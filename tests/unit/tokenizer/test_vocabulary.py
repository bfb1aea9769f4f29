"""Tokens with whole characters, for the three kinds of vocabularies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from finetune.tokenizer.vocabulary import (
    _BYTE_OF,
    BROKEN,
    PIECES,
    TOKENS,
    UNKNOWN,
    spelled,
    unfinished,
    vocabulary_of,
)
from tests.support.vocabularies import byte_fallback, byte_level, closed

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
BYTES = vocabulary_of(byte_level())
FALLBACK = vocabulary_of(byte_fallback())


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def characters_cut(text: str, sizes: list[int]) -> int:
    """Return how many characters of a text lie in more than one of the parts of given sizes."""
    ends = {sum(sizes[: n + 1]) for n in range(len(sizes))}
    cut, at = 0, 0
    for character in text:
        size = len(character.encode())
        cut += any(end in ends for end in range(at + 1, at + size))
        at += size
    return cut


@given(TEXTS, st.lists(st.integers(1, 5), max_size=200))
def test_parts_of_a_text_begin_as_many_characters_as_are_cut(text, sizes):
    """For any split of bytes into tokens, characters begun and not ended are the split ones."""
    data, parts, at = text.encode(), [], 0
    for size in [*sizes, len(text) * 4]:
        if data[at : at + size]:
            parts.append(data[at : at + size])
        at += size
    assert sum(unfinished(part)[1] for part in parts) == characters_cut(text, [*map(len, parts)])


@given(TEXTS)
def test_byte_level_counts_are_those_of_the_bytes_of_each_token(text):
    """Tokens of a byte-level vocabulary spell the text, and pieces are those of no whole text."""
    encoding = BYTES.tokenizer.encode(text, add_special_tokens=False)
    parts = [spelled(token, "bytes") for token in encoding.tokens]
    [counts] = BYTES.count([text])
    assert b"".join(parts) == text.encode()
    assert counts[TOKENS] == len(parts)
    assert counts[PIECES] == sum(not is_utf8(part) for part in parts)
    assert counts[BROKEN] == characters_cut(text, [*map(len, parts)])
    assert counts[UNKNOWN] == 0


@given(TEXTS)
def test_byte_fallback_breaks_exactly_the_characters_without_a_token(text):
    """A character without a token is spelled by as many pieces as it has bytes (one is whole)."""
    [counts] = FALLBACK.count([text])
    foreign = [c for c in text if not c.isascii() and c not in "éƙ"]
    assert counts[BROKEN] == len(foreign)
    assert counts[PIECES] == sum(len(c.encode()) for c in foreign)
    assert counts[UNKNOWN] == 0


def test_hand_counted_fallback():
    """`ab`, `é`, and the three bytes of an Ethiopic letter: five tokens, three of them pieces."""
    assert FALLBACK.kind == "byte fallback"
    assert FALLBACK.count(["abéሰ"]).tolist() == [[5, 3, 1, 0]]


def test_hand_counted_closed_vocabulary():
    """A closed vocabulary has no pieces; what it does not know is lost and counted."""
    vocabulary = vocabulary_of(closed())
    assert vocabulary.kind == "closed"
    assert vocabulary.count(["the dog sat", "the cat"]).tolist() == [[3, 0, 0, 1], [2, 0, 0, 0]]


def test_bytes_are_written_as_the_library_writes_them():
    """The table of byte letters has the library's alphabet and every byte once."""
    assert BYTES.kind == "bytes"
    assert set(_BYTE_OF) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(_BYTE_OF.values()) == list(range(256))


@pytest.mark.parametrize(
    ("vocabulary", "letter", "there"),
    [
        (FALLBACK, "ƙ", True),
        (FALLBACK, "ɓ", False),
        (FALLBACK, "z", True),  # one byte, one token
        (BYTES, "a", True),
        (BYTES, "अ", False),
    ],
)
def test_letters_in_the_vocabulary(vocabulary, letter, there):
    """A letter is there if it is spelled without pieces."""
    assert vocabulary.has(letter) == there


def test_truncation_asked_for_by_a_file_is_taken_off():
    """A tokenizer.json that truncates or pads does not change a count."""
    tokenizer = byte_fallback()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=20)
    assert vocabulary_of(tokenizer).count(["abcde"])[0][TOKENS] == 4


def test_bytes_that_were_added_as_tokens_are_pieces_too():
    """Some vocabularies list `<0xE1>` among their added tokens; it is still a byte."""
    tokenizer = byte_fallback()
    tokenizer.add_special_tokens([f"<0x{byte:02X}>" for byte in range(256)])
    assert vocabulary_of(tokenizer).count(["abéሰ"]).tolist() == [[5, 3, 1, 0]]


def test_equal_tokenizers_have_one_fingerprint():
    """The fingerprint separates tokenizers by their behaviour."""
    assert vocabulary_of(byte_fallback()).fingerprint == FALLBACK.fingerprint
    assert vocabulary_of(byte_fallback(letters="ab")).fingerprint != FALLBACK.fingerprint


def test_a_special_token_is_no_piece():
    """Marks of a model are text of their own, not bytes of a character."""
    [counts] = BYTES.count(["<|im_start|>"])
    assert counts.tolist() == [1, 0, 0, 0]
