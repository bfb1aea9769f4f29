"""Page, Markdown and JSON say the same, and need nothing from outside."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.pipeline.store import Store
from finetune.report.as_json import json_of
from finetune.report.find_runs import find_runs
from finetune.report.forms import markdown, page
from finetune.report.report_document import Document, document_of
from finetune.report.report_words import WORDS
from tests.support.report_runs import write_run, write_sweep


def report_on(store: Path, word: str) -> Document:
    found = find_runs([word], store=Store(store), open_recipe=lambda path: pytest.fail(str(path)))
    return document_of(found, store=store)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """The report of two seeds."""
    store = tmp_path_factory.mktemp("forms") / "store"
    for number in (1, 2):
        write_run(store, number, seed=number)
    return report_on(store, "tiny")


def test_all_forms_hold_the_score_of_every_run_and_language(document: Document) -> None:
    """Three decimals in page and Markdown, the number itself in JSON."""
    facts = json.loads(json.dumps(json_of(document), allow_nan=False))
    assert len(facts["scores"]) == 6
    html, text = page(document, language="en"), markdown(document, language="en")
    for one in facts["scores"]:
        for value in (one["adapter"]["value"], one["base"]["value"]):
            assert f"{value:.3f}" in html
            assert f"{value:.3f}" in text


def test_the_page_asks_for_nothing_from_outside(document: Document) -> None:
    """No address, no script, no file."""
    html = page(document, language="en")
    assert not re.search(r"<script|https?://|src=|url\(|@import|<link", html)


def test_the_verdict_comes_before_any_table(document: Document) -> None:
    """In page and Markdown."""
    html, text = page(document, language="en"), markdown(document, language="en")
    assert html.index("better than base and yardsticks in") < html.index("<table")
    assert text.index("better than base and yardsticks in") < text.index("| --- |")


def test_a_reader_of_french_has_the_page_in_french_first(document: Document) -> None:
    """The switch stands at French, and Markdown is in French alone."""
    html, text = page(document, language="fr"), markdown(document, language="fr")
    assert '<html lang="fr">' in html
    assert re.search(r'id="fr" checked', html)
    assert not re.search(r'id="en" checked', html)
    assert "haoussa" not in text
    assert "## Exécutions" in text
    assert "2,6" in text


def test_right_to_left_texts_are_marked_and_isolated(document: Document) -> None:
    """Urdu stands in an element of its own with its direction, Santali with its language."""
    html = page(document, language="en")
    assert re.search(r'<bdi class="text" lang="ur[^"]*" dir="rtl">', html)
    assert re.search(r'<bdi class="text" lang="sat[^"]*" dir="ltr">', html)


def test_json_tells_what_a_run_took(document: Document) -> None:
    """Energy, processes, hours, and the stages with their seconds."""
    (first, _) = json_of(document)["runs"]
    assert first["cost"]["emissions"]["kilowatt_hours"]["value"] == 0.00213
    assert first["cost"]["hours"] == pytest.approx(754 / 3600)
    assert {one["what"] for one in first["timeline"]} == {"base", "prepare", "train", "evaluate"}
    assert first["funnel"][0]["rejected"] == {"copy": 120, "too-short": 30}


def test_a_sweep_is_sorted_by_validation_and_warns_of_choosing_by_test(tmp_path: Path) -> None:
    """The settings are columns, and no run is tested against another; one that is not done is
    last."""
    for number in (1, 2):
        write_run(tmp_path, number, languages=("wol_Latn",))
    write_sweep(tmp_path, {"lora.rank=8": 9, "lora.rank=16": 2, "lora.rank=32": 1})
    found = find_runs(
        ["c-1"], store=Store(tmp_path), open_recipe=lambda path: pytest.fail(str(path))
    )
    sweep = document_of(found, store=tmp_path)
    assert [run.swept["lora.rank"] for run in sweep.runs] == ["32", "16", "8"]
    text = markdown(sweep, language="en")
    assert str(WORDS["choice"]) in text
    assert "| run | repository | lora.rank |" in text
    assert str(WORDS["beside-first"]) not in text


def test_a_release_folder_is_reported_from_its_own_files(tmp_path: Path) -> None:
    """Scores, data and items are there; generations and losses are not."""
    write_run(tmp_path / "store", 1)
    scores = next((tmp_path / "store/evaluate").iterdir())
    folder = tmp_path / "tiny-lora"
    shutil.copytree(scores / "items", folder / "items")
    result = json.loads((scores / "manifest.json").read_text("utf-8"))["result"]
    (folder / "evaluation.json").write_text(json.dumps(result), encoding="utf-8")
    facts = json_of(report_on(tmp_path, str(folder)))
    assert len(facts["scores"]) == len(facts["bits_per_byte_by_length"]) == 3
    assert facts["curves"] == facts["samples"] == []


def test_the_summary_in_the_terminal_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`reports/NAME.md` without -o, and `-o -` prints the report alone."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "store", 1, languages=("wol_Latn",))
    words = ["report", "tiny", "--store", "store", "--format", "md"]
    assert main(words) == 0
    assert "reports/tiny.md" in capsys.readouterr().out
    assert main([*words, "-o", "-"]) == 0
    assert capsys.readouterr().out == (tmp_path / "reports/tiny.md").read_text("utf-8")
