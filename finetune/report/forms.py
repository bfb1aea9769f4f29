"""The forms of a report: one HTML page, Markdown, JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from finetune.messages import Sentence, phrase, sentence
from finetune.output.markdown import Markdown, inline
from finetune.output.templates import environment, markdown_environment
from finetune.report.energy_tables import costs_table, energy_table, grids_table
from finetune.report.funnels import Funnel, funnels_of, reason_said
from finetune.report.report_charts import gain_chart, length_chart, loss_charts
from finetune.report.report_document import Document
from finetune.report.report_tables import (
    Cell,
    Row,
    Table,
    length_said,
    output_tables,
    runs_table,
    score_tables,
    seeds_table,
    timeline_table,
)
from finetune.report.report_words import WORDS
from finetune.report.said import listed, number_said, place_said, system_said, verdict_sentence
from finetune.report.text_samples import Sample
from finetune.spec.language import bcp47
from finetune.spec.script import direction
from finetune.spec.tables.metric import VALIDATION, metric
from finetune.spec.terms.term_sentences import said_of_terms

MOST_VERDICTS = 6
"""Sentences at the top; the table has all."""


def page(document: Document, *, language: str) -> str:
    """Return the page, in every language of messages, `language` first."""
    names = {"direction": direction, "tag": bcp47, "reason_said": reason_said}
    template = environment("finetune.report", names=names).get_template("page.html.j2")
    charts = {
        "gains": gain_chart(document),
        "losses": loss_charts(document),
        "length_charts": [length_chart(one) for one in document.lengths],
    }
    return template.render(**_facts(document), **charts, language=language)


def markdown(document: Document, *, language: str) -> str:
    """Return the report as Markdown in one language of messages."""

    def said(one: Sentence) -> Markdown:
        return inline(one.in_language(language))

    filters = {"said": said, "table": lambda one: _markdown_table(one, said)}
    template = markdown_environment("finetune.report", filters=filters).get_template("page.md.j2")
    return template.render(**_facts(document))


def _markdown_table(table: Table, said: Callable[[Sentence], Markdown]) -> Markdown:
    blank = " |" * (len(table.columns) - 1)
    lines = ["|".join(["", *(f" {said(one.text)} " for one in table.columns), ""])]
    sides = ("---:" if one.kind == "number" else "---" for one in table.columns)
    lines.append("|".join(["", *(f" {side} " for side in sides), ""]))
    for row in table.rows:
        cells = "|".join(["", *(f" {said(one.said)} " for one in row.cells), ""])
        lines.append(f"| {said(row.note)} |{blank}" if row.note else cells)
    return Markdown("\n".join([*lines, ""]))


def _facts(document: Document) -> dict[str, Any]:
    several = len(document.runs) > 1
    heading = "sweep" if document.sweep else "several-runs" if several else "report"
    funnels = funnels_of(document.runs)
    back = document.samples.kept_back
    said = sentence(
        "Not shown, since their owners do not let texts be passed on: {cards}.", cards=back
    )
    return {
        "WORDS": WORDS,
        "document": document,
        "several": several,
        "heading": sentence("{what}: {facts}", what=WORDS[heading], facts=document.title),
        "verdicts": _verdicts(document),
        "runs": runs_table(document),
        "scores": list(score_tables(document)),
        "beside": any(one.beside_first for group in document.groups for one in group.scored),
        "place": _place,
        "samples": _first_of_each(document.samples.shown),
        "kept_back": said if back else None,
        "seeds": [seeds_table(one) for one in document.seeds if one.pooled],
        "lengths": [_length_table(document, number) for number in range(len(document.lengths))],
        "outputs": list(output_tables(document)),
        "funnels": [_funnel_table(one) for one in funnels],
        "funnel_facts": funnels,
        "costs": [table(document) for table in (costs_table, energy_table, grids_table)],
        "terms": [(run, said_of_terms(run.terms)) for run in document.runs if run.terms],
        "labels": [run.label for run in document.runs],
        "signatures": sorted(
            {one.pair.adapter.signature for group in document.groups for one in group.scored}
        ),
        "timelines": [timeline_table(run) for run in document.runs if run.stretches],
    }


def _verdicts(document: Document) -> list[Sentence]:
    """Return a sentence per language and metric of a single run; several runs have their table."""
    if len(document.runs) > 1:
        return []
    found = [verdict_sentence(one.pair) for group in document.groups for one in group.scored]
    return found[:MOST_VERDICTS]


def _first_of_each(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Return the first sample of each language or direction (at most six), and the others."""
    first = {(one.language, one.direction, one.phase): one for one in reversed(samples)}
    shown = [one for one in samples if one in first.values()][:MOST_VERDICTS]
    return shown, [one for one in samples if one not in shown]


def _place(sample: Sample) -> Sentence:
    return place_said(sample.language, sample.direction, phase=sample.phase)


def _length_table(document: Document, number: int) -> Table:
    one, places = document.lengths[number], metric(VALIDATION).decimals
    names = list(dict.fromkeys(name for row in one.classes for name in row.values))
    columns = [Cell(WORDS["bytes"]), *(Cell(system_said(name), "number") for name in names)]
    rows = [
        Row(
            (
                Cell(length_said(row)),
                *(
                    Cell(number_said(row.values[name], places=places), "number")
                    if name in row.values
                    else Cell(phrase(""))
                    for name in names
                ),
            )
        )
        for row in one.classes
    ]
    return Table(place_said(one.language, None, phase=one.phase), tuple(columns), tuple(rows))


def _funnel_table(one: Funnel) -> Table:
    said: Sequence[tuple[Sentence, int]] = [
        (WORDS["read"], one.read),
        *(
            (Sentence("− {reason}", (("reason", reason_said(r)),)), n)
            for r, n in one.rejected.items()
        ),
        (WORDS["train"], one.kept["train"]),
        (WORDS["valid"], one.kept["validation"]),
        (WORDS["test"], one.kept["test"]),
        *(
            (sentence("{what}: {facts}", what=k, facts=WORDS["trained"]), n)
            for k, n in one.trained_tokens.items()
        ),
    ]
    rows = tuple(
        Row((Cell(text), Cell(Sentence("{n}", (("n", n),)), "number"))) for text, n in said
    )
    return Table(listed(one.labels), (Cell(phrase("")), Cell(phrase(""), "number")), rows)
