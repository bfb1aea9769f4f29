"""Every test runs without a network and on one thread; files of tests may run side by side."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from finetune.messages.extract import compile_all
from tests.support.fake_slurm import FakeSlurm
from tests.support.side_by_side import pytest_xdist_make_scheduler  # noqa: F401  the hook
from tests.support.surroundings import Constants, Inside, Variables
from tests.support.time_guard import (  # noqa: F401  the hooks of the time guard
    pytest_runtest_logreport,
    pytest_terminal_summary,
)

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

compile_all()  # a checkout holds the PO files only

ROOT = Path(__file__).parents[1]
LONG = (
    "tests/cluster/",
    "tests/nightly/",
    "tests/ranks/",
    "tests/e2e/test_kill_train.py",
    "tests/e2e/",
    "tests/stages/",
    "tests/unit/text/test_personal.py",
)
"""Tests of minutes start first, so that no worker is left alone with one at the end."""
HEAVY = re.compile(
    r"^\s*(?:from|import) (?:torch|transformers|datasets|peft|accelerate|safetensors|subprocess"
    r"|tests\.support\.(?:tiny|project|training_job|prepare_job|release_job)|tests\.nightly)\b",
    re.MULTILINE,
)
"""Modules that no test file of `make test-quick` imports: each costs seconds to start."""


TAKEN_VARIABLES = {"FINETUNE_LAUNCH", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"}
"""Variables that `finetune.launch.ranks.take_step` sets in a task of srun."""

LOADED = frozenset({"torch", "transformers"})
"""No test of `make test-quick` loads these either; one of a light file that does is marked
`heavy`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="only files of tests that start nothing heavy"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With --quick, pass over every file that imports something heavy."""
    if not config.getoption("--quick") or collection_path.suffix != ".py":
        return None
    return bool(HEAVY.search(collection_path.read_text(encoding="utf-8"))) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers the longest files start first; --quick passes over heavy tests."""
    if config.getoption("--quick"):
        heavy = [item for item in items if item.get_closest_marker("heavy")]
        items[:] = [item for item in items if item not in heavy]
        config.hook.pytest_deselected(items=heavy)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _turn(item.path.relative_to(ROOT).as_posix()))


def _turn(file: str) -> int:
    return next((n for n, start in enumerate(LONG) if file.startswith(start)), len(LONG))


@pytest.fixture(autouse=True)
def _light(request: pytest.FixtureRequest) -> Iterator[None]:
    """With --quick, fail the first test that loads what takes seconds to start."""
    before = LOADED & sys.modules.keys()
    yield
    if request.config.getoption("--quick"):
        loaded = (LOADED & sys.modules.keys()) - before
        assert not loaded, f"loads {', '.join(sorted(loaded))}: mark it `heavy`"


@pytest.fixture(autouse=True)
def _no_launch() -> Iterator[None]:
    """Forget the launch of a test that was a task of srun: the command line keeps its variables."""
    before = os.environ.keys() & TAKEN_VARIABLES
    yield
    for name in (os.environ.keys() & TAKEN_VARIABLES) - before:
        del os.environ[name]


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Inside:
    """Return what makes a folder the working directory until the test ends."""

    def enter(folder: Path) -> None:
        monkeypatch.chdir(folder)

    return enter


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    """Return what sets environment variables until the test ends."""

    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.fixture
def constants(monkeypatch: pytest.MonkeyPatch) -> Constants:
    """Return what sets constants of a module until the test ends."""

    def set_all(module: ModuleType, **values: Any) -> None:
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)

    return set_all


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every pause between two tries take no time."""
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def fake_slurm(tmp_path_factory: pytest.TempPathFactory, variables: Variables) -> FakeSlurm:
    """Return commands of Slurm that are found first; their queue is empty."""
    made = FakeSlurm(tmp_path_factory.mktemp("slurm"))
    variables(**made.environment())
    return made


@pytest.fixture
def workdir(tmp_path: Path, inside: Inside) -> Path:
    """Run the test in its own empty folder, `tmp_path`."""
    inside(tmp_path)
    return tmp_path
