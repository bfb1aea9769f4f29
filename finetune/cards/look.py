"""A look into the texts of a card: how many, which letters, the first ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from finetune.artefacts.job import Artifact
from finetune.identify.lines import MARKUP
from finetune.readers.record import Record
from finetune.sources.files import reader_of, resolve_files
from finetune.spec.card import DataCard
from finetune.spec.script import fits, scripts_in

LOOK_RECORDS = 20_000
"""How many records a look reads: enough to judge, and under a second."""
LOOK_TEXTS = 300
"""How many texts of each language are kept to find out the language they are in."""
TEXT_CHARACTERS = 4000
"""What is kept of one of them."""
SAMPLE_CHARACTERS = 160
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(slots=True)
class Odd:
    """Texts in another script than said: the first one, and how many there are."""

    where: str
    sample: str
    count: int = 0


@dataclass(slots=True)
class Look:
    """What the first records of a corpus show."""

    records: int = 0
    """Records looked at; all of them if `whole`."""
    whole: bool = True
    size_bytes: int = 0
    """Size of the files."""
    files: int = 0
    characters: int = 0
    words: int = 0
    letters: dict[str, Counter[str]] = field(default_factory=dict)
    """Letters by script, of each language."""
    samples: list[dict[str, str]] = field(default_factory=list)
    """The first records: language -> text, shortened."""
    odd: dict[tuple[str, str], Odd] = field(default_factory=dict)
    """By (language, script): texts in a script that they are not said to be in."""
    first: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """The first texts of each language, with their places; what is left out of runs is not."""


def is_here(card: DataCard) -> bool:
    """Say whether the files of a card are on this machine without fetching."""
    return not card.corpus.is_fetched


def records_of(card: DataCard, *, inputs: Mapping[str, Artifact] | None = None) -> Iterator[Record]:
    """Yield the records of a card; DataError as the reader finds problems.

    `inputs`: what was fetched for it (finetune.pipeline.corpora), if its files are not here.
    """
    files = resolve_files(card, inputs=inputs or {})
    found: Iterator[Record] = reader_of(card)(files, corpus=card.corpus)
    return found


def look(card: DataCard, *, records: int = LOOK_RECORDS, samples: int = 3) -> Look:
    """Read the first records of a card; DataError if they cannot be read."""
    files = resolve_files(card, inputs={})
    seen = Look(size_bytes=sum(f.path.stat().st_size for f in files), files=len(files))
    for record in islice(records_of(card), records + 1):
        if seen.records == records:
            seen.whole = False
            break
        _add(seen, record, card=card, samples=samples)
    return seen


def by_language(card: DataCard, fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a record by language; a conversation is joined line by line."""
    if card.corpus.kind == "parallel":
        texts = {lang: fields.get(lang) for lang in card.corpus.languages}
    elif "messages" in fields:
        texts = {card.corpus.languages[0]: _conversation(fields["messages"])}
    else:
        texts = {card.corpus.languages[0]: "\n".join(str(v) for v in fields.values() if v)}
    return {lang: text for lang, text in texts.items() if isinstance(text, str) and text}


def _conversation(turns: Any) -> str:
    if not isinstance(turns, list):
        return str(turns or "")
    said = (t.get("content", t.get("value")) for t in turns if isinstance(t, Mapping))
    return "\n".join(str(text) for text in said if text)


def _add(seen: Look, record: Record, *, card: DataCard, samples: int) -> None:
    texts = by_language(card, record.fields)
    if not texts:
        return
    seen.records += 1
    dropped = card.corpus.drop_matching
    for language, text in texts.items():
        seen.characters += len(text)
        seen.words += len(text.split())
        if dropped and re.search(dropped, text):
            continue  # markup is in no script, and the text is left out of every run
        first = seen.first.setdefault(language, [])
        if len(first) < LOOK_TEXTS:
            first.append((record.where, text[:TEXT_CHARACTERS]))
        found = scripts_in(MARKUP.sub(" ", text))
        seen.letters.setdefault(language, Counter()).update(found)
        if found:
            [(script, _)] = found.most_common(1)
            if not fits(language.rpartition("_")[2], script):
                odd = seen.odd.setdefault((language, script), Odd(record.where, shortened(text)))
                odd.count += 1
    if len(seen.samples) < samples:
        seen.samples.append({lang: shortened(text) for lang, text in texts.items()})


def shortened(text: str) -> str:
    """Return text on one line that does nothing to a terminal or page, cut at a word.

    Controls (also those that turn the direction of other text) are shown as U+FFFD; joiners stay.

    >>> shortened("a\\nb")
    'a b'
    """
    line = _CONTROL.sub("\ufffd", " ".join(text.split()))
    if len(line) <= SAMPLE_CHARACTERS:
        return line
    head, _, _ = line[:SAMPLE_CHARACTERS].rpartition(" ")
    return f"{head or line[:SAMPLE_CHARACTERS]} …"
