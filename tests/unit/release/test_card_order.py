"""The model card: its order, both languages, and width."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.job import Job
from finetune.artefacts.results import Effect
from finetune.release.body import card_body
from finetune.release.front_matter import front_matter
from finetune.release.recorded import Licensing
from tests.support.browser import measured, needs_browser
from tests.support.markdown_reader import html_of
from tests.support.release_job import card, comparison, release_job, score

TERMS = Licensing("apache-2.0", ("base and data are",))
EFFECT = Effect(28, {}, "fp32", tolerance=1e-4)
HUB_COLUMN = 750
"""Pixels of the column in which the Hub shows a model card; a little less than on its page."""
CSS = """body{font:16px/1.5 sans-serif;margin:0}table{display:block;width:max-content;
max-width:100%;overflow:auto;border-collapse:collapse}td,th{border:1px solid;padding:6px 13px}
pre{overflow:auto;font-size:13px}img{max-width:100%}"""
"""The Hub's rules for tables: as wide as their content, up to the column."""
ENERGY = {"kilowatt_hours": 0.01, "method": "estimate", "low_kilowatt_hours": 0.005}
ENERGY |= {"high_kilowatt_hours": 0.02}
GRID = {"grid_gco2_per_kwh": 100, "source": "a page of an operator", "location": "a town"}


def full_job(root: Path, *, recipe: dict[str, Any] | None = None, **results: Any) -> Job:
    """Return a release with all yardsticks, outputs, samples and energy."""
    pairs = {"metric": "chrf++", "direction": "eng_Latn>hau_Latn"}
    bits = {"base": 4.1, "adapter": 2.7, "ngram": 2.0, "examples": 3.8}
    chrf = {"base": 5.5, "adapter": 11.8, "copy": 16.6, "examples": 9.1}
    scores = [score(name, value) for name, value in bits.items()]
    scores += [score(name, value, **pairs) for name, value in chrf.items()]
    rival = {"difference": 0.7, "low": 0.6, "high": 0.8, "p_value": 0.002, "minimum_effect": 0.02}
    tests = [
        comparison(better="neither", rivals=[rival | {"name": "ngram", "value": 2.0}]),
        comparison(**pairs, better="neither", rivals=[rival | {"name": "copy", "value": 16.6}]),
    ]
    results = {
        "prepare": {"energy": ENERGY},
        "train": {"energy": ENERGY},
        "evaluate": {"scores": scores, "comparisons": tests, "energy": ENERGY},
    } | results
    job = release_job(root, recipe={"electricity": GRID} | (recipe or {}), **results)
    texts = [
        {
            **{"id": str(n), "card": "school-hau", "language": "hau_Latn"},
            **{"direction": "eng_Latn>hau_Latn", "source": f"Lesson {n}", "prompt": "asked"},
            **{"reference": f"Darasi na {n}", "base": "Lesson", "adapter": f"Darasi {n}"},
        }
        for n in range(9)
    ]
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    (root / "evaluate" / "generations.jsonl").write_text(lines, encoding="utf-8")
    return job


def body(job: Job) -> str:
    return card_body(job, licence=TERMS, effect=EFFECT)


def test_the_card_is_in_the_order_of_a_reader(tmp_path: Path) -> None:
    """Warning, one sentence with number and yardstick, samples, table, use, limits; the rest is
    folded, French before the details."""
    shown = body(full_job(tmp_path))
    order = (
        "# hausa-lora",
        "**The adapter predicts held-out text worse than a byte n-gram model",
        "No gain over base and yardsticks is claimed: Hausa bits per byte 2.000 -&gt; 1.500 (byte "
        "n-gram model 2.000)",
        "Writes Hausa; reads English.",
        "Intended use: drafts of translations",
        "Not for: medical or legal advice",
        "## Samples",
        "## Results",
        "## Use",
        "## Limits",
        "## Licence",
        "<summary>En français</summary>",
        "Écrit\u00a0: haoussa\u00a0; lit\u00a0: anglais.",
        "<summary>Details",
        "### Training data",
        "### Versions",
    )
    places = [shown.index(text) for text in order]
    assert places == sorted(places)
    folded = shown[places[order.index("<summary>En français</summary>")] :]
    assert "\n## " not in folded


def test_every_sentence_of_the_opening_has_its_french(tmp_path: Path) -> None:
    """The folded section holds no English sentence of the opening, limits or energy."""
    shown = body(full_job(tmp_path))
    french = shown.partition("<summary>En français</summary>")[2].partition("</details>")[0]
    english = shown.partition("<details>")[0].replace(french, "")
    sentences = [line.lstrip("- ") for line in english.splitlines() if len(line) > 40]
    assert not [line for line in sentences if line in french]
    assert french.count("\n- ") == 3
    assert "g d'équivalent CO2" in french


def test_samples_are_drawn_by_hash_and_only_where_texts_may_be_passed_on(tmp_path: Path) -> None:
    """The same every time; none of a card with personal data, and no text with a secret."""
    job = full_job(tmp_path / "a")
    samples = body(job).partition("## Samples")[2].partition("## Results")[0]
    found = re.findall(r"English: Lesson (\d)", samples)
    assert len(found) == 3
    assert found != sorted(found) or found != ["0", "1", "2"]
    assert body(full_job(tmp_path / "b")).count("**adapter**") == 3
    present = card(corpus={"personal_data": "present"})
    kept = full_job(tmp_path / "c", cards={"school-hau": present})
    assert "## Samples" not in body(kept)
    path = tmp_path / "a" / "evaluate" / "generations.jsonl"
    secret = path.read_text("utf-8").replace('"Lesson"', '"hf_' + "a1" * 15 + '"')
    path.write_text(secret, encoding="utf-8")
    assert "## Samples" not in body(job)


def test_grams_stand_in_the_metadata_only_with_the_figure_of_a_grid(tmp_path: Path) -> None:
    """One number, as the Hub documents the field; range and source are in the text."""
    job = full_job(tmp_path / "a")
    found = front_matter(job, licence=TERMS).to_dict()["co2_eq_emissions"]
    assert found["emissions"] == 3.0
    assert found["training_type"] == "fine-tuning"
    assert found["geographical_location"] == "a town"
    assert "preparation, training, evaluation" in found["source"]
    assert "100 g/kWh, a page of an operator" in found["source"]
    assert "That is 3.0 (range 1.5 to 6.0) g of CO2 equivalent" in body(job)
    without = full_job(tmp_path / "b", recipe={"electricity": None})
    assert "co2_eq_emissions" not in front_matter(without, licence=TERMS).to_dict()
    assert "no grams of CO2 are claimed; at 30, 300, 700 g/kWh" in body(without)


def test_the_model_index_has_the_base_beside_the_adapter(tmp_path: Path) -> None:
    """A visitor of the Hub sees both numbers, the adapter's first."""
    index = front_matter(full_job(tmp_path), licence=TERMS).to_dict()["model-index"]
    [bits] = [r for r in index[0]["results"] if r["metrics"][0]["type"] == "bits_per_byte"]
    assert [(m["name"], m["value"]) for m in bits["metrics"]] == [
        ("bits per byte", 2.7),
        ("bits per byte, base without adapter", 4.1),
    ]


def test_tables_before_the_details_have_four_columns_at_most(tmp_path: Path) -> None:
    """More do not fit into the Hub's column, or on a telephone; no word in them is long."""
    visible = body(full_job(tmp_path)).partition("<summary>Details")[0]
    rows = [line for line in visible.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert max(row.replace("\\|", "").count("|") for row in rows) <= 5
    assert max(len(word) for row in rows for word in re.split(r"[ |]|<br>", row)) <= 12


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [HUB_COLUMN, 390])
def test_no_table_is_wider_than_the_page(tmp_path: Path, width: int) -> None:
    """In a browser with all details open: nothing runs out of the Hub's column; on a telephone
    the page does not, and the adapter's column is in sight."""
    shown = html_of(body(full_job(tmp_path)))
    page = f"<!doctype html><meta charset=utf-8><style>{CSS}</style>{shown}"
    shown = page.replace("<details>", "<details open>")
    (tmp_path / "card.html").write_text(shown, encoding="utf-8")
    script = """
      wide: [...page.querySelectorAll("table")].filter(t => t.scrollWidth > t.clientWidth).length,
      adapter: page.querySelectorAll("table")[0].rows[0].cells[1].getBoundingClientRect().right
    """
    found = measured(tmp_path, "card.html", width=width, script=f"{{{script}}}")
    assert found["overflow"] <= 0
    assert found["adapter"] <= width
    if width == HUB_COLUMN:
        assert found["wide"] == 0
