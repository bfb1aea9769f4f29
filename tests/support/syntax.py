"""Syntax trees of Python files, each parsed once: the package alone takes two seconds.

Test files that import this module run on one worker (tests/conftest.py), so that they share them.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))
