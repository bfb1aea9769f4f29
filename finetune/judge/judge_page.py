"""The page for judges: one offline file that works on a telephone and names no system."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError
from finetune.judge.campaign import Blind, Campaign
from finetune.judge.judge_words import WORDS
from finetune.messages import Place, problem
from finetune.output.durable import replace_text
from finetune.output.templates import environment
from finetune.spec.language import Named, bcp47

PAGE = "judge.html"


def page_of(campaign: Campaign, items: Sequence[Blind], *, health: bool = False) -> str:
    """Return the page of a campaign; `health`: its answers are about health."""
    languages = {one.pair.source_language for one in items}
    source = languages.pop() if len(languages) == 1 else None
    template = environment("finetune.judge").get_template("judge_page.html.j2")
    return template.render(
        say=WORDS,
        task=campaign.task,
        health=health,
        language=Named(campaign.language, "{name}"),
        tag=bcp47(campaign.language),
        source_language=source and Named(source, "{name}"),
        campaign=campaign.campaign,
        items=[_item(one) for one in items],
    )


def _item(one: Blind) -> dict[str, Any]:
    pair = one.pair
    shown = {"id": one.item, "source": pair.source, "a": one.a, "b": one.b}
    tag = {"tag": bcp47(pair.source_language)} if pair.source_language else {}
    return shown | tag | ({"reference": pair.reference} if pair.reference else {})


def write_judge_page(page: str, folder: Path) -> Path:
    """Write the page beside its campaign; return its path."""
    path = folder / PAGE
    try:
        replace_text(path, page)
    except OSError as error:
        raise RecipeError(
            problem(
                "not-written",
                "cannot be written: {why}",
                at=Place(path),
                why=error.strerror or str(error),
            )
        ) from None
    return path
