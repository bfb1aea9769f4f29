"""The suite would notice: faults that were once in the code are put back into a copy of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_cuda.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The faults of a step by mutation, "" being the code as it is."""
    folder = tmp_path_factory.mktemp("mutated")
    shutil.copytree(ROOT / "finetune", folder / "finetune")
    command = [sys.executable, "-m", "tests.fake_cuda.mutations", str(folder)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["name"]: line["faults"] for line in lines}


def test_the_copy_as_it_is_has_no_fault(found: dict[str, list[str]]) -> None:
    """Later faults are those of mutations."""
    assert found[""] == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_fault_that_is_put_back_is_found(mutation: Mutation, found: dict[str, list[str]]) -> None:
    """In its own words, by the cheapest case in which it shows."""
    assert any(mutation.found in fault for fault in found[mutation.name]), found[mutation.name]
