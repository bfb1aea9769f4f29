"""Expressions of cards: what Python would find, in a time that grows with the text alone."""

from __future__ import annotations

import random
import re
import sys
import time
from pathlib import Path

import pytest

from finetune.errors import RecipeError
from finetune.spec.load import load_card
from finetune.spec.values.expression_problems import ExpressionError
from finetune.spec.values.expressions import _category, _class_members, compiled
from tests.support.a_card import card

LETTERS = [*"aab ɓéß_\nİıſsSKkΣσς1२.-", "\U00010400", "\u200d", "\U0010fe05", "\ud800"]
PARTS = [
    *("a", "b", "ɓ", ".", "s", "K", "ß", "ς", "İ", "-", "^", "$", "[a-c]", "[^a-c]"),
    *(r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", r"[\wé]", r"[^\s\d]", r"\n"),
    *(r"\b", r"\B", r"\A", r"\Z", r"(?m:^)", r"(?m:$)", r"(?a:\b)"),
    *(r"(?i:s)", r"(?-i:k)", r"(?a:\w)", r"(?s:.)"),
]
FLAGS = ("", "", "(?i)", "(?m)", "(?s)", "(?a)", "(?im)", "(?ia)")
CARDS = Path(__file__).parents[3] / "data_cards"


def expression(rng: random.Random, depth: int = 0) -> str:
    """Return an expression at random."""
    out = ""
    for _ in range(rng.randint(1, 4)):
        kind = rng.random()
        part = rng.choice(PARTS)
        if kind > 0.65 and depth < 4:
            part = f"({expression(rng, depth + 1)})"
        if kind > 0.85 and depth < 4:
            part = f"({expression(rng, depth + 1)}|{expression(rng, depth + 1)})"
        if rng.random() < 0.3:
            part = f"(?:{part}){rng.choice(['*', '+', '?', '{2}', '{1,3}', '*?', '+?'])}"
        out += part
    return out


@pytest.mark.parametrize("seed", range(3))
def test_what_is_found_is_what_python_finds(seed: int) -> None:
    """Unicode classes, case, boundaries, ends of lines: random expressions over random texts."""
    rng = random.Random(seed)
    compared = hits = 0
    while compared < 2000:
        written = rng.choice(FLAGS) + expression(rng)
        try:
            mine = compiled(written)
        except ExpressionError:  # too many boundaries, or letters of every script
            continue
        python = re.compile(written)
        for _ in range(20):
            text = "".join(rng.choice(LETTERS[:-2]) for _ in range(rng.randint(0, 9)))
            found = python.search(text) is not None
            assert mine.search(text) is found, (written, text)
            compared += 1
            hits += found
    assert 300 < hits < compared


@pytest.mark.parametrize("seed", range(2))
def test_no_text_is_an_error(seed: int) -> None:
    """Halves of characters and the marks of the search itself are searched like any other."""
    rng = random.Random(seed)
    mine = [compiled(written) for written in (r"\ba\b", "a$", r"(?i)[^k]\B", ".")]
    for _ in range(500):
        text = "".join(rng.choice(LETTERS) for _ in range(rng.randint(0, 9)))
        assert mine[3].search(text) is bool(text.replace("\n", ""))
        for one in mine:
            one.search(text)


@pytest.mark.parametrize("category", ["DIGIT", "SPACE"])
def test_classes_are_those_of_python(category: str) -> None:
    """Every character of Unicode is in a class if Python reports it, and in no other case."""
    written = {"DIGIT": r"\d", "SPACE": r"\s"}[category]
    ranges = _category(f"CATEGORY_{category}", 0)
    mine = {code for first, last in ranges for code in range(first, last + 1)}
    python = re.compile(written)
    assert mine == {code for code in range(sys.maxunicode + 1) if python.match(chr(code))}


def test_letters_without_case_are_those_of_python() -> None:
    """The letters k, s and those beyond ASCII stand for the same ones as in Python."""
    for letter in "kſΣİıﬁǅ\u0345":
        python = re.compile(letter, re.IGNORECASE)
        ranges = _class_members((("LITERAL", ord(letter)),), re.IGNORECASE)
        mine = {code for first, last in ranges for code in range(first, last + 1)}
        assert mine == {c for c in range(0x20000) if python.match(chr(c))}, letter


SLOW = [
    (r"^(a+)+$", "a", "!"),
    (r"(a|a)*b", "a", "!"),
    (r"(\w+\s?)+\.$", "a", "!"),
    (r"(x+x+)+y", "x", "!"),
    (r"\b(ɓ*)*\bz", "ɓ", "!"),
    (r".*.*.*=.*", "a", ""),
    (r"(?i)^(([a-z])+.)+[A-Z]([a-z])+$", "a", ""),
    (r"\s+$", " ", "a"),
    (r"(a?){100}a{100}", "a", "b"),
    (r"(.*a.{60}b){3}", "ab", "!"),
]


@pytest.mark.parametrize(("written", "unit", "end"), SLOW)
def test_no_expression_takes_more_than_the_length_of_the_text(
    written: str, unit: str, end: str
) -> None:
    """Expressions with catastrophic backtracking in Python's `re` match 100,000 letters at once."""
    mine = compiled(written)
    begin = time.process_time()
    mine.search(unit * (100_000 // len(unit)) + end)
    assert time.process_time() - begin < 2


REFUSED = [
    (r"a(?=b)", "slow-expression"),
    (r"(?<!a)b", "slow-expression"),
    (r"(a)\1", "slow-expression"),
    (r"(?P<x>a)(?P=x)", "slow-expression"),
    (r"(a)?(?(1)b|c)", "slow-expression"),
    (r"(?>a+)b", "slow-expression"),
    (r"a++", "slow-expression"),
    (r"(", "no-expression"),
    (r"[z-a]", "no-expression"),
    (r"*a", "no-expression"),
    (r"a{2000}", "large-expression"),
    (r"(x|y){0,1000000000}z", "large-expression"),  # RE2 would take it for letters
    (r"x{100000000,}", "large-expression"),
    (r"[[:alpha:]]+", "ambiguous-expression"),
    (r"[a&&b]", "ambiguous-expression"),
    (r"(a{500}){500}", "large-expression"),
    (r"((((a{9}){9}){9}){9}){9}", "large-expression"),
    (r"\w{1,500}", "large-expression"),
    (r"(\ba){100}", "many-boundaries"),
    ("(" * 600 + ")" * 600, "no-expression or deep-expression"),
    ("(" * 150 + "a" + ")" * 150, "deep-expression"),
    ("a" * 2001, "long-expression"),
    ("a{1,99999999999999999999}", "no-expression"),
]


@pytest.mark.parametrize(("written", "code"), REFUSED)
def test_what_cannot_be_searched_is_refused_at_its_place(
    tmp_path: Path, written: str, code: str
) -> None:
    """The card's line, what is in the expression, and what to write instead."""
    begin = time.process_time()
    with pytest.raises(RecipeError) as error:
        card(tmp_path, f"drop_matching: '{written}'")
    assert time.process_time() - begin < 2
    [found] = error.value.problems
    assert (found.place.line, found.place.key) == (10, "corpus.drop_matching")
    assert found.code in code.split(" or ")
    assert len(str(error.value)) < 500


def test_expressions_of_our_cards_find_what_they_found() -> None:
    """Every expression in data_cards/ is one that can be searched, and finds what Python finds."""
    written = {
        load_card(path).corpus.drop_matching
        for path in CARDS.glob("*.md")
        if "drop_matching:" in path.read_text("utf-8")
    } - {None}
    assert len(written) > 5
    texts = [
        *("en", "ks", "en\n", "Latn", "the en", "", "en-US", "Guru", "plural", "a, plural"),
        *(
            "{n, select, one {a}}",
            ",  selectə",
            ", plural_",
            "<b>",
            "a\n, select\n",
            ",\u00a0plural",
        ),
    ]
    for one in sorted(filter(None, written)):
        mine, python = compiled(one), re.compile(one)
        for text in texts:
            assert mine.search(text) is (python.search(text) is not None), (one, text)
