"""Written YAML has the same meaning in YAML 1.1 and 1.2."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.output.yaml import yaml_text
from finetune.spec.yaml_file import parse

LOOKALIKES = [
    *("no", "NO", "y", "off", "Yes", "true", "null", "~", "", "=", "<<", "-", "?", ":", "#"),
    *("12:30", "1:2:3", "1e-4", "1.5e3", "0o7", "0x1F", "017", "08", "0b11", "1_000", "1.", ".5"),
    *(".inf", ".nan", "+1", "2001-01-01", "2001-12-14t21:59:43.10-05:00", "a:b", "a: b", "a #b"),
    *("%a", "@a", "`a", "!a", "&a", "*a", "|", ">", "{a}", "[a]", "'a", '"a', "---", "...", "- a"),
    *(" a", "a ", "\t", "a\nb", "a\r\nb", "a\n---\nb", "\x85", "a\u2028b", "\ufeffa", "\u200d"),
    *("\x00", "\U0001e900\U0001e901", "\u0995\u09cd\u200d\u09b7", "\u0622\u067e", "\u1240"),
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(LOOKALIKES)
NUMBER = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALAR = TEXT | NUMBER | st.booleans() | st.none()
KEY = st.sampled_from(["language", "pretty_name", *filter(None, LOOKALIKES)])
SECTION = st.dictionaries(KEY, SCALAR | st.lists(SCALAR))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEY, SCALAR | SECTION | st.lists(SCALAR | SECTION), min_size=1))
def test_both_versions_read_what_was_written(value: dict[str, Any]) -> None:
    """PyYAML (1.1), as the Hub reads, and ruamel (1.2), as recipes and cards are read."""
    text = yaml_text(value)
    assert yaml.safe_load(text) == value
    assert parse("\n" + text, source="x", as_hub_reads=True).values == value


@pytest.mark.parametrize("text", LOOKALIKES)
def test_what_looks_like_something_else_stays_a_text(text: str) -> None:
    """In a list, as a value and as a key."""
    value = {"a": [text], "b": text} | ({text: "c"} if text else {})
    assert yaml.safe_load(yaml_text(value)) == value
    assert parse(yaml_text(value), source="x", as_hub_reads=True).values == value


def test_words_of_every_script_need_no_quotation_marks() -> None:
    """A person reads and changes what was written; a line stays a line, a value stands twice."""
    names = ["Nanga def, ñaar", "\u1230\u120b\u121d", "\U0001e900\U0001e901", "word " * 60 + "end"]
    lines = "".join(f"  - {name}\n" for name in names)
    assert yaml_text({"one": names, "two": names}) == f"one:\n{lines}two:\n{lines}"
