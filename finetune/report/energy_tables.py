"""Tables of energy, emissions and time."""

from __future__ import annotations

from finetune.artefacts.emissions import STAGE_NAMES, Amount, grid_rows
from finetune.messages import Sentence, phrase
from finetune.report.report_document import Document
from finetune.report.report_tables import BLANK, Cell, Row, Table, amount_said, duration_said
from finetune.report.report_words import WORDS
from finetune.report.said import number_said


def costs_table(document: Document) -> Table:
    """Return energy, grams, time and processes of each run."""
    gpus = any(one.on_gpus for one in document.costs)
    names = ("energy", "grams", "gpu-hours" if gpus else "process-hours", "time", "speed")
    columns = (Cell(WORDS["run"]), *(Cell(WORDS[name], "number") for name in names))
    rows = []
    for one in document.costs:
        spent = one.emissions
        rows.append(
            Row(
                (
                    Cell(phrase(one.label)),
                    _amount(spent.kilowatt_hours),
                    _amount(spent.grams),
                    Cell(amount_said(one.hours), "number"),
                    Cell(duration_said(one.seconds), "number"),
                    Cell(number_said(one.tokens_per_second, places=0), "number"),
                )
            )
        )
    return Table(WORDS["costs"], columns, tuple(rows))


def energy_table(document: Document) -> Table:
    """Return each stage's energy, what was not metered included, and how it was measured."""
    several = len(document.costs) > 1
    columns = (Cell(WORDS["stage"]), Cell(WORDS["energy"], "number"), Cell(WORDS["method"]))
    rows: list[Row] = []
    for one in document.costs:
        rows += [Row(note=phrase(one.label), kind="group")] if several else []
        rows += [
            Row(
                (
                    Cell(STAGE_NAMES[stage.stage]),
                    _amount(stage.kilowatt_hours)
                    if stage.kilowatt_hours
                    else Cell(WORDS["not-metered"], "number"),
                    Cell(phrase("; ".join(stage.methods))),
                )
            )
            for stage in one.emissions.stages
        ]
    return Table(WORDS["costs"], columns, tuple(rows))


def grids_table(document: Document) -> Table:
    """Return the grams of each run on grids of little, middle and much carbon, and its own."""
    columns = (Cell(WORDS["grid"]), *(Cell(phrase(one.label), "number") for one in document.costs))
    by_grid: dict[tuple[float, str | None], dict[str, Amount]] = {}
    for one in document.costs:
        for row in grid_rows(one.emissions):
            by_grid.setdefault((row.gco2_per_kwh, row.source), {})[one.label] = row.grams
    rows = [
        Row(
            (
                Cell(_grid_said(figure, source)),
                *(_amount(grams.get(one.label)) for one in document.costs),
            )
        )
        for (figure, source), grams in sorted(by_grid.items(), key=lambda pair: pair[0][0])
    ]
    return Table(WORDS["grams-on"], columns, tuple(rows))


def _grid_said(figure: float, source: str | None) -> Sentence:
    value = number_said(figure, places=0)
    if source is None:
        return Sentence("{value} g/kWh", (("value", value),))
    return Sentence("{value} g/kWh ({source})", (("value", value), ("source", source)))


def _amount(amount: Amount | None) -> Cell:
    if amount is None:
        return Cell(BLANK, "number")
    ends = (("low", amount_said(amount.low)), ("high", amount_said(amount.high)))
    below = Sentence("[{low},\u00a0{high}]", ends) if amount.is_range else None
    return Cell(amount_said(amount.value), "number", below)
