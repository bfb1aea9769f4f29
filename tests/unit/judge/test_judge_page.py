"""The page of judges in a real browser, on a telephone, in three scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.judge.collecting import find_campaigns, gather
from finetune.judge.new_campaign import Made
from tests.support.browser import needs_browser
from tests.support.devtools import Tab, browser
from tests.support.judge_job import TEXTS, campaign, record

DIRECTIONS = {"wol_Latn": "ltr", "sat_Olck": "ltr", "urd_Arab": "rtl"}
COMMENT = 'ᱱᱚᱶᱟ ᱫᱚ \\ud83d\\ude00 \\ud800 \\u2028 \\" \\\\ </script>'
"""Letters of a judge: also half a sign, a line separator and marks of JSON."""


def click(tab: Tab, name: str) -> None:
    tab.ask(f"document.getElementById('{name}').click()")


def judge(tab: Tab, *, better: str) -> None:
    """Answer the item that is shown, as fingers do: move the sliders, choose, go on."""
    tab.ask(
        f"""for (const [name, value] of Object.entries({{
          "a-adequacy": 81, "a-fluency": 72, "b-adequacy": 13, "b-fluency": 0}})) {{
          const slider = document.getElementById(name);
          slider.value = value;
          slider.dispatchEvent(new Event("input"));
        }}
        for (const [name, value] of Object.entries({{
          "a-language": "yes", "b-language": "no", "choice": "{better}"}}))
          document.querySelector(`[name="${{name}}"][value="${{value}}"]`).click();"""
    )


def is_shown(tab: Tab, name: str) -> bool:
    return bool(tab.ask(f"document.getElementById('{name}').offsetParent !== null"))


def assert_fits(tab: Tab) -> None:
    """Nothing runs over the edge, and what a finger has to meet is at least 44 px high."""
    assert tab.ask("document.documentElement.scrollWidth") <= 390
    targets = ".judging section :is(button, .chip, input[type=range])"
    small = tab.ask(
        f"[...document.querySelectorAll('{targets}')].filter("
        "e => e.offsetParent && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"
    )
    assert small == []


def comment(tab: Tab) -> None:
    tab.ask(
        f"""{{ const field = document.getElementById("comment");
        field.value = "{COMMENT}";
        field.dispatchEvent(new Event("input")); }}"""
    )


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("language", TEXTS)
def test_a_speaker_judges_on_a_telephone(tmp_path: Path, language: str) -> None:
    """At 390 px nothing is cut and every target is large; texts stand in their direction; what is
    not answered is marked; a page that is opened again goes on; the file that is saved is
    collected; and the page asks for nothing but itself."""
    made = campaign(tmp_path, [record(n, language=language) for n in range(3)])
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with browser(tmp_path) as tab:
        tab.size(390)
        tab.watch(downloads)
        tab.open(made.page.as_uri())
        assert not is_shown(tab, "unsaved")
        click(tab, "begin")
        for part in ("a-text", "b-text"):
            found = tab.ask(f"getComputedStyle(document.getElementById('{part}')).direction")
            assert found == DIRECTIONS[language]
            assert tab.ask(f"document.getElementById('{part}').lang").endswith(language[-4:])
        assert_fits(tab)
        click(tab, "next")
        assert tab.ask("document.querySelectorAll('.wrong').length") == 7
        judge(tab, better="a")
        assert not is_shown(tab, "missing")
        click(tab, "next")
        assert tab.requests() == [made.page.as_uri()]
        tab.open("about:blank#")
        tab.open(made.page.as_uri())
        assert is_shown(tab, "begin-again")
        click(tab, "begin")
        assert tab.ask("document.getElementById('number').textContent") == "2 / 3"
        judge(tab, better="same")
        comment(tab)
        click(tab, "next")
        click(tab, "skip")
        assert tab.ask("document.getElementById('answered').textContent") == "2 / 3"
        click(tab, "save")
        file = tab.saved(downloads)
        click(tab, "as-text")
        assert_fits(tab)
        assert tab.ask("document.getElementById('export').value") == file.read_text("utf-8")
        asked = {one for one in tab.requests() if not one.startswith("blob:")}
        assert asked == {made.page.as_uri()}
    assert_collected(made, file)


def assert_collected(made: Made, file: Path) -> None:
    """The marks that were given are those that were collected, for the right system."""
    [one] = gather([file], find_campaigns(made.path.parent))
    assert (one.collected.judges, len(one.collected.answers)) == (1, 2)
    [sheet] = one.sheets
    assert sheet.judge.startswith("judge-")
    assert sheet.answers[1].comment.startswith("ᱱᱚᱶᱟ ᱫᱚ 😀 \ufffd \u2028")
    sides = {item.item: item.adapter for item in made.campaign.items}
    first = one.collected.answers[0]
    assert first.prefers == ("adapter" if sides[first.item] == "a" else "other")
    mine = first.adapter if first.prefers == "adapter" else first.other
    assert (mine.adequacy, mine.fluency, mine.language) == (81, 72, "yes")


@needs_browser
@pytest.mark.slow
def test_two_people_share_a_telephone_that_keeps_nothing(tmp_path: Path) -> None:
    """Without storage the page says so and works; the next person begins with an empty sheet; the
    labels are in the language that is chosen."""
    made = campaign(tmp_path, [record(n) for n in range(2)])
    blocked = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }})"
    with browser(tmp_path) as tab:
        tab.send("Page.addScriptToEvaluateOnNewDocument", source=blocked)
        tab.size(390)
        tab.open(made.page.as_uri())
        assert is_shown(tab, "unsaved")
        files = []
        for name in ("baobab", "teranga"):
            tab.ask(f"document.getElementById('judge').value = '{name}'")
            click(tab, "begin")
            for better in ("a", "b") if name == "baobab" else ("b", "same"):
                judge(tab, better=better)
                click(tab, "next")
            click(tab, "as-text")
            files.append(tmp_path / f"{name}.json")
            files[-1].write_text(tab.ask("document.getElementById('export').value"), "utf-8")
            click(tab, "another")
            assert is_shown(tab, "begin-first")
        click(tab, "fr")
        assert "traduction" in tab.ask("document.querySelector('h1').innerText")
        assert tab.ask("document.documentElement.lang") == "fr"
    [one] = gather(files, find_campaigns(made.path.parent))
    assert {sheet.judge for sheet in one.sheets} == {"baobab", "teranga"}
    assert len({json.loads(file.read_text("utf-8"))["sheet"] for file in files}) == 2
