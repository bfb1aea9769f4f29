"""The report in a real browser: on a telephone, a small screen and paper, in each language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.messages import available
from finetune.pipeline.gate import Opened
from finetune.pipeline.store import Store
from finetune.report.find_runs import find_runs
from finetune.report.forms import page
from finetune.report.report_document import document_of
from tests.support.browser import needs_browser
from tests.support.devtools import Tab, browser
from tests.support.report_runs import CONDITIONS, write_run

PRINTED = 688
"""CSS pixels of an A4 page (210 mm) without its margins of 14 mm."""
TALLEST_ROW = {900: 130, 390: 340, PRINTED: 150}
"""Pixels by width; at 390 a row is a card with a line per column."""
SCREEN = 844
"""Height of a telephone's screen."""
_MEASURED = """(() => {
  const shown = [...document.querySelectorAll("main *")].filter(
    one => one.getClientRects().length && !one.closest("details:not([open]) > :not(summary)"));
  const right = Math.max(...shown.map(one => one.getBoundingClientRect().right));
  const left = Math.min(...shown.map(one => one.getBoundingClientRect().left));
  const rows = [...document.querySelectorAll("tr")].map(
    row => row.getBoundingClientRect().height);
  return {right, left, wide: document.documentElement.scrollWidth,
    tallest: Math.max(...rows), numbers: rows.length,
    verdict: [...document.querySelectorAll(".verdicts p")].at(-1).getBoundingClientRect().bottom,
    urdu: getComputedStyle(document.querySelector('bdi[dir="rtl"]')).direction};
})()"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of one run, and that of two seeds beside two runs that are not comparable."""
    folder = tmp_path_factory.mktemp("pages")
    write_run(folder / "store", 1, seed=0)
    write_run(folder / "store", 2, seed=1)
    write_run(folder / "store", 3, rank=16, conditions=CONDITIONS.replace("fp32", "bf16"))
    made = {}
    for name, word in (("one", "evaluate/0000000000000011"), ("several", "tiny")):
        found = find_runs([word], store=Store(folder / "store"), open_recipe=no_recipe)
        document = document_of(found, store=folder / "store")
        made[name] = folder / f"{name}.html"
        made[name].write_text(page(document, language="en"), encoding="utf-8")
    return made


def no_recipe(path: Path) -> Opened:
    pytest.fail(str(path))


def measured(tab: Tab, *, language: str) -> dict[str, Any]:
    """Choose a language and measure the page."""
    tab.ask(f"document.getElementById('{language}').checked = true")
    found: dict[str, Any] = tab.ask(_MEASURED)
    return found


@needs_browser
@pytest.mark.slow
def test_nothing_is_cut_on_a_telephone_on_a_small_screen_and_in_print(
    pages: dict[str, Path], tmp_path: Path
) -> None:
    """No part lies beyond the edge, no row is taller than its limit, the verdict is on the first
    screen, Urdu runs from right to left, and the page asks for nothing but itself."""
    with browser(tmp_path) as tab:
        tab.watch(tmp_path)
        for path in pages.values():
            tab.open(path.as_uri())
            for width, tallest in TALLEST_ROW.items():
                tab.send("Emulation.setEmulatedMedia", media="print" if width == PRINTED else "")
                tab.size(width, height=SCREEN)
                for language in available():
                    found = measured(tab, language=language)
                    where = (path.name, width, language, found)
                    assert found["wide"] <= width, where
                    assert 0 <= found["left"] <= found["right"] <= width, where
                    assert found["tallest"] <= tallest, where
                    assert found["verdict"] <= SCREEN, where
                    assert found["urdu"] == "rtl"
        assert set(tab.requests()) == {path.as_uri() for path in pages.values()}


@needs_browser
@pytest.mark.slow
def test_print_shows_folded_samples_and_no_switch(pages: dict[str, Path], tmp_path: Path) -> None:
    """Paper has no folds to open and no language to choose."""
    script = "[...document.querySelectorAll(%r)].map(one => one.checkVisibility())"
    with browser(tmp_path) as tab:
        tab.size(PRINTED)
        tab.open(pages["one"].as_uri())
        folded = "details:not([open]) dl"
        assert set(tab.ask(script % folded)) == {False}
        tab.send("Emulation.setEmulatedMedia", media="print")
        assert set(tab.ask(script % folded)) == {True}
        assert set(tab.ask(script % ".switch")) == {False}
