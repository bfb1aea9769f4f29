"""Plan of a data mixture: number of samples per language or card in a training run.

Arithmetic is exact (fractions, integers, roots in `decimal`), so that equal sizes give the same
mixture on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from finetune.messages import Problem, Sentence, problem, sentence
from finetune.mix.allocate import Group, Subset, allocate, exact, rows_of
from finetune.spec.card import DataCard
from finetune.spec.entries import group_word, resolved_use, target_language
from finetune.spec.recipe import Corpus, Phase
from finetune.spec.sections.mixture import DataMixture
from finetune.spec.yaml_file import Path_

WEIGHT_UNITS = 2**40
"""Sum (approximate) of the integer weights of an interval."""
EPOCHS_AS_GOOD = 4
"""Epochs up to which repeated data is about as good as new data (Muennighoff et al. 2023)."""
REPLAY_OF_TEXT, REPLAY_OF_ANSWERS = Fraction(1, 5), Fraction(1, 10)


@dataclass(frozen=True, slots=True)
class Interval:
    """Sequences drawn with the same weights, up to number `end`; the last one is open-ended."""

    end: int
    weights: tuple[int, ...]
    """Per group; only their ratio matters."""

    @property
    def fractions(self) -> tuple[float, ...]:
        """Sampling fraction per group, in the mixture's unit; they sum to 1."""
        total = sum(self.weights) or 1
        return tuple(weight / total for weight in self.weights)


@dataclass(frozen=True, slots=True)
class DrawnGroup:
    """Amount sampled from a group in a training run."""

    name: str
    replay: bool
    share: float
    """Fraction of all samples, in the mixture's unit."""
    epochs: float
    tokens: int
    unique_tokens: int

    @property
    def repeated_tokens(self) -> int:
        """Tokens of repeated passes."""
        return self.tokens - self.unique_tokens


@dataclass(frozen=True, slots=True)
class MixturePlan:
    """The mixture of a training run of `rows` packed sequences."""

    mixture: DataMixture
    groups: tuple[Group, ...]
    rows: int
    intervals: tuple[Interval, ...]
    drawn: tuple[DrawnGroup, ...]
    problems: tuple[tuple[Path_, Problem], ...]
    """Problems that make it infeasible: (path inside the phase of the recipe, problem)."""
    notes: tuple[Sentence, ...]


def groups_of(
    subsets: Iterable[Subset], *, mixture: DataMixture, replayed: Collection[tuple[str, str]]
) -> tuple[Group, ...]:
    """Return the groups, sorted by name, replay last; `replayed`: pairs (language, card)."""
    found: dict[tuple[bool, str], list[Subset]] = {}
    for subset in subsets:
        name = subset.language if mixture.by == "language" else subset.card
        found.setdefault(((subset.language, subset.card) in replayed, name), []).append(subset)
    return tuple(
        Group(
            name=name,
            replay=replay,
            subsets=tuple(sorted(inside, key=lambda c: (c.language, c.card))),
            units=max(1, sum(c.tokens if mixture.unit == "tokens" else c.bytes for c in inside)),
        )
        for (replay, name), inside in sorted(found.items())
    )


def replayed_subsets(
    corpora: Iterable[Corpus], cards: Mapping[str, DataCard]
) -> frozenset[tuple[str, str]]:
    """Return the pairs (language, card) of the corpora marked `replay`."""
    return frozenset((target_language(c, cards[c.card]), c.card) for c in corpora if c.replay)


def replay_fraction(
    mixture: DataMixture, corpora: Sequence[Corpus], cards: Mapping[str, DataCard]
) -> Fraction:
    """Return the fraction of replay data; 0 if no corpus is marked.

    `auto`: 0.2 if the target text includes plain text, else 0.1. Without English the loss of a
    Basque model is the same and its generations are worse (Elhady et al. 2025, arXiv 2506.00288).
    """
    if mixture.replay == "off" or not any(c.replay for c in corpora):
        return Fraction(0)
    if mixture.replay != "auto":
        return exact(mixture.replay)
    uses = {resolved_use(c, cards[c.card]) for c in corpora if not c.replay}
    return REPLAY_OF_TEXT if "text" in uses else REPLAY_OF_ANSWERS


def rows_of_an_epoch(phase: Phase, cards: Mapping[str, DataCard], groups: Sequence[Group]) -> int:
    """Return the sequences of one epoch over the non-replay groups, with their share of replay."""
    mixture = phase.active_mixture
    mains = [g for g in groups if not g.replay]
    others = [g for g in groups if g.replay]
    rows = Fraction(sum(g.rows for g in mains))
    if mixture is None or not others:
        return int(rows) + sum(g.rows for g in others)
    begin = Fraction(0)
    beside = Fraction(0)  # replay per unit of the rest, over the curriculum
    for until, part in mixture.parts:
        share = replay_fraction(part, phase.corpora, cards)
        beside += (exact(until) - begin) * share / (1 - share)
        begin = exact(until)
    units = beside * sum(g.units for g in mains)
    return math.ceil(rows + units * sum(g.rows for g in others) / sum(g.units for g in others))


def plan_mixture(
    phase: Phase,
    cards: Mapping[str, DataCard],
    subsets: Iterable[Subset],
    *,
    steps: int,
    row_tokens: int,
) -> MixturePlan:
    """Return the samples per group in a run of `steps` steps. The phase must have a mixture."""
    mixture = phase.active_mixture
    assert mixture is not None  # noqa: S101, callers ask first
    groups = groups_of(subsets, mixture=mixture, replayed=replayed_subsets(phase.corpora, cards))
    rows = steps * phase.train.rows_per_step(row_tokens)
    budget = rows if mixture.budget_tokens is None else max(1, mixture.budget_tokens // row_tokens)
    room = [exact(mixture.max_epochs) * g.units for g in groups]
    intervals: list[Interval] = []
    short_rows = Fraction(0)
    begin = 0
    for until, part in mixture.parts:
        end = int(exact(until) * budget)
        share = replay_fraction(part, phase.corpora, cards)
        taken = allocate(part, groups, rows=end - begin, replay=share, room=room)
        short_rows += end - begin - rows_of(taken, groups)
        room = [max(Fraction(0), left - units) for left, units in zip(room, taken, strict=True)]
        intervals.append(Interval(end, _integers(taken)))
        begin = end
    drawn = _drawn(groups, intervals, rows=rows)
    lost = _lost(phase, cards, groups)
    return MixturePlan(
        mixture=mixture,
        groups=groups,
        rows=rows,
        intervals=tuple(intervals),
        drawn=drawn,
        problems=tuple(
            _problems(
                phase,
                drawn,
                short_rows=math.ceil(short_rows),
                empty=not all(any(s.weights) for s in intervals),
                row_tokens=row_tokens,
                rows=rows,
            )
        ),
        notes=(*lost, *_notes(phase, cards, drawn)),
    )


def _integers(units: Sequence[Fraction]) -> tuple[int, ...]:
    total = sum(units, Fraction(0))
    if not total:
        return tuple(0 for _ in units)
    return tuple(max(1, round(WEIGHT_UNITS * u / total)) if u else 0 for u in units)


def _drawn(
    groups: Sequence[Group], intervals: Sequence[Interval], *, rows: int
) -> tuple[DrawnGroup, ...]:
    drawn = [Fraction(0) for _ in groups]
    begin = 0
    for number, interval in enumerate(intervals):
        end = rows if number + 1 == len(intervals) else min(rows, interval.end)
        weights = [Fraction(w) for w in interval.weights]
        each = rows_of(weights, groups)
        if each:
            drawn = [
                d + w * max(0, end - begin) / each for d, w in zip(drawn, weights, strict=True)
            ]
        begin = end
    total = sum(drawn, Fraction(0)) or Fraction(1)
    return tuple(
        DrawnGroup(
            name=group.name,
            replay=group.replay,
            share=float(units / total),
            epochs=float(units / group.units),
            tokens=round(units / group.units * group.tokens),
            unique_tokens=round(min(Fraction(1), units / group.units) * group.tokens),
        )
        for group, units in zip(groups, drawn, strict=True)
    )


def _problems(
    phase: Phase,
    drawn: Sequence[DrawnGroup],
    *,
    short_rows: int,
    empty: bool,
    row_tokens: int,
    rows: int,
) -> Iterable[tuple[Path_, Problem]]:
    mixture, train = phase.active_mixture, phase.train
    assert mixture is not None  # noqa: S101
    key: Path_ = ("train", "max_steps" if train.max_steps is not None else "epochs")
    each = train.rows_per_step(row_tokens)
    if empty and not (mixture.method == "unimax" and not mixture.curriculum):
        yield (
            ("mixture", "weights"),
            problem(
                "empty-mixture",
                "no text is left of the groups with a weight above 0; add texts or change the "
                "weights",
            ),
        )
    elif short_rows:
        most = max((rows - short_rows) // each, 1)
        epochs = mixture.max_epochs * rows / max(1, rows - short_rows)
        needed = -(-round(epochs * 10, 6) // 1) / 10  # rounded up to one decimal
        yield (
            key,
            problem(
                "too-little-text",
                "{steps} steps need more text than there is: with at most {max_epochs:g} passes "
                "over each {group} (mixture.max_epochs) there is enough for {most} steps. Train "
                "for {most}, set mixture.max_epochs to about {needed:g}, or add texts",
                steps=rows // each,
                max_epochs=mixture.max_epochs,
                group=group_word(mixture),
                most=most,
                needed=needed,
            ),
        )
    elif (
        mixture.budget_tokens is not None and rows * row_tokens > mixture.budget_tokens + row_tokens
    ):
        over = [p for p in drawn if p.epochs > mixture.max_epochs * 1.001]
        if over and mixture.parts[-1][1].method == "unimax":
            yield (
                ("mixture", "budget_tokens"),
                problem(
                    "longer-than-budget",
                    "the training run is longer ({tokens} tokens) than this budget ({budget}), so "
                    "that {group} is seen {epochs:.1f} times, and mixture.max_epochs is "
                    "{max_epochs:g}. Raise the budget (weights change), or train shorter",
                    tokens=rows * row_tokens,
                    budget=mixture.budget_tokens,
                    group=over[0].name,
                    epochs=over[0].epochs,
                    max_epochs=mixture.max_epochs,
                ),
            )


def _notes(
    phase: Phase, cards: Mapping[str, DataCard], drawn: Sequence[DrawnGroup]
) -> Iterable[Sentence]:
    mixture = phase.active_mixture
    assert mixture is not None  # noqa: S101
    planned = [replay_fraction(part, phase.corpora, cards) for _, part in mixture.parts]
    reached = sum(p.share for p in drawn if p.replay)
    if len(set(planned)) == 1 and planned[0] and reached < float(planned[0]) - 0.005:
        yield sentence(
            "replay data is {reached:.1%} of the mixture and not {planned:.0%}: there is no "
            "more of it for {max_epochs:g} passes (mixture.max_epochs)",
            reached=reached,
            planned=float(planned[0]),
            max_epochs=mixture.max_epochs,
        )
    many = [p for p in drawn if p.epochs > EPOCHS_AS_GOOD * 1.001]
    if many:
        yield sentence(
            "more than {most} passes ({groups}): further repetitions of a text add less and less "
            "(Muennighoff et al. 2023)",
            most=EPOCHS_AS_GOOD,
            groups=[f"{p.name} {p.epochs:.1f}" for p in many],
        )


def _lost(
    phase: Phase, cards: Mapping[str, DataCard], groups: Sequence[Group]
) -> Iterable[Sentence]:
    mixture = phase.active_mixture
    assert mixture is not None  # noqa: S101
    there = {g.name for g in groups}
    names = (
        target_language(c, cards[c.card]) if mixture.by == "language" else c.card
        for c in phase.corpora
    )
    for name in dict.fromkeys(names):
        if name not in there:
            yield sentence(
                "no text of {name} is left; the other groups share its weight", name=name
            )
