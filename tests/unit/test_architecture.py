"""Sizes, names and folders of the code. An exception stands here with its reason."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.syntax import tree_of

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "finetune"
MODULES = sorted(PACKAGE.rglob("*.py"))

FUNCTION_LINES = 60
MODULE_LINES = 400
TABLE_LINES = 600
FOLDER_MODULES = 22
LAYERS = 15

TABLES: Mapping[str, str] = {"spec/formats.py": "the formats of corpora, a row each"}
"""Modules of more than 400 lines: tables of text or data, and what they hold."""
SHARED_NAMES: Mapping[str, str] = {
    "__init__.py": "every folder has one",
    "load.py": "of files that people write (spec), of models (models)",
    "loop.py": "the loop that drives a stage; the folder is the stage",
    "publish.py": "of data cards (cards), of a release (release)",
    "reasons.py": "to reject a text (readers), of a job that ended (cluster)",
    "report.py": "what a room found, for people",
    "results.py": "of stages in their manifests (artefacts), of a job chain (cluster)",
    "run.py": "the entry of a stage, `run(job)`; the folder is the stage",
    "vocabulary.py": "the section of a recipe (spec), the new tokens it asks for (tokenizer)",
}
"""File names that several folders use, and why the folder says the difference. Verbs are exempt:
a verb's module is the door to the room of the same name."""
VAGUE = ("util", "helper", "common", "manager", "misc")


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_function_has_more_than_sixty_lines() -> None:
    """A function fits on a screen."""
    long = [
        f"{_name(path)}:{node.lineno}: {node.name} has {_lines(node)} lines"
        for path in MODULES
        for node in _functions(path)
        if _lines(node) > FUNCTION_LINES
    ]
    assert not long


def test_no_module_has_more_than_four_hundred_lines() -> None:
    """A module is about one thing; a table of text or data may be longer, with its reason here."""
    sizes = {_name(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    long = {
        name: size
        for name, size in sizes.items()
        if size > (TABLE_LINES if name in TABLES else MODULE_LINES)
    }
    assert not long
    assert not [name for name in TABLES if sizes.get(name, 0) <= MODULE_LINES]


def test_no_folder_has_more_than_twenty_two_modules() -> None:
    """A folder can be read at a glance."""
    folders: defaultdict[str, int] = defaultdict(int)
    for path in MODULES:
        folders[_name(path.parent)] += 1
    assert not {name: n for name, n in folders.items() if n > FOLDER_MODULES}


def test_the_top_holds_the_door_and_rooms() -> None:
    """Beside folders, `finetune/` has the package, the command line and the errors."""
    top = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    files = {name for name in top if not (PACKAGE / name).is_dir()}
    assert files == {"__init__.py", "__main__.py", "cli.py", "errors.py", "py.typed"}


def test_every_room_has_its_place_among_at_most_fifteen_layers() -> None:
    """The import contract names every folder, and no layer is one loose file but the two ends."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    [layers] = [c["layers"] for c in contracts if c["name"] == "arrows go down"]
    assert len(layers) <= LAYERS
    named = {room.strip() for layer in layers for room in re.split("[|:]", layer)}
    folders = {
        f"finetune.{path.name}" for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()
    }
    assert named == folders | {"finetune.cli", "finetune.errors"}


def test_no_two_modules_have_one_name_unless_the_folder_says_the_difference() -> None:
    """A file name leads to one place."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        if not _name(path).startswith("verbs/"):
            places[path.name].append(_name(path))
    several = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert not {name: paths for name, paths in several.items() if name not in SHARED_NAMES}
    assert not [name for name in SHARED_NAMES if name not in several]


def test_no_module_has_a_name_that_says_nothing() -> None:
    """No `utils`, `helpers`, `common`, `manager`."""
    assert not [_name(p) for p in MODULES if any(word in p.stem.split("_") for word in _words())]


def _words() -> set[str]:
    return {form for word in VAGUE for form in (word, f"{word}s")}


def test_every_module_says_what_it_is() -> None:
    """The first line of a module is its docstring, so that a list of files can be read with it."""
    silent = [_name(path) for path in MODULES if not ast.get_docstring(tree_of(path))]
    assert not silent
