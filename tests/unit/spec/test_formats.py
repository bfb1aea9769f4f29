"""Contract of every corpus format, including future ones."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import DataError, RecipeError
from finetune.readers.units import tolerated
from finetune.sources.files import resolve_files
from finetune.spec import formats
from finetune.spec.entry_points import load
from finetune.spec.formats import FORMATS, Format
from finetune.spec.tables.extras import EXTRAS
from tests.support.installed_package import install
from tests.support.prepare_job import make_card
from tests.support.problems import raises
from tests.support.syntax import tree_of

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs/reference/data-card-fields.md"
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
        list(tolerated(load(form.read)(files, corpus=card.corpus)))
    name = card.corpus.source.files[0].path
    for problem in caught.value.problems:
        assert problem.code == "too-many-malformed" or str(problem).startswith(name)


@EVERY
def test_the_names_in_a_hostile_file_are_refused_too(tmp_path: Path, form: Format) -> None:
    """Looking for the columns of a broken file gives names or an error in words."""
    if form.columns:
        card = card_with(tmp_path, form, form.hostile)
        name = card.corpus.source.files[0].path
        try:
            [file, *_] = resolve_files(card, inputs={})
            names = load(form.columns)(file)
        except DataError as error:
            assert str(error).startswith(name)  # noqa: PT017, both are right
        else:
            assert all(isinstance(name, str) for name in names)


@EVERY
def test_a_format_is_said_in_both_languages(form: Format) -> None:
    """Each format states what it is in English and in French, in other words."""
    assert form.about
    assert form.about.in_language("fr") != str(form.about)


def test_no_two_formats_share_an_ending() -> None:
    """A file suffix maps to one format; it is written in lower case with a dot."""
    every = [suffix for form in FORMATS.values() for suffix in form.suffixes]
    assert len(set(every)) == len(every)
    assert all(re.fullmatch(r"\.[a-z0-9]+", suffix) for suffix in every)
    for form in FORMATS.values():
        assert all(formats.format_of_suffix(suffix.upper()) is form for suffix in form.suffixes)


def test_extras_of_formats_are_known() -> None:
    """Packages of a format beyond the base install are an extra of the table."""
    assert {form.extra for form in FORMATS.values()} - {""} <= set(EXTRAS)


BEGIN, END = "<!-- formats: written by the tests from finetune/spec/formats.py -->", "<!-- end -->"


def guide_table() -> str:
    """Return the table of formats in the card guide."""
    rows = ["| format | files | what it is | in `columns` |", "|---|---|---|---|"]
    for form in FORMATS.values():
        named = " and ".join(f"`{name}`" for name in form.fixed_columns) or form.columns_are
        if form.documents:
            named = named if "parallel" in form.kinds else ""
        files = ", ".join(f"`{suffix}`" for suffix in form.suffixes)
        rows.append(f"| `{form.name}` | {files} | {form.about} | {named} |")
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


TABLES = {ROOT / "finetune/spec/formats.py", ROOT / "finetune/spec/tables/extras.py"}
TABLES |= {ROOT / "finetune/verbs/release/report.py"}
TABLES |= {ROOT / "finetune/translate/formats/format_table.py"}
"""Of the formats, and of the extras, one of which has the name of a format; the forms of a report
that is written; files that are written back in another language."""
ROLES = {"text", "messages", "json", "jsonl"}
"""Names that are also kinds of cards, columns of conversations, or files of the program."""


def test_no_other_knows_a_format_by_name() -> None:
    """The name of a format is written in its row and in the file that reads it, nowhere else."""
    readers = {form.read.partition(":")[0] for form in FORMATS.values()}
    mine = {ROOT / f"{module.replace('.', '/')}.py" for module in readers}
    found = []
    for path in sorted((ROOT / "finetune").rglob("*.py")):
        if path in mine or path in TABLES:
            continue
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Constant) and node.value in FORMATS.keys() - ROLES:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}")
            if isinstance(node, ast.Compare) and any(
                isinstance(part, ast.Attribute) and part.attr == "format"
                for part in (node.left, *node.comparators)
            ):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: compares a format")
    assert found == []


def test_an_unknown_name_gets_the_nearest() -> None:
    """A misspelt name is an error that states what was meant."""
    with raises(RecipeError, code="unknown-extension", name="jsonll", group="readers") as caught:
        formats.reader("jsonll")
    assert caught.value.problems[0].facts["hint"].facts == {"near": "jsonl"}
    assert formats.known_format("jsonll") is None


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in which Python finds packages."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def installed(site: Path, target: str, *, package: str = "radio-tools") -> None:
    """Install a package with one entry point, the reader `radio`."""
    install(site, package, {formats.GROUP: {"radio": target}})


def test_an_entry_point_adds_a_function_that_reads(site: Path) -> None:
    """A name that is not ours is looked up among the installed entry points; it has columns."""
    installed(site, "finetune.readers.running_text:read_text")
    assert formats.reader("radio").__name__ == "read_text"
    assert not formats.find_format("radio").documents


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("no_such_module:READER", "package-cannot-be-imported"),
        ("finetune.readers.tables:no_such", "package-cannot-be-imported"),
        ("no_attribute", "no-attribute"),
        ("finetune.spec.formats:PLAIN", "no-reader"),
        ("finetune.spec.formats:GROUP", "no-reader"),
    ],
)
def test_a_broken_entry_point_is_reported(site: Path, target: str, code: str) -> None:
    """An unusable entry point of a package is an error with its name, without traceback."""
    installed(site, target)
    with raises(RecipeError, code=code, name="radio", target=target):
        formats.find_format("radio")


@pytest.mark.parametrize(
    ("code", "kind"), [("1 / 0", "ZeroDivisionError"), ("raise SystemExit(3)", "SystemExit")]
)
def test_a_package_that_fails_while_it_is_imported_is_reported(
    site: Path, code: str, kind: str
) -> None:
    """Whatever its code raises, the message has its name, and the program goes on."""
    installed(site, "package_that_fails:READER")
    (site / "package_that_fails.py").write_text(code)
    with raises(RecipeError, code="package-cannot-be-imported", name="radio") as caught:
        formats.find_format("radio")
    assert caught.value.problems[0].facts["error"].startswith(f"{kind}: ")


def test_two_packages_with_one_name_are_refused(site: Path) -> None:
    """Neither is read by chance, and no key names the one while the other one runs."""
    for package in ("one", "other"):
        installed(site, f"{package}:READER", package=package)
    both = {"first": "one 1.2", "second": "other 1.2"}
    with raises(RecipeError, code="added-twice", name="radio", **both):
        formats.find_format("radio")


def test_packages_are_not_looked_through_for_our_own(site: Path) -> None:
    """A format or file ending of ours is found without reading what is installed."""
    for package in ("one", "other"):  # a look through all packages refuses them
        installed(site, f"{package}:READER", package=package)
    with pytest.raises(RecipeError):
        formats.all_formats()
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
