"""The page for judges: one offline file that works on a telephone and names no system."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError
from finetune.judge.campaign import Blind, Campaign
from finetune.judge.judge_words import WORDS
from finetune.output.durable import replace_text
from finetune.output.failures import not_written
from finetune.output.templates import environment
from finetune.spec.language import Named, bcp47

PAGE = "judge.html"


def page_of(
    campaign: Campaign,
    items: Sequence[Blind],
    *,
    with_reference: bool = False,
) -> str:
    """Return the page of a campaign."""
    languages = {one.pair.source_language for one in items}
    source = languages.pop() if len(languages) == 1 else None
    template = environment("finetune.judge").get_template("judge_page.html.j2")
    return template.render(
        say=WORDS,
        task=campaign.task,
        health=campaign.health,
        language=Named(campaign.language, "{name}"),
        tag=bcp47(campaign.language),
        source_language=source and Named(source, "{name}"),
        campaign=campaign.campaign,
        items=[_item(one, with_reference=with_reference) for one in items],
    )


def _item(one: Blind, *, with_reference: bool) -> dict[str, Any]:
    pair = one.pair
    shown = {"id": one.item, "source": pair.source, "a": one.a, "b": one.b}
    tag = {"tag": bcp47(pair.source_language)} if pair.source_language else {}
    reference = pair.reference if with_reference else None
    return shown | tag | ({"reference": reference} if reference else {})


def write_beside(text: str, path: Path) -> Path:
    """Write a file for judges beside its campaign; return its path."""
    try:
        replace_text(path, text)
    except OSError as error:
        raise RecipeError(not_written(path, error)) from None
    return path
