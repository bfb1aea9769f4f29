"""The packages that a recipe runs with, as wheels to install without a network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

from finetune.errors import InputError
from finetune.spec.card import PackageSource
from finetune.spec.identify import PACKAGES
from finetune.spec.load import Project

DISTRIBUTION = "finetune-lowres"
REQUIREMENTS = "requirements.txt"


def packages_of(project: Project) -> dict[str, str]:
    """Return name -> installed version of finetune, what it needs, and the recipe's packages."""
    named = [
        card.corpus.source.package.partition("==")[0]
        for card in project.cards.values()
        if isinstance(card.corpus.source, PackageSource) and card.corpus.source.is_installed
    ]
    base = project.recipe.base
    if base.kind == "package":
        named.append(base.model.removeprefix("package:").partition("/")[0])
    identify = project.recipe.prepare.identify
    named += [PACKAGES[model] for model in identify.models if isinstance(model, str)]
    named += ["fasttext-predict"] if identify.files else []
    found = closure([DISTRIBUTION])
    # texts and weights that come as packages are read as files; what they depend on is not used
    return dict(sorted((found | {_canonical(n): metadata.version(n) for n in named}).items()))


def closure(names: Iterable[str]) -> dict[str, str]:
    """Return name -> installed version of packages and of everything that they need here."""
    from packaging.requirements import Requirement

    found: dict[str, str] = {}
    waiting = [(name, frozenset[str]()) for name in names]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise InputError(
                f"package {name!r} is not installed here; run `finetune doctor`"
            ) from None
        found[_canonical(name)] = installed.version
        for text in installed.requires or ():
            one = Requirement(text)
            chosen = [
                one.marker is None or one.marker.evaluate({"extra": e}) for e in ("", *extras)
            ]
            if any(chosen):
                waiting.append((_canonical(one.name), frozenset(one.extras)))
    return dict(sorted(found.items()))


def write_wheels(folder: Path, packages: dict[str, str], *, skip: Sequence[str]) -> list[str]:
    """Put wheels of packages into `folder/wheels`, pins into `folder/requirements.txt`.

    `skip`: patterns of names that the cluster has already; they are left out. Returns the names
    that were. The wheels fit this machine's Python and processor. Raises InputError if pip cannot
    get one.
    """
    skipped = [name for name in packages if any(fnmatch(name, pattern) for pattern in skip)]
    pins = {name: version for name, version in packages.items() if name not in skipped}
    source = _source_folder()
    wanted = [f"{n}=={v}" for n, v in pins.items() if n != DISTRIBUTION or source is None]
    if source is not None and DISTRIBUTION in pins:
        wanted.append(str(source))
    lines = [f"{name}=={version}\n" for name, version in pins.items()]
    (folder / REQUIREMENTS).write_text("".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-cache-dir"]
    command += ["--wheel-dir", str(folder / "wheels"), *wanted]
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
            f"pip cannot get every wheel: {(errors or done.stderr.splitlines() or ['?'])[-1]}; "
            "leave out what the cluster has with --skip-wheel NAME, or all with --without-wheels"
        )
    return skipped


def _source_folder() -> Path | None:
    """Return the folder that finetune was installed from in place, None if it was not."""
    text = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    facts = json.loads(text) if text else {}
    if not facts.get("dir_info", {}).get("editable"):
        return None
    return Path(__file__).resolve().parents[3]


def _canonical(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))
