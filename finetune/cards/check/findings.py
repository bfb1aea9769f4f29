"""`finetune cards check`: all findings about one card, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from finetune.cards.check.description import description_findings
from finetune.cards.check.finding import LEVELS, Finding, errors_of
from finetune.cards.check.reading_progress import reading_progress
from finetune.cards.check.terms import permission_findings
from finetune.cards.check.texts import text_findings
from finetune.errors import RecipeError
from finetune.messages import counted, phrase, sentence
from finetune.output.console import Console
from finetune.spec.load import load_card


def check_card(path: Path, *, today: date, console: Console | None = None) -> list[Finding]:
    """Return all findings about the card at `path`: errors, then warnings, then notes.

    `console`: shows the progress of reading many texts.
    """
    try:
        card = load_card(path)
    except RecipeError as error:
        return errors_of(error)
    findings = [*permission_findings(card, today=today), *description_findings(card)]
    with reading_progress(card, console) as watch:
        findings += text_findings(card, watch=watch)
    levels = list(LEVELS)
    return sorted(findings, key=lambda finding: levels.index(finding.level))


def show_findings(path: Path, findings: Sequence[Finding], *, console: Console, lang: str) -> None:
    """Show the findings about the card at `path`: a head line with counts, and a line for each."""
    count = {level: sum(f.level == level for f in findings) for level in LEVELS}
    if count["error"] or count["warning"]:
        head = sentence(
            "{name}: {errors}, {warnings}.",
            name=phrase(path.stem),
            errors=counted("{count} error", "{count} errors", count["error"]),
            warnings=counted("{count} warning", "{count} warnings", count["warning"]),
        )
    else:
        head = sentence("{name}: nothing to correct.", name=phrase(path.stem))
    console.say(head.in_language(lang), card=path.stem, **count)
    for finding in findings:
        record = {"card": path.stem, "level": finding.level, **finding.problem.as_json(lang)}
        message = record.pop("message")
        if not console.json_lines:
            line = sentence("{level}: {message}", level=LEVELS[finding.level], message=message)
            message = f"  {line.in_language(lang)}"
        console.say(message, **record)
