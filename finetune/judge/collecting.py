"""`finetune judge collect`: returned files -> the judgements of their campaigns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.artefacts.judged.collected import Collected, read_collected
from finetune.errors import DataError, RecipeError
from finetune.judge.campaign import CAMPAIGN, Campaign, read_campaign
from finetune.judge.pearmut import read_pearmut
from finetune.judge.returned import Sheet, collected_of, read_returned
from finetune.messages import Place, Problem, problem
from finetune.output.durable import replace_text
from finetune.output.failures import not_written
from finetune.output.spreadsheet import write_rows

JUDGEMENTS = "judgements.json"
COMMENTS = "comments.csv"
FOLDER = "judgements"
"""Folder of campaigns, a folder each."""


def find_campaigns(folder: Path | None) -> dict[Path, Campaign]:
    """Return the campaigns by their folders: the one that was named, or all in `judgements/`.

    Raises RecipeError if there is none, or one cannot be read.
    """
    if folder is not None:
        path = folder if folder.name == CAMPAIGN else folder / CAMPAIGN
        return {path.parent: read_campaign(path)}
    found = sorted(Path(FOLDER).glob(f"*/{CAMPAIGN}"))
    if not found:
        raise RecipeError(
            problem(
                "no-campaign-here",
                "there is no campaign in {folder}; name the folder that `finetune judge build` "
                "wrote with --campaign",
                at=Place(key="--campaign"),
                folder=FOLDER,
            )
        )
    return {path.parent: read_campaign(path) for path in found}


@dataclass(frozen=True, slots=True)
class Gathered:
    """The returned files of the campaign in a folder."""

    folder: Path
    sheets: tuple[Sheet, ...]
    collected: Collected


def gather(files: Sequence[Path], campaigns: Mapping[Path, Campaign]) -> list[Gathered]:
    """Return what files answer, campaign by campaign; nothing is written.

    Raises DataError with a sentence for every file that is refused.
    """
    problems: list[Problem] = []
    sheets: dict[Path, list[Sheet]] = {}
    folders = {campaign.campaign: folder for folder, campaign in campaigns.items()}
    for file in files:
        try:
            for campaign, sheet in _read(file, list(campaigns.values())):
                sheets.setdefault(folders[campaign.campaign], []).append(sheet)
        except DataError as error:
            problems += error.problems
    found = []
    for folder, mine in sheets.items():
        try:
            one = Gathered(folder, tuple(mine), collected_of(campaigns[folder], mine))
        except DataError as error:
            problems += error.problems
        else:
            found.append(one)
            problems += _fewer(one)
    if problems:
        raise DataError(*problems)
    return found


def _read(file: Path, campaigns: Sequence[Campaign]) -> list[tuple[Campaign, Sheet]]:
    """Return the judges of a file of the page, or of a log of Pearmut."""
    logged = read_pearmut(file, campaigns)
    return [read_returned(file, campaigns)] if logged is None else logged


def _fewer(gathered: Gathered) -> Iterator[Problem]:
    """Yield the problem of judgements that would replace those of more judges."""
    path = gathered.folder / JUDGEMENTS
    if not path.is_file():
        return
    [before] = read_collected([path], evaluation=None, at=Place(path))
    now = gathered.collected
    if before.campaign == now.campaign and before.judges > now.judges:
        yield problem(
            "fewer-judges",
            "has the answers of {before} judges, and the named files those of {now}; name the "
            "files of all, or remove it first",
            at=Place(path),
            before=before.judges,
            now=now.judges,
        )


def write_collected(gathered: Gathered) -> Path:
    """Write judgements and comments of a campaign; return the path of the judgements.

    Comments are what judges wrote, for the makers of the adapter: they go into no release.
    """
    path = gathered.folder / JUDGEMENTS
    comments = sorted(
        (answer.item, answer.comment)
        for sheet in gathered.sheets
        for answer in sheet.answers
        if answer.comment.strip()
    )
    try:
        replace_text(path, gathered.collected.model_dump_json(indent=1) + "\n")
        if comments:
            with (gathered.folder / COMMENTS).open("w", encoding="utf-8-sig", newline="") as out:
                write_rows(out, ("item", "comment"), comments)
    except OSError as error:
        raise RecipeError(not_written(Path(error.filename or path), error)) from None
    return path
