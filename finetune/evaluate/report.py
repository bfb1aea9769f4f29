"""The evaluation report: one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.artefacts.scores import Pair, PairedTest, Score
from finetune.evaluate.generations import Generated
from finetune.evaluate.score_table import cell, p_text, verdict
from finetune.output.charts import scale_around
from finetune.output.templates import environment
from finetune.spec.language import language_name
from finetune.spec.recipe import Evaluate
from finetune.spec.tables.metric import Metric, metric
from finetune.spec.tables.task import task
from finetune.text.shown import quotable


def write_report(
    path: Path,
    *,
    pairs: Sequence[Pair],
    generated: Sequence[Generated],
    facts: Mapping[str, Any],
    settings: Evaluate,
    loss_picture: Path | None,
) -> None:
    """Render the report into `path`. `facts` are label -> value lines for its head."""
    template = environment("finetune.evaluate").get_template("report.html.j2")
    page = template.render(
        facts=facts,
        rows=[_row(pair) for pair in pairs],
        metrics=_metrics(pairs),
        summary=summary(pairs),
        charts=_charts(pairs),
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
    won = {winner: sum(p.test.better == winner for p in pairs) for winner in ("adapter", "base")}
    return (
        f"Of {len(pairs)} comparisons on held-out items, the adapter is better in "
        f"{won['adapter']} and the base in {won['base']}; {len(pairs) - sum(won.values())} are "
        "not significant."
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
        "n": f"{test.n:,}",
        "base": cell(pair.base),
        "adapter": cell(pair.adapter),
        "difference": f"{test.difference:+.{places}f} [{test.low:+.{places}f}, "
        f"{test.high:+.{places}f}]",
        "p": p_text(test.p_value),
        "better": test.better,
        "verdict": verdict(test),
    }


def _place(test: PairedTest) -> str:
    named = [task(test.task).label] if test.task else []
    named += [test.phase] if test.phase else []
    return place(test.language, test.direction, ", ".join(named) or None)


def _metrics(pairs: Sequence[Pair]) -> list[Metric]:
    return [metric(name) for name in dict.fromkeys(pair.test.metric for pair in pairs)]


def _charts(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    charts = []
    for row in _metrics(pairs):
        mine = [pair for pair in pairs if pair.test.metric == row.name]
        scores = [score for pair in mine for score in (pair.base, pair.adapter)]
        chart = {
            "title": row.title or row.heading,
            "axis": f"{row.label} ({row.better} is better)",
            "scale": scale_around([end for score in scores for end in (score.low, score.high)]),
            "rows": [
                {"label": _place(pair.test), "systems": [_mark(pair.base), _mark(pair.adapter)]}
                for pair in mine
            ],
        }
        charts.append(chart)
    return charts


def _mark(score: Score) -> dict[str, Any]:
    exact = f"{score.system}: {score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"
    return {"score": score, "text": f"{score.system} {cell(score)}", "title": exact}


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
