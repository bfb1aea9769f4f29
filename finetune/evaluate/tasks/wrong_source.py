"""Use of the source: translations scored given their own source, another one, and none.

A model that uses its source needs more bits with the source of another item, and knows which of
several texts translates it. The other source and the other texts are those of items of the same
card and direction, of similar length, so that length does not give them away. The likelihood
without source is that after the same prompt with nothing in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from finetune.artefacts.items import Item, choose_prompts
from finetune.artefacts.job import Job
from finetune.evaluate.examples import prompts_of
from finetune.evaluate.frames import frames_of
from finetune.evaluate.outputs import SourceUse
from finetune.evaluate.parts import Part
from finetune.spec.tables.task import Group, Task

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System

CANDIDATES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceItem(Item):
    """A translation with everything that it is compared with."""

    wrong_prompt: str
    """The same with the source of another item."""
    empty_prompt: str
    """The same without a source."""
    others: tuple[str, ...]
    """Targets of other items."""


def groups(job: Job, part: Part) -> list[Group]:
    """Return the translations, a group per direction.

    At most `evaluate.control_items` of a direction, by the order of hashes; none on a card with
    fewer different ones than there are candidates.
    """
    count, split = job.recipe.evaluate.control_items, part.splits["adapter"]
    by_place: dict[tuple[str, str, str], list[Item]] = {}
    if count:
        for item in choose_prompts(part.items, split, per_direction=count, per_language=0):
            place = (str(item.direction), item.language, item.card)
            by_place.setdefault(place, []).append(item)
    found: dict[tuple[str, str], list[SourceItem]] = {}
    for (direction, language, _), items in by_place.items():
        found.setdefault((direction, language), []).extend(arranged(items))
    return [
        Group(language=language, direction=direction, items=items, unit="segment", given="source")
        for (direction, language), items in found.items()
        if items
    ]


def arranged(items: Sequence[Item]) -> list[SourceItem]:
    """Return items of one card and direction with what each is compared with, by length of target.

    Items that repeat a source or target of one before are skipped: they would be right twice.
    """
    prompts, sources = [i.prompt or "" for i in items], [i.source or "" for i in items]
    seen: set[str] = set()
    kept = []
    for item, frame in zip(items, frames_of(prompts, sources), strict=True):
        texts = {f"source:{item.source}", f"target:{item.reference}"}
        if frame is not None and item.reference and not texts & seen:
            seen |= texts
            kept.append((item, "".join(frame)))
    kept.sort(key=lambda pair: len((pair[0].reference or "").encode()))
    if len(kept) < CANDIDATES:
        return []
    windows = _windows(len(kept))
    return [
        SourceItem(
            **asdict(item),
            wrong_prompt=kept[_next(number, window)][0].prompt or "",
            empty_prompt=empty_prompt,
            others=tuple(kept[n][0].reference or "" for n in window if n != number),
        )
        for number, ((item, empty_prompt), window) in enumerate(zip(kept, windows, strict=True))
    ]


def _windows(count: int) -> Iterator[range]:
    """Yield the candidates of each of `count` items: neighbours by length.

    >>> [list(window)[0] for window in _windows(6)]
    [0, 0, 0, 0, 2, 2]
    """
    for number in range(count):
        begin = min(number - number % CANDIDATES, count - CANDIDATES)
        yield range(begin, begin + CANDIDATES)


def _next(number: int, window: range) -> int:
    """Return the item after this one in its window, cyclically: never the item itself."""
    return window.start + (number - window.start + 1) % len(window)


def units(job: Job, part: Part, groups: Sequence[Group]) -> list[list[int]]:  # noqa: ARG001
    """Return a number for the candidates of each item: what they share is scored once."""
    numbers: dict[tuple[str, frozenset[str]], int] = {}
    return [
        [numbers.setdefault((i.card, frozenset(_texts(i))), len(numbers)) for i in group.items]
        for group in groups
    ]


def answer(job: Job, system: System, part: Part, groups: Sequence[Group]) -> list[list[SourceUse]]:
    """Return how likely a system finds each target given each source."""
    from finetune.evaluate.likelihoods import given_prompts

    items: list[SourceItem] = [item for group in groups for item in group.items]
    pairs = dict.fromkeys(pair for item in items for pair in _pairs(item))
    found = given_prompts(job, system, part, list(pairs), what="use of the source")
    nats = {pair: one.nats for pair, one in zip(pairs, found, strict=True)}
    sizes = {target: one.size_bytes for (_, target), one in zip(pairs, found, strict=True)}

    def use_of(item: SourceItem) -> SourceUse:
        target, prompt = item.reference or "", item.prompt or ""

        def gain(text: str) -> float:
            return nats[item.empty_prompt, text] - nats[prompt, text]

        return SourceUse(
            right_nats=nats[prompt, target],
            wrong_nats=nats[item.wrong_prompt, target],
            size_bytes=sizes[target],
            lead_nats=gain(target) - max(map(gain, item.others)),
        )

    return [[use_of(item) for item in group.items] for group in groups]


def _pairs(item: SourceItem) -> Iterator[tuple[str, str]]:
    """Yield the prompts and targets whose likelihood an item needs."""
    yield item.wrong_prompt, item.reference or ""
    for target in _texts(item):
        yield item.prompt or "", target
        yield item.empty_prompt, target


def _texts(item: SourceItem) -> tuple[str, ...]:
    return (item.reference or "", *item.others)


def conditions(job: Job) -> str:
    """Return what decides the scores besides models and texts."""
    count = job.recipe.evaluate.control_items
    return (
        f"split:test|items:{count}|wrong:same card,similar length|candidates:{CANDIDATES}"
        f"|unconditional:prompt without source|{prompts_of(job)}"
    )


TASK = Task(
    name="wrong_source",
    label="use of the source",
    hub_task="translation",
    gives=SourceUse,
    metrics=("source_bits", "choice_accuracy"),
    groups=groups,
    units=units,
    answer=answer,
    conditions=conditions,
)
