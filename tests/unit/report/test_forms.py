"""Page, Markdown and JSON say the same, and need nothing from outside."""

from __future__ import annotations

import json
import re

import pytest

from finetune.pipeline.store import Store
from finetune.report.as_json import json_of
from finetune.report.find_runs import find_runs
from finetune.report.forms import markdown, page
from finetune.report.report_document import Document, document_of
from tests.support.report_runs import write_run


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """The report of two seeds."""
    store = tmp_path_factory.mktemp("forms") / "store"
    for number in (1, 2):
        write_run(store, number, seed=number)
    found = find_runs(["tiny"], store=Store(store), open_recipe=lambda path: pytest.fail(str(path)))
    return document_of(found, store=store)


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
