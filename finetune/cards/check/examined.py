"""Examination of the texts of a card, remembered for cards and files that did not change.

Only numbers are remembered, never a text: a card with an example to show is examined each time.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from finetune import __version__
from finetune.cards.languages import Spoken, can_judge, languages_in
from finetune.cards.look import ALL_UNITS, Look, Watch, look, unwatched
from finetune.output.durable import replace_text
from finetune.output.small_files import UnreadableError, read_json
from finetune.sources.checksums import SETTLED_SECONDS, cache_folder
from finetune.sources.files import SourceFile, resolve_files
from finetune.spec.card import DataCard
from finetune.spec.formats import is_built_in
from finetune.spec.tables.extras import EXTRAS

EXAMINATION = 8
"""Version of what is examined: raise it when a finding about texts changes."""


@dataclass(frozen=True, slots=True)
class Examined:
    """Counts of a card's texts and their languages."""

    look: Look
    languages: Mapping[str, Spoken] | None
    """Declared language -> what was detected; None where no model is installed."""

    @property
    def has_examples(self) -> bool:
        """Return whether a text is quoted in the findings."""
        quoted = self.look.odd or self.look.problems or self.look.repairable
        return bool(quoted) or any(s.first for s in (self.languages or {}).values())


@dataclass(frozen=True, slots=True)
class _Remembered:
    """Cached result of an examination."""

    key: str
    records: int
    rejected: dict[str, int]
    places: dict[str, list[str]]
    blank: tuple[str, ...]
    whole: bool
    files: int
    characters: int
    covered: dict[str, bool] | None
    """Declared language -> whether a model supports it."""
    personal: dict[str, int]
    personal_at: str
    judged: int
    tested: int


def examine(
    card: DataCard, *, files: Sequence[SourceFile] | None = None, watch: Watch = unwatched
) -> Examined:
    """Return counts and languages of a card's texts; DataError if they cannot be read.

    `files` and `watch` as of `look`.
    """
    files = resolve_files(card, inputs={}) if files is None else files
    key, place = _key(card, files), _place(card)
    if key and place and (known := _recalled(place, key=key)):
        return known
    seen = look(card, units=ALL_UNITS, samples=0, files=files, watch=watch)
    languages = languages_in(seen, claimed=card.corpus.languages) if can_judge() else None
    examined = Examined(seen, languages)
    if key and place and not examined.has_examples:
        _remember(place, examined, key=key)
    return examined


def _key(card: DataCard, files: Sequence[SourceFile]) -> str | None:
    """Return what decides on an examination; None for what may still change unnoticed."""
    if not is_built_in(card.corpus.format):
        return None
    stamps, now = [], time.time()
    try:
        for path in (card.path, *(file.path for file in files)):
            status = path.stat()
            if now - max(status.st_mtime, status.st_ctime) < SETTLED_SECONDS:
                return None
            stamps.append((status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))
    except OSError:
        return None
    content = [__version__, EXAMINATION, _models(), stamps]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@cache
def _models() -> dict[str, str]:
    names = EXTRAS["langid"].values() if can_judge() else ()
    return {name: version(name) for name in names}


def _place(card: DataCard) -> Path | None:
    folder = cache_folder()
    name = hashlib.sha256(str(card.path.resolve()).encode("utf-8", "replace")).hexdigest()[:32]
    return folder and folder / "examined-cards" / f"{name}.json"


def _recalled(place: Path, *, key: str) -> Examined | None:
    """Return a remembered examination; None for none, another one or a damaged file."""
    try:
        kept = read_json(place, _Remembered)
    except (OSError, UnreadableError):
        return None
    if kept.key != key:
        return None
    seen = Look(
        kept.records,
        whole=kept.whole,
        rejected=Counter(kept.rejected),
        places=kept.places,
        blank=kept.blank,
        files=kept.files,
        characters=kept.characters,
        judged=kept.judged,
        personal=Counter(kept.personal),
        personal_at=kept.personal_at,
        tested=kept.tested,
    )
    if kept.covered is None:
        return Examined(seen, None)
    return Examined(seen, {name: Spoken((), covered) for name, covered in kept.covered.items()})


def _remember(place: Path, examined: Examined, *, key: str) -> None:
    seen, spoken = examined.look, examined.languages
    covered = None if spoken is None else {name: one.covered for name, one in spoken.items()}
    kept = _Remembered(
        key=key,
        records=seen.records,
        rejected=dict(seen.rejected),
        places=seen.places,
        blank=seen.blank,
        whole=seen.whole,
        files=seen.files,
        characters=seen.characters,
        covered=covered,
        personal=dict(seen.personal),
        personal_at=seen.personal_at,
        judged=seen.judged,
        tested=seen.tested,
    )
    with suppress(OSError):  # a read-only home or full disk: the next check examines again
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_text(place, json.dumps(asdict(kept)))
