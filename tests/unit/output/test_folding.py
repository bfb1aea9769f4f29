"""At a terminal of 80 columns no sentence is broken inside a word, and none is changed."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.cards.questions import QUESTIONS
from finetune.messages.extract import LOCALES, read
from finetune.output.console import Console
from finetune.output.folding import columns_of, folded, graphemes, settled, wrapped
from finetune.output.table_layout import text_columns
from finetune.train.validate import validation_line
from tests.support.surroundings import Variables

WIDTH = 80
CATALOGUE = list(read(LOCALES / "fr" / "LC_MESSAGES" / "finetune.po", "fr"))
COMMAND = re.compile(r" *(finetune|pip|python)\S* ")


class Terminal(io.StringIO):
    """Output to a terminal."""

    def isatty(self) -> bool:
        return True


def too_wide(text: str) -> list[str]:
    """Return the lines that are wider than the terminal and could be folded."""
    return [
        line
        for line in wrapped(text, WIDTH).split("\n")
        if columns_of(line) > WIDTH
        and len(re.findall(r"`[^`]*`[^ ]*|[^ ]+", line)) > 1
        and not COMMAND.match(line)
    ]


def words(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_sentence_fits(language: str) -> None:
    """All sentences of the program, with words for their facts."""
    texts = [
        text
        for one in CATALOGUE
        for given in ([one.id] if language == "en" else [one.string])
        for text in ([given] if isinstance(given, str) else given)
    ]
    filled = [re.sub(r"\{\w+[^{}]*\}", "12,345", text) for text in texts]
    assert len(filled) > 1000
    assert [text for text in filled if too_wide(text)] == []
    assert [text for text in filled if words(wrapped(text, WIDTH)) != words(text)] == []


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.name)
def test_every_question_fits_with_its_choices(question: object, language: str) -> None:
    """Further lines of a choice stand below its words."""
    asked = question.asked(language)  # type: ignore[attr-defined]
    assert too_wide(asked) == []
    for line in wrapped(asked, WIDTH).split("\n"):
        assert re.match(r"\S|  \d+  \S|  Ent|     \S", line), line


def test_the_line_of_a_validation_with_three_languages_fits(variables: Variables) -> None:
    variables(COLUMNS=str(WIDTH))
    scores = {"wol_Latn": 1.234, "fra_Latn": 1.5, "hau_Latn": 2.25}
    console = Console(out=Terminal(), language="fr")
    console.say(validation_line(1200, scores, best=(1000, 1.61)))
    assert isinstance(console.out, Terminal)
    lines = console.out.getvalue().splitlines()
    assert len(lines) > 1
    assert max(map(columns_of, lines)) <= WIDTH


def test_commands_and_wide_letters_are_kept_whole() -> None:
    """A command can be copied from one line; letters of two columns count twice, marks not."""
    command = "finetune advise --card data_cards/contes.md --output recipes/contes.yaml --lang fr"
    assert wrapped(f"Corrigez le nom, puis tapez : {command}", 60).split("\n")[1] == f"  {command}"
    assert f"`{command}`" in wrapped(f"Some words before `{command}` and some after it", 60)
    french = "le nom de la colonne est \u00ab\u00a0wolof\u00a0\u00bb\u00a0: {}"
    for width in range(24, 60):
        lines = wrapped(french, width).split("\n")
        assert not [line for line in lines if line[0] in "\u00bb:" or line[-1] == "\u00ab"]
    assert columns_of("語e\u0301") == 3
    assert wrapped("word " * 40, None) == "word " * 40


@pytest.mark.parametrize("sign", ["e\u0301", "ક્ષ", "👩‍👩‍👧", "🇸🇳", "👍🏽", "각", "𞤀𞥄", "ɔ̀"])
def test_no_sign_is_broken(sign: str) -> None:
    """A letter with marks, a conjunct, an emoji, a flag: folded whole, and shown when complete."""
    assert graphemes(sign * 2) == [sign, sign]
    assert "".join(folded(sign * 30, 6)) == sign * 30
    assert all(len(line) % len(sign) == 0 for line in folded(sign * 30, 6))
    for end in range(1, len(sign) + 1):
        assert settled(f"a{sign[:end]}\ufffd") == "a"
    assert settled(f"{sign}a") == sign


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("ab é語𞤀א\u0301\u200d👍🏽\n"), max_size=60), st.integers(2, 12))
def test_folded_text_is_within_its_width_and_complete(text: str, width: int) -> None:
    """All signs stay, in order; only an emoji of several characters may be wider than a line."""
    lines = folded(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(columns_of(line) <= width for line in lines if not {"\u200d", "👍🏽"[1]} & set(line))


def test_right_to_left_text_stays_in_its_column() -> None:
    """Each line of it is isolated and stands at the right of its column; borders stay in place."""
    texts = {"base": "one שלום two\nthree", "adapter": "𞤔𞤢𞤥 𞤱𞤢𞤤𞤭 𞤲𞤢 " * 4}
    lines = text_columns(texts, width=60)
    assert {columns_of(line.partition("│")[0]) for line in lines} == {
        columns_of(lines[0].partition("│")[0])
    }
    left, right = lines[2].split(" │ ")
    assert left.startswith("\u2066one שלום two\u2069")
    assert right.startswith(" ")
    assert right.strip()[0] == "\u2067"
    for line in lines:
        assert sum(map(line.count, "\u2066\u2067")) == line.count("\u2069")


def test_a_narrow_terminal_has_one_text_below_another() -> None:
    """Columns too narrow to read are no columns."""
    lines = text_columns({"base": "one two", "adapter": "three"}, width=30)
    assert lines == ["base", "one two", "adapter", "three"]
