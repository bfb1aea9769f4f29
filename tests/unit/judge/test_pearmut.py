"""Campaigns for Pearmut and its logs, in the formats of its version 1.1.6."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.judged.judgements_said import said_of_judges
from finetune.artefacts.judged.summary import JudgedSummary, summary_of
from finetune.errors import DataError
from finetune.judge.collecting import find_campaigns, gather
from finetune.judge.new_campaign import Made
from tests.support.judge_job import KEY, campaign, record, returned, write
from tests.support.problems import raises

GOOD, BAD = (
    {"Adequacy": 80, "Fluency": 70, "Language": 2},
    {"Adequacy": 20, "Fluency": 0, "Language": 0},
)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return campaign(tmp_path, [record(n) for n in range(20)], pearmut_judges=3)


def sides(made: Made, *, attentive: bool = True) -> dict[str, str]:
    """Return by item the output that a judge prefers: the adapter's, and the person's."""
    right = {
        one.item: one.right if attentive else "ab"[one.right == "a"]
        for one in made.campaign.attention
    }
    return {one.item: one.adapter for one in made.campaign.items} | right


def entry(user: str, item: str, better: str, **changes: Any) -> dict[str, Any]:
    """Return a line of a log, as Pearmut writes it: sliders, spans, actions, the item."""
    spans = [{"start_i": 0, "end_i": 3, "severity": "minor", "category": None}]
    marks = {
        side: {
            "score": None,
            "sliders": GOOD if side == better else BAD,
            "error_spans": spans,
            "textfield": None,
        }
        for side in ("a", "b")
    }
    shown = {"item_id": item, "src": "x", "tgt": {"b": "y", "a": "z"}}
    facts = {
        **{"annotation": [marks], "actions": [{"time": 1.5, "action": "load"}], "item": [shown]},
        **{"user_id": user, "item_i": 0},
    }
    return facts | changes


def log(made: Made, folder: Path, entries: list[dict[str, Any]], *, download: bool = False) -> Path:
    """Write a log: the file of the server, or the download of its dashboard."""
    name = made.campaign.campaign
    if download:
        return write(folder / "annotations.json", {name: entries})
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in entries), "utf-8")
    return path


def found(made: Made, path: Path) -> JudgedSummary:
    [one] = gather([path], find_campaigns(made.path.parent))
    return summary_of(one.collected)


def test_the_file_is_blind_and_has_what_pearmut_asks_for(made: Made) -> None:
    """A task for each judge with the same documents: strings, two outputs named a and b, and for
    every ten items one with a rule."""
    text = made.page.read_text("utf-8")
    content = json.loads(text)
    assert content["info"]["protocol"] == "cESA"
    assert content["info"]["assignment"] == "task-based"
    assert all({"name", "min", "max", "step"} == set(one) for one in content["info"]["sliders"])
    assert len(content["data"]) == 3
    assert content["data"][0] == content["data"][2]
    items = [item for document in content["data"][0] for item in document]
    assert len(items) == 22
    assert all(set(one["tgt"]) == {"a", "b"} and isinstance(one["src"], str) for one in items)
    rules = [one["validation"] for one in items if "validation" in one]
    assert [sorted(map(str, rule.values())) for rule in rules] == [
        ["{'Adequacy': [0, 50]}", "{'Adequacy': [51, 100]}"]
    ] * 2
    places = [number for number, one in enumerate(items) if "validation" in one]
    assert 0 < places[0] < places[1] < 21
    secret = [made.campaign.key, KEY, *(one.generation for one in made.campaign.items)]
    assert not [word for word in (*secret, "adapter", "text-1") if word in text]


def test_the_page_and_the_file_are_of_one_campaign(made: Made, tmp_path: Path) -> None:
    """Some judges use the page, others the server."""
    page = campaign(tmp_path, [record(n) for n in range(20)])
    assert page.campaign == made.campaign
    entries = [entry("kind-baobab-001", item, side) for item, side in sides(made).items()]
    files = [
        log(made, tmp_path, entries),
        write(
            tmp_path / "1.json",
            returned(made.campaign, judge="x", prefers={made.campaign.items[0].item: "same"}),
        ),
    ]
    [one] = gather(files, find_campaigns(made.path.parent))
    assert one.collected.judges == 2


def test_outputs_cannot_load_anything_there(tmp_path: Path) -> None:
    """Pearmut takes some texts for HTML; none of ours is."""
    hostile = "<img src=https://example.org/x>"
    made = campaign(tmp_path, [record(0, adapter=hostile, source=hostile)], pearmut_judges=1)
    assert "<img" not in made.page.read_text("utf-8")


@pytest.mark.parametrize("download", [False, True])
def test_a_log_is_read(made: Made, tmp_path: Path, download: bool) -> None:
    """The last answer to an item counts, what came before a reset and what was skipped do not."""
    mine = sides(made)
    wrong = {item: "ab"[side == "a"] for item, side in mine.items()}
    entries = [entry("x", item, side) for item, side in wrong.items()]
    entries += [{"user_id": "x", "item_i": 0, "annotation": "__RESET__"}]
    entries += [entry("x", item, wrong[item]) for item in list(mine)[:3]]
    entries += [entry("x", item, side) for item, side in mine.items()]
    entries += [entry("y", next(iter(mine)), "a", annotation=[None])]
    entries += [entry("y", list(mine)[1], mine[list(mine)[1]], comment="jërëjëf")]
    one = found(made, log(made, tmp_path, entries, download=download))
    assert (one.judges, one.judgements, one.items) == (2, 21, 20)
    assert one.preference.value == 1.0
    assert (one.adapter.adequacy, one.other_marks.fluency, one.other_marks.in_language) == (
        80,
        0,
        0,
    )


def test_a_judge_who_fails_the_attention_items_does_not_count(made: Made, tmp_path: Path) -> None:
    """The summary states how many; with no other judge, nothing is collected."""
    entries = [entry("x", item, side) for item, side in sides(made).items()]
    other = sides(made, attentive=False) | {made.campaign.items[0].item: "same"}
    careless = [entry("z", item, side) for item, side in other.items()]
    one = found(made, log(made, tmp_path, entries + careless))
    assert (one.judges, one.not_counted) == (1, 1)
    assert "1 other judge failed the attention items" in str(said_of_judges(one))
    with raises(DataError, code="no-judge-counts"):
        found(made, log(made, tmp_path, careless))


FALSE: dict[str, tuple[str, dict[str, Any]]] = {
    "unknown item": ("unknown-item", {"item": [{"item_id": "f" * 16}]}),
    "101 points": (
        "log-mark",
        {"annotation": [{side: {"sliders": GOOD | {"Adequacy": 101}} for side in "ab"}]},
    ),
    "half a point": (
        "log-mark",
        {"annotation": [{side: {"sliders": GOOD | {"Fluency": 0.5}} for side in "ab"}]},
    ),
    "a language of 3": (
        "log-mark",
        {"annotation": [{side: {"sliders": GOOD | {"Language": 3}} for side in "ab"}]},
    ),
    "no user": ("log-damaged", {"user_id": ""}),
    "no list": ("log-damaged", {"annotation": "x"}),
}


@pytest.mark.parametrize("case", FALSE)
def test_a_false_line_is_refused(made: Made, tmp_path: Path, case: str) -> None:
    """With the file and the reason."""
    code, changes = FALSE[case]
    item, side = next(iter(sides(made).items()))
    path = log(made, tmp_path, [entry("x", item, side), entry("x", item, side) | changes])
    with raises(DataError, code=code, at=path.name):
        found(made, path)


def test_a_log_of_another_campaign_and_a_cut_one_are_refused(made: Made, tmp_path: Path) -> None:
    """Named by its file, or by the key of the download."""
    item, side = next(iter(sides(made).items()))
    path = log(made, tmp_path, [entry("x", item, side)] * 2)
    other = path.rename(tmp_path / f"{'f' * 16}.jsonl")
    with raises(DataError, code="unknown-campaign"):
        found(made, other)
    path.write_text(other.read_text("utf-8")[:-40], "utf-8")
    with raises(DataError, code="log-damaged"):
        found(made, path)
