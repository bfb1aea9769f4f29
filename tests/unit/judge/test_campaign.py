"""Campaigns: who may be seen, ids and sides without a trace, and the page."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.errors import RecipeError, StoreError
from finetune.judge.campaign import blinded, campaign_of, keyed, read_campaign
from finetune.judge.shown_pairs import Pair, pairs_of, readable_prompt
from tests.support.judge_job import KEY, campaign, evaluation, record
from tests.support.problems import raises

KEYS = st.binary(min_size=32, max_size=32).map(bytes.hex)


def pair(name: str, *, adapter: str = "x", other: str = "y") -> Pair:
    return Pair(
        name,
        "translation",
        "wol_Latn",
        "",
        "hello",
        "eng_Latn",
        f"{name}!",
        adapter=adapter,
        other=other,
    )


@settings(max_examples=25)
@given(KEYS, st.integers(1, 41))
def test_sides_are_balanced_and_the_same_key_gives_the_same_page(key: str, count: int) -> None:
    """The adapter is A in half of the items, in one more or less of an odd number; every item is
    there once, under an id of its own."""
    pairs = [
        pair(f"p{number}", adapter=f"a{number}", other=f"o{number}") for number in range(count)
    ]
    made = campaign_of(pairs, key=key, evaluation=KEY, other="base")
    assert made == campaign_of(pairs[::-1], key=key, evaluation=KEY, other="base")
    sides = Counter(one.adapter for one in made.items)
    assert abs(sides["a"] - sides["b"]) <= 1
    assert {one.generation for one in made.items} == {one.id for one in pairs}
    assert len({one.item for one in made.items}) == count
    assert len(made.attention) == min(-(-count // 10), count if count > 1 else 0)
    for one, shown in zip(made.items, blinded(made, pairs), strict=True):
        assert {shown.a, shown.b} == {shown.pair.adapter, shown.pair.other}
        assert getattr(shown, one.adapter) == shown.pair.adapter


def test_neither_order_nor_ids_tell_the_side() -> None:
    """Over keys, each place of the page and each item has the adapter as A in about half."""
    pairs = [pair(f"p{number}") for number in range(10)]
    by_place, by_item = Counter[int](), Counter[str]()
    for number in range(400):
        made = campaign_of(pairs, key=f"{number:064x}", evaluation=KEY, other="base")
        for place, one in enumerate(made.items):
            by_place[place] += one.adapter == "a"
            by_item[one.generation] += one.adapter == "a"
    assert all(140 <= count <= 260 for count in (*by_place.values(), *by_item.values()))


@settings(max_examples=25)
@given(KEYS, KEYS, st.text(max_size=20))
def test_an_id_depends_on_the_key(key: str, other: str, text: str) -> None:
    """Without the key an id is no hash of anything that stands on the page."""
    assert re.fullmatch("[0-9a-f]{16}", keyed(key, "item", text))
    assert (keyed(key, "item", text) == keyed(other, "item", text)) == (key == other)


def test_the_page_holds_no_key_of_whose_output_is_whose(tmp_path: Path) -> None:
    """The data of the page are texts and ids; neither the key, the evaluation, the ids of the
    generations nor the words for the systems stand in the file."""
    made = campaign(tmp_path, [record(n, adapter=f"one {n}", base=f"two {n}") for n in range(12)])
    page = made.page.read_text("utf-8")
    found = re.search(r'type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found
    data = json.loads(found[1])
    assert set(data) == {"campaign", "languages", "items"}
    assert {key for item in data["items"] for key in item} == {"id", "source", "tag", "a", "b"}
    body = page.partition("</style>")[2]
    secret = [made.campaign.key, KEY, *(one.generation for one in made.campaign.items)]
    assert not [word for word in (*secret, "adapter", "base model", "text-1") if word in body]
    first = Counter(item["a"].split()[0] for item in data["items"])
    assert first == {"one": 6, "two": 6}


def test_the_page_stands_alone(tmp_path: Path) -> None:
    """It loads nothing, and texts are data whatever they hold."""
    hostile = "</script><script>document.title='x'</script>"
    made = campaign(tmp_path, [record(0, adapter=hostile, source=hostile)])
    page = made.page.read_text("utf-8")
    assert "default-src 'none'" in page
    assert page.count("</script>") == 2
    assert not re.search(r"https?://|url\(|@import|\bsrc=|\bhref=", page)


def test_the_campaign_file_is_its_owners_alone(tmp_path: Path) -> None:
    """It states whose output is whose, so that no other user of the machine may read it."""
    made = campaign(tmp_path)
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert read_campaign(made.path) == made.campaign


def test_the_same_campaign_is_built_again_and_another_one_is_not(tmp_path: Path) -> None:
    """Answers that are on their way keep their campaign."""
    made = campaign(tmp_path)
    page = made.page.read_bytes()
    assert campaign(tmp_path).campaign == made.campaign
    assert made.page.read_bytes() == page
    with raises(RecipeError, code="another-campaign"):
        campaign(tmp_path, items=5)
    assert read_campaign(made.path) == made.campaign


def test_texts_that_may_not_be_shown_are_left_out_and_counted(tmp_path: Path) -> None:
    """Of cards that are not shared, with a secret, equal, empty, twice, or over the number."""
    records = [
        *(record(n) for n in range(5)),
        record(5, card="kept"),
        record(6, adapter="see /home/amina/notes"),
        record(7, base="Mangi fi", adapter=" Mangi  fi"),
        record(8, base="", adapter=" "),
        record(0),
        record(9, direction=None, source=None, prompt="Ina kwana?"),
    ]
    made = campaign(tmp_path, records, items=4)
    assert made.campaign.left_out == {
        **{"not-shared": 1, "private": 1, "equal": 1, "empty": 1, "twice": 1},
        **{"other-task": 1, "over-number": 1},
    }
    assert len(made.campaign.items) == 4


def test_personal_data_in_outputs_are_masked(tmp_path: Path) -> None:
    """A number that a model repeats is none on the page."""
    made = campaign(tmp_path, [record(0, adapter="tel +221 77 123 45 67")])
    page = made.page.read_text("utf-8")
    assert "123 45 67" not in page
    assert "tel +000" in page


def test_a_named_model_stands_where_the_base_would(tmp_path: Path) -> None:
    """With --against the outputs of that model are shown; one without outputs is refused."""
    folder = evaluation(tmp_path, [record(0, models={"gemma": "salaam"})]).path
    asked = {"language": None, "shared": ["open"], "most": 9}
    assert pairs_of(folder, other="gemma", **asked).shown[0].other == "salaam"
    with raises(RecipeError, code="no-outputs-of-model"):
        pairs_of(folder, other="gema", **asked)


def test_every_language_has_a_campaign_of_its_own(tmp_path: Path) -> None:
    """Judges read one language; where the evaluation has two, one is named."""
    records = [record(0), record(1, language="sat_Olck")]
    with raises(RecipeError, code="which-language"):
        campaign(tmp_path, records)
    made = campaign(tmp_path, records, language="sat_Olck")
    assert (made.campaign.language, len(made.campaign.items)) == ("sat_Olck", 1)


def test_parts_of_a_campaign_have_all_directions(tmp_path: Path) -> None:
    """Of two directions into a language, each gives half of the items."""
    records = [record(n) for n in range(20)]
    records += [record(n + 20, direction="fra_Latn>wol_Latn") for n in range(5)]
    folder = evaluation(tmp_path, records).path
    pairs = pairs_of(folder, language=None, other="base", shared=["open"], most=8)
    assert Counter(one.source_language for one in pairs.shown) == {"eng_Latn": 4, "fra_Latn": 4}


@pytest.mark.parametrize("line", ["", "{}", "[]", '{"id": 3}'])
def test_damaged_generations_are_named(tmp_path: Path, line: str) -> None:
    """File and line, and how to make them again."""
    folder = evaluation(tmp_path).path
    with (folder / "generations.jsonl").open("a") as out:
        out.write(f"{line}\n")
    with raises(StoreError, code="generations-damaged"):
        pairs_of(folder, language=None, other="base", shared=["open"], most=8)


def test_nothing_to_judge_is_a_sentence(tmp_path: Path) -> None:
    """No page is written if all texts are kept by their owners."""
    with raises(RecipeError, code="nothing-to-judge"):
        campaign(tmp_path, shared=[])
    assert not list((tmp_path / "judgements").rglob("*"))


def test_a_prompt_is_shown_without_the_marks_of_its_template() -> None:
    """Marks for the model are none for a person."""
    llama = "<start_of_turn>user\nIna kwana?<end_of_turn>\n<start_of_turn>model\n"
    assert readable_prompt(llama) == "Ina kwana?"
    assert readable_prompt("Ina kwana?") == "Ina kwana?"
