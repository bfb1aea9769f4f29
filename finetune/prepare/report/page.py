"""The corpus report as one HTML page for people: every language of messages, offline, any script.

Only draws: what it shows was counted elsewhere and stands in report.json as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from finetune.artefacts.other_documents import DocumentCounts
from finetune.messages import Sentence, phrase, sentence
from finetune.output.templates import environment, number
from finetune.prepare.checking.checks import REASONS
from finetune.prepare.reading.document import SPLITS
from finetune.prepare.report.difference import difference, visible
from finetune.prepare.report.document_notes import document_lines
from finetune.prepare.report.page_words import PERSONAL, WORDS
from finetune.spec.language import Named
from finetune.spec.script import direction
from finetune.text.normalize import CHANGES
from finetune.text.oddities import FINDINGS

HIDDEN = frozenset({"direction-marks", "direction-controls", "private-use"})
"""Findings about invisible characters: their samples show code points."""


def render(facts: Mapping[str, Any]) -> str:
    """Return the report as one HTML page that needs nothing from outside.

    `facts` is what report.json holds (finetune.prepare.report.corpus_report).
    """
    names = {
        "HIDDEN": HIDDEN,
        "PERSONAL": PERSONAL,
        "SPLITS": SPLITS,
        "WORDS": WORDS,
        "about_change": lambda key: CHANGES[key].about,
        "about_finding": lambda key: FINDINGS[key].about,
        "about_reason": lambda key: REASONS[key].about,
        "columns_of": _columns,
        "difference": difference,
        "direction": direction,
        "largest": _largest,
        "looks_like": _looks_like,
        "named": lambda code: Named(code, "{name}"),
        "two_decimals": _two_decimals,
        "visible": visible,
    }
    template = environment("finetune.prepare.report", names=names).get_template("report.html.j2")
    others = dict.fromkeys(("identification", "duplicates", "contamination"))
    counts = [{k: v for k, v in one.items() if k != "names"} for one in facts["documents"]]
    notes = document_lines(DocumentCounts(**one) for one in counts)
    sums = total(facts["funnel"], reasons=facts["reasons"])
    return template.render(**(others | dict(facts)), total=sums, document_notes=list(notes))


def _looks_like(detected: str) -> Sentence:
    """Return that texts look like a language or languages (`a/b`), or like a script."""
    names = [Named(one) if "_" in one else phrase(one) for one in detected.split("/")]
    return sentence("looks like {language}", language=names)


def _two_decimals(value: float) -> Sentence:
    return Sentence("{value:.2f}", (("value", value),))


def _columns(classes: Sequence[Mapping[str, int]]) -> list[tuple[str, Any, str]]:
    """Return the columns of a histogram: label, rejected above kept, number of texts."""
    return [
        (
            number(one["from"]),
            [("out", one["rejected"]), ("bar", one["kept"])],
            number(one["kept"] + one["rejected"]),
        )
        for one in classes
    ]


def _largest(classes: Sequence[Mapping[str, int]]) -> int:
    return max((one["kept"] + one["rejected"] for one in classes), default=0)


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
