"""The audit as a table and as one offline HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.output.templates import environment
from finetune.tokenizer import advice
from finetune.tokenizer.bases import OpenedBase
from finetune.tokenizer.measure import Audit, Measure


@dataclass(frozen=True, slots=True)
class Row:
    """One measure with its label."""

    field: str
    label: str
    meaning: str
    digits: int = 2
    percent: bool = False

    def cell(self, measure: Measure | None) -> str:
        """Return a value of this measure with its interval, or a dash where there is none."""
        if measure is None:
            return "-"
        return advice.shown(measure, digits=self.digits, percent=self.percent)


ROWS = (
    Row("bytes_per_token", "bytes per token", "UTF-8 bytes that a token covers; more is cheaper"),
    Row("characters_per_token", "characters per token", "code points, NFC; more is cheaper"),
    Row("tokens_per_word", "tokens per word", "fertility; fewer is cheaper"),
    Row("premium", "premium over English", "tokens over those of the English translation"),
    Row("pieces", "byte-fallback tokens", "tokens without a whole character", 1, percent=True),
    Row("broken", "characters split", "characters that no token covers", 1, percent=True),
    Row("unknown", "unknown tokens", "text that is lost", 1, percent=True),
    Row("missing", "not in the vocabulary", "share of letters in the text", 1, percent=True),
    Row("nfd", "decomposed (NFD)", "tokens of decomposed text over tokens of composed text"),
    Row("against_cheapest", "times the cheapest", "tokens over those of the cheapest base here"),
)
_PICTURES = ("tokens_per_word", "premium", "bytes_per_token", "broken")


@dataclass(frozen=True, slots=True)
class Findings:
    """An audit with its remarks."""

    title: str
    audit: Audit
    bases: Mapping[str, OpenedBase]
    phone_tokens_per_second: float
    left_out: Mapping[str, int]
    """Reason why texts were not measured -> their number."""

    def table(self) -> list[tuple[str, ...]]:
        """Return one row per measure: its label, then one cell per base."""
        return [
            (row.label, *(row.cell(getattr(cost, row.field)) for cost in self.audit.bases))
            for row in ROWS
            if any(getattr(cost, row.field) is not None for cost in self.audit.bases)
        ]

    def about_bases(self) -> list[dict[str, Any]]:
        """Return cost, losses and the advice on extension of each base."""
        return [
            {
                "name": cost.name,
                "source": self.bases[cost.name].source,
                "kind": self.bases[cost.name].vocabulary.kind,
                "size": self.bases[cost.name].vocabulary.size,
                "context_tokens": self.bases[cost.name].context_tokens,
                "costs": advice.costs(
                    cost,
                    context_tokens=self.bases[cost.name].context_tokens,
                    phone_tokens_per_second=self.phone_tokens_per_second,
                ),
                "losses": advice.losses(cost),
                "letters": advice.letters(cost),
                "letters_line": advice.letters_line(cost),
                "missing": len(cost.missing_letters),
                "extension": advice.extension(self.audit, cost),
            }
            for cost in self.audit.bases
        ]

    def choice(self) -> list[advice.Remark]:
        """Return the remarks on the comparison of the bases."""
        return advice.choice(self.audit)

    def notes(self) -> list[str]:
        """Return the omitted texts and measures with their reasons."""
        prints = {name: one.vocabulary.fingerprint for name, one in self.bases.items()}
        left = [f"Texts not measured: {times:,} ({why})." for why, times in self.left_out.items()]
        return [*left, *advice.notes(self.audit), *advice.same_tokenizer(prints)]

    def facts(self) -> dict[str, str]:
        """Return the facts of the text, as label -> value."""
        audit = self.audit
        scripts = ", ".join(
            f"{name} {share:.1%}" for name, share in audit.scripts.items() if share >= 0.0005
        )
        return {
            "documents": f"{audit.documents:,}",
            "bytes": f"{audit.bytes:,}",
            "characters": f"{audit.characters:,}",
            "words": "not counted" if audit.words is None else f"{audit.words:,}",
            "scripts": scripts or "no letters",
            "different letters": f"{audit.distinct_letters:,}",
        }


def write_report(path: Path, findings: Findings) -> None:
    """Render the findings into one HTML file."""
    template = environment("finetune.tokenizer").get_template("report.html.j2")
    page = template.render(
        findings=findings,
        names=[cost.name for cost in findings.audit.bases],
        rows=[row for row in ROWS if _said(findings.audit, row)],
        pictures=[picture for row in ROWS if (picture := _picture(findings.audit, row))],
        table={row[0]: row[1:] for row in findings.table()},
    )
    path.write_text(page, encoding="utf-8", newline="\n")


def _said(audit: Audit, row: Row) -> bool:
    return any(getattr(cost, row.field) is not None for cost in audit.bases)


def _picture(audit: Audit, row: Row) -> dict[str, Any] | None:
    """Return the bars of a measure: each with its value and the interval of it."""
    if row.field not in _PICTURES:
        return None
    measures: Sequence[tuple[str, Measure]] = [
        (cost.name, measure)
        for cost in audit.bases
        if (measure := getattr(cost, row.field)) is not None
    ]
    widest = max((m.high if m.high is not None else m.value for _, m in measures), default=0.0)
    if not widest:
        return None
    bars = [
        {
            "name": name,
            "text": row.cell(measure),
            "value": measure.value,
            "interval": None if measure.low is None else (measure.low, measure.high),
        }
        for name, measure in measures
    ]
    return {"label": row.label, "meaning": row.meaning, "bars": bars, "widest": widest}
