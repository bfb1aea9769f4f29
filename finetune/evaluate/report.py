"""The evaluation report: one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from finetune.artefacts.drop_rows import COLUMNS, drop_rows
from finetune.artefacts.first_lines import first_lines
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.gates.table import gate_row
from finetune.artefacts.minimum_effect import minimum_effects
from finetune.artefacts.model_comparisons import COLUMNS as MODEL_COLUMNS
from finetune.artefacts.model_comparisons import model_rows, models_ahead
from finetune.artefacts.other_documents import limits
from finetune.artefacts.outputs.output_facts import HardInputs
from finetune.artefacts.outputs.output_table import OutputRow, output_rows
from finetune.artefacts.results import EvaluateResult
from finetune.artefacts.scores import Pair, PairedTest, Rival, Score
from finetune.artefacts.verdicts import (
    YARDSTICKS,
    beaten,
    claim_p,
    items_of,
    of_table,
    p_text,
    verdict,
)
from finetune.evaluate.generations import Generated
from finetune.evaluate.score_table import cell
from finetune.output.charts import scale_around
from finetune.output.templates import environment
from finetune.spec.language import language_name
from finetune.spec.recipe import Evaluate
from finetune.spec.tables.metric import Metric, metric
from finetune.spec.tables.task import task_of
from finetune.statistics.claims import MIN_ITEMS_OF_A_CLAIM
from finetune.text.shown import quotable


def write_report(
    path: Path,
    *,
    pairs: Sequence[Pair],
    evaluated: EvaluateResult | None = None,
    generated: Sequence[Generated],
    facts: Mapping[str, Any],
    settings: Evaluate,
    loss_picture: Path | None,
    gates: Sequence[GateResult] = (),
) -> None:
    """Render the report into `path`. `facts` are label -> value lines for its head."""
    pairs = of_table("scores", pairs)
    template = environment("finetune.evaluate").get_template("report.html.j2")
    page = template.render(
        facts=facts,
        lines=first_lines([pair.test for pair in pairs], gates=gates),
        gates=list(map(gate_row, gates)),
        rows=[row for pair in pairs for row in (_row(pair), *_rival_rows(pair))],
        others=drop_rows(evaluated.other_documents) if evaluated else [],
        other_columns=COLUMNS,
        models=model_rows(evaluated.models) if evaluated else [],
        model_columns=MODEL_COLUMNS,
        models_ahead=list(map(str, models_ahead(evaluated.models))) if evaluated else [],
        limits=list(map(str, limits(evaluated.documents))) if evaluated else [],
        minimum_items=MIN_ITEMS_OF_A_CLAIM,
        effects=minimum_effects([pair.test for pair in pairs]),
        metrics=_metrics(pairs),
        summary=summary(pairs),
        charts=_charts(pairs),
        outputs=_outputs(evaluated) if evaluated else [],
        hard_inputs=_hard_inputs(evaluated) if evaluated else [],
        loss_picture=_data_uri(loss_picture),
        samples=_samples(generated, per_group=settings.samples),
        resamples=settings.resamples,
        signatures=sorted({pair.base.signature for pair in pairs}),
    )
    path.write_text(page, encoding="utf-8", newline="\n")


def summary(pairs: Sequence[Pair]) -> str:
    """Return one sentence on how many comparisons each system won."""
    if not pairs:
        return "There are no test documents, so base and adapter were not compared."
    tests = [pair.test for pair in pairs if metric(pair.test.metric).is_judged]
    won = {winner: sum(t.better == winner for t in tests) for winner in ("adapter", "base")}
    return (
        f"Of {len(tests)} comparisons on held-out items, the adapter is better than base and "
        f"yardsticks in {won['adapter']} and worse than the base in {won['base']}; nothing is "
        f"claimed in {len(tests) - sum(won.values())}."
    )


def place(language: str, direction: str | None, phase: str | None = None) -> str:
    """Return the name of a language or direction.

    >>> place("hau_Latn", "eng_Latn>hau_Latn"), place("hau_Latn", None, "texts")
    ('English → Hausa', 'Hausa (texts)')
    """
    codes = (direction or language).split(">")
    # ISO 639-3 adds remarks, "Swahili (individual language)", that say nothing to a reader
    name = " → ".join(language_name(code).split(" (")[0] for code in codes)
    return name if phase is None else f"{name} ({phase})"


def _row(pair: Pair) -> dict[str, str]:
    test = pair.test
    places = metric(test.metric).decimals
    return {
        "metric": test.metric,
        "place": _place(test),
        "code": test.direction or test.language,
        "n": items_of(test),
        "base": cell(pair.base),
        "adapter": cell(pair.adapter),
        "difference": _difference(test, places=places),
        "detectable": "" if test.detectable is None else f"{test.detectable:z.{places}f}",
        "p": claim_p(test),
        "better": test.better,
        "verdict": verdict(test),
    }


def _rival_rows(pair: Pair) -> list[dict[str, str]]:
    """Return a row for each yardstick, under the pair that it is compared with."""
    test, scores = pair.test, {score.system: score for score in pair.yardsticks}
    places = metric(test.metric).decimals
    return [
        {
            **dict.fromkeys(("metric", "code", "n", "adapter", "detectable", "better"), ""),
            "place": YARDSTICKS[rival.name],
            "base": cell(scores[rival.name]),
            "difference": _difference(rival, places=places),
            "p": p_text(rival.p_value, floor=test.p_floor),
            "verdict": beaten(rival, test),
        }
        for rival in test.rivals
    ]


def _difference(one: PairedTest | Rival, *, places: int) -> str:
    return f"{one.difference:+z.{places}f} [{one.low:+z.{places}f}, {one.high:+z.{places}f}]"


def _name(score: Score) -> tuple[str, str]:
    """Return a system as a class of the style sheet, and for people."""
    return score.system, YARDSTICKS.get(score.system, score.system)


def _place(test: PairedTest) -> str:
    named = [task_of(test.task, direction=test.direction).label] if test.task else []
    named += [test.phase] if test.phase else []
    return place(test.language, test.direction, ", ".join(named) or None)


def _outputs(evaluated: EvaluateResult) -> list[tuple[str, list[OutputRow]]]:
    rows = output_rows(evaluated.outputs, evaluated.scores)
    return [(where, list(some)) for where, some in groupby(rows, lambda row: row.place)]


def _hard_inputs(evaluated: EvaluateResult) -> list[tuple[str, list[HardInputs]]]:
    def where(row: HardInputs) -> str:
        return place(row.language, row.direction, row.phase)

    return [(name, list(some)) for name, some in groupby(evaluated.hard_inputs, where)]


def _metrics(pairs: Sequence[Pair]) -> list[Metric]:
    return [metric(name) for name in dict.fromkeys(pair.test.metric for pair in pairs)]


def _charts(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    charts = []
    for row in _metrics(pairs):
        mine = [pair for pair in pairs if pair.test.metric == row.name]
        scores = [score for pair in mine for score in pair.scores]
        chart = {
            "title": row.title or row.heading,
            "axis": f"{row.label} ({row.better} is better)",
            "scale": scale_around([end for score in scores for end in (score.low, score.high)]),
            "systems": list(dict.fromkeys(map(_name, scores))),
            "rows": [
                {"label": _place(pair.test), "systems": list(map(_mark, pair.scores))}
                for pair in mine
            ],
        }
        charts.append(chart)
    return charts


def _mark(score: Score) -> dict[str, Any]:
    exact = f"{score.system}: {score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"
    return {"score": score, "text": f"{_name(score)[1]} {cell(score)}", "title": exact}


def _data_uri(picture: Path | None) -> str | None:
    if picture is None or not picture.is_file():
        return None
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode("ascii")


def _samples(generated: Sequence[Generated], *, per_group: int) -> list[dict[str, Any]]:
    groups: dict[str, list[Generated]] = {}
    for one in generated:
        group = groups.setdefault(place(one.item.language, one.item.direction, one.phase), [])
        if len(group) < per_group:
            group.append(_quoted(one))
    return [{"place": name, "items": group} for name, group in groups.items() if group]


def _quoted(one: Generated) -> Generated:
    """Return a generation without personal data, also what a recipe keeps or a model repeats."""
    item = replace(
        one.item,
        prompt=one.item.prompt and quotable(one.item.prompt),
        source=one.item.source and quotable(one.item.source),
        reference=one.item.reference and quotable(one.item.reference),
    )
    return replace(one, item=item, base=quotable(one.base), adapter=quotable(one.adapter))
