"""The %post part of the image definitions, run in an empty environment; no image is built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "slurm/image"
DEFINITIONS = sorted(IMAGE.glob("*.def"))
INDEX = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT", "PIP_CONFIG_FILE")
"""Variables for the index of pip; the test passes no others."""


def section(text: str, name: str) -> list[str]:
    """Return the lines of a section of a definition."""
    found = re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return [line.strip() for line in found[1].splitlines() if line.strip()]


def copied(definition: Path, root: Path) -> Path:
    """Copy what %files copies, to the same places below `root`; return the folder of sources."""
    for line in section(definition.read_text(), "files"):
        source, target = line.split()
        path = root / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, path, ignore=ignore)
        else:
            shutil.copy(ROOT / source, path)
    return root / "src"


def install(*arguments: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run install.sh with an environment that has nothing but a path and an index."""
    kept = {name: os.environ[name] for name in INDEX if name in os.environ}
    path = f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin"
    return subprocess.run(
        ["/bin/bash", *arguments],
        env={"PATH": path, "HOME": str(home), "PREFIX": str(home / "prefix"), **kept, **variables},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda path: path.stem)
def test_a_definition_installs_with_the_script(definition):
    """%post is the script, for the build of its name, and %environment finds what it installs."""
    text = definition.read_text()
    post = section(text, "post")
    assert f"bash /src/install.sh {definition.stem} /src {{{{ TORCH }}}}" in post
    assert "/opt/finetune/bin" in "".join(section(text, "environment"))
    assert "Never built by us" in text


def test_a_wrong_call_says_what_to_give(tmp_path):
    """No arguments, an unknown build, a folder without sources: exit code 2, nothing installed."""
    script = str(IMAGE / "install.sh")
    for arguments in ((), ("metal", str(ROOT)), ("cpu", str(tmp_path))):
        done = install(script, *arguments, home=tmp_path)
        assert done.returncode == 2
        assert "install.sh" in done.stderr
    assert not (tmp_path / "prefix").exists()


@pytest.mark.slow
def test_the_script_installs_in_an_empty_environment(tmp_path):
    """From the files that %files copies, without torch: the command works where nothing else is."""
    source = copied(IMAGE / "cuda.def", tmp_path / "image")
    done = install(str(source / "install.sh"), "none", str(source), home=tmp_path, EXTRAS="")
    assert done.returncode == 0, done.stdout + done.stderr
    said = subprocess.run(
        [tmp_path / "prefix/bin/finetune", "check", "--help"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "recipe" in said.stdout
