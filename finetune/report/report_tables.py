"""Tables of a report, for page, Markdown and terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

from finetune.artefacts.outputs.output_facts import GroupOutputs, OutputFacts
from finetune.artefacts.scores import Score
from finetune.artefacts.seeds import Pooled
from finetune.artefacts.verdicts import p_text
from finetune.messages import Sentence, counted, joined, phrase, sentence
from finetune.report.across_seeds import OfSeeds
from finetune.report.by_length import LengthClass
from finetune.report.comparable import Comparable, Scored
from finetune.report.report_document import Document, validation_of
from finetune.report.report_words import WORDS
from finetune.report.run_facts import Run
from finetune.report.said import (
    SHORT,
    gain_of,
    listed,
    metric_said,
    number_said,
    score_said,
    system_said,
    verdict_said,
    where_said,
    word_of,
)
from finetune.spec.tables.metric import FIDELITY, VALIDATION, metric

BLANK = phrase("")
MOST_SETTINGS = 4
"""Columns of settings; of more that differ, the number is said."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: what it says, and a class of the style sheet."""

    text: Sentence
    kind: str = ""
    below: Sentence | None = None
    """Smaller, under it: an interval."""

    @property
    def said(self) -> Sentence:
        """Both in one line."""
        return self.text if self.below is None else joined((self.text, self.below))


@dataclass(frozen=True, slots=True)
class Row:
    """A row; one with a note alone spans the table: the name of a group, or a warning."""

    cells: tuple[Cell, ...] = ()
    note: Sentence | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column names the rows."""

    title: Sentence
    columns: tuple[Cell, ...]
    rows: tuple[Row, ...]


def _number(value: int | None) -> Cell:
    return Cell(BLANK if value is None else Sentence("{n}", (("n", value),)), "number")


def _cell(text: object) -> Cell:
    return Cell(text if isinstance(text, Sentence) else phrase(text))


def _head(*names: str) -> tuple[Cell, ...]:
    numbers = {"steps", "seed", "validation", "base", "adapter", "gain", "items", "beside-first"}
    return tuple(Cell(WORDS[name], "number" if name in numbers else "") for name in names)


def runs_table(document: Document) -> Table:
    """Return what tells the runs apart: repository, steps, seed, settings, validation."""
    differing = document.differing[:MOST_SETTINGS]
    last = ("steps", "seed", "validation")
    states = any(run.state != "done" or run.evaluated is None for run in document.runs)
    columns = (
        *_head("run", "repo"),
        *(Cell(phrase(key), "number") for key in differing),
        *_head(*last, *(("state",) if states else ())),
    )
    rows = tuple(_run_row(run, differing, states=states) for run in document.runs)
    return Table(WORDS["runs"], columns, rows)


def _run_row(run: Run, differing: Sequence[str], *, states: bool) -> Row:
    places = metric(VALIDATION).decimals
    value = validation_of(run)
    state = phrase(run.state) if run.state != "done" else BLANK
    if run.evaluated is None and run.state == "done":
        state = WORDS["unfinished"]
    return Row(
        (
            _cell(run.label),
            Cell(phrase(run.repo or ""), "name"),
            *(Cell(phrase(run.swept.get(k, run.settings.get(k, ""))), "number") for k in differing),
            _number(run.steps),
            Cell(BLANK if run.seed is None else phrase(run.seed), "number"),
            Cell(BLANK if value is None else number_said(value, places=places), "number"),
            *((_cell(state),) if states else ()),
        )
    )


def score_tables(document: Document) -> Iterator[Table]:
    """Yield a table per metric: a row per language; of several runs, one per language and run."""
    several = len(document.runs) > 1
    for name, groups in groupby(document.groups, lambda group: group.test.metric):
        mine = list(groups)
        scored = [one for group in mine for one in group.scored]
        rivals = list(dict.fromkeys(r.name for one in scored for r in one.pair.test.rivals))
        beside = any(one.beside_first for one in scored)
        columns = (
            *_head("run" if several else "language", "adapter", "base"),
            *(Cell(SHORT[rival], "number") for rival in rivals),
            *_head("gain", *(("beside-first",) if beside else ())),
            *_head(*(() if several else ("items",)), "verdict"),
        )
        rows: list[Row] = []
        for group in mine:
            rows += _group_rows(group) if several else []
            rows += [
                Row(tuple(_score_cells(one, rivals, several=several, beside=beside)))
                for one in group.scored
            ]
        better = WORDS["higher" if metric(name).higher_is_better else "lower"]
        title = Sentence("{metric} ({better})", (("metric", metric_said(name)), ("better", better)))
        yield Table(title, columns, tuple(rows))


def _group_rows(group: Comparable) -> Iterator[Row]:
    if group.differs:
        said = sentence("{what}: {facts}", what=WORDS["not-compared"], facts=group.differs)
        yield Row(note=said, kind="apart")
    else:
        where, n = where_said(group.test), group.test.n
        yield Row(
            note=counted("{where}, {count} item", "{where}, {count} items", n, where=where),
            kind="group",
        )


def _score_cells(
    scored: Scored, rivals: Sequence[str], *, several: bool, beside: bool
) -> Iterator[Cell]:
    test, adapter = scored.pair.test, scored.pair.adapter
    places = metric(test.metric).decimals
    values: dict[str, float] = {rival.name: rival.value for rival in test.rivals}
    yield _cell(scored.run.label) if several else Cell(where_said(test))
    yield _with_interval(adapter.value, adapter.low, adapter.high, places=places, sign=False)
    yield Cell(number_said(test.base, places=places), "number")
    for name in rivals:
        known = name in values
        yield Cell(number_said(values[name], places=places), "number") if known else Cell(BLANK)
    yield _with_interval(*gain_of(test, test), places=places, sign=True)
    if beside:
        yield _beside(scored)
    if not several:
        yield _number(test.n)
    yield Cell(verdict_said(test), f"verdict {word_of(test)}")


def _with_interval(value: float, low: float, high: float, *, places: int, sign: bool) -> Cell:
    ends = (("low", low), ("high", high))
    named = tuple((name, number_said(end, places=places, sign=sign)) for name, end in ends)
    return Cell(
        number_said(value, places=places, sign=sign),
        "number",
        Sentence("[{low},\u00a0{high}]", named),
    )


def _beside(scored: Scored) -> Cell:
    found = scored.beside_first
    if found is None:
        return Cell(BLANK)
    one, places = found.difference, metric(scored.pair.test.metric).decimals
    cell = _with_interval(one.value, one.low, one.high, places=places, sign=True)
    p = p_text(found.p_value, floor=found.p_floor).replace(" ", "\u00a0")
    return replace(
        cell, below=Sentence("{interval} p\u00a0{p}", (("interval", cell.below), ("p", p)))
    )


def seeds_table(of_seeds: OfSeeds) -> Table:
    """Return each metric over seeds: mean, spread and values; below it the tests of the mean."""
    names = ("language", "mean", "by-seed", "better-in", "difference", "p")
    columns = tuple(Cell(WORDS[name], "number" if name != "language" else "") for name in names)
    rows = [row for one in of_seeds.pooled for row in _seed_rows(one)]
    return Table(listed([run.label for run in of_seeds.runs]), columns, tuple(rows))


def _seed_rows(one: Pooled) -> Iterator[Row]:
    places = metric(one.test.metric).decimals
    spread = {
        "mean": number_said(one.mean, places=places),
        "sd": number_said(one.deviation, places=places),
    }
    where = {"where": where_said(one.test), "metric": metric_said(one.test.metric)}
    values = tuple(number_said(value, places=places) for value in one.values)
    won = sentence("{own} of {n}", own=one.better, n=len(one.values))
    yield Row(
        (
            Cell(Sentence("{where}, {metric}", tuple(where.items()))),
            Cell(Sentence("{mean} ± {sd}", tuple(spread.items())), "number"),
            Cell(listed(values), "number"),
            Cell(won, "number"),
            *(Cell(BLANK), Cell(BLANK)),
        )
    )
    for name, found in one.against.items():
        gap = found.difference
        yield Row(
            (
                Cell(sentence("minus {system}", system=system_said(name)), "rival"),
                Cell(number_said(found.first.value, places=places), "number"),
                *(Cell(BLANK), Cell(BLANK)),
                _with_interval(gap.value, gap.low, gap.high, places=places, sign=True),
                Cell(phrase(p_text(found.p_value, floor=found.p_floor)), "number"),
            )
        )


def length_said(one: LengthClass) -> Sentence:
    """Return a class of lengths."""
    if one.last is None:
        return sentence("{first} bytes and more (n = {n})", first=one.first, n=one.n)
    return sentence("{first} to {last} bytes (n = {n})", first=one.first, last=one.last, n=one.n)


def output_tables(document: Document) -> Iterator[Table]:
    """Yield a table per language or direction: references, base, yardsticks, each run."""
    places: dict[tuple[str | None, ...], list[tuple[Run, GroupOutputs]]] = {}
    for run in document.runs:
        for group in run.evaluated.outputs if run.evaluated else ():
            key = (group.language, group.direction, group.phase)
            places.setdefault(key, []).append((run, group))
    names = ("in-language", FIDELITY, "repetition", "copies", "empty-outputs", "words")
    columns = (Cell(WORDS["system"]), *(Cell(WORDS[name], "number") for name in names))
    for several in places.values():
        run, group = several[0]
        rows = [
            _output_row(run, group, system, system_said(system))
            for system in group.systems
            if system != "adapter"
        ]
        rows += [
            _output_row(
                one,
                other,
                "adapter",
                phrase(one.label) if len(document.runs) > 1 else system_said("adapter"),
            )
            for one, other in several
            if "adapter" in other.systems
        ]
        yield Table(where_said(_as_score(group)), columns, tuple(rows))


def _as_score(group: GroupOutputs) -> Score:
    place = (group.language, group.direction)
    return Score(FIDELITY, *place, "adapter", 0.0, 0.0, 0.0, 0, "", phase=group.phase)


def _output_row(run: Run, group: GroupOutputs, system: str, name: Sentence) -> Row:
    facts: OutputFacts = group.systems[system]
    own = sentence("{own} of {n}", own=facts.languages.get(group.language, 0), n=facts.n)
    place = (group.language, group.direction, group.phase)
    scores = run.evaluated.scores if run.evaluated else ()
    fidelity = [
        score_said(one)
        for one in scores
        if (one.metric, one.system) == (FIDELITY, system)
        and (one.language, one.direction, one.phase) == place
    ]
    return Row(
        (
            Cell(name),
            Cell(own if group.is_covered else WORDS["unknown"], "number"),
            Cell(fidelity[0] if fidelity else BLANK, "number"),
            Cell(number_said(facts.repetition, places=2), "number"),
            _number(facts.copies),
            _number(facts.empty),
            Cell(sentence("{own} of {n}", own=facts.distinct_words, n=facts.words), "number"),
        )
    )


def timeline_table(run: Run) -> Table:
    """Return the stages and attempts of a run."""
    columns = (
        Cell(WORDS["stage"]),
        Cell(WORDS["start"]),
        Cell(WORDS["duration"], "number"),
        Cell(WORDS["outcome"]),
        Cell(WORDS["part"]),
    )
    rows = [
        Row(
            (
                _cell(one.what),
                _cell(time_said(one.started)),
                Cell(
                    BLANK if one.finished is None else duration_said(one.finished - one.started),
                    "number",
                ),
                Cell(WORDS.get(one.outcome, phrase(one.outcome))),
                Cell(one.note or BLANK),
            )
        )
        for one in run.stretches
    ]
    return Table(phrase(run.label), columns, tuple(rows))


def time_said(seconds: float) -> str:
    """Return a time of the clock (UTC), with a no-break space.

    >>> time_said(0.0)
    '1970-01-01\\xa000:00'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d\u00a0%H:%M")


def duration_said(seconds: float) -> Sentence:
    """Return a duration in its largest unit and the next.

    >>> str(duration_said(3725)), str(duration_said(42.2))
    ('1 h 02 min', '42 s')
    """
    whole = round(seconds)
    if whole >= 3600:
        return sentence(
            "{hours} h {minutes:02d} min", hours=whole // 3600, minutes=whole % 3600 // 60
        )
    if whole >= 60:
        return sentence("{minutes} min {seconds:02d} s", minutes=whole // 60, seconds=whole % 60)
    return sentence("{seconds} s", seconds=whole)


def amount_said(value: float) -> Sentence:
    """Return an amount with three significant digits.

    >>> str(amount_said(0.00113)), str(amount_said(12.34))
    ('0.00113', '12.3')
    """
    places = 0
    while places < 9 and 0 < abs(value) < 100 * 10.0**-places:
        places += 1
    return number_said(value, places=places)
