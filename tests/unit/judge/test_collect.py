"""Returned files: what is refused, and what follows from the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.judged.collected import Collected, read_collected
from finetune.artefacts.judged.judgements_said import agreement_said, said_of_judges
from finetune.artefacts.judged.summary import summary_of
from finetune.cli import main
from finetune.errors import DataError, RecipeError
from finetune.judge.collecting import COMMENTS, find_campaigns, gather, write_collected
from finetune.judge.new_campaign import Made
from finetune.messages import Place
from tests.support.judge_job import KEY, campaign, record, returned, signed, write
from tests.support.problems import raises


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return campaign(tmp_path)


def gathered(made: Made, *files: Path) -> Collected:
    [one] = gather(files, find_campaigns(made.path.parent))
    return one.collected


def with_answer(made: Made, number: int, **changes: Any) -> dict[str, Any]:
    """Return a file with a right checksum, one of whose answers is changed."""
    content = returned(made.campaign)
    content["answers"][number] |= changes
    return signed(content)


GOOD = {"adequacy": 80, "fluency": 70, "language": "yes"}
FALSE: dict[str, tuple[str, Callable[[Made], Any]]] = {
    "unknown campaign": (
        "unknown-campaign",
        lambda made: signed(returned(made.campaign) | {"campaign": "f" * 16}),
    ),
    "unknown item": ("unknown-item", lambda made: with_answer(made, 3, item="f" * 16)),
    "an item twice": (
        "item-twice",
        lambda made: with_answer(made, 3, item=made.campaign.items[0].item),
    ),
    "101 points": ("not-returned", lambda made: with_answer(made, 0, a=GOOD | {"adequacy": 101})),
    "less than none": ("not-returned", lambda made: with_answer(made, 0, b=GOOD | {"fluency": -1})),
    "half a point": ("not-returned", lambda made: with_answer(made, 0, a=GOOD | {"fluency": 0.5})),
    "points as text": (
        "not-returned",
        lambda made: with_answer(made, 0, a=GOOD | {"fluency": "5"}),
    ),
    "true for points": (
        "not-returned",
        lambda made: with_answer(made, 0, a=GOOD | {"fluency": True}),
    ),
    "no such choice": ("not-returned", lambda made: with_answer(made, 0, choice="c")),
    "no such word": (
        "not-returned",
        lambda made: with_answer(made, 0, a=GOOD | {"language": "oui"}),
    ),
    "something more": ("not-returned", lambda made: with_answer(made, 0, name="Awa")),
    "a long comment": ("not-returned", lambda made: with_answer(made, 0, comment="x" * 2001)),
    "no answer": ("not-returned", lambda made: signed(returned(made.campaign) | {"answers": []})),
    "no judge": ("not-returned", lambda made: signed(returned(made.campaign) | {"judge": ""})),
    "another version": ("not-returned", lambda made: returned(made.campaign) | {"version": 2}),
    "a changed answer": (
        "returned-damaged",
        lambda made: with_answer(made, 0) | {"crc32": "00000000"},
    ),
    "an answer is missing": (
        "returned-damaged",
        lambda made: (all_ := returned(made.campaign)) | {"answers": all_["answers"][:-1]},
    ),
    "no object": ("not-returned", lambda _: []),
    "a key of Python": ("not-returned", lambda _: {"__class__": "x"}),
}
"""Fault -> the code of the problem, and the content of the file."""


@pytest.mark.parametrize("case", FALSE)
def test_a_false_file_is_refused_with_a_sentence(made: Made, tmp_path: Path, case: str) -> None:
    """It is named with its fault; nothing is written, also not of the good file beside it."""
    code, content = FALSE[case]
    bad = write(tmp_path / "bad.json", content(made))
    good = write(tmp_path / "good.json", returned(made.campaign, judge="teranga"))
    with raises(DataError, code=code, at="bad.json"):
        gathered(made, good, bad)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(made: Made, tmp_path: Path, share: float) -> None:
    """Wherever it was cut."""
    whole = json.dumps(returned(made.campaign))
    (tmp_path / "cut.json").write_text(whole[: int(len(whole) * share)])
    with raises(DataError, code="not-returned", at="cut.json"):
        gathered(made, tmp_path / "cut.json")


def test_files_that_are_none_are_refused(made: Made, tmp_path: Path) -> None:
    """Absent, a folder, too large, a picture."""
    (tmp_path / "picture.json").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    with (tmp_path / "large.json").open("wb") as out:
        out.truncate(5 * 2**20)
    files = [tmp_path / name for name in ("absent.json", ".", "picture.json", "large.json")]
    with raises(DataError, code="not-returned") as caught:
        gather(files, find_campaigns(made.path.parent))
    assert len(caught.value.problems) == 4


def test_one_judge_counts_once(made: Made, tmp_path: Path) -> None:
    """The same file under another name, another file of the same browser, the same pseudonym in
    other letters, and the same answers under another pseudonym are refused."""
    first = write(tmp_path / "1.json", returned(made.campaign, judge="Baobab"))
    once_more = returned(made.campaign, judge="Baobab")
    by_item = {one.item: "same" for one in made.campaign.items}
    others = {
        "2.json": once_more,
        "3.json": returned(made.campaign, judge="x", sheet=once_more["sheet"], prefers=by_item),
        "4.json": returned(made.campaign, judge="BAOBAB", sheet="0" * 16, prefers=by_item),
        "5.json": returned(made.campaign, judge="y", sheet="1" * 16),
    }
    for name, content in others.items():
        with raises(DataError, code="judge-twice", at=name):
            gathered(made, first, write(tmp_path / name, content))


def test_whose_output_was_preferred_is_read_from_the_campaign(made: Made, tmp_path: Path) -> None:
    """A judge who always takes the adapter gives it everything, one who always takes A a half."""
    fan = write(tmp_path / "fan.json", returned(made.campaign, judge="fan"))
    always_a = {one.item: "a" for one in made.campaign.items}
    lazy = write(tmp_path / "lazy.json", returned(made.campaign, judge="lazy", prefers=always_a))
    found = summary_of(gathered(made, fan))
    assert (found.judges, found.items, found.preference.value) == (1, 12, 1.0)
    assert found.preferred == "adapter"
    assert (found.adapter.adequacy, found.other_marks.adequacy) == (80, 20)
    assert (found.adapter.in_language, found.other_marks.in_language) == (1.0, 0.0)
    assert found.adequacy_difference.value == 60
    found = summary_of(gathered(made, lazy))
    assert found.preference.value == 0.5
    assert found.preferred == "neither"
    found = summary_of(gathered(made, fan, lazy))
    assert (found.judges, found.judgements, found.preference.value) == (2, 24, 0.75)
    assert found.agreement.choice is not None
    assert found.agreement.choice < 0.5


def test_the_order_and_names_of_files_change_nothing(made: Made, tmp_path: Path) -> None:
    """The judgements are the same bytes, and hold no pseudonym and no comment."""
    content = returned(made.campaign, judge="teranga")
    content["answers"][0]["comment"] = "=2+2 jërëjëf"
    one = write(tmp_path / "1.json", returned(made.campaign, judge="baobab"))
    by_item = {item.item: "same" for item in made.campaign.items}
    two = returned(made.campaign, judge="teranga", prefers=by_item)
    two["answers"][0]["comment"] = "=2+2 jërëjëf"
    second = write(tmp_path / "2.json", signed(two))
    [gathered_once] = gather([one, second], find_campaigns(made.path.parent))
    text = write_collected(gathered_once).read_text("utf-8")
    assert (
        gathered(made, second, one).model_dump_json() == gathered_once.collected.model_dump_json()
    )
    assert not [word for word in ("baobab", "teranga", "jërëjëf") if word in text]
    comments = (made.path.parent / COMMENTS).read_text("utf-8-sig")
    assert "'=2+2 jërëjëf" in comments
    assert "teranga" not in comments


def test_judgements_of_more_judges_are_not_replaced(made: Made, tmp_path: Path) -> None:
    """A forgotten file is an error; with all of them the judgements are written anew."""
    files = []
    for name, choice in (("baobab", "a"), ("teranga", "b")):
        by_item = {one.item: choice for one in made.campaign.items}
        content = returned(made.campaign, judge=name, prefers=by_item)
        files.append(write(tmp_path / f"{name}.json", content))
    folders = find_campaigns(made.path.parent)
    for _ in range(2):
        [one] = gather(files, folders)
        write_collected(one)
    with raises(DataError, code="fewer-judges"):
        gather(files[:1], folders)


def test_judgements_belong_to_their_evaluation(made: Made, tmp_path: Path) -> None:
    """Those of other outputs, no file of ours, and one campaign twice are errors."""
    file = write(tmp_path / "1.json", returned(made.campaign))
    [one] = gather([file], find_campaigns(made.path.parent))
    path, at = write_collected(one), Place(key="release.judgements")
    assert read_collected([path], evaluation=KEY, at=at) == [one.collected]
    for paths, evaluation, code in (
        ([path], "0" * 16, "judgements-of-another-evaluation"),
        ([path, path], KEY, "campaign-twice"),
        ([file], KEY, "no-judgements"),
        ([tmp_path / "absent.json"], KEY, "no-judgements"),
    ):
        with raises(RecipeError, code=code, at="release.judgements"):
            read_collected(paths, evaluation=evaluation, at=at)


def test_files_of_several_campaigns_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --campaign the ones in judgements/ are looked through; the verb says what follows."""
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    made = campaign(tmp_path)
    files = []
    for name in ("baobab", "teranga"):
        by_item = {one.item: one.adapter for one in made.campaign.items}
        by_item[made.campaign.items[0].item] = "same" if name == "baobab" else "a"
        content = returned(made.campaign, judge=name, prefers=by_item)
        files.append(str(write(tmp_path / f"{name}.json", content)))
    assert main(["judge", "collect", *files]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "2 judges read 12 items in Wolof, blind" in shown
    assert "judgements/w/judgements.json" in shown
    monkeypatch.chdir(tmp_path / "other")
    assert main(["judge", "collect", *files]) == 2
    assert "--campaign" in capsys.readouterr().err


def test_sentences_claim_no_more_than_there_is(made: Made, tmp_path: Path) -> None:
    """One judge has no agreement; few items have no interval."""
    made = campaign(tmp_path / "few", [record(n) for n in range(5)])
    found = summary_of(gathered(made, write(tmp_path / "1.json", returned(made.campaign))))
    assert "[" not in str(said_of_judges(found))
    assert "1 judge read 5 items" in str(said_of_judges(found))
    assert str(agreement_said(found)).startswith("One judge:")
    assert found.preferred == "neither"
