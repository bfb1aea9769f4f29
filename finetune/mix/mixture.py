"""How much of each language or card a training draws: the plan of a mix, exactly.

All arithmetic is on fractions and integers (roots in `decimal`, which is the same everywhere), so
that the same sizes give the same mix on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from finetune.mix.allocate import Cell, Group, allocate, exact, rows_of
from finetune.spec.card import DataCard
from finetune.spec.entries import learned_language
from finetune.spec.load import resolved_use
from finetune.spec.mix import Mix
from finetune.spec.recipe import Corpus, Phase
from finetune.spec.text import Path_

WEIGHT_UNITS = 2**40
"""Weights of a stretch are integers that sum to about this."""
EPOCHS_AS_GOOD = 4
"""Passes up to which repeated text is about as good as new text (Muennighoff et al. 2023)."""
REPLAY_OF_TEXT, REPLAY_OF_ANSWERS = Fraction(1, 5), Fraction(1, 10)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows with the same shares: up to row `end`, or further if it is the last."""

    end: int
    weights: tuple[int, ...]
    """Of each group; only their ratio counts."""

    @property
    def shares(self) -> tuple[float, ...]:
        """Of each group, in the mix's unit."""
        total = sum(self.weights) or 1
        return tuple(weight / total for weight in self.weights)


@dataclass(frozen=True, slots=True)
class Portion:
    """What a training draws of a group."""

    name: str
    replay: bool
    share: float
    """Of all that is drawn, in the mix's unit."""
    epochs: float
    tokens: int
    unique_tokens: int

    @property
    def repeated_tokens(self) -> int:
        """Tokens that were trained on before."""
        return self.tokens - self.unique_tokens


@dataclass(frozen=True, slots=True)
class MixPlan:
    """The mix of a training of so many rows."""

    mix: Mix
    groups: tuple[Group, ...]
    rows: int
    stretches: tuple[Stretch, ...]
    portions: tuple[Portion, ...]
    problems: tuple[tuple[Path_, str], ...]
    """What makes it impossible: where in the training's part of the recipe, and what to do."""
    notes: tuple[str, ...]


def groups_of(
    cells: Iterable[Cell], *, mix: Mix, replayed: Collection[tuple[str, str]]
) -> tuple[Group, ...]:
    """Return the groups, in order of their names, replay last; `replayed`: (language, card)s."""
    found: dict[tuple[bool, str], list[Cell]] = {}
    for cell in cells:
        name = cell.language if mix.by == "language" else cell.card
        found.setdefault(((cell.language, cell.card) in replayed, name), []).append(cell)
    return tuple(
        Group(
            name=name,
            replay=replay,
            cells=tuple(sorted(inside, key=lambda c: (c.language, c.card))),
            units=max(1, sum(c.tokens if mix.unit == "tokens" else c.bytes for c in inside)),
        )
        for (replay, name), inside in sorted(found.items())
    )


def replayed_cells(
    corpora: Iterable[Corpus], cards: Mapping[str, DataCard]
) -> frozenset[tuple[str, str]]:
    """Return (language, card) of the corpora that are marked `replay`."""
    return frozenset((learned_language(c, cards[c.card]), c.card) for c in corpora if c.replay)


def replay_share(mix: Mix, corpora: Sequence[Corpus], cards: Mapping[str, DataCard]) -> Fraction:
    """Return the share that replay is to have; 0 if no corpus is marked.

    `auto`: 0.2 if plain text is learned, else 0.1. Without English the loss of a Basque model is
    the same and its answers are worse (Elhady et al. 2025, arXiv 2506.00288).
    """
    if mix.replay == "off" or not any(c.replay for c in corpora):
        return Fraction(0)
    if mix.replay != "auto":
        return exact(mix.replay)
    uses = {resolved_use(c, cards[c.card]) for c in corpora if not c.replay}
    return REPLAY_OF_TEXT if "text" in uses else REPLAY_OF_ANSWERS


def rows_of_an_epoch(phase: Phase, cards: Mapping[str, DataCard], groups: Sequence[Group]) -> int:
    """Return the rows of one pass over what is not replay, with the replay that belongs to it."""
    mix = phase.mixing
    mains = [g for g in groups if not g.replay]
    others = [g for g in groups if g.replay]
    rows = Fraction(sum(g.rows for g in mains))
    if mix is None or not others:
        return int(rows) + sum(g.rows for g in others)
    begin = Fraction(0)
    beside = Fraction(0)  # replay for each unit of the rest, over the stages
    for until, part in mix.parts:
        share = replay_share(part, phase.corpora, cards)
        beside += (exact(until) - begin) * share / (1 - share)
        begin = exact(until)
    units = beside * sum(g.units for g in mains)
    return math.ceil(rows + units * sum(g.rows for g in others) / sum(g.units for g in others))


def plan_mix(
    phase: Phase,
    cards: Mapping[str, DataCard],
    cells: Iterable[Cell],
    *,
    steps: int,
    row_tokens: int,
) -> MixPlan:
    """Return what a training of `steps` steps draws of each group. It must have a mix."""
    mix = phase.mixing
    assert mix is not None  # noqa: S101, callers ask first
    groups = groups_of(cells, mix=mix, replayed=replayed_cells(phase.corpora, cards))
    rows = steps * phase.train.rows_per_step(row_tokens)
    budget = rows if mix.budget_tokens is None else max(1, mix.budget_tokens // row_tokens)
    room = [exact(mix.max_epochs) * g.units for g in groups]
    stretches: list[Stretch] = []
    short_rows = Fraction(0)
    begin = 0
    for until, part in mix.parts:
        end = int(exact(until) * budget)
        share = replay_share(part, phase.corpora, cards)
        taken = allocate(part, groups, rows=end - begin, replay=share, room=room)
        short_rows += end - begin - rows_of(taken, groups)
        room = [max(Fraction(0), left - units) for left, units in zip(room, taken, strict=True)]
        stretches.append(Stretch(end, _integers(taken)))
        begin = end
    portions = _portions(groups, stretches, rows=rows)
    lost = _lost(phase, cards, groups)
    return MixPlan(
        mix=mix,
        groups=groups,
        rows=rows,
        stretches=tuple(stretches),
        portions=portions,
        problems=tuple(
            _problems(
                phase,
                portions,
                short_rows=math.ceil(short_rows),
                empty=not all(any(s.weights) for s in stretches),
                row_tokens=row_tokens,
                rows=rows,
            )
        ),
        notes=(*lost, *_notes(phase, cards, portions)),
    )


def _integers(units: Sequence[Fraction]) -> tuple[int, ...]:
    total = sum(units, Fraction(0))
    if not total:
        return tuple(0 for _ in units)
    return tuple(max(1, round(WEIGHT_UNITS * u / total)) if u else 0 for u in units)


def _portions(
    groups: Sequence[Group], stretches: Sequence[Stretch], *, rows: int
) -> tuple[Portion, ...]:
    drawn = [Fraction(0) for _ in groups]
    begin = 0
    for number, stretch in enumerate(stretches):
        end = rows if number + 1 == len(stretches) else min(rows, stretch.end)
        weights = [Fraction(w) for w in stretch.weights]
        each = rows_of(weights, groups)
        if each:
            drawn = [
                d + w * max(0, end - begin) / each for d, w in zip(drawn, weights, strict=True)
            ]
        begin = end
    total = sum(drawn, Fraction(0)) or Fraction(1)
    return tuple(
        Portion(
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
    portions: Sequence[Portion],
    *,
    short_rows: int,
    empty: bool,
    row_tokens: int,
    rows: int,
) -> Iterable[tuple[Path_, str]]:
    mix, train = phase.mixing, phase.train
    assert mix is not None  # noqa: S101
    key: Path_ = ("train", "max_steps" if train.max_steps is not None else "epochs")
    each = train.rows_per_step(row_tokens)
    if empty and not (mix.method == "unimax" and not mix.stages):
        yield (
            ("mix", "weights"),
            "nothing is left of what has a weight above 0; add texts or change the weights",
        )
    elif short_rows:
        most = max((rows - short_rows) // each, 1)
        epochs = mix.max_epochs * rows / max(1, rows - short_rows)
        needed = -(-round(epochs * 10, 6) // 1) / 10  # rounded up to one decimal
        yield (
            key,
            f"{rows // each} steps need more text than there is: with at most {mix.max_epochs:g} "
            f"passes over each {mix.by} (mix.max_epochs) there is enough for {most} steps. "
            f"Train for {most}, or set mix.max_epochs to about {needed:g}, or add texts",
        )
    elif mix.budget_tokens is not None and rows * row_tokens > mix.budget_tokens + row_tokens:
        over = [p for p in portions if p.epochs > mix.max_epochs * 1.001]
        if over and mix.parts[-1][1].method == "unimax":
            yield (
                ("mix", "budget_tokens"),
                f"the training is longer ({rows * row_tokens:,} tokens) than this budget "
                f"({mix.budget_tokens:,}), so that {over[0].name} is seen {over[0].epochs:.1f} "
                f"times, and mix.max_epochs is {mix.max_epochs:g}. Raise the budget (shares "
                "change), or train shorter",
            )


def _notes(
    phase: Phase, cards: Mapping[str, DataCard], portions: Sequence[Portion]
) -> Iterable[str]:
    mix = phase.mixing
    assert mix is not None  # noqa: S101
    wanted = [replay_share(part, phase.corpora, cards) for _, part in mix.parts]
    got = sum(p.share for p in portions if p.replay)
    if len(set(wanted)) == 1 and wanted[0] and got < float(wanted[0]) - 0.005:
        yield (
            f"replay has {100 * got:.1f} % and not {100 * float(wanted[0]):g} %: there is no more "
            f"of it for {mix.max_epochs:g} passes (mix.max_epochs)"
        )
    many = [p for p in portions if p.epochs > EPOCHS_AS_GOOD * 1.001]
    if many:
        shown = ", ".join(f"{p.name} {p.epochs:.1f}" for p in many)
        yield (
            f"more than {EPOCHS_AS_GOOD} passes ({shown}): text that is repeated more often "
            "teaches less and less (Muennighoff et al. 2023)"
        )


def _lost(phase: Phase, cards: Mapping[str, DataCard], groups: Sequence[Group]) -> Iterable[str]:
    mix = phase.mixing
    assert mix is not None  # noqa: S101
    there = {g.name for g in groups}
    names = (
        learned_language(c, cards[c.card]) if mix.by == "language" else c.card
        for c in phase.corpora
    )
    for name in dict.fromkeys(names):
        if name not in there:
            yield f"nothing of {name} is left; its share goes to the others"
