"""Charts of a report: positions in percent, for inline SVG that fits any screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from finetune.artefacts.scores import PairedTest, Rival
from finetune.messages import Sentence, phrase, sentence
from finetune.output.charts import Scale, scale_around
from finetune.report.by_length import ByLength
from finetune.report.comparable import Scored
from finetune.report.loss_curves import Point
from finetune.report.report_document import Document
from finetune.report.report_tables import length_said
from finetune.report.report_words import WORDS
from finetune.report.said import (
    gain_of,
    gain_said,
    metric_said,
    number_said,
    phrase_of,
    place_said,
    system_said,
    where_said,
    word_of,
)
from finetune.spec.tables.metric import VALIDATION, metric

COLOURS = 6
"""Of runs in the style sheet; more runs share them."""
MOST_LANGUAGES = 6
"""Charts of validation."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A value on a scale, with its interval if it has one."""

    value: float
    low: float | None
    high: float | None
    kind: str
    """`dot`, `square`: its form."""
    colour: str
    title: Sentence


@dataclass(frozen=True, slots=True)
class ChartRow:
    """A row of a chart: a label, marks on one line, and the number in words."""

    label: Sentence
    beside: Sentence | None
    marks: tuple[Mark, ...]
    text: Sentence
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Rows on one scale."""

    title: Sentence
    scale: Scale
    rows: tuple[ChartRow, ...]
    zero: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A curve as points in percent of width and height."""

    label: str
    colour: str
    points: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """Curves over steps."""

    title: Sentence
    across: Scale
    up: Scale
    lines: tuple[Line, ...]


def gain_chart(document: Document) -> list[Chart]:
    """Return a chart per metric: the gain of every language and run, the largest first."""
    several = len(document.runs) > 1
    charts = []
    for name, groups in groupby(document.groups, lambda group: group.test.metric):
        places = [list(group.scored) for group in groups]
        ordered = places if several else sorted(places, key=_largest, reverse=True)
        scored = [one for group in ordered for one in group]
        ends = [end for one in scored for mark in _marks(one, document) for end in _ends(mark)]
        rows = tuple(_gain_row(one, document, several=several) for one in scored)
        title = sentence("Gain in {metric}", metric=metric_said(name))
        charts.append(Chart(title, scale_around([*ends, 0.0]), rows, zero=True))
    return charts


def _largest(group: Sequence[Scored]) -> float:
    return max(gain_of(one.pair.test, one.pair.test)[0] for one in group)


def _gain_row(scored: Scored, document: Document, *, several: bool) -> ChartRow:
    test = scored.pair.test
    beside = phrase(scored.run.label) if several else None
    marks = tuple(_marks(scored, document))
    return ChartRow(where_said(test), beside, marks, gain_said(test, test), kind=word_of(test))


def _marks(scored: Scored, document: Document) -> list[Mark]:
    test, colour = scored.pair.test, colour_of(scored.run.label, document)
    rivals = [_mark(one, test, "square", "rival", system_said(one.name)) for one in test.rivals]
    return [*rivals, _mark(test, test, "dot", colour, system_said("base"))]


def _mark(
    one: PairedTest | Rival, test: PairedTest, kind: str, colour: str, name: Sentence
) -> Mark:
    value, low, high = gain_of(one, test)
    title = sentence("over {name}: {gain}", name=name, gain=gain_said(one, test))
    if kind != "dot":
        return Mark(value, None, None, kind, colour, title)
    return Mark(value, low, high, kind, colour, title)


def _ends(mark: Mark) -> list[float]:
    return [end for end in (mark.value, mark.low, mark.high) if end is not None]


def colour_of(label: str, document: Document) -> str:
    """Return the class of a run's colour."""
    labels = [run.label for run in document.runs]
    return f"run-{labels.index(label) % COLOURS}" if label in labels else "rival"


def length_chart(one: ByLength) -> Chart:
    """Return the bits per byte of each class of lengths, of every system."""
    names = list(dict.fromkeys(name for row in one.classes for name in row.values))
    runs = [name for name in names if str(system_said(name)) == name and name != "base"]
    values = [value for row in one.classes for value in row.values.values()]
    rows = []
    for row in one.classes:
        marks = [
            Mark(
                value,
                None,
                None,
                "dot" if name in runs else "square",
                f"run-{runs.index(name) % COLOURS}" if name in runs else _system(name),
                sentence("{name}: {value}", name=system_said(name), value=_bits(value)),
            )
            for name, value in sorted(row.values.items(), key=lambda pair: pair[0] in runs)
        ]
        best = [row.values[name] for name in runs if name in row.values]
        text = _bits(min(best)) if best else phrase("")
        rows.append(ChartRow(length_said(row), None, tuple(marks), text))
    title = place_said(one.language, None, phase=one.phase)
    return Chart(title, scale_around(values), tuple(rows))


def _bits(value: float) -> Sentence:
    return number_said(value, places=metric(VALIDATION).decimals)


def _system(name: str) -> str:
    return name if name in ("base", "ngram") else "rival"


def loss_charts(document: Document) -> list[LineChart]:
    """Return the training loss of all runs, and the validation of each language."""
    labels = {one.label: colour_of(one.label, document) for one in document.curves}
    losses = {one.label: one.loss for one in document.curves if len(one.loss) > 1}
    languages = dict.fromkeys(name for one in document.curves for name in one.validation)
    charts = [_lines(WORDS["loss-train"], losses, labels)] if losses else []
    for language in list(languages)[:MOST_LANGUAGES]:
        curves = {
            one.label: one.validation[language]
            for one in document.curves
            if len(one.validation.get(language, ())) > 1
        }
        title = sentence(
            "{what}: {facts}", what=WORDS["loss-validation"], facts=phrase_of(language)
        )
        charts += [_lines(title, curves, labels)] if curves else []
    return charts


def _lines(
    title: Sentence, curves: dict[str, tuple[Point, ...]], colours: dict[str, str]
) -> LineChart:
    across = Scale(0.0, max(step for points in curves.values() for step, _ in points) or 1.0)
    up = scale_around([value for points in curves.values() for _, value in points])
    lines = tuple(
        Line(
            label,
            colours[label],
            " ".join(f"{across.at(x):.2f},{100 - up.at(y):.2f}" for x, y in points),
        )
        for label, points in curves.items()
    )
    return LineChart(title, across, up, lines)
