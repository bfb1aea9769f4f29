"""Columns of tables with the split of each record."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from finetune.cards.check.findings import check_card
from finetune.cli import main
from finetune.errors import RecipeError
from finetune.pipeline.corpora import read_content
from finetune.prepare.reading.drafts import Draft, entry_of
from finetune.readers.record import Record, Rejection
from finetune.spec.card import DataCard
from finetune.spec.load import load_card
from finetune.spec.recipe import Corpus
from tests.support.brought_files import xlsx
from tests.support.good_card import TODAY
from tests.support.prepare_job import make_card
from tests.support.reading import units
from tests.support.surroundings import Inside

ROWS = [("train", "Nanga def"), ("Test ", "Maa ngi fi"), ("dev", "Jërëjëf"), ("test", "Waaw")]
TESTED = [False, True, False, True]
TEST = {"column": "split"}
TEXT: dict[str, Any] = {"columns": {"text": "t"}, "test": TEST}


def as_csv(rows: list[tuple[Any, ...]], *names: str) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([names or ("split", "t"), *rows])
    return out.getvalue()


def as_json(rows: list[tuple[Any, ...]]) -> str:
    return "".join(json.dumps(dict(zip(("split", "t"), row, strict=True))) + "\n" for row in rows)


def as_parquet(rows: list[tuple[Any, ...]]) -> bytes:
    import pyarrow as arrow
    from pyarrow import parquet

    out = io.BytesIO()
    split, text = zip(*rows, strict=True)
    parquet.write_table(arrow.table({"split": split, "t": text}), out)
    return out.getvalue()


WRITTEN: dict[str, Any] = {
    "csv": as_csv,
    "tsv": lambda rows: as_csv(rows).replace(",", "\t"),
    "jsonl": as_json,
    "json": lambda rows: json.dumps([{"split": a, "t": b} for a, b in rows]),
    "parquet": as_parquet,
    "xlsx": lambda rows: xlsx({"s": [["split", "t"], *map(list, rows)]}),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_the_column_decides_in_every_format_of_tables(tmp_path: Path, form: str) -> None:
    """A record of the test is one, all others are none; case and spaces do not count."""
    found = units(tmp_path, WRITTEN[form](ROWS), format=form, **TEXT)
    assert [unit.tested for unit in found if isinstance(unit, Record)] == TESTED
    card = make_card(tmp_path / "d", "c", WRITTEN[form](ROWS), format=form, **TEXT)
    entry = entry_of(Corpus(card="c"), card)
    assert [Draft(entry, unit).tested for unit in found if isinstance(unit, Record)] == TESTED


@pytest.mark.parametrize("form", WRITTEN)
def test_a_value_that_is_not_known_is_malformed(tmp_path: Path, form: str) -> None:
    """A misspelt value is named with its place, a missing one too; neither is trained on."""
    rows = [*ROWS * 20, ("tset", "Ba beneen"), ("", "Ba suba")]
    found = [u for u in units(tmp_path, WRITTEN[form](rows), format=form, **TEXT)]
    wrong = [unit for unit in found if isinstance(unit, Rejection)]
    assert "Ba beneen" in [unit.text for unit in wrong if unit.reason == "malformed"]
    problems = [str(unit.problem) for unit in wrong if unit.problem]
    assert "'tset'" in problems[0]
    assert len(found) == len(rows)
    assert len(wrong) == 2


def test_a_column_of_names_is_quoted_nowhere(tmp_path: Path) -> None:
    """The wrong column may name people: a value that resembles no known one is not shown."""
    rows = [*ROWS * 20, ("Zulai Danladi", "Sannu")]
    [wrong] = [u for u in units(tmp_path, as_csv(rows), format="csv", **TEXT) if u.place.line == 82]
    assert isinstance(wrong, Rejection)
    assert wrong.problem
    assert wrong.problem.code == "unknown-split"
    assert "zulai" not in f"{wrong.text} {wrong.problem} {wrong.problem.facts}".lower()


def test_numbers_and_truth_values_are_values_too(tmp_path: Path) -> None:
    """`value` and `others` are written as text; a fold is a number in JSON."""
    test = {"column": "split", "value": "3", "others": ["1", "2"]}
    found = units(
        tmp_path, as_json([(1, "a"), (3, "b"), (2, "c")]), format="jsonl", **TEXT | {"test": test}
    )
    assert [unit.tested for unit in found if isinstance(unit, Record)] == [False, True, False]
    test = {"column": "split", "value": "true", "others": ["false"]}
    found = units(
        tmp_path, as_json([(True, "a"), (False, "b")]), format="jsonl", **TEXT | {"test": test}
    )
    assert [unit.tested for unit in found if isinstance(unit, Record)] == [True, False]


FRONT = """\
---
language: [wo]
license: cc-by-4.0
pretty_name: Radio
corpus:
  kind: text
  languages: [wol_Latn]
  source:
    kind: files
    files:
      - path: radio.txt
        sha256: {sum}
  format: {form}
{columns}  test: {test}
---
"""


@pytest.mark.parametrize(
    ("form", "columns", "test", "code", "key"),
    [
        ("text", "", "{column: split}", "test-column-of-other-format", "corpus.test"),
        ("csv", "  columns: {text: t}\n", "{column: t}", "test-column-taken", "corpus.test.column"),
        ("csv", "  columns: {text: t}\n", "{value: t}", "missing-key", "corpus.test.column"),
        (
            "csv",
            "  columns: {text: t}\n",
            "{column: s, vale: t}",
            "unknown-key",
            "corpus.test.vale",
        ),
        ("csv", "  columns: {text: t}\n", "[a.txt]", "test-file-not-in-card", "corpus.test[0]"),
    ],
)
def test_wrong_keys_are_refused(
    tmp_path: Path, form: str, columns: str, test: str, code: str, key: str
) -> None:
    path = tmp_path / "radio.md"
    path.write_text(FRONT.format(sum="a" * 64, form=form, columns=columns, test=test), "utf-8")
    with pytest.raises(RecipeError) as caught:
        load_card(path)
    assert [(p.code, p.place and p.place.key) for p in caught.value.problems] == [(code, key)]


def test_numbers_are_read_as_they_are_written(tmp_path: Path) -> None:
    """`value: 1` in a card is the text that stands in the table."""
    path = tmp_path / "radio.md"
    columns = "  columns: {text: t}\n"
    test = "{column: fold, value: 1, others: [2, 3]}"
    path.write_text(FRONT.format(sum="a" * 64, form="csv", columns=columns, test=test), "utf-8")
    loaded = load_card(path).corpus.test
    assert (loaded.value, loaded.others) == ("1", ["2", "3"])  # type: ignore[union-attr]


def codes_of(card: Path) -> dict[str, Any]:
    return {finding.code: finding for finding in check_card(card, today=TODAY)}


def test_a_new_card_names_the_column_and_check_counts(tmp_path: Path, inside: Inside) -> None:
    """`cards new` writes the key; `cards check` counts, and warns where a card lacks it."""
    inside(tmp_path)
    rows = [("test" if n % 10 == 0 else "train", f"Nanga def {n}") for n in range(200)]
    Path("radio.csv").write_text(as_csv(rows, "split", "text"), encoding="utf-8")
    assert main(["cards", "new", "radio.csv", "--language", "wol_Latn"]) == 0
    path = Path("data_cards/radio.md")
    assert "test:\n    column: split\n    value: test\n" in path.read_text("utf-8")
    counted = codes_of(path)["test-records"]
    assert (counted.facts["count"], counted.facts["of"]) == (20, 200)
    text = path.read_text("utf-8")
    path.write_text(text.replace("    value: test\n", "    value: tests\n"), encoding="utf-8")
    assert {"too-many-malformed", "unknown-split"} <= codes_of(path).keys()
    without = text.replace("  test:\n    column: split\n    value: test\n", "")
    path.write_text(without, encoding="utf-8")
    assert codes_of(path)["split-column"].level == "warning"


@pytest.mark.parametrize(
    "rows",
    [
        [("train", "a"), ("dev", "b")],
        [("test", "a"), ("test", "b")],
        [("test", "a"), ("Amina", "b")],
        [("north", "a"), ("south", "b")],
    ],
)
def test_other_columns_are_not_proposed(tmp_path: Path, inside: Inside, rows: Any) -> None:
    """A column is proposed if all its values are usual ones, of the test and of other splits."""
    inside(tmp_path)
    Path("radio.csv").write_text(as_csv(rows * 60, "split", "text"), encoding="utf-8")
    assert main(["cards", "new", "radio.csv", "--language", "wol_Latn"]) == 0
    assert load_card(Path("data_cards/radio.md")).corpus.test is None


def card_with(tmp_path: Path, **keys: Any) -> DataCard:
    facts = {"format": "csv", "columns": {"text": "t"}} | keys
    return make_card(tmp_path, "c", as_csv(ROWS), **facts)


@pytest.mark.parametrize(
    "keys",
    [
        {"test": TEST},
        {"test": "none"},
        {"separator": ";"},
        {"header": 2},
        {"quotes": "literal"},
        {"encoding": "windows-1252"},
        {"format": "xlsx", "sheets": ["a"]},
        {"format": "text", "columns": {}, "unit": "paragraph"},
    ],
)
def test_every_key_of_reading_counts_in_what_was_prepared(
    tmp_path: Path, keys: dict[str, Any]
) -> None:
    """A prepared corpus is made anew when a key changes how the files are read."""
    without = {key: value for key, value in keys.items() if key in ("format", "columns")}
    assert read_content(card_with(tmp_path, **keys)) != read_content(card_with(tmp_path, **without))
