"""Wheels of the packages of a recipe, for installation without a network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

from finetune.errors import InputError
from finetune.launch.installed import DISTRIBUTION, canonical, training_packages
from finetune.messages import problem
from finetune.spec.load import Project
from finetune.spec.sections.identify import PACKAGES
from finetune.spec.sections.source import PackageSource

REQUIREMENTS = "requirements.txt"


def packages_of(project: Project) -> dict[str, str]:
    """Return name -> installed version of finetune, what it needs, and the recipe's packages."""
    named = [
        card.corpus.source.package.partition("==")[0]
        for card in project.cards.values()
        if isinstance(card.corpus.source, PackageSource) and card.corpus.source.is_installed
    ]
    named += [name for model in project.recipe.models for name, _ in model.package_files]
    identify = project.recipe.prepare.identify
    named += [PACKAGES[model] for model in identify.models if isinstance(model, str)]
    named += ["fasttext-predict"] if identify.files else []
    versions = training_packages()
    # packages of texts and weights are read as files; their dependencies are not needed
    return dict(sorted((versions | {canonical(n): metadata.version(n) for n in named}).items()))


def write_wheels(folder: Path, packages: dict[str, str], *, skip: Sequence[str]) -> list[str]:
    """Put wheels of packages into `folder/wheels`, pins into `folder/requirements.txt`.

    `skip`: patterns of names that the cluster has already; they are omitted. Returns the names
    that were. The wheels fit this machine's Python and processor. Raises InputError if pip cannot
    get one.
    """
    skipped = [name for name in packages if any(fnmatch(name, pattern) for pattern in skip)]
    pins = {name: version for name, version in packages.items() if name not in skipped}
    source = _source_folder()
    requirements = [f"{n}=={v}" for n, v in pins.items() if n != DISTRIBUTION or source is None]
    if source is not None and DISTRIBUTION in pins:
        requirements.append(str(source))
    lines = [f"{name}=={version}\n" for name, version in pins.items()]
    (folder / REQUIREMENTS).write_text("".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-cache-dir"]
    command += ["--wheel-dir", str(folder / "wheels"), *requirements]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise InputError(
            problem(
                "no-wheel",
                "pip cannot get every wheel: {error}; omit packages that the cluster has with "
                "--skip-wheel NAME, or all with --without-wheels",
                error=(errors or done.stderr.splitlines() or ["?"])[-1],
            )
        )
    return skipped


def _source_folder() -> Path | None:
    """Return the folder that finetune was installed from in place, None if it was not."""
    text = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    facts = json.loads(text) if text else {}
    if not facts.get("dir_info", {}).get("editable"):
        return None
    return Path(__file__).resolve().parents[3]
