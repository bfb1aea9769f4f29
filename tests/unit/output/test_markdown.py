"""Text of others in Markdown: shown as it was written, and nothing but text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import finetune
from finetune.output.markdown import code_block, inline, link, literal, plain
from finetune.output.templates import markdown_environment
from finetune.output.terminal import one_line
from tests.support.hostile_text import CONTROLS, MARKUP, SCRIPTS
from tests.support.markdown_reader import read, words_of

PLACES = {
    "paragraph": "{}",
    "sentence": "Title: {} (mit)",
    "item": "- {}",
    "item of a list": "- one\n- {}\n- three",
    "after a paragraph": "words\n{}",
    "heading": "# {}",
    "strong": "**{}**",
    "cell": "| a | b |\n|---|---|\n| {} | z |",
}


def kinds_of(place: str) -> list[str]:
    """Return the tokens of a place when a plain word stands in it, but for the text itself."""
    return [k for k in read(place.format("word")).kinds if k not in ("text", "code_inline")]


def check(text: str) -> None:
    for name, place in PLACES.items():
        shown = read(place.format(inline(text)))
        expected = read(place.format("\ue000")).text.replace("\ue000", words_of(text))
        assert shown.text == expected, (name, text, inline(text))
        assert (shown.links, shown.images, shown.html) == ((), (), ())
        structure = [k for k in shown.kinds if k not in ("text", "code_inline")]
        assert structure == kinds_of(place), (name, text, inline(text))


@pytest.mark.parametrize("text", [*MARKUP, *CONTROLS.values(), *SCRIPTS])
def test_hostile_text_is_read_as_it_was_written(text: str) -> None:
    """In a paragraph, a list, a heading, a table: no link, no picture, no HTML, the same words."""
    check(text)


PIECES = [*MARKUP, *"ab1 \\`*_{}[]()#+-.!|<>&~$:=\"'^@/?;%,", "\n", "ɗ", "  ", "&#", "://"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_mixtures_are_read_as_they_were_written(text: str) -> None:
    """Whatever stands beside whatever."""
    check(f"x{text}x" if not words_of(text) else text)


@pytest.mark.parametrize(
    "text",
    ["see http://evil.example/x", "www.evil.example", "me@evil.example", "a $x$ b", ":smile:"],
)
def test_what_renderers_turn_into_links_by_themselves_is_code(text: str) -> None:
    """GitHub links plain addresses, after it has read the escapes."""
    assert "`" in inline(text)
    assert "code_inline" in read(inline(text)).kinds


def test_ordinary_text_stays_readable_as_it_is() -> None:
    """Names, numbers, licences, words with an apostrophe need no escape."""
    for text in ("hau_Latn", "-0.600", "2.000", "cc-by-4.0", "learning_rate 0.0002", "l’été (1)"):
        assert inline(text) == text


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("https://example.org/a", "https://example.org/a"),
        ("http://example.org/(a)", "http://example.org/(a)"),
        ("https://example.org/a b>c", "https://example.org/a%20b%3Ec"),
        ("https://example.org/a_*b*|c`d\\", "https://example.org/a%5F%2Ab%2A%7Cc%60d%5C"),
        ("javascript:alert(1)", None),
        ("JaVaScRiPt:alert(1)", None),
        ("data:text/html,x", None),
        ("vbscript:x", None),
        ("//evil.example", None),
        ("LICENSE", None),
        ("https:///x", None),
        (None, None),
    ],
)
def test_only_pages_are_linked(address: str | None, target: str | None) -> None:
    """http and https become a link whose text is text; anything else stays text."""
    for place in PLACES.values():
        shown = read(place.format(link("a [b](c) | d", address)))
        assert shown.links == (() if target is None else (target,))
        assert not shown.images
        assert "a [b](c) | d" in shown.text


@pytest.mark.parametrize("text", [*MARKUP, *CONTROLS.values(), *SCRIPTS, "````\n`````x\n"])
def test_nothing_closes_a_block_of_code(text: str) -> None:
    """A prompt of any lines is one block, as it was written."""
    shown = read(f"before\n\n{code_block(text)}\n\nafter")
    assert [k for k in shown.kinds if k == "fence"] == ["fence"]
    assert not any((shown.links, shown.images, shown.html))


@pytest.mark.parametrize("text", [*MARKUP, *CONTROLS.values(), *SCRIPTS])
def test_a_literal_is_one_line_of_python(text: str) -> None:
    """It compiles, means the text, and shows what is hidden."""
    shown = literal(text)
    assert "\n" not in shown
    value = compile(shown, "x", "eval")
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert eval(value) == text


def test_text_files_hold_one_line_a_value_and_no_tag() -> None:
    """NOTICE and LICENSE show angle brackets, but nothing that a browser takes for a tag."""
    for text in (*MARKUP, *CONTROLS.values(), *SCRIPTS):
        shown = plain(text)
        assert "\n" not in shown
        assert shown == one_line(shown)
        assert not re.search(r"<(?!me@|http)[A-Za-z/!?]", shown)
    assert plain("Amina <amina@example.org>, 3 < 4") == "Amina <amina@example.org>, 3 < 4"


def test_a_template_escapes_what_it_fills_in() -> None:
    """Without any filter; a template that forgets one shows text."""
    made = markdown_environment("finetune.release")
    shown = made.from_string("| {{ x }} | {{ y | link('https://e.org') }} |").render(
        x="<b>|*c*", y="[z]"
    )
    assert shown == r"| &lt;b&gt;\|\*c\* | [\[z\]](https://e.org) |"


def test_every_template_escapes_by_default() -> None:
    """Web pages and Markdown are filled in by environments that escape; nothing switches it off."""
    package = Path(finetune.__file__).parent
    templates = {
        p.relative_to(package).as_posix(): p.read_text("utf-8") for p in package.rglob("*.j2")
    }
    assert len(templates) >= 8
    for name, text in templates.items():
        assert not re.search(r"\|\s*safe\b|autoescape|\bMarkup\b", text), name
    for path in package.rglob("*.py"):
        text = path.read_text("utf-8")
        assert not re.search(r"\bmarkupsafe\b|\.select_autoescape|autoescape=False", text) or (
            path.relative_to(package).as_posix() == "output/templates.py"
        ), path
    unescaped = [p for p in package.rglob("*.py") if "text_environment(" in p.read_text("utf-8")]
    assert {p.name for p in unescaped} == {"templates.py", "batch_script.py", "plain_script.py"}


def test_every_table_for_spreadsheets_is_written_in_one_place() -> None:
    """No module writes CSV but the one that defuses formulas."""
    package = Path(finetune.__file__).parent
    writers = [p for p in package.rglob("*.py") if "csv.writer" in p.read_text("utf-8")]
    assert [p.name for p in writers] == ["spreadsheet.py"]
