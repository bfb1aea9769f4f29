"""Lines without their markup: what goes, what stays, and that no text takes its length squared."""

from __future__ import annotations

import time

from finetune.identify.lines import plain


def test_addresses_and_placeholders_go_and_words_stay() -> None:
    """Latin letters of an address or a tag do not count against the script of a text."""
    assert plain("नमस्ते <b>{name}</b> a.b@example.org https://x.example/y") == "नमस्ते"


def test_a_long_text_without_spaces_takes_time_in_proportion() -> None:
    """Four million letters without a space or an `@` are looked through in seconds, not in days."""
    began = time.monotonic()
    assert len(plain("x" * 4_000_000)) == 4_000_000
    assert time.monotonic() - began < 60
