"""`finetune judge build`: outputs of an evaluation -> a campaign and the page for its judges."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from finetune.artefacts.job import Artifact
from finetune.artefacts.outputs.generation_records import ANSWERS, GENERATIONS
from finetune.judge.campaign import (
    CAMPAIGN,
    Campaign,
    blinded,
    campaign_of,
    new_key,
    read_campaign,
    write_campaign,
)
from finetune.judge.judge_page import PAGE, page_of, write_beside
from finetune.judge.pearmut import FILE as PEARMUT_FILE
from finetune.judge.pearmut import pearmut_of
from finetune.judge.shown_pairs import BASE, pairs_of

ITEMS = 30
"""About half an hour of one person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Settings of a new campaign."""

    shared: Collection[str]
    """Cards whose texts may be shown."""
    language: str | None = None
    other: str = BASE
    """Rival of the adapter."""
    items: int = ITEMS
    with_reference: bool = False
    prompts: bool = False
    """True: answers to the prompts of the recipe, instead of outputs for the test items."""
    health: bool = False
    """True if those prompts are on health."""
    pearmut_judges: int = 0
    """Number of judges in a campaign file of Pearmut; 0: a page instead."""


@dataclass(frozen=True, slots=True)
class Made:
    """A campaign that was written."""

    campaign: Campaign
    path: Path
    """Of the campaign file."""
    page: Path
    """Of the page, or of the campaign file of Pearmut."""


def make_campaign(evaluation: Artifact, wanted: Wanted, folder: Path) -> Made:
    """Write campaign file and page into a folder; the same again where they are there.

    Raises RecipeError if another campaign is in the folder, or nothing may be shown.
    """
    pairs = pairs_of(
        evaluation.path,
        language=wanted.language,
        other=wanted.other,
        shared=wanted.shared,
        most=wanted.items,
        file=ANSWERS if wanted.prompts else GENERATIONS,
    )
    there = folder / CAMPAIGN
    campaign = campaign_of(
        pairs.shown,
        key=read_campaign(there).key if there.is_file() else new_key(),
        evaluation=evaluation.key,
        other=wanted.other,
        left_out=pairs.left_out,
        health=wanted.health,
    )
    path = write_campaign(campaign, folder)
    blind = tuple(blinded(campaign, pairs.shown))
    if wanted.pearmut_judges:
        text, name = pearmut_of(campaign, blind, judges=wanted.pearmut_judges), PEARMUT_FILE
    else:
        text, name = page_of(campaign, blind, with_reference=wanted.with_reference), PAGE
    return Made(campaign, path, write_beside(text, folder / name))
