"""What holds for every format of corpora, those that somebody adds tomorrow included."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from finetune.cards.explain import explain
from finetune.errors import DataError, RecipeError
from finetune.sources.files import resolve_files
from finetune.spec import entry_points, formats
from finetune.spec.entry_points import load
from finetune.spec.formats import FORMATS, Format
from tests.support.prepare_job import make_card

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs/data-cards.md"
EVERY = pytest.mark.parametrize("form", FORMATS.values(), ids=list(FORMATS))
LANGUAGES = {"text": ["wol_Latn"], "parallel": ["fra_Latn", "wol_Latn"], "chat": ["wol_Latn"]}


def card_with(folder: Path, form: Format, content: bytes) -> Any:
    """Return a card of a format, of the first kind that the format has."""
    kind = form.kinds[0]
    languages = LANGUAGES[kind]
    roles = ["text"] if kind == "text" else languages
    names = form.fixed_columns or roles
    files = {f"{name}/corpus": content for name in names}
    columns = {} if form.documents else dict(zip(roles, names, strict=False))
    return make_card(
        folder,
        "corpus",
        files if kind == "parallel" else content,
        kind=kind,
        format=form.name,
        languages=languages,
        columns=columns,
    )


@EVERY
def test_what_a_row_names_exists(form: Format) -> None:
    """Each "module:function" of the table can be imported and called."""
    assert callable(load(form.read))
    assert not form.columns or callable(load(form.columns))


@EVERY
def test_a_hostile_file_is_refused_in_both_languages(tmp_path: Path, form: Format) -> None:
    """A broken file of each format is an error with its place, in plain English and French."""
    card = card_with(tmp_path, form, form.hostile)
    files = resolve_files(card, inputs={})
    with pytest.raises(DataError) as caught:
        list(load(form.read)(files, corpus=card.corpus))
    for problem in caught.value.problems:
        assert problem.startswith(files[0].name)
        assert len({problem, explain(problem, "en"), explain(problem, "fr")}) == 3


@EVERY
def test_the_names_in_a_hostile_file_are_refused_too(tmp_path: Path, form: Format) -> None:
    """Looking for the columns of a broken file gives names or an error in words."""
    if form.columns:
        [file, *_] = resolve_files(card_with(tmp_path, form, form.hostile), inputs={})
        try:
            names = load(form.columns)(file)
        except DataError as error:
            assert str(error).startswith(file.name)  # noqa: PT017, both are right
        else:
            assert all(isinstance(name, str) for name in names)


@EVERY
def test_a_format_is_said_in_both_languages(form: Format) -> None:
    """Each format says what it is in English and in French, in other words."""
    assert set(form.words) == {"en", "fr"}
    assert form.in_words("en") != form.in_words("fr")
    assert form.in_words("fr").startswith(f"{form.name} (")


def test_no_two_formats_share_an_ending() -> None:
    """The end of a file's name tells one format; it is written in small letters with a dot."""
    every = [suffix for form in FORMATS.values() for suffix in form.suffixes]
    assert len(set(every)) == len(every)
    assert all(re.fullmatch(r"\.[a-z0-9]+", suffix) for suffix in every)
    for form in FORMATS.values():
        assert all(formats.format_of_suffix(suffix.upper()) is form for suffix in form.suffixes)


def test_extras_install_what_formats_need() -> None:
    """The packages of the rows with an extra are those that pyproject.toml has under its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = {re.split("[><=]", line)[0] for line in project["dependencies"]}
    for form in FORMATS.values():
        assert bool(form.extra) == bool(form.packages), form.name
        assert not set(form.packages) & base, form.name
        if form.extra:
            lines = project["optional-dependencies"][form.extra]
            named = {re.split("[><=]", line)[0] for line in lines}
            assert named == set(formats.packages_of(form)), form.name
            assert form.extra in project["optional-dependencies"]["dev"][0]


BEGIN, END = "<!-- formats: written by the tests from finetune/spec/formats.py -->", "<!-- end -->"


def guide_table() -> str:
    """Return the table of formats in the card guide."""
    rows = ["| format | files | what it is | in `columns` |", "|---|---|---|---|"]
    for form in FORMATS.values():
        named = " and ".join(f"`{name}`" for name in form.fixed_columns) or form.columns_are
        if form.documents:
            named = named if "parallel" in form.kinds else ""
        files = ", ".join(f"`{suffix}`" for suffix in form.suffixes)
        rows.append(f"| `{form.name}` | {files} | {form.words['en']} | {named} |")
    return "\n".join(rows)


def test_the_card_guide_lists_every_format() -> None:
    """The table of the card guide is the one in the code; FINETUNE_WRITE_GOLDEN=1 writes it."""
    page = GUIDE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    wanted = f"{head}{BEGIN}\n\n{guide_table()}\n\n{END}{tail}"
    if os.environ.get("FINETUNE_WRITE_GOLDEN"):
        GUIDE.write_text(wanted, encoding="utf-8")
    assert BEGIN in page
    assert page == wanted


ROLES = {"text", "messages"}
"""Names that are also kinds of cards and columns of conversations."""


def test_nobody_else_knows_a_format_by_name() -> None:
    """The name of a format is written in its row and in the file that reads it, nowhere else."""
    readers = {form.read.partition(":")[0] for form in FORMATS.values()}
    mine = {ROOT / f"{module.replace('.', '/')}.py" for module in readers}
    found = []
    for path in sorted((ROOT / "finetune").rglob("*.py")):
        if path in mine or path == ROOT / "finetune/spec/formats.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in FORMATS.keys() - ROLES:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}")
            if isinstance(node, ast.Compare) and any(
                isinstance(part, ast.Attribute) and part.attr == "format"
                for part in (node.left, *node.comparators)
            ):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: compares a format")
    assert found == []


def test_an_unknown_name_gets_the_nearest() -> None:
    """A misspelt name is an error that says what was meant."""
    with pytest.raises(RecipeError, match=r"'jsonll' is none of the readers.*Did you mean 'jsonl'"):
        formats.reader("jsonll")
    assert formats.known_format("jsonll") is None


def installed(monkeypatch: pytest.MonkeyPatch, name: str, target: str) -> None:
    """Let a package with one entry point be installed."""
    point = EntryPoint(name, target, formats.GROUP)
    monkeypatch.setattr(entry_points, "entry_points", lambda **_: [point])


def test_an_entry_point_adds_a_function_that_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not ours is looked up among the installed entry points; it has columns."""
    installed(monkeypatch, "radio", "finetune.readers.tables:read_text")
    assert formats.reader("radio").__name__ == "read_text"
    assert not formats.find_format("radio").documents


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no_such_module:READER", "cannot be imported .*No module named 'no_such_module'"),
        ("finetune.readers.tables:no_such", "cannot be imported .*has no attribute 'no_such'"),
        ("no_attribute", "is 'no_attribute', not module:attribute"),
        ("finetune.spec.formats:PLAIN", "is the format 'text' .*not a format of that name"),
        ("finetune.spec.formats:GROUP", "is 'finetune.readers' .*not a format of that name"),
    ],
)
def test_a_broken_entry_point_is_told(
    monkeypatch: pytest.MonkeyPatch, target: str, words: str
) -> None:
    """What a package names and cannot be used is an error with the name, and no traceback."""
    installed(monkeypatch, "radio", target)
    with pytest.raises(RecipeError, match=rf"'radio' of an installed package {words}"):
        formats.find_format("radio")


@pytest.mark.parametrize(
    ("code", "words"), [("1 / 0", "ZeroDivisionError"), ("raise SystemExit(3)", "SystemExit")]
)
def test_a_package_that_fails_while_it_is_imported_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, words: str
) -> None:
    """Whatever its code raises, the message has its name, and the program goes on."""
    (tmp_path / "package_that_fails.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    installed(monkeypatch, "radio", "package_that_fails:READER")
    with pytest.raises(RecipeError, match=rf"'radio' of an installed package .*{words}"):
        formats.find_format("radio")


def test_two_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is read by chance, and no key names the one while the other one runs."""
    points = [EntryPoint("radio", f"{name}:READER", formats.GROUP) for name in ("one", "other")]
    monkeypatch.setattr(entry_points, "entry_points", lambda **_: points)
    with pytest.raises(RecipeError, match=r"'radio' is added by .* and by .*uninstall one"):
        formats.find_format("radio")


def test_packages_are_not_looked_through_for_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A format or file ending of ours is found without reading what is installed."""

    def never(**_: Any) -> Any:
        raise AssertionError("looked through all packages")

    monkeypatch.setattr(entry_points, "entry_points", never)
    for form in FORMATS.values():
        assert formats.known_format(form.name) is formats.find_format(form.name) is form
        assert all(formats.format_of_suffix(suffix) is form for suffix in form.suffixes)


def test_the_table_is_light() -> None:
    """Importing the table imports no reader and nothing heavy."""
    code = (
        "import sys, finetune.spec.formats; "
        "heavy = ('numpy', 'torch', 'pyarrow', 'pydantic', 'finetune.readers'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
