from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.output.spreadsheet import cell, write_rows

FORMULA = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


@given(st.text(alphabet=FORMULA + " ab1\u0915", max_size=6))
def test_no_text_begins_like_a_formula(text: str) -> None:
    """Whatever a text is, its cell begins with none of the signs, or is a plain number."""
    safe = str(cell(text))
    assert safe.lstrip()[:1] not in set(FORMULA) - set("+-") or not safe.strip()
    if safe.lstrip()[:1] in ("+", "-"):
        float(safe.replace(",", ""))
    assert safe.removeprefix("'") == text.removeprefix("'")


@pytest.mark.parametrize("value", ["-5", "+1.5e3", "12", "ɓera", "a=b", -3, None])
def test_numbers_and_ordinary_texts_stay_as_they_are(value: object) -> None:
    """Only what a spreadsheet would compute is changed."""
    assert cell(value) == value


def test_a_row_is_read_back_as_it_was_but_for_formulas() -> None:
    """Commas, quotes and line ends survive; the number of rows is returned."""
    stream = io.StringIO()
    rows = [("a,b", 'q"q', "two\nlines", "=cmd()")]
    assert write_rows(stream, ["w", "x", "y", "z"], rows) == 1
    stream.seek(0)
    assert list(csv.reader(stream))[1] == ["a,b", 'q"q', "two\nlines", "'=cmd()"]
