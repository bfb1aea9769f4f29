"""Campaigns for Pearmut, a server for human evaluation, and its logs.

Contrastive ESA (protocol `cESA`: error spans, and marks for both outputs beside each other) with
sliders of ours. Outputs are called `a` and `b` in its file too, so that neither its dashboard nor a
curious judge sees whose they are. Formats of Pearmut 1.1.6 (MIT, https://pypi.org/project/pearmut).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from finetune.artefacts.judged.collected import InLanguage
from finetune.errors import DataError
from finetune.judge.campaign import AttentionItem, Blind, Campaign
from finetune.judge.judge_words import PEARMUT, WORDS
from finetune.judge.returned import Answer, Sheet, item_problems, unknown_campaign
from finetune.messages import Place, available, problem
from finetune.output.small_files import UnreadableError, parse_json, read_bytes

FILE = "pearmut.json"
MAX_BYTES = 64 * 2**20
ADEQUACY, FLUENCY, LANGUAGE = "Adequacy", "Fluency", "Language"
_LANGUAGE: tuple[InLanguage, ...] = ("no", "partly", "yes")
_RESET = "__RESET__"
"""Annotation of a task that was reset: what the user said before does not count."""


class _Entry(BaseModel):
    """A line of a log; what else is in it does not matter here."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    user_id: Annotated[str, Field(min_length=1, max_length=200)]
    item_i: int | str
    annotation: list[dict[str, Any] | None] | Literal["__RESET__"]
    item: list[dict[str, Any]] = Field(default_factory=list)
    comment: str = ""


def pearmut_of(campaign: Campaign, items: Sequence[Blind], *, judges: int) -> str:
    """Return the campaign file of Pearmut: the same items, and attention items, for each judge."""
    documents = [[_shown(one)] for one in items]
    apart = len(documents) // (len(campaign.attention) + 1) + 1
    for number, one in enumerate(campaign.attention, start=1):
        documents.insert(number * apart - 1, [_attention(one)])
    points = {"min": 0, "max": 100, "step": 1}
    info = {
        "assignment": "task-based",
        "protocol": "cESA",
        "shuffle": True,
        "show_model_names": False,
        "sliders": [
            {"name": ADEQUACY} | points,
            {"name": FLUENCY} | points,
            {"name": LANGUAGE, "min": 0, "max": 2, "step": 1},
        ],
        "instructions": _instructions(campaign),
    }
    content = {"campaign_id": campaign.campaign, "info": info, "data": [documents] * judges}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _shown(one: Blind) -> dict[str, Any]:
    texts = {"a": _plain(one.a), "b": _plain(one.b)}
    return {"item_id": one.item, "src": _plain(one.pair.source), "tgt": texts}


def _attention(one: AttentionItem) -> dict[str, Any]:
    """Return an item one of whose outputs belongs to another source."""
    wrong = "b" if one.right == "a" else "a"
    rules = {one.right: {ADEQUACY: [51, 100]}, wrong: {ADEQUACY: [0, 50]}}
    texts = {"a": _plain(one.a), "b": _plain(one.b)}
    shown = {"item_id": one.item, "src": _plain(one.source), "tgt": texts}
    return shown | {"validation": rules}


def _plain(text: str) -> str:
    """Return a text that Pearmut shows and does not take for HTML, which it would load."""
    return text.replace("<", "\u2039").replace(">", "\u203a")


def _instructions(campaign: Campaign) -> str:
    said = (WORDS[f"intro_{campaign.task}"], *PEARMUT)
    return "".join(
        f"<p>{' '.join(one.in_language(language) for one in said)}</p>" for language in available()
    )


def read_pearmut(path: Path, campaigns: Sequence[Campaign]) -> list[tuple[Campaign, Sheet]] | None:
    """Return the judges of a log of Pearmut, with their campaigns; None if it is none.

    A log is a file of its folder `data/annotations`, or a download of its dashboard. Raises
    DataError for one that is damaged, or that answers campaigns or items that are not known.
    """
    try:
        text = read_bytes(path, max_bytes=MAX_BYTES).decode("utf-8", errors="replace")
    except (OSError, UnreadableError):
        return None
    if "annotation" not in text or "user_id" not in text:
        return None
    found: list[tuple[Campaign, Sheet]] = []
    known = {one.campaign: one for one in campaigns}
    for name, entries in _logs(path, text).items():
        campaign = known.get(name)
        if campaign is None:
            raise DataError(unknown_campaign(name, campaigns, at=Place(path)))
        found += ((campaign, sheet) for sheet in _sheets(path, entries, campaign))
    return found


def _logs(path: Path, text: str) -> Mapping[str, list[_Entry]]:
    """Return the lines of each campaign: of a download, or of a log named for its campaign."""
    try:
        if text.lstrip().startswith('{"user_id"') or "\n{" in text.strip():
            return {path.stem: [parse_json(line, _Entry) for line in text.splitlines() if line]}
        try:
            return parse_json(text, dict[str, list[_Entry]])
        except UnreadableError:
            return {path.stem: [parse_json(text, _Entry)]}
    except UnreadableError as error:
        raise DataError(
            problem(
                "log-damaged",
                "is a damaged log of Pearmut ({why}); download the annotations again from its "
                "dashboard",
                at=Place(path),
                why=error.why,
            )
        ) from None


def _sheets(path: Path, entries: Sequence[_Entry], campaign: Campaign) -> Iterator[Sheet]:
    """Yield the answers of each judge: the last one to an item counts."""
    attention = {one.item: one.right for one in campaign.attention}
    answers: dict[str, dict[str, Answer]] = {}
    for entry in entries:
        if entry.annotation == _RESET:
            answers.pop(entry.user_id, None)
            continue
        for item, marks in zip(entry.item, entry.annotation, strict=False):
            name = str(item.get("item_id", ""))
            answer = _answer(path, name, marks, entry.comment) if isinstance(marks, dict) else None
            if answer is not None:
                answers.setdefault(entry.user_id, {})[name] = answer
    for judge, by_item in answers.items():
        checks = [
            _is_right(by_item.pop(name), right)
            for name, right in attention.items()
            if name in by_item
        ]
        mine = tuple(by_item.values())
        if problems := item_problems(mine, campaign, at=Place(path)):
            raise DataError(*problems)
        if mine:
            yield Sheet(path, judge, mine, passed=2 * sum(checks) >= len(checks))


def _is_right(answer: Answer, right: str) -> bool:
    better, worse = (answer.a, answer.b) if right == "a" else (answer.b, answer.a)
    return better.adequacy > worse.adequacy


def _answer(path: Path, item: str, marks: Mapping[str, Any], comment: str) -> Answer | None:
    """Return the answer to an item; None where it was skipped."""
    found = [_marks(marks.get(side)) for side in ("a", "b")]
    if None in found:
        return None
    points = [one["adequacy"] + one["fluency"] for one in found if one]
    choice = "same" if points[0] == points[1] else "a" if points[0] > points[1] else "b"
    content = {"item": item, "choice": choice, "a": found[0], "b": found[1]}
    try:
        return parse_json(json.dumps(content | {"comment": comment[:2000]}), Answer)
    except UnreadableError as error:
        raise DataError(
            problem(
                "log-mark",
                "{item}: no marks that this campaign asks for ({why})",
                at=Place(path),
                item=item,
                why=error.why,
            )
        ) from None


def _marks(one: Any) -> dict[str, Any] | None:
    sliders = one.get("sliders") if isinstance(one, dict) else None
    if not isinstance(sliders, dict):
        return None
    adequacy, fluency, language = (sliders.get(name) for name in (ADEQUACY, FLUENCY, LANGUAGE))
    if None in (adequacy, fluency, language):
        return None
    is_known = isinstance(language, int | float) and language in (0, 1, 2)
    return {
        "adequacy": _whole(adequacy),
        "fluency": _whole(fluency),
        "language": _LANGUAGE[int(language or 0)] if is_known else str(language),
    }


def _whole(value: Any) -> Any:
    """Return a number of JSON without a fraction as a whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
