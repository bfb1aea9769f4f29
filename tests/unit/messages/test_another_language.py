"""Another language of messages is one PO file: nothing else of the program names languages."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from finetune.messages.extract import compiled, extracted, po_file
from tests.support.good_card import write
from tests.support.light_half import ROOT
from tests.support.syntax import tree_of

PACKAGE = ROOT / "finetune"
MARK = "\u25c6"
PAGES = """
import sys
from finetune.prepare.report.page import render
from tests.support.corpus_report import facts
sys.stdout.write(render(facts()))
"""


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of translations with one language, every sentence of which begins with a mark."""
    folder = tmp_path_factory.mktemp("locale")
    path = po_file("yo", locales=folder)
    path.parent.mkdir(parents=True)
    catalogue = Catalog(locale="yo")
    for one in extracted():
        if one.id and not one.context:
            texts = one.id if isinstance(one.id, tuple) else (one.id,)
            marked = tuple(f"{MARK} {text}" for text in texts)
            forms = (marked[-1],) * catalogue.num_plurals
            catalogue.add(one.id, forms if isinstance(one.id, tuple) else marked[0])
    buffer = BytesIO()
    write_po(buffer, catalogue)
    path.write_bytes(buffer.getvalue())
    compiled(path)
    return folder


def run(locales: Path, *arguments: str, code: int = 0) -> str:
    """Run Python with one more language of messages; return what it shows."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"FINETUNE_LOCALES": str(locales)},
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_card_verbs_speak_it(locales: Path, tmp_path: Path) -> None:
    """check with its errors, list, new and its card, catalogue: each shows the mark."""
    write(tmp_path, ("contact: the station", "known_problems: [typos]"))
    cards = ["--cards", str(tmp_path), "--lang", "yo"]
    verb = ["-m", "finetune", "cards"]
    for line in run(locales, *verb, "check", *cards).splitlines():
        assert line.lstrip().startswith(MARK), line
    assert MARK in run(locales, *verb, "list", *cards)
    assert MARK in run(locales, *verb, "check", "nowhere", *cards, code=2)
    (tmp_path / "new.txt").write_text("Benn.\n", encoding="utf-8")
    run(locales, *verb, "new", str(tmp_path / "new.txt"), "--language=wol_Latn", *cards)
    assert f"## {MARK} Limitations" in (tmp_path / "new.md").read_text(encoding="utf-8")
    run(locales, *verb, "catalogue", str(tmp_path / "out"), *cards)
    assert f"<h1>{MARK} Data cards</h1>" in (tmp_path / "out/index.html").read_text("utf-8")


def test_recipes_are_checked_in_it(locales: Path) -> None:
    """Output of `check` for a valid recipe and an invalid one."""
    verb = ["-m", "finetune", "check", "--lang", "yo"]
    for line in run(locales, *verb, "recipes/hausa-school.yaml").splitlines():
        assert MARK in line
    wrong = ["recipes/hausa-school.yaml", "--set", "lora.rnk=1"]
    assert MARK in run(locales, *verb, *wrong, code=2)


def test_the_corpus_report_speaks_it(locales: Path) -> None:
    """The page has a button for it, and its words."""
    page = run(locales, "-c", PAGES)
    assert 'for="yo"' in page
    assert f'<span class="said yo" lang="yo">{MARK} Corpus report</span>' in page


def test_no_module_names_a_language_of_messages() -> None:
    """Outside the messages package nothing compares with, or lists, a code such as `fr`."""
    named = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.is_relative_to(PACKAGE / "messages"):
            continue
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Compare):
                values = [node.left, *node.comparators]
            elif isinstance(node, ast.Dict):
                values = [key for key in node.keys if key]
            else:
                continue
            if any(isinstance(value, ast.Constant) and value.value == "fr" for value in values):
                named.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert named == []


@pytest.mark.parametrize("entry", ["Es gibt keine Datei {fiel!r}.", "{0}", "{near", "{near:.1f}"])
def test_a_misspelt_fact_in_a_translation_shows_the_english_sentence(
    tmp_path: Path, entry: str
) -> None:
    """A translator's mistake never hides the problem that its sentence states."""
    path = po_file("de", locales=tmp_path)
    path.parent.mkdir(parents=True)
    catalogue = Catalog(locale="de")
    catalogue.add("there is no such file. Did you mean {near!r}?", entry)
    buffer = BytesIO()
    write_po(buffer, catalogue)
    path.write_bytes(buffer.getvalue())
    compiled(path)
    shown = run(
        tmp_path, "-m", "finetune", "check", "recipes/hausa-schol.yaml", "--lang=de", code=2
    )
    assert "there is no such file. Did you mean 'recipes/hausa-school.yaml'?" in shown


def test_a_file_that_is_no_compiled_translation_is_no_language(tmp_path: Path) -> None:
    """`--lang` lists the languages that there are."""
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "finetune.mo").write_text("junk", encoding="utf-8")
    shown = run(tmp_path, "-m", "finetune", "check", "a.yaml", "--lang=de", code=2)
    assert "'de': use one of en, fr" in shown
