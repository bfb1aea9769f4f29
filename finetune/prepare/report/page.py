"""The corpus report as one HTML page for people: English and French, offline, any script.

Only draws: what it shows was counted elsewhere and stands in report.json as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from finetune.output.templates import environment, number
from finetune.prepare.reading.document import SPLITS
from finetune.prepare.report.difference import difference, visible
from finetune.prepare.report.page_words import CHANGES_FR, FINDINGS_FR, PERSONAL, REASONS_FR, WORDS
from finetune.spec.language import language_name
from finetune.spec.script import direction

HIDDEN = frozenset({"direction-marks", "direction-controls", "private-use"})
"""Findings of characters that cannot be seen, so that their samples spell them out."""


def render(facts: Mapping[str, Any]) -> str:
    """Return the report as one HTML page that needs nothing from outside.

    `facts` is what report.json holds (finetune.prepare.report.corpus_report).
    """
    names = {
        "CHANGES_FR": CHANGES_FR,
        "FINDINGS_FR": FINDINGS_FR,
        "HIDDEN": HIDDEN,
        "PERSONAL": PERSONAL,
        "SPLITS": SPLITS,
        "WORDS": WORDS,
        "both": _both,
        "columns_of": _columns,
        "difference": difference,
        "direction": direction,
        "language_name": language_name,
        "largest": _largest,
        "visible": visible,
    }
    template = environment("finetune.prepare.report", names=names).get_template("report.html.j2")
    others = dict.fromkeys(("identification", "duplicates", "contamination"))
    return template.render(
        **(others | dict(facts)),
        total=total(facts["funnel"], reasons=facts["reasons"]),
        reason_words={
            reason: _both(meaning, name=reason, french=REASONS_FR)
            for reason, meaning in facts["reasons"].items()
        },
    )


def _both(english: str, *, name: str, french: Mapping[str, str]) -> dict[str, str]:
    return {"en": english, "fr": french.get(name, english)}


def _columns(classes: Sequence[Mapping[str, int]]) -> list[tuple[str, Any, str]]:
    """Return the columns of a histogram: label, left out above kept, number of texts."""
    return [
        (
            number(one["from"]),
            [("out", one["left_out"]), ("bar", one["kept"])],
            number(one["kept"] + one["left_out"]),
        )
        for one in classes
    ]


def _largest(classes: Sequence[Mapping[str, int]]) -> int:
    return max((one["kept"] + one["left_out"] for one in classes), default=0)


def total(funnel: Sequence[Mapping[str, Any]], *, reasons: Iterable[str]) -> dict[str, Any]:
    """Return the funnel of all cards together, in the same form as one of them."""
    rejected: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for step in funnel:
        rejected.update(step["rejected"])
        kept.update(step["kept"])
    return {
        "read": sum(step["read"] for step in funnel),
        "rejected": {reason: rejected[reason] for reason in reasons},
        "kept": {split: kept[split] for split in SPLITS},
    }
