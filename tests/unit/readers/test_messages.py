"""Files of messages of software: JSON with lists and plurals, Android, Apple and Java."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.cli import main
from finetune.readers.message_files import is_messages
from finetune.sources.files import SourceFile
from finetune.spec.load import load_card
from tests.support.reading import problem_of, read, rejections, texts_of
from tests.support.surroundings import Inside

PAIR: dict[str, Any] = {
    "kind": "parallel",
    "format": "messages",
    "languages": ["eng_Latn", "hau_Latn"],
    "columns": {"eng_Latn": "en", "hau_Latn": "ha"},
}


def test_lists_numbers_and_descriptions(tmp_path: Path) -> None:
    """Items of lists are messages, other values are counted, descriptions of ARB are none."""
    files = {
        "en/a.arb": '{"@@locale": "en", "a": ["One", "Two"], "b": "Go", "@b": {"x": "y"}}',
        "ha/a.arb": '{"@@locale": "ha", "a": ["Daya", "Biyu"], "b": "Je", "n": 3, "u": null}',
    }
    assert read(tmp_path, files, **PAIR) == [
        ("a.arb: a.0", {"eng_Latn": "One", "hau_Latn": "Daya"}),
        ("a.arb: a.1", {"eng_Latn": "Two", "hau_Latn": "Biyu"}),
        ("a.arb: b", {"eng_Latn": "Go", "hau_Latn": "Je"}),
    ]
    assert rejections(tmp_path, files, **PAIR) == [
        ("no-message-text", "3"),
        ("no-message-text", "null"),
    ]


def test_plural_forms_of_one_language_are_paired_with_other(tmp_path: Path) -> None:
    """A form that English lacks translates its `other`, with dots or underscores."""
    files = {
        "app.en.json": '{"d_one": "day", "d_other": "days", "p": {"other": "%d pages"}}',
        "app.ha.json": '{"d_one": "rana", "d_few": "x", "d_other": "y", "p": {"many": "z"}}',
    }
    assert texts_of(tmp_path, files, **PAIR) == [
        ("day", "rana"),
        ("days", "y"),
        ("%d pages", None),
        ("days", "x"),
        ("%d pages", "z"),
    ]


ANDROID = """<?xml version="1.0" encoding="utf-8"?>
<resources xmlns:xliff="urn:oasis:names:tc:xliff:document:1.2">
  <string name="app" translatable="false">App</string>
  <string name="hi">{hi} <xliff:g id="n" example="Bob">%1$s</xliff:g>, <b>x</b>
      \\'y\\' \\u0253</string>
  <plurals name="days"><item quantity="one">%d {day}</item><item quantity="other">%d {days}</item>
  </plurals>
  <string-array name="l"><item>"a  b"</item></string-array>
</resources>"""


def test_android_resources(tmp_path: Path) -> None:
    """Plurals and lists too, without tags and escapes; the folder names the language."""
    files = {
        "res/values/strings.xml": ANDROID.format(hi="Hello", day="day", days="days"),
        "res/values-ha/strings.xml": ANDROID.format(hi="Sannu", day="rana", days="rana"),
    }
    block = PAIR | {"columns": {"eng_Latn": "values", "hau_Latn": "values-ha"}}
    assert texts_of(tmp_path, files, **block) == [
        ("Hello %1$s, x 'y' ɓ", "Sannu %1$s, x 'y' ɓ"),
        ("%d day", "%d rana"),
        ("%d days", "%d rana"),
        ("a  b", "a  b"),
    ]
    assert [reason for reason, _ in rejections(tmp_path, files, **block)] == (
        ["not-for-translation"] * 2
    )


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_strings_of_apple(tmp_path: Path, codec: str) -> None:
    """Comments are none, escapes are letters, UTF-16 is known by its mark."""
    text = '/* a "note" = "x"; */\n"k.1" = "{} \\"%@\\"";\n// y\n"k2"="a\\nb" ;\n'
    files = {
        "en.lproj/L.strings": text.format("Hi").encode(codec),
        "ha.lproj/L.strings": text.format("Sannu").encode(codec),
    }
    block = PAIR | {"columns": {"eng_Latn": "en.lproj", "hau_Latn": "ha.lproj"}}
    assert texts_of(tmp_path, files, **block) == [('Hi "%@"', 'Sannu "%@"'), ("a\nb", "a\nb")]
    torn = files | {"ha.lproj/L.strings": b'"a" = "b";\n"c" = d;\n'}
    problem = problem_of(tmp_path, torn, **block)
    assert (problem.code, problem.place and problem.place.line) == ("no-message", 2)


def test_properties_of_java(tmp_path: Path) -> None:
    """Separators, comments, escapes and lines that are continued."""
    text = "# note\n! note\na.b = {} \\\n   {{0}}\nc:x\\u0253\\ud83d\\ude00\nd e\\=f\n\ng\\ h=\n"
    files = {"m.en.properties": text.format("Hi"), "m.ha.properties": text.format("Sannu")}
    assert texts_of(tmp_path, files, **PAIR) == [
        ("Hi {0}", "Sannu {0}"),
        ("xɓ😀", "xɓ😀"),
        ("e=f", "e=f"),
        ("", ""),
    ]


def test_a_card_of_messages_names_the_languages_of_paths(tmp_path: Path, inside: Inside) -> None:
    """`cards new` finds the parts of the paths, and keeps files of one name apart."""
    inside(tmp_path)
    for code, word in (("en", "Open"), ("ha", "Bude")):
        Path(code).mkdir()
        Path(code, "m.json").write_text(f'{{"a": "{word}"}}', encoding="utf-8")
    arguments = ["--language=eng_Latn hau_Latn", "--format=messages", "--name=m"]
    assert main(["cards", "new", "en/m.json", "ha/m.json", *arguments]) == 0
    card = load_card(Path("data_cards/m.md"))
    assert card.corpus.columns == {"eng_Latn": "en", "hau_Latn": "ha"}
    assert "| texts | 1 |" in card.body


WRITTEN = {
    "strings.xml": '<resources><string name="a">{}</string></resources>',
    "app.arb": '{{"@@locale": "en", "a": "{}"}}',
    "L.strings": '"a" = "{}";\n',
    "m.properties": "a={}\n",
    "m.json": '{{"a": "{}", "b": {{"c": "x", "d": "y"}}}}',
}


@pytest.mark.parametrize("name", WRITTEN)
def test_messages_are_known_by_name_and_content(
    tmp_path: Path, inside: Inside, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Two languages are paired by key and not by line; one alone is answered with what to do."""
    inside(tmp_path)
    for code, word in (("en", "Open"), ("ha", "Bude")):
        Path(code).mkdir()
        Path(code, name).write_text(WRITTEN[name].format(word), encoding="utf-8")
    files = [f"en/{name}", f"ha/{name}"]
    assert main(["cards", "new", *files, "--language=eng_Latn hau_Latn", "--name=m"]) == 0
    assert load_card(Path("data_cards/m.md")).corpus.format == "messages"
    capsys.readouterr()
    assert main(["cards", "new", f"ha/{name}", "--language=hau_Latn", "--name=n"]) == 2
    assert "two or more languages" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        '{"text": "a", "title": "b", "place": "c"}',
        '[{"a": "b"}]',
        '{"a": "b"}\n{"a": "c"}\n',
        '{"a": "b", "c": "d", "n": 3}',
        '{"data": [{"a": "b"}]}',
        "{",
    ],
)
def test_records_are_not_taken_for_messages(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    assert not is_messages(SourceFile(tmp_path / "a.json", "a.json"))


@pytest.mark.parametrize(("name", "program"), [("R.resx", "resx2po"), ("app_ha.ts", "ts2po")])
def test_other_files_of_messages_are_answered_with_a_converter(
    tmp_path: Path, inside: Inside, capsys: pytest.CaptureFixture[str], name: str, program: str
) -> None:
    inside(tmp_path)
    Path(name).write_text("<root/>", encoding="utf-8")
    assert main(["cards", "new", name, "--language=hau_Latn"]) == 2
    assert program in capsys.readouterr().err
