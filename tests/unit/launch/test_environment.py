"""Environment of libraries: our settings, and those of people, which win."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from finetune.launch.environment import TELEMETRY, wanted

SETTING = "PYTORCH_ALLOC_CONF"


@pytest.mark.parametrize("name", [SETTING, "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF"])
def test_the_allocator_grows_its_segments_unless_people_set_it(name: str) -> None:
    """Memory of a GPU has no gaps between segments; a person's own value is kept, under torch's
    present name or a former one."""
    assert wanted({})[SETTING] == "expandable_segments:True"
    assert SETTING not in wanted({name: "max_split_size_mb:128"})


def test_what_people_set_is_kept() -> None:
    """Every variable that is there already stays as it is, also an empty one."""
    mine = dict.fromkeys(wanted({}), "")
    assert wanted(mine) == {}


@pytest.mark.parametrize(
    ("name", "library", "module"),
    [
        ("HF_HUB_DISABLE_TELEMETRY", "huggingface_hub", "constants.py"),
        ("DO_NOT_TRACK", "huggingface_hub", "constants.py"),
        ("MLFLOW_DISABLE_TELEMETRY", "mlflow", "telemetry/utils.py"),
        ("DO_NOT_TRACK", "mlflow", "telemetry/utils.py"),
        ("WANDB_ERROR_REPORTING", "wandb", "env.py"),
    ],
)
def test_every_switch_is_one_that_the_installed_library_reads(
    name: str, library: str, module: str
) -> None:
    """A library that renames its switch would send again without a word."""
    spec = find_spec(library)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{library} is not installed")
    folder = Path(next(iter(spec.submodule_search_locations)))
    assert re.search(rf"\b{name}\b", (folder / module).read_text())
    assert name in wanted({})


def test_the_hub_library_believes_its_switches() -> None:
    """Its user agent says nothing of versions then, and nothing is sent at an import."""
    code = "from huggingface_hub import constants; print(constants.HF_HUB_DISABLE_TELEMETRY)"
    for name in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        variables = {**os.environ, **dict.fromkeys(TELEMETRY, ""), name: TELEMETRY[name]}
        done = subprocess.run(
            [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "True", name
