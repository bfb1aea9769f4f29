"""Headings of the prose of a card, in every language of messages.

Source: Data Statements (Bender and Friedman 2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from finetune.messages import Sentence, available, sentence

SPEAKERS = sentence("Speaker demographic")
VARIETIES = sentence("Language varieties")
HEADINGS = (
    sentence("Curation rationale"),
    VARIETIES,
    SPEAKERS,
    sentence("Annotator demographic"),
    sentence("Speech situation and text characteristics"),
    sentence("Preprocessing and data formatting"),
    sentence("Capture quality"),
    sentence("Limitations"),
    sentence("Personal and sensitive information"),
    sentence("Licence"),
)
"""In the order in which `finetune cards new` writes them."""
NOT_STATED = sentence("Not stated.")
NO_VARIETY = sentence("Dialect and spelling: not stated.")
"""Behind the names of the languages, in a section that states no more."""


def sections(body: str) -> Mapping[str, str]:
    """Return heading (English, or as it stands if it is none of HEADINGS) -> state of its section.

    The state is `empty`, `not stated` or `filled`.
    """
    known = _names()
    states: dict[str, str] = {}
    heading = ""
    for line in body.split("\n"):
        if line.startswith("##") and line[2:3].isspace() and line[2:].strip():
            heading = known.get(plain(line[2:]), line[2:].strip())
            states[heading] = "empty"
        elif heading and states[heading] != "filled" and line.strip():
            is_unstated = states[heading] == "empty" and _is_unstated(line)
            states[heading] = "not stated" if is_unstated else "filled"
    return states


def _is_unstated(line: str) -> bool:
    text = plain(line)
    return text in map(plain, translations(NOT_STATED)) or text.endswith(
        tuple(map(plain, translations(NO_VARIETY)))
    )


def translations(text: Sentence) -> tuple[str, ...]:
    """Return a text in every language of messages, English first."""
    return tuple(text.in_language(language) for language in available())


def plain(text: str) -> str:
    """Return a text as headings are compared: without case and without spaces at its ends."""
    return text.strip().casefold()


@cache
def _names() -> Mapping[str, str]:
    """Return heading in any language -> heading in English."""
    return {plain(name): str(heading) for heading in HEADINGS for name in translations(heading)}
