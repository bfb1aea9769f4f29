"""The table of reasons: each check has its case, lets good short texts pass, and can be read."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from finetune.prepare.checking.checks import REASONS, Limits, TextFacts, checks_of, first_reason
from finetune.prepare.checking.outliers import MIN_TEXTS, Spread
from finetune.spec.card import CorpusBlock
from finetune.spec.recipe import Prepare, Recipe
from finetune.text.markup import markup_share, without_markup_lines
from finetune.text.normalize import CHANGES
from finetune.text.oddities import FINDINGS
from finetune.text.repetition import RepeatedLines
from finetune.text.rules import Rule
from tests.support.linear_time import flood, within_cpu_seconds

DEFAULT = Limits(Prepare())
OFF = Limits(
    Prepare.model_validate(
        {
            "text": {
                "damaged": "keep",
                "placeholder_text": "keep",
                "max_markup_share": 1,
                "min_letter_share": 0,
                "max_repetition": 1,
            }
        }
    )
)
WORDS = [f"w{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(400)]
ROWS: tuple[Rule[Any], ...] = (*REASONS.values(), *CHANGES.values(), *FINDINGS.values())
DOCS = Path(__file__).parents[3] / "docs/data"


def reason(text: str, limits: Limits = DEFAULT, *, needs_letters: bool = True) -> str | None:
    facts = TextFacts(text, needs_letters=needs_letters)
    return first_reason(checks_of("text", limits.settings), facts, limits)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("na\ufffdga def", "damaged"),
        ("na\x92ga", "damaged"),
        ("\ue001\ue002\ue003 \ue004", "damaged"),
        ("Lorem ipsum dolor sit amet", "placeholder-text"),
        ("<div class='a'></div>", "markup"),
        ("{count} / {total}", "markup"),
        ("%s: %(n)d", "markup"),
        ("{{Infobox | a = b}} " * 6, "markup"),
        ("https://host.sn/a/b", "markup"),
        ("12:30", "few-letters"),
        ("— … ।", "few-letters"),
        ("1 2 3 4 5 6 7 8 9 a " * 6, "few-letters"),
        ("ha" * 40, "repetition"),
        ("waaw " * 60, "repetition"),
        ("na " + "a" * 100, "repetition"),
        ("\u0e01\u0e02\u0e04\u0e07" * 200, "repetition"),
    ],
)
def test_each_rule_has_its_case(text: str, key: str) -> None:
    """A text that is damaged, markup, numbers or repetition is rejected; every rule can be off."""
    assert reason(text, DEFAULT) == key
    assert reason(text, OFF) is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a",
            "Waaw",
            "\u0915",
            "\u1c5a\u1c5b",
            "\U0001e900",
            "\ua4d0",
            "\u02bb\u0101",
            "10 km",
            "A4",
        ),
        *(
            "ndank-ndank",
            "piano piano",
            "ha ha ha",
            "Nuyo {very_long_placeholder_name}",
            "<b>Na</b>",
        ),
        *(
            "%s min",
            "e.g. 192.168.0.100:8080",
            "3. a",
            "$10/7$ \ud55c\uad6d\uc5b4",
            "http://a.sn na",
        ),
        *("\U00010d4a\U00010d4b", "\U0001e5d0\U0001e5d1", "\ue001 " + "waaw na " * 5),
        *("x" * 29, "_" * 40 + " na " + " ".join(WORDS[:20])),
    ],
)
def test_short_good_texts_pass(text: str) -> None:
    """One letter of any script, also a young one, a proverb, a button with a placeholder."""
    assert reason(text, DEFAULT) is None


def test_a_lost_letter_in_a_long_text_is_forgiven() -> None:
    """One of a thousand characters does not cost a page."""
    assert reason("\ufffd" + " ".join(WORDS), DEFAULT) is None


def test_answers_may_be_numbers() -> None:
    """In a conversation `42` is an answer."""
    assert reason("42", DEFAULT, needs_letters=False) is None


@given(st.text(), st.booleans())
def test_judging_never_fails(text: str, needs_letters: bool) -> None:
    """Any text has one reason of those that are known, or none."""
    known = {None, "damaged", "placeholder-text", "markup", "few-letters", "repetition"}
    assert reason(text, DEFAULT, needs_letters=needs_letters) in known
    assert reason(text, OFF) is None
    assert 0 <= markup_share(text) <= 1


def test_lengths_far_outside_are_seen_and_few_texts_judge_none() -> None:
    """Among lengths of 10 to 40 a thousand times longer one is outside; before 200 none is."""
    spread = Spread()
    for n in range(MIN_TEXTS - 1):
        spread.add(10 + n % 31)
    assert not spread.is_outlier(1e6)
    for n in range(1000):
        spread.add(10 + n % 31)
    assert spread.is_outlier(1e6)
    assert spread.is_outlier(0.001)
    assert not spread.is_outlier(80)
    assert not spread.is_outlier(5)
    for _ in range(5):
        spread.add(1e6)
    assert spread.is_outlier(1e6)


@pytest.mark.parametrize(
    "piece", ["a", "a ", "{", "<a ", "[[", "a\n", "\ue001", "ab", "&a", "\u0915"]
)
def test_hostile_texts_are_judged_in_linear_time(piece: str) -> None:
    """A long text of any of it takes seconds."""
    text = flood(piece)
    with within_cpu_seconds():
        reason(text, DEFAULT)
        RepeatedLines(1).without(without_markup_lines(text, max_share=0.8))


@pytest.mark.skipif(find_spec("kolibri") is None, reason="the package kolibri is not installed")
def test_texts_of_software_lose_only_what_has_no_word() -> None:
    """Of Kolibri's strings in six languages only markup and numbers are rejected, under 2 %."""
    spec = find_spec("kolibri")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent / "locale"
    reasons: dict[str | None, int] = {}
    for folder in ("ha", "yo", "hi_IN", "bn_BD", "ur_PK", "sw_TZ"):
        for file in sorted((root / folder / "LC_MESSAGES").glob("*.json")):
            for text in json.loads(file.read_text(encoding="utf-8")).values():
                if isinstance(text, str) and text:
                    found = reason(text)
                    reasons[found] = reasons.get(found, 0) + 1
    assert reasons.keys() <= {None, "markup", "few-letters"}
    assert reasons[None] > 0.98 * sum(reasons.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_every_row_has_words_in_both_languages(row: Rule[Any]) -> None:
    """A report in French has no English, and no row is without words."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", row.key)
    assert row.about.in_language("fr") != str(row.about)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_every_switch_is_a_key_that_people_can_write(row: Rule[Any]) -> None:
    """A switch is a field of the recipe or of the card, and what turns a row off is a value of it;
    a row without one reports it by an empty switch."""
    if not row.switch:
        assert row.off == ()
        return
    model: type[BaseModel] = CorpusBlock if row.switch.startswith("card: ") else Recipe
    *sections, name = row.switch.removeprefix("card: ").split(".")
    for section in sections:
        model = _section(model, section)
    assert name in model.model_fields
    field = model.model_fields[name]
    kind = TypeAdapter(Annotated[field.annotation, field, *field.metadata])
    assert [kind.validate_python(value) for value in row.off] == list(row.off)


def _section(model: type[BaseModel], name: str) -> type[BaseModel]:
    """Return the model of a section, also of a list of them."""
    annotation = model.model_fields[name].annotation
    found = [one for one in _types(annotation) if issubclass(one, BaseModel)]
    assert found, f"{name} is no section"
    return found[0]


def _types(annotation: Any) -> list[type]:
    inner = getattr(annotation, "__args__", ())
    return [t for one in inner for t in _types(one)] if inner else [annotation]


def test_every_reason_is_explained_in_the_documentation() -> None:
    """`docs/data/text-checks.md` names every reason, and every switch of one."""
    page = (DOCS / "text-checks.md").read_text(encoding="utf-8")
    assert [key for key in REASONS if f"`{key}`" not in page] == []
    switches = {row.switch for row in REASONS.values() if row.switch}
    assert [one for one in sorted(switches) if one.removeprefix("card: ") not in page] == []


def test_the_first_reason_is_given_and_placeholder_text_is_called_so() -> None:
    """A damaged page of markup is damaged; lorem ipsum between tags is placeholder text, and with
    that check off it is markup."""
    assert reason("<b>\ufffd</b> <i></i>") == "damaged"
    page = "<div class='x'>Lorem ipsum</div>" + "{a}{b}" * 40
    assert reason(page) == "placeholder-text"
    kept = Limits(Prepare.model_validate({"text": {"placeholder_text": "keep"}}))
    assert reason(page, kept) == "markup"
