"""`finetune judge collect`: files of judges -> preference, marks, agreement."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.messages import Sentence, sentence
from finetune.output.console import Console

if TYPE_CHECKING:
    from finetune.artefacts.judged.summary import JudgedSummary


def add_arguments(action: ArgumentParser) -> None:
    """Add the options of the action."""
    action.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="all files that judges returned"
    )
    action.add_argument(
        "--campaign",
        type=Path,
        metavar="DIR",
        help="folder of the campaign (default: the one in judgements/ that they answer)",
    )


def run(options: Namespace, console: Console) -> int:
    """Write the judgements of every campaign that is answered, and show what follows."""
    from finetune.artefacts.judged.summary import summary_of
    from finetune.judge.collecting import find_campaigns, gather, write_collected

    for gathered in gather(options.files, find_campaigns(options.campaign)):
        path = write_collected(gathered)
        show(summary_of(gathered.collected), console=console)
        line = f"release: {{judgements: [{path}]}}"
        text = sentence(
            "{path}: written. The release shows it once the recipe has: {line}",
            path=path,
            line=line,
        )
        console.say(text, path=str(path))
    return 0


def show(one: JudgedSummary, *, console: Console) -> None:
    """Show a summary as sentences and a table."""
    from finetune.artefacts.judged.judgements_said import (
        COLUMNS,
        agreement_said,
        mark_rows,
        said_of_judges,
    )

    console.say(said_of_judges(one), **asdict(one))
    if not console.json_lines:

        def said(cell: Sentence) -> str:
            return cell.in_language(console.language)

        rows = [list(map(said, row)) for row in mark_rows(one)]
        console.table(said(sentence("marks")), list(map(said, COLUMNS)), rows)
        console.say(agreement_said(one))
