"""Quotations of texts: what a card, page, message or log may show of a corpus.

Whatever `finetune prepare` finds as personal data is masked, also where a recipe keeps it in the
texts: readers of a quotation are others than those of the corpus.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from finetune.messages import Problem, Sentence
from finetune.text.normalize import normalize
from finetune.text.personal import NAME_MASK, find, replaced
from finetune.text.regions import REGIONS

EVERYWHERE: tuple[str, ...] = tuple(sorted({one for places in REGIONS.values() for one in places}))
"""Countries for a text whose language is not known."""
SHOWN_CHARACTERS = 160
_LONGEST = 4096
"""Characters; more than any personal data that begins within a quotation."""
_CHAT_WITH = re.compile(
    r"(?P<chat>whatsapp.{0,20}?\b(?:with|avec|com|con|mit|met)\s+)\S.*?(?P<suffix>\.\w{1,5})?$",
    re.IGNORECASE,
)
"""Name that WhatsApp gives an exported chat: it ends with the other person or the group."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def masked(text: str, *, regions: Sequence[str] = EVERYWHERE, names: Iterable[str] = ()) -> str:
    """Return a normalised text with the masks of `finetune prepare` for all personal data in it.

    `regions`: countries whose numbers are looked for; `names`: of people, from the record.

    >>> masked("Awa: 77 123 45 67", names=["Awa"])
    'N. N.: 00 000 00 00'
    """
    return replaced(text, find(text, regions=regions, names=names), lambda one: one.mask)


def quotable(text: str, *, regions: Sequence[str] = EVERYWHERE, names: Iterable[str] = ()) -> str:
    """Return any text with its personal data masked.

    What hides in signs that `prepare` removes (a joiner within a number) is masked too; the text is
    then returned as `prepare` normalises it.
    """
    names = tuple(names)
    text = masked(text, regions=regions, names=names)
    normal = normalize(text).text
    hidden = masked(normal, regions=regions, names=names)
    return text if hidden == normal else hidden


def shown_name(name: str) -> str:
    """Return the name of a file without personal data.

    >>> shown_name("WhatsApp Chat with Awa.txt"), shown_name("tel 77 123 45 67.csv")
    ('WhatsApp Chat with N. N..txt', 'tel 00 000 00 00.csv')
    """
    return _CHAT_WITH.sub(rf"\g<chat>{NAME_MASK}\g<suffix>", quotable(name))


def shown(
    text: str,
    *,
    regions: Sequence[str] = EVERYWHERE,
    names: Iterable[str] = (),
    most: int = SHOWN_CHARACTERS,
) -> str:
    """Return the beginning of a text on one line, masked, without effect on a terminal or page.

    `most`: length in characters; it is cut at a word. Controls (also those that turn the direction
    of other text) become U+FFFD; joiners stay.

    >>> shown("tel.\\n+221 33 889 00 00", regions=["SN"]), shown("one two", most=5)
    ('tel. +000 00 000 00 00', 'one …')
    """
    names = tuple(names)
    head = quotable(text[: most + _LONGEST], regions=regions, names=names)
    # once more, for what only reads as one number without the line end in it
    line = quotable(" ".join(head.split()), regions=regions, names=names)
    line = _CONTROL.sub("\ufffd", line)
    if len(line) <= most:
        return line
    start, _, _ = line[:most].rpartition(" ")
    return f"{start or line[:most]} …"


def shown_problem(one: Problem) -> Problem:
    """Return a problem whose facts and key, which may quote a text, are masked.

    >>> from finetune.messages import problem
    >>> str(shown_problem(problem("no-number", "{value!r} is no number", value="+221338890001")))
    "'+000000000000' is no number"
    """
    place = one.place and replace(one.place, key=quotable(one.place.key))
    return replace(one, what=shown_fact(one.what), place=place)


def shown_fact(value: Any) -> Any:
    """Return a fact of a sentence (a text, a list, a sentence) with its texts masked."""
    if isinstance(value, str):
        return quotable(value)
    if isinstance(value, tuple):
        return tuple(map(shown_fact, value))
    if isinstance(value, Sentence):
        return replace(value, named=tuple((name, shown_fact(one)) for name, one in value.named))
    return value
