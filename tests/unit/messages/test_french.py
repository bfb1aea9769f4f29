"""Typography of the French messages, and words that they do not use."""

from __future__ import annotations

import re

import pytest

from finetune.messages.extract import po_file, read

PLAIN_SPACE = re.compile(r" [:;?!»]|« ")
"""French has a no-break space there, so that no line begins with a sign."""
CODE = re.compile(r"[\x00-\x08]|\\u00[0-9a-f]{2}")
"""A sign that was spoiled on its way into the file."""
STIFF = re.compile(
    r"autant que|la fiche dit|à qui s'adresser\.|l'examen\b"
    r"|(?<!personne )qui (utilise|parle|détient) (la|les)\b"
    r"|d'ici qui|copies presque|rangé pour|mots? parmi\b",
    re.IGNORECASE,
)
"""Literal or stiff wordings that readers marked in an earlier version."""


@pytest.mark.parametrize("odd", [PLAIN_SPACE, CODE, STIFF], ids=["spaces", "codes", "wordings"])
def test_french_messages_hold_to_french_usage(odd: re.Pattern[str]) -> None:
    """No plain space before a high sign, no code of a sign, no wording that readers marked."""
    marked = []
    for message in read(po_file("fr"), "fr"):
        texts = message.string if isinstance(message.string, tuple | list) else (message.string,)
        marked += [text for text in texts if message.id and odd.search(text or "")]
    assert marked == []
