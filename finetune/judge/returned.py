"""Files that judges return: read strictly, and put together to the judgements of a campaign."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from finetune.artefacts.judged.collected import Choice, Collected, ItemId, Judged, Marks
from finetune.errors import DataError
from finetune.judge.campaign import Campaign, Side
from finetune.messages import Place, Problem, problem, sentence
from finetune.output.small_files import UnreadableError, parse_json, read_bytes

MAX_BYTES = 4 * 2**20
"""Of a returned file: 1,000 items with a comment of 2,000 bytes each are half of it."""


FEW = 5
"""Fewer answers than this may be the same by chance."""


class Answer(BaseModel):
    """The answer of a judge to one item; fields in the order of the page's checksum."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    item: ItemId
    choice: Literal["a", "b", "same"]
    a: Marks
    b: Marks
    comment: Annotated[str, Field(max_length=2000)] = ""


class Returned(BaseModel):
    """A file of the page."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["finetune-judgement"]
    version: Literal[1]
    campaign: ItemId
    judge: Annotated[str, Field(min_length=1, max_length=60)]
    """Pseudonym that the judge chose, or a random id."""
    sheet: ItemId
    """Random id of the answers of one judge in one browser."""
    count: Annotated[int, Field(ge=0)]
    crc32: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    answers: Annotated[tuple[Answer, ...], Field(strict=False, min_length=1)]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The answers of one judge, wherever they come from."""

    file: Path
    judge: str
    answers: tuple[Answer, ...]
    ids: frozenset[str] = frozenset()
    """Ids besides the judge's by which the same judge is recognised."""
    passed: bool = True
    """False if the judge failed most attention items: the answers do not count."""


def checksum(returned: Returned) -> str:
    """Return the CRC-32 of what a judge said, as the page computes it."""
    content = [
        *(returned.campaign, returned.judge, returned.sheet),
        [answer.model_dump() for answer in returned.answers],
    ]
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f"{zlib.crc32(text.encode()):08x}"


def read_returned(path: Path, campaigns: Sequence[Campaign]) -> tuple[Campaign, Sheet]:
    """Return the sheet in a file of the page, with its campaign.

    Raises DataError for a file that is damaged, or of a campaign that is none of `campaigns`.
    """
    at = Place(path)
    try:
        one = parse_json(read_bytes(path, max_bytes=MAX_BYTES), Returned)
    except (OSError, UnreadableError) as error:
        why = error.why if isinstance(error, UnreadableError) else error.strerror
        raise DataError(
            problem(
                "not-returned",
                "is no file of a judge's page, or a part of it is missing ({why}); ask the judge "
                "to send it again",
                at=at,
                why=why,
            )
        ) from None
    if one.count != len(one.answers) or one.crc32 != checksum(one):
        raise DataError(
            problem(
                "returned-damaged",
                "states another number of answers ({stated}) than it has ({found}), or a letter of "
                "it was changed on the way; ask the judge to send it again, unopened",
                at=at,
                found=len(one.answers),
                stated=one.count,
            )
        )
    campaign = next((known for known in campaigns if known.campaign == one.campaign), None)
    if campaign is None:
        raise DataError(unknown_campaign(one.campaign, campaigns, at=at))
    problems = item_problems(one.answers, campaign, at=at)
    if problems:
        raise DataError(*problems)
    return campaign, Sheet(path, one.judge.strip(), one.answers, frozenset({one.sheet}))


def unknown_campaign(name: str, campaigns: Sequence[Campaign], *, at: Place) -> Problem:
    """Return the problem of answers to a campaign that is not known here."""
    return problem(
        "unknown-campaign",
        "answers the campaign {campaign}, and known here: {known}; name the folder of its "
        "campaign with --campaign, or take the file out",
        at=at,
        campaign=name,
        known=[one.campaign for one in campaigns] or sentence("none"),
    )


def item_problems(answers: Sequence[Answer], campaign: Campaign, *, at: Place) -> list[Problem]:
    """Return the problems of answers to items that the campaign does not have, or has once."""
    known = {one.item for one in campaign.items}
    strange = [one.item for one in answers if one.item not in known]
    named = [one.item for one in answers]
    twice = sorted({one for one in named if named.count(one) > 1})
    problems = []
    if strange:
        problems.append(
            problem(
                "unknown-item",
                "answers items that the campaign does not have ({items}); take the file out",
                at=at,
                items=strange[:5],
            )
        )
    if twice:
        problems.append(
            problem(
                "item-twice",
                "answers an item twice ({items}); ask the judge to send the file again",
                at=at,
                items=twice[:5],
            )
        )
    return problems


def refuse_same_judge(sheets: Sequence[Sheet]) -> None:
    """Raise DataError for every file of a judge who is there already.

    By the name that the judge chose, the id of the sheet, and the answers, unless they are few.
    """
    problems = []
    for number, one in enumerate(sheets):
        for before in sheets[:number]:
            if len(one.answers) >= FEW and one.answers == before.answers:
                what = sentence("holds the same answers as {other}", other=before.file)
            elif one.ids & before.ids or one.judge.casefold() == before.judge.casefold():
                what = sentence("is of the same judge as {other}", other=before.file)
            else:
                continue
            problems.append(
                problem(
                    "judge-twice",
                    "{what}; keep the later one alone, or, if two people chose one pseudonym, "
                    "ask one of them for another",
                    at=Place(one.file),
                    what=what,
                )
            )
            break
    if problems:
        raise DataError(*problems)


def collected_of(campaign: Campaign, sheets: Sequence[Sheet]) -> Collected:
    """Return the judgements of a campaign; judges become numbers, by their answers' ids.

    Raises DataError if a judge is there twice.
    """
    refuse_same_judge(sheets)
    counted = [sheet for sheet in sheets if sheet.passed]
    if not counted:
        raise DataError(
            problem(
                "no-judge-counts",
                "every judge failed most of the attention items, so that no answer counts",
                at=Place(sheets[0].file),
            )
        )
    sides = {one.item: one.adapter for one in campaign.items}
    ordered = sorted(counted, key=lambda sheet: (sorted(sheet.ids), sheet.judge))
    return Collected(
        campaign=campaign.campaign,
        evaluation=campaign.evaluation,
        language=campaign.language,
        other=campaign.other,
        task=campaign.task,
        health=campaign.health,
        items=len(campaign.items),
        left_out=dict(campaign.left_out),
        not_counted=len(sheets) - len(counted),
        answers=tuple(
            _judged(number, answer, adapter=sides[answer.item])
            for number, sheet in enumerate(ordered, start=1)
            for answer in sheet.answers
        ),
    )


def _judged(number: int, answer: Answer, *, adapter: Side) -> Judged:
    prefers: Choice = "neither"
    if answer.choice != "same":
        prefers = "adapter" if answer.choice == adapter else "other"
    mine, theirs = (answer.a, answer.b) if adapter == "a" else (answer.b, answer.a)
    return Judged(judge=number, item=answer.item, prefers=prefers, adapter=mine, other=theirs)
