"""Long cards: a body of whatever signs is looked at in a moment."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from finetune.cards.catalogue import summary
from finetune.cards.check.findings import check_card
from finetune.errors import did_you_mean
from finetune.spec.load import load_card
from tests.support.good_card import TODAY, write

SIZE = 2**18
UNITS = [
    *("## x", "##", "[", "[](", "[a](b) ", "|", "`", "*", "<", "\n", "\n \n", " ", "\u00a0", "ɓ"),
]


@pytest.mark.parametrize("unit", UNITS)
def test_a_body_of_one_sign_is_looked_at_in_a_moment(tmp_path: Path, unit: str) -> None:
    """Loading, findings and summary take under a second of CPU together."""
    path = write(tmp_path)
    body = "\n## x" + unit * (SIZE // len(unit.encode()))
    path.write_text(path.read_text("utf-8") + body, encoding="utf-8")
    begin = time.process_time()
    card = load_card(path)
    summary(card.body)
    summary("a " + body)
    check_card(path, today=TODAY)
    assert time.process_time() - begin < 1


def test_near_words_are_found_in_a_moment() -> None:
    """Ten thousand unknown words, and words of a megabyte, are compared with a bound."""
    known = [f"train.setting_{n}" for n in range(60)]
    begin = time.process_time()
    for number in range(10_000):
        assert did_you_mean(f"x{number}", known) == ""
    assert did_you_mean("a" * 2**20, known) == ""
    assert did_you_mean("rnak", ["a" * 2**20, "rank", *known]) == ". Did you mean 'rank'?"
    assert did_you_mean("rank", (f"{n}" for n in range(10**9))) == ""
    assert time.process_time() - begin < 2
