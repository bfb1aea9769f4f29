"""Credits as a CSV file of a release, and as a paragraph."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from finetune.artefacts.credits.shares import By, CreditRow
from finetune.errors import ReleaseError
from finetune.messages import Place, Sentence, counted, joined, phrase, problem, sentence
from finetune.output.small_files import UnreadableError, read_bytes
from finetune.output.spreadsheet import write_rows

CREDITS = "credits.csv"
COLUMNS = ("by", "name", "card", "licence", "people", "supervised_tokens", "share_percent")
KINDS: tuple[By, ...] = ("card", "licence", "contributor")
MOST_BYTES = 64 * 2**20
MOST_NAMED = 12
"""Names of each kind in a paragraph; the file has all."""


def as_csv(rows: Sequence[CreditRow]) -> str:
    """Return rows as CSV with a header."""
    text = io.StringIO()
    write_rows(
        text,
        COLUMNS,
        (
            (
                row.by,
                _guarded(row.name),
                _guarded(row.card),
                _guarded(row.licence),
                "" if row.people is None else row.people,
                row.supervised_tokens,
                row.percent,
            )
            for row in rows
        ),
    )
    return text.getvalue()


def read_credits(path: Path) -> tuple[CreditRow, ...]:
    """Return the rows of a file that `as_csv` wrote. Raises ReleaseError for another."""
    try:
        text = read_bytes(path, max_bytes=MOST_BYTES).decode()
        header, *lines = csv.reader(io.StringIO(text, newline=""))
        if tuple(header) != COLUMNS:
            raise ValueError(header)
        return tuple(map(_row, lines))
    except (OSError, UnreadableError, ValueError, csv.Error):
        raise ReleaseError(
            problem(
                "no-credits-file",
                "cannot be read as credits (columns: {columns}); build the release again with "
                "finetune release RECIPE",
                at=Place(path),
                columns=list(COLUMNS),
            )
        ) from None


def _row(cells: Sequence[str]) -> CreditRow:
    by, name, card, licence, people, tokens, percent = cells
    [kind] = [kind for kind in KINDS if kind == by]
    whole, _, part = percent.partition(".")
    return CreditRow(
        by=kind,
        name=name.removeprefix("'"),
        card=card.removeprefix("'"),
        licence=licence.removeprefix("'"),
        people=int(people) if people else None,
        supervised_tokens=int(tokens),
        hundredths=int(whole) * 100 + int(part),
    )


def _guarded(text: str) -> str:
    """Return a text with its own first apostrophe doubled: a spreadsheet's guard is one too."""
    return f"'{text}" if text.startswith("'") else text


def said_of_credits(rows: Sequence[CreditRow]) -> Sentence:
    """Return credits as a paragraph: what is counted, then shares by each kind."""
    total = sum(row.supervised_tokens for row in rows if row.by == "card")
    parts = [
        sentence(
            "Counted are the supervised tokens that training drew, with repeated epochs and "
            "replay: {total}.",
            total=total,
        )
    ]
    headings = {
        "card": sentence("By corpus"),
        "licence": sentence("By licence"),
        "contributor": sentence("By contributor"),
    }
    for kind in KINDS:
        several = [row for row in rows if row.by == kind]
        named = [_share_said(row) for row in several[:MOST_NAMED]]
        if (more := len(several) - MOST_NAMED) > 0:
            named.append(counted("{count} more", "{count} more", more))
        if named and (kind != "contributor" or any(r.name or r.people for r in several)):
            parts.append(sentence("{what}: {shares}.", what=headings[kind], shares=named))
    return joined(parts, between=" ")


def _share_said(row: CreditRow) -> Sentence:
    who = phrase(row.name) if row.name else not_named(row)
    return sentence("{who} {share:.2%}", who=who, share=row.share)


def not_named(row: CreditRow) -> Sentence:
    """Return who is behind a row without a name."""
    if row.people is None:
        return sentence("not named ({card})", card=row.card)
    return counted(
        "not named ({card}, {count} person)",
        "not named ({card}, {count} people)",
        row.people,
        card=row.card,
    )
