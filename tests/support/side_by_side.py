"""Tests of one file go to one worker, with what they share; `tests/conftest.py` takes the hook.

pytest-xdist's own groups need marks in the ids of tests, which pytest 9.2 keeps to itself
(pytest-xdist 3.8): tests of a group went to every worker, and each made the shared fixtures again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[2]


def group_of(nodeid: str) -> str:
    """Return what a test is kept together with: its file, or all that share one Slurm cluster.

    Most of the time of chains is waiting, so the longest file of them has a cluster of its own.
    Files about the code share its syntax trees.
    """
    file = nodeid.partition("::")[0]
    if file.startswith("tests/cluster/") and not file.endswith("test_survival.py"):
        return "tests/cluster"
    return "tests.support.syntax" if _is_about_code(file) else file


@cache
def _is_about_code(file: str) -> bool:
    path = ROOT / file
    return path.is_file() and "from tests.support.syntax import" in path.read_text("utf-8")


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hand out whole groups, in the order of their first tests."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    """Return the scheduler of a run with several workers."""
    return GroupScheduling(config, log)
