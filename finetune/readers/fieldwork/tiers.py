"""Tiers of a recording: which of them a card takes, and how their annotations are paired.

An annotation of another tier belongs to an annotation of the first tier if they refer to the same
one, or if they overlap by at least half of the shorter of the two. All that belong together are one
record, joined in the order of time; what belongs to nothing is rejected and counted.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from finetune.errors import DataError
from finetune.messages import Place, Sentence, problem, sentence
from finetune.readers.fieldwork.groups import join, root_of
from finetune.readers.guards import SPLIT, listed, no_nul, too_much
from finetune.readers.reasons import UNPAIRED
from finetune.readers.record import Rejection, Unit
from finetune.readers.tables import ABOUT, record_of, wanted_columns
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock
from finetune.spec.language import hub_codes

MIN_OVERLAP = 0.5
"""Of the shorter of two annotations that belong together."""
MAX_COMPARISONS = 20_000_000
SPEAKER = "PARTICIPANT"
"""Column of the speaker of the first tier."""
UNKNOWN = frozenset({"und", "mul", "zxx", "mis"})
_CODE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True, slots=True)
class Annotation:
    """A text of a tier with its time in milliseconds."""

    begin: float
    end: float
    text: str
    root: str = ""
    """The annotation with a time of its own that it belongs to; empty if there is none such."""


@dataclass(slots=True)
class Tier:
    """Annotations of a tier in order."""

    name: str
    speaker: str | None = None
    language: str | None = None
    """Language that the file states, as it writes it."""
    annotations: list[Annotation] = field(default_factory=list)


def units_of_tiers(
    file: SourceFile, tiers: Mapping[str, Tier], corpus: CorpusBlock
) -> Iterator[Unit]:
    """Yield the units of a recording: annotations, or what belongs together in several tiers.

    A name in `columns` may have a `*`: `tx@*` takes the tiers of every speaker, each with the
    tiers of the others that have the same in this place. Raises DataError for a tier that is not
    there, and for one in another language than the card states.
    """
    columns = _columns(corpus)
    for group in groups(file, tiers, list(columns)):
        _check_languages(file, group, columns, corpus)
        several = len(group) < len(columns) or any("*" in name for name in columns)
        if len(columns) == 1:
            yield from _alone(file, group, corpus, named=several)
        else:
            yield from _together(file, group, corpus, named=several)


def taken(file: SourceFile, tiers: Mapping[str, Tier], corpus: CorpusBlock) -> list[Tier]:
    """Return the tiers that a card takes; DataError as `groups`."""
    found = groups(file, tiers, list(_columns(corpus)))
    return list({tier.name: tier for group in found for tier in group.values()}.values())


def with_patterns(names: Iterable[str]) -> list[str]:
    """Return names of tiers, and a pattern for those that differ behind `@` only.

    >>> with_patterns(["tx@A", "tx@B", "notes"])
    ['tx@A', 'tx@B', 'notes', 'tx@*']
    """
    there = list(names)
    kinds = Counter(name.partition("@")[0] for name in there if "@" in name)
    return [*there, *(f"{kind}@*" for kind, count in kinds.items() if count > 1)]


def facts_of_tiers(
    file: SourceFile, tiers: Mapping[str, Tier], corpus: CorpusBlock
) -> list[tuple[Sentence, Sentence]]:
    """Return which tiers of a file are read, and which others have text."""
    read = {tier.name for tier in taken(file, tiers, corpus)}
    others = [_counted(tier) for name, tier in tiers.items() if name not in read]
    return [
        (sentence("tiers"), listed(_counted(tiers[name]) for name in tiers if name in read)),
        (sentence("other tiers with text"), listed(filter(None, others))),
    ]


def _counted(tier: Tier) -> str:
    """Return the name of a tier with how many annotations have a text; empty if none has."""
    count = sum(bool(one.text.strip()) for one in tier.annotations)
    return f"{tier.name} ({count})" if count else ""


def _columns(corpus: CorpusBlock) -> dict[str, str]:
    """Return the tiers that the card names, each with its role."""
    wanted = wanted_columns(corpus).items()
    return {name: role for name, role in wanted if role not in ABOUT}


def groups(
    file: SourceFile, tiers: Mapping[str, Tier], columns: Sequence[str]
) -> Iterator[dict[str, Tier]]:
    """Yield column -> tier for each speaker; DataError for a column that no tier has."""
    matches = {column: _matching(column, tiers) for column in columns}
    missing = [column for column, found in matches.items() if not found]
    if missing:
        raise DataError(
            problem(
                "no-tier",
                "has no tier {tier!r}; its tiers: {tiers}; correct `columns` in the card",
                at=file.place(),
                tier=missing[0],
                tiers=listed(tiers),
            )
        )
    shared = {column: found[""] for column, found in matches.items() if set(found) == {""}}
    parts = dict.fromkeys(
        part for column, found in matches.items() if column not in shared for part in found
    )
    for part in parts or {"": None}:
        own = {column: found[part] for column, found in matches.items() if part in found}
        yield {column: (own | shared)[column] for column in columns if column in own | shared}


def _matching(column: str, tiers: Mapping[str, Tier]) -> dict[str, Tier]:
    """Return what stands in the place of `*` -> tier; of a plain name "" -> tier.

    >>> list(_matching("tx@*", {"tx@A": Tier("tx@A"), "ft@A": Tier("ft@A")}))
    ['A']
    """
    if column in tiers:
        return {"": tiers[column]}
    before, star, after = column.partition("*")
    fits = [n for n in tiers if star and n.startswith(before) and n.endswith(after)]
    end = -len(after) if after else None
    return {
        name[len(before) : end]: tiers[name] for name in fits if len(name) > len(before + after)
    }


def _check_languages(
    file: SourceFile, group: Mapping[str, Tier], columns: Mapping[str, str], corpus: CorpusBlock
) -> None:
    for column, tier in group.items():
        role = columns[column]
        language = role if role in corpus.languages else corpus.languages[0]
        if tier.language and not _is_language(tier.language, language):
            raise DataError(
                problem(
                    "other-language-in-file",
                    "the tier {tier!r} is in {found!r} as the file states, and in {declared!r} as "
                    "the card states; correct the one that is wrong",
                    at=file.place(),
                    tier=tier.name,
                    found=tier.language,
                    declared=language,
                )
            )


def _is_language(stated: str, language: str) -> bool:
    """Return whether a code of a file can be a language of a card; a name may be anything.

    >>> _is_language("wol", "wol_Latn"), _is_language("orm", "gaz_Latn"), _is_language("x", "a")
    (True, True, True)
    >>> _is_language("eng", "wol_Latn")
    False
    """
    code = stated.strip().lower().replace("_", "-").partition("-")[0]
    if not _CODE.fullmatch(code) or code in UNKNOWN:
        return True
    return code in hub_codes(language)


def _place(file: SourceFile, tier: Tier, begin: float, *, named: bool) -> Place:
    seconds = begin / 1000
    if named:
        part = sentence("{tier} {seconds:.3f} s", tier=tier.name, seconds=seconds)
    else:
        part = sentence("{seconds:.3f} s", seconds=seconds)
    return file.place(part=part)


def _alone(
    file: SourceFile, group: Mapping[str, Tier], corpus: CorpusBlock, *, named: bool
) -> Iterator[Unit]:
    for column, tier in group.items():
        for one in tier.annotations:
            at = _place(file, tier, one.begin, named=named)
            row: dict[str, Any] = {SPEAKER: tier.speaker, column: no_nul(one.text, at=at)}
            yield record_of(at, row, corpus)


def _together(
    file: SourceFile, group: Mapping[str, Tier], corpus: CorpusBlock, *, named: bool
) -> Iterator[Unit]:
    columns = [name for name, role in wanted_columns(corpus).items() if role in corpus.languages]
    speaker = next(iter(group.values())).speaker
    all_begins = {c: [one.begin for one in tier.annotations] for c, tier in group.items()}
    for together in paired(file, list(group.values())):
        texts = {
            column: " ".join(filter(None, (one.text.strip() for one in found)))
            for column, found in zip(group, together, strict=True)
            if found
        }
        begins = {c: found[0].begin for c, found in zip(group, together, strict=True) if found}
        lead = next(iter(begins))
        at = _place(file, group[lead], begins[lead], named=named)
        if len(texts) > 1:
            row: dict[str, Any] = {SPEAKER: speaker} | dict.fromkeys(columns) | texts
            yield record_of(at, {k: v and no_nul(v, at=at) for k, v in row.items()}, corpus)
        elif texts[lead]:
            others = [c for c in group if c != lead and all_begins[c]]
            if others:
                distance = _distance(all_begins[others[0]], begins[lead])
                at = _lonely(file, group[lead], begins[lead], group[others[0]], distance)
            yield Rejection(at, UNPAIRED, texts[lead])


def _distance(begins: Sequence[float], begin: float) -> float:
    """Return how far away the nearest of sorted times is.

    >>> _distance([0, 100], 70), _distance([0], 5)
    (30, 5)
    """
    near = bisect_left(begins, begin)
    return min(abs(begins[at] - begin) for at in (near - 1, near) if 0 <= at < len(begins))


def _lonely(file: SourceFile, tier: Tier, begin: float, other: Tier, distance: float) -> Place:
    """Return the place of an annotation without a counterpart, with the distance of the nearest."""
    part = sentence(
        "{tier} {seconds:.3f} s; the nearest annotation of {other} begins {distance:.3f} s away",
        tier=tier.name,
        seconds=begin / 1000,
        other=other.name,
        distance=distance / 1000,
    )
    return file.place(part=part)


def paired(file: SourceFile, tiers: Sequence[Tier]) -> Iterator[list[list[Annotation]]]:
    """Yield what belongs together: for each tier its annotations, in the order of time.

    Each annotation comes once; a tier may have none in a group. DataError for tiers in which all
    overlap with all.
    """
    lead = tiers[0].annotations
    owner = list(range(len(lead)))
    left = MAX_COMPARISONS
    joined: list[tuple[int, int, int]] = []
    alone: list[tuple[float, int, int]] = []
    search = _Search(lead)
    for number, tier in enumerate(tiers[1:], start=1):
        for at, one in enumerate(tier.annotations):
            found, compared = search.partners(one)
            left -= compared
            if left < 0:
                what = sentence("annotations that overlap")
                raise too_much(file.place(), what=what, limit=MAX_COMPARISONS, instead=SPLIT)
            for other in found[1:]:
                join(owner, found[0], other)
            if found:
                joined.append((found[0], number, at))
            else:
                alone.append((one.begin, number, at))
    together: dict[int, list[list[Annotation]]] = {}
    for at, one in enumerate(lead):
        together.setdefault(root_of(owner, at), [[] for _ in tiers])[0].append(one)
    for partner, number, at in joined:
        together[root_of(owner, partner)][number].append(tiers[number].annotations[at])
    for _, number, at in sorted(alone):
        lonely: list[list[Annotation]] = [[] for _ in tiers]
        lonely[number].append(tiers[number].annotations[at])
        together[len(lead) + len(together)] = lonely
    yield from sorted(together.values(), key=lambda one: next(x[0].begin for x in one if x))


class _Search:
    """Search for the annotations of the first tier that an annotation belongs to."""

    def __init__(self, lead: Sequence[Annotation]) -> None:
        self.lead = lead
        self.begins = [one.begin for one in lead]
        self.ends = list(accumulate((one.end for one in lead), max))
        self.roots = {one.root: at for at, one in enumerate(lead) if one.root}

    def partners(self, one: Annotation) -> tuple[list[int], int]:
        """Return the places of its partners, and how many were compared."""
        if one.root in self.roots:
            return [self.roots[one.root]], 1
        first = bisect_left(self.ends, one.begin)
        found = []
        at = first
        while at < len(self.lead) and self.begins[at] <= one.end:
            if _belong(self.lead[at], one):
                found.append(at)
            at += 1
        return found, at - first + 1


def _belong(one: Annotation, other: Annotation) -> bool:
    """Return whether two annotations overlap enough.

    >>> _belong(Annotation(0, 100, ""), Annotation(30, 130, ""))
    True
    >>> _belong(Annotation(0, 100, ""), Annotation(60, 160, ""))
    False
    >>> _belong(Annotation(0, 100, ""), Annotation(50, 50, ""))
    True
    """
    shorter = min(one.end - one.begin, other.end - other.begin)
    overlap = min(one.end, other.end) - max(one.begin, other.begin)
    if shorter <= 0:  # a point belongs to the interval that it stands in, or begins
        return overlap >= 0 and max(one.begin, other.begin) < max(one.end, other.end, one.begin + 1)
    return overlap >= MIN_OVERLAP * shorter
