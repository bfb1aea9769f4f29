"""The environments that templates are filled in by, and the page that all pages extend."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment, UndefinedError

import finetune
from finetune.output.charts import scale_around, ticks
from finetune.output.templates import environment, text_environment
from tests.support.browser import measured, needs_browser

ROOM = "finetune.output"
PAGES = environment(ROOM)
SHARED = (
    '{% from "parts.html.j2" import bar, columns, dot_with_interval, scale_below, switch, words %}'
)


def page(body: str, **values: Any) -> str:
    """Return a page that extends the base, with `body` in its main part."""
    template = (
        f'{{% extends "base.html.j2" %}}{SHARED}{{% block title %}}t{{% endblock %}}'
        f"{{% block main %}}{body}{{% endblock %}}"
    )
    return PAGES.from_string(template).render(**values)


def drawn(body: str, **values: Any) -> ET.Element:
    """Return the elements that a macro writes; the test fails where they are not well-formed."""
    text = PAGES.from_string(SHARED + body).render(**values)
    return ET.fromstring(f"<main>{text}</main>")


def percents(root: ET.Element, kind: str, *, what: str) -> list[float]:
    """Return a length of all marks of a class."""
    marks = [mark for mark in root.iter() if kind in mark.attrib.get("class", "").split()]
    found = [re.search(rf"{what}:(-?[\d.]+)%", mark.attrib["style"]) for mark in marks]
    return [float(match[1]) for match in found if match]


@pytest.mark.parametrize("made", [PAGES, text_environment(ROOM)])
def test_a_name_that_none_gave_is_an_error(made: Environment) -> None:
    """A page with a hole in it is never written."""
    with pytest.raises(UndefinedError, match="unknown_name"):
        made.from_string("{{ unknown_name }}").render()


def test_pages_escape_and_texts_do_not() -> None:
    """HTML from a corpus stays text on a page; Markdown and scripts are filled in as they are."""
    assert "<p>&lt;b&gt;</p>" in page("<p>{{ x }}</p>", x="<b>")
    assert text_environment(ROOM).from_string("{{ x }}").render(x="<b>") == "<b>"


def test_a_page_may_load_nothing() -> None:
    """The base forbids the browser everything but the style and the pictures inside the page."""
    head, _, _ = page("x").partition("</head>")
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:\"" in head
    assert not re.search(r"url\(|@import|https?:", head)


def test_every_template_is_filled_in_by_these_environments() -> None:
    """Pages extend the base; nothing else sets Jinja up but for templates of models and tasks."""
    package = Path(finetune.__file__).parent
    pages = [path for path in package.rglob("*.html.j2") if path.parent.name != "output"]
    assert len(pages) >= 4
    for path in pages:
        assert path.read_text(encoding="utf-8").startswith('{% extends "base.html.j2" %}'), path
    modules = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"jinja2.* import .*Environment", path.read_text(encoding="utf-8"))
    ]
    assert sorted(modules) == [
        "evaluate/harness.py",
        "models/bounded_template.py",
        "output/templates.py",
    ]


def test_thousands_are_set_apart() -> None:
    """A narrow space that no line breaks at, for English and French alike."""
    assert "<p>1\u202f234\u202f567</p>" in page("<p>{{ 1234567 | number }}</p>")


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_bars_are_as_long_as_their_parts(one: int, two: int) -> None:
    """Both parts of a bar are their share of the whole, nothing of nothing has no length."""
    body = "{{ bar('a <b>', [('bar', one), ('out', two)], one + two, '9') }}"
    root = drawn(body, one=one, two=two)
    expected = [100 * part / (one + two) for part in (one, two) if part]
    found = [*percents(root, "bar", what="width"), *percents(root, "out", what="width")]
    assert found == pytest.approx(expected, abs=0.006)
    assert [span.text for span in root.iter("span")] == ["a <b>", "9"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(0, 100), min_size=3, max_size=3).map(sorted), min_size=1, max_size=6
    )
)
def test_every_mark_is_inside(values: list[list[float]]) -> None:
    """Dots and intervals of any scores, equal or zero ones too, lie inside the picture."""
    scale = scale_around([number for row in values for number in row])
    body = (
        "{% for low, value, high in values %}"
        "{% set one = {'system': 'base', 'low': low, 'value': value, 'high': high} %}"
        "{{ dot_with_interval('a <b>', one, scale, '9') }}"
        "{% endfor %}{{ scale_below(scale, 'x & y') }}"
    )
    root = drawn(body, values=values, scale=scale)
    dots = percents(root, "dot", what="left")
    lefts = percents(root, "spread", what="left")
    lengths = percents(root, "spread", what="width")
    assert len(dots) == len(lefts) == len(lengths) == len(values)
    for left, dot, length in zip(lefts, dots, lengths, strict=True):
        assert 0 <= left <= dot + 0.01
        assert dot <= left + length + 0.02 <= 100.02
    assert all(0 <= tick <= 100 for tick in percents(root, "tick", what="left"))
    texts = [span.text for span in root.iter("span")]
    assert texts.count("a <b>") == len(values)
    assert "x & y" in texts


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 100), st.floats(1e-3, 100))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    """Between 2 and 9 ticks lie in any range."""
    found = ticks(low, low + span)
    assert 2 <= len(found) <= 9
    assert all(low - span / 100 <= tick <= low + span * 1.01 for tick in found)


SCRIPT = """{
  bars: [...page.querySelectorAll(".track i.bar, .columns i.bar")].map(
    b => Math.round(b.getBoundingClientRect().width + b.getBoundingClientRect().height) > 2),
  tracks: new Set([...page.querySelectorAll(".row .track")].map(
    t => Math.round(t.getBoundingClientRect().left))).size,
  word: page.querySelector("td").getBoundingClientRect().width > 40,
  ticks: page.querySelectorAll(".scale span").length > 2,
}"""


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 390])
def test_a_real_browser_shows_every_part(tmp_path: Path, width: int) -> None:
    """On a screen and on a phone pictures stand under each other, a table that is too wide scrolls
    alone without broken words, and nothing runs over the edge."""
    body = (
        "{{ bar('a', [('bar', 3), ('out', 1)], 5, '3') }}"
        "{{ bar('long ' * 30, [('bar', 5)], 5, '5') }}"
        "{{ columns([('1', [('out', 1), ('bar', 2)], '3'), ('2', [('bar', 4)], '4')], 4) }}"
        "{{ dot_with_interval('a', one, scale, 'base 1.500 [1.000, 2.000]') }}"
        "{{ scale_below(scale, 'bits per byte') }}"
        "<div class='wide'><table><tr>{% for n in range(20) %}<td>bits_per_byte</td>{% endfor %}"
        "</tr></table></div><p>{{ 'x' * 400 }}</p>"
    )
    one = {"system": "base", "low": 1.0, "value": 1.5, "high": 2.0}
    text = page(body, one=one, scale=scale_around([1.0, 2.0]))
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    found = measured(tmp_path, "page.html", width=width, script=SCRIPT)
    assert found.pop("overflow") <= 0
    assert found == {"title": "t", "bars": [True] * 4, "tracks": 1, "word": True, "ticks": True}
