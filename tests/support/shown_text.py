"""Text as a terminal shows it."""

from __future__ import annotations

import unicodedata


def shown(text: str) -> bool:
    """Say whether a terminal shows all of a text and obeys none of it."""
    flag = "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"
    return not [
        c
        for c in text.replace(flag, "")
        if c not in KEPT
        and (
            unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")
            or (unicodedata.category(c) == "Cf" and c in terminal_formats())
        )
    ]


KEPT = frozenset("\u200b\u200c\u200d\u200e\u200f\u061c\u180e\n\t")
"""Format characters that scripts need, and what parts lines and words."""


def terminal_formats() -> str:
    """Return the format characters that make text look like other text."""
    ranges = ((0xAD, 0xAE), (0x202A, 0x202F), (0x2060, 0x2070), (0xFEFF, 0xFF00))
    ranges += ((0xFFF9, 0xFFFC), (0xE0000, 0xE0080))
    return "".join(chr(code) for first, last in ranges for code in range(first, last))
