"""The table of a reviewer with levels of trust, right-to-left texts and kept sources."""

from __future__ import annotations

import csv
import io

from finetune.statistics.confidence import Calibration, Level
from finetune.translate.directions import Direction
from finetune.translate.review_table import page_of, reviewed, table_of
from finetune.translate.skeleton import Segment
from finetune.translate.translations_made import Made
from finetune.translate.trust_marks import said

LEVELS = (Level(float("-inf"), 20.0, 5.0, 35.0, 30), Level(-0.5, 50.0, 40.0, 70.0, 30))
CALIBRATION = Calibration(LEVELS, auc=0.8, p_value=0.001, coverage=0.75, texts=60)
SEGMENTS = [Segment("Hello", "1"), Segment("=Bye", "2"), Segment("Hi {name}", "3")]
MADE = {
    "Hello": Made("سلام", "translated", nats=0.4, tokens=4),
    "=Bye": Made("<خدا حافظ>", "translated", nats=8.0, tokens=4),
    "Hi {name}": Made(None, "placeholders", nats=1.0, tokens=4),
}
ROWS = reviewed(SEGMENTS, MADE, CALIBRATION)


def test_each_translation_has_its_level_and_a_kept_source_has_none() -> None:
    """A level follows from the log-probability per token; a cell is never a formula."""
    table = table_of(ROWS, CALIBRATION).removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(table), delimiter="\t"))
    assert [row["trust"] for row in rows] == ["2", "1", ""]
    assert [row["expected_chrf"] for row in rows] == ["50.0", "20.0", ""]
    assert rows[1]["source"] == "'=Bye"
    assert rows[2]["translation"] == ""


def test_the_page_marks_the_least_trusted_and_escapes_texts() -> None:
    """The lowest level stands out, a translation has its direction, and markup is shown."""
    way = Direction("eng_Latn", "urd_Arab", "{text}")
    page = page_of(ROWS, CALIBRATION, name="a.txt", way=way, said=said(CALIBRATION), language="en")
    assert page.count("<mark>1</mark>") == 1
    assert 'dir="rtl">&lt;خدا حافظ&gt;' in page
    assert 'dir="ltr">Hi {name}' in page
    assert "40.0 – 70.0" in page
    assert "<script" not in page
