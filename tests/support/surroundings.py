"""Surroundings of a test: working directory, environment variables, limits of modules.

The fixtures of the same names (tests/conftest.py) undo what they changed when the test ends.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, Protocol


class Inside(Protocol):
    """`inside(folder)` makes a folder the working directory."""

    def __call__(self, folder: Path) -> None: ...


class Variables(Protocol):
    """`variables(HF_TOKEN="x")` sets environment variables."""

    def __call__(self, **values: str) -> None: ...


class Constants(Protocol):
    """`constants(archives, MAX_MEMBERS=20)` sets constants of a module that has them."""

    def __call__(self, module: ModuleType, **values: Any) -> None: ...
