"""Texts of a card: counts of all, scripts and samples of the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from finetune.artefacts.job import Artifact
from finetune.cards.check.without_recipe import reason_of
from finetune.identify.lines import other_script
from finetune.messages import Problem
from finetune.readers.content import Texts, claims
from finetune.readers.reasons import WITHDRAWN
from finetune.readers.record import Record, Rejection, Unit
from finetune.readers.units import records_of as records_of_files
from finetune.readers.units import units_with_texts
from finetune.sources.files import SourceFile, resolve_files
from finetune.spec.card import DataCard, drop_pattern
from finetune.spec.formats import known_format
from finetune.spec.values.expressions import Expression
from finetune.spec.withdrawn import record_hash
from finetune.text.borrowed import letters_of
from finetune.text.damage import is_damaged
from finetune.text.normalize import normalize
from finetune.text.oddities import REPAIRABLE, findings
from finetune.text.personal import find, replaced
from finetune.text.regions import regions_of
from finetune.text.shown import SHOWN_CHARACTERS, shown

LOOK_RECORDS = 10_000
"""Upper bound of the records whose scripts are counted: enough to judge, and about a second."""
ALL_UNITS = 5_000_000
"""Upper bound of the text units that are counted: some minutes."""
SHOWN_PLACES = 3
"""Rejected text units per reason whose places are shown."""
LOOK_TEXTS = 300
"""Texts per language that are kept for language identification."""
WATCHED_UNITS = 1000
"""Units between two signs of progress."""
TEXT_CHARACTERS = 4000
"""Upper bound of the length of one of them."""


Watch = Callable[[int], None]
"""Called with the number of text units read so far."""


def unwatched(_units: int) -> None:
    """Show no progress."""


@dataclass(slots=True)
class Odd:
    """Texts that are not as declared, or need a repair: the first one, and their number."""

    where: str
    sample: str
    count: int = 0


@dataclass(slots=True)
class Look:
    """Counts of the text units of a corpus, and samples of the first."""

    records: int = 0
    """Records that `prepare` reads, as far as the card alone decides; all of them if `whole`."""
    tested: int = 0
    """Records that a column of the card puts into the test split."""
    whole: bool = True
    judged: int = 0
    """Records whose scripts were counted: the first ones."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Reason -> rejected text units (finetune.readers.reasons)."""
    places: dict[str, list[str]] = field(default_factory=dict)
    """Reason -> places of the first rejected units."""
    problems: list[Problem] = field(default_factory=list)
    """Problems of the first malformed records."""
    blank: tuple[str, ...] = ()
    """Files without a text unit."""
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
    """(language, script) -> texts in that script, which the language is not declared in."""
    repairable: dict[tuple[str, str], Odd] = field(default_factory=dict)
    """(language, finding) -> texts that a setting of `prepare.text` repairs, or that it rejects as
    `damaged`."""
    first: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Language -> places and beginnings of the first texts; rejected texts are not among them.
    Personal data is masked in them, as in all texts here."""
    personal: Counter[str] = field(default_factory=Counter)
    """Kind of personal data -> judged texts in which a pattern finds it."""
    personal_at: str = ""
    """Place of the first such text."""


def is_here(card: DataCard) -> bool:
    """Return whether the files of a card are on this machine without fetching."""
    return not card.corpus.is_fetched


def records_of(card: DataCard, *, inputs: Mapping[str, Artifact] | None = None) -> Iterator[Record]:
    """Yield the records of a card; DataError as finetune.readers.units.units_of.

    `inputs`: what was fetched for it (finetune.pipeline.corpora), if its files are not here.
    """
    files = resolve_files(card, inputs=inputs or {})
    return records_of_files(card, files)


def look(
    card: DataCard,
    *,
    units: int = LOOK_RECORDS,
    samples: int = 3,
    files: Sequence[SourceFile] | None = None,
    watch: Watch = unwatched,
) -> Look:
    """Read the first text units of a card; DataError if they cannot be read.

    `files`: those of the card, if they were resolved; `watch`: called with the units so far.
    """
    files = resolve_files(card, inputs={}) if files is None else files
    seen = Look(size_bytes=sum(f.path.stat().st_size for f in files), files=len(files))
    dropped, found = drop_pattern(card), set[str]()
    for number, (unit, texts) in enumerate(units_with_texts(card, files)):
        if number == units:
            seen.whole = False
            break
        if number % WATCHED_UNITS == 0:
            watch(number)
        found.add(str(unit.place.file))
        if isinstance(unit, Rejection):
            _reject(seen, unit, unit.reason)
            continue
        assert texts is not None  # noqa: S101, a record has texts
        reason = _reason(unit, texts, card=card, dropped=dropped)
        if reason is not None:
            _reject(seen, unit, reason)
        elif not isinstance(texts, Rejection):
            _add(seen, unit, texts, card=card, samples=samples)
    form = known_format(card.corpus.format)
    paired = (
        form is not None and form.file_per_language and card.corpus.kind == "parallel"
    )  # records are placed in one file of a set
    if seen.whole and not paired:
        seen.blank = tuple(file.name for file in files if file.name not in found)
    return seen


def _reason(
    record: Record, texts: Texts | Rejection, *, card: DataCard, dropped: Expression | None
) -> str | None:
    if card.withdrawn and record_hash(record.fields) in card.withdrawn:
        return WITHDRAWN
    if isinstance(texts, Rejection):
        return texts.reason
    return reason_of(texts, card=card, dropped=dropped)


def _reject(seen: Look, unit: Unit, reason: str) -> None:
    seen.rejected[reason] += 1
    places = seen.places.setdefault(reason, [])
    if len(places) < SHOWN_PLACES:
        places.append(unit.where)
    if isinstance(unit, Rejection) and unit.problem and len(seen.problems) < SHOWN_PLACES:
        seen.problems.append(unit.problem)


def _add(seen: Look, record: Record, texts: Texts, *, card: DataCard, samples: int) -> None:
    seen.records += 1
    seen.tested += bool(record.tested)
    for one in texts.values():
        seen.characters += len(one.text)
        seen.words += len(one.text.split())
    if seen.judged == LOOK_RECORDS:
        return
    seen.judged += 1
    regions = regions_of(card.corpus.languages)
    masked = {
        name: replace(one, text=_masked(seen, one.text, record, regions=regions))
        for name, one in texts.items()
    }
    for language, text in claims(masked):
        if text:
            _judge(seen, record, text, language=language)
    if len(seen.samples) < samples:
        seen.samples.append(_sample(masked, regions=regions))


def _sample(texts: Texts, *, regions: Sequence[str]) -> dict[str, str]:
    """Return language -> beginning of a text; of a conversation the first question and answer."""
    parts: dict[str, list[str]] = {}
    turns = [text for text in texts.values() if text.role and text.role != "system"]
    for turn in turns[:2]:
        beginning = shown(turn.text, regions=regions, most=SHOWN_CHARACTERS // 2)
        parts.setdefault(turn.language, []).append(f"{turn.role}: {beginning}")
    if parts:
        return {language: " | ".join(found) for language, found in parts.items()}
    for text in texts.values():
        parts.setdefault(text.language, []).append(text.text)
    return {language: shown("\n".join(t), regions=regions) for language, t in parts.items()}


def _masked(seen: Look, text: str, record: Record, *, regions: Sequence[str]) -> str:
    """Return a text without personal data, as `finetune prepare` masks it, and count the kinds."""
    found = find(text, regions=regions, names=record.names)
    if not found:
        return text
    seen.personal.update({one.kind for one in found})
    seen.personal_at = seen.personal_at or record.where
    return replaced(text, found, lambda one: one.mask)


def _judge(seen: Look, record: Record, text: str, *, language: str) -> None:
    """Count the letters of a text by script and what it needs, and keep its beginning."""
    first = seen.first.setdefault(language, [])
    if len(first) < LOOK_TEXTS:
        first.append((record.where, text[:TEXT_CHARACTERS]))
    for name in _in_need_of_repair(text, language=language):
        broken = seen.repairable.setdefault((language, name), Odd(record.where, shown(text)))
        broken.count += 1
    declared = language.rpartition("_")[2]
    letters = letters_of(text, script=declared)
    seen.letters.setdefault(language, Counter()).update(letters)
    if script := other_script(letters, script=declared):
        odd = seen.odd.setdefault((language, script), Odd(record.where, shown(text)))
        odd.count += 1


def _in_need_of_repair(text: str, *, language: str) -> list[str]:
    # the same steps as in `prepare`, so that both count the same texts
    done = normalize(text, language=language)
    odd = findings(done.text, script=language.rpartition("_")[2])
    found = [name for name in (*done.changes, *(one.name for one in odd)) if name in REPAIRABLE]
    return [*found, "damaged"] if is_damaged(done.text) else found
