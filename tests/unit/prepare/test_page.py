from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.messages import available
from finetune.prepare.ledger import LENGTHS, length_class
from finetune.prepare.report.corpus_report import histograms
from finetune.prepare.report.difference import MAX_CHARACTERS, difference, visible
from finetune.prepare.report.page import render, total
from finetune.prepare.report.page_words import PERSONAL, WORDS
from finetune.spec.sections.text_checks import KINDS
from finetune.text.normalize import CHANGES
from finetune.text.oddities import FINDINGS
from tests.support.browser import measured, needs_browser
from tests.support.corpus_report import facts

LETTERS = st.text(alphabet="abɓ\u0915\u094d\u200d\u0301\u0639 ", max_size=40)


@given(LETTERS, LETTERS)
def test_a_difference_spells_both_versions(before: str, after: str) -> None:
    """Shared and removed parts give the text before, shared and added parts the text after."""
    parts = difference(before, after)
    shown = [(p.kind, p.text) for p in parts]
    for kind, version in (("removed", before), ("added", after)):
        mine = [text for found, text in shown if found in ("same", kind)]
        if not any(text.startswith("…") or "…" in text for _, text in shown):
            plain = re.sub(r"\[U\+([0-9A-F]{4,6})\]", lambda m: chr(int(m[1], 16)), "".join(mine))
            assert plain.replace("␣", " ") == version


def test_a_mark_is_never_shown_without_its_letter() -> None:
    """A changed tone mark is shown on the letter that it stands on."""
    assert [(p.kind, p.text) for p in difference("ke\u0301", "ke\u0300")] == [
        ("same", "k"),
        ("removed", "e\u0301"),
        ("added", "e\u0300"),
    ]


def test_far_text_is_omitted_and_long_texts_are_compared_near_the_change() -> None:
    """A change at the end of a very long text is shown with its surroundings only."""
    long = "x" * (10 * MAX_CHARACTERS)
    parts = difference(long + "a", long + "b")
    assert [p.kind for p in parts] == ["same", "removed", "added"]
    assert sum(len(p.text) for p in parts) < 200


def test_invisible_characters_get_a_name() -> None:
    """A joiner that was added can be seen; a line end stays one."""
    assert visible("a\u200db\nc") == "a[U+200D]b\nc"


@given(st.integers(min_value=1, max_value=10**7))
def test_a_length_falls_into_the_class_that_begins_at_or_below_it(characters: int) -> None:
    """Classes meet without a gap."""
    place = length_class(characters)
    assert LENGTHS[place] <= characters
    assert place + 1 == len(LENGTHS) or characters < LENGTHS[place + 1]


def test_a_histogram_counts_every_text_once() -> None:
    """Kept and rejected are counted apart, and classes between them have 0."""
    kept = Counter(("wol_Latn", length_class(characters)) for characters in (1, 25))
    out = Counter({("wol_Latn", length_class(5)): 1})
    assert [(c["from"], c["kept"], c["rejected"]) for c in histograms(kept, out)["wol_Latn"]] == [
        (1, 1, 0),
        (2, 0, 0),
        (5, 0, 1),
        (10, 0, 0),
        (20, 1, 0),
    ]


def test_every_kind_of_personal_data_has_words() -> None:
    """The page names all kinds."""
    assert PERSONAL.keys() == set(KINDS)


def test_texts_are_shown_in_their_direction_and_escaped() -> None:
    """A right-to-left text is set so, and a text that looks like HTML stays text."""
    page = render(facts(kept_samples={"urd_Arab": ["<b>\u0627</b>"]}))
    assert '<bdi class="text" lang="urd" dir="rtl">&lt;b&gt;\u0627&lt;/b&gt;</bdi>' in page


def test_changes_are_marked_inside_the_text() -> None:
    """Removed and inserted parts keep their positions."""
    sample = {"where": "a.txt:1", "before": "\u03b5na", "after": "\u025bna"}
    named = {"change": "look-alikes", "meaning": str(CHANGES["look-alikes"].about)}
    change = {"language": "bam_Latn", **named, "texts": 1, "samples": [sample]}
    page = render(facts(changes=[change]))
    assert "<del>\u03b5</del><ins>\u025b</ins>na" in page


def test_hidden_characters_are_spelled_out_and_personal_data_is_counted() -> None:
    """A sample with an override shows it as a code; rates stand beside their kind."""
    sample = {"where": "a.txt:1", "text": "ab\u202ec"}
    finding = {
        **{"language": "bam_Latn", "finding": "direction-controls", "lines": 1},
        **{"meaning": str(FINDINGS["direction-controls"].about), "samples": [sample]},
    }
    masked = {"where": "a.txt:2", "before": "\u2588\u2588", "after": "00"}
    person = {
        **{"language": "bam_Latn", "kind": "phone", "texts": 2, "found": 3},
        **{"per_1000_texts": 4.5, "samples": [masked]},
    }
    page = render(facts(findings=[finding], personal_data=[person]))
    assert "ab[U+202E]c" in page
    assert "\u202e" not in page
    assert ">4.50<" in page
    assert all(PERSONAL["phone"].in_language(language) in page for language in available())


def test_copies_contamination_and_other_languages_are_shown() -> None:
    """Differences between copies are marked, sets are counted, other languages are named."""
    shown = {"where": "a.txt:1", "text": "ina kwana"}
    copy = {"where": "a.txt:2", "text": "ina kwano"}
    pair = {"one": shown | {"text": "to the left"}, "other": copy | {"text": "to the right"}}
    duplicates = {
        **{"rejected": {"near-duplicate": 1}, "samples": [{"kept": shown, "rejected": copy}]},
        **{"minimal_pairs": 12, "minimal_pair_samples": [pair]},
    }
    sets = [{"name": "held", "texts": 40, "met": 3, "rejected": 7, "samples": [shown]}]
    row = {
        **{"card": "c", "claimed": "hau_Latn", "lines": 9, "fits": 5, "not_covered": 1},
        **{"found": {"swh_Latn": 2, "Arab": 1}},
    }
    identification = {"table": [row], "samples": []}
    page = render(facts(duplicates=duplicates, contamination=sets, identification=identification))
    assert "ina kwan<del>a</del><ins>o</ins>" in page
    assert "<td>held</td><td>40</td><td>3</td><td>7</td>" in page
    assert "Swahili" in page
    assert WORDS["unsupported"].in_language("fr") in page


def test_the_funnel_of_all_cards_adds_up() -> None:
    """Texts read are the rejected and the kept ones, over all cards."""
    one = {"read": 5, "rejected": {"empty": 2}, "kept": {"train": 2, "validation": 1, "test": 0}}
    two = {
        "read": 3,
        "rejected": {"duplicate": 1},
        "kept": {"train": 1, "validation": 0, "test": 1},
    }
    both = total([one, two], reasons=["empty", "duplicate"])
    assert both["read"] == sum(both["rejected"].values()) + sum(both["kept"].values()) == 8
    assert list(both["rejected"]) == ["empty", "duplicate"]


SCRIPT = """{
  english: page.querySelector("h1 .en").offsetParent !== null,
  french: (page.getElementById("fr").click(), page.querySelector("h1 .fr").offsetParent !== null),
  still: page.querySelector("h1 .en").offsetParent !== null,
  aligned: page.defaultView.getComputedStyle(page.querySelector("bdi[dir=rtl]")).direction,
  right: Math.round(page.querySelector("blockquote").getBoundingClientRect().right
    - page.querySelector("bdi[dir=rtl]").getBoundingClientRect().right) < 30,
  bars: [...page.querySelectorAll(".track i, .track u")].some(
    b => b.getBoundingClientRect().width > 0),
}"""


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 390])
def test_a_real_browser_shows_the_report(tmp_path: Path, width: int) -> None:
    """On a screen and on a phone nothing runs over the edge, one language is shown at a time, and
    right-to-left text stands at the right."""
    samples = {"urd_Arab": ["\u0622\u067e \u06a9\u06cc\u0633\u06d2 " * 30, "x" * 400]}
    page = render(facts(kept_samples=samples))
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    found = measured(tmp_path, "report.html", width=width, script=SCRIPT)
    assert found.pop("overflow") <= 0  # below 0 where a scroll bar takes its width
    assert found == {
        "title": str(WORDS["title"]),
        **{"english": True, "french": True, "still": False},
        **{"aligned": "rtl", "right": True, "bars": True},
    }
