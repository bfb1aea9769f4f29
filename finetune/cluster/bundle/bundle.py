"""One folder or tar file with all that a recipe needs, for a cluster that reaches nothing.

README.md            how to unpack it, for somebody who has only this file
SHA256SUMS           of every other file, as `sha256sum -c` reads it
bundle.json          what it is: recipe, versions, artefacts
project/             the recipe, its lock, cards with their files, the site; run from here
store/STAGE/KEY/     fetched models and corpora, as in any store
wheels/, requirements.txt   packages, unless left out
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import shutil
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune import __version__
from finetune.cluster.bundle.wheels import DISTRIBUTION, closure, packages_of, write_wheels
from finetune.cluster.chain.snapshot import add_cards
from finetune.errors import InputError, RecipeError
from finetune.output.durable import flush, write_json
from finetune.pipeline.gate import Opened, refuse_unopened
from finetune.pipeline.plan import Step
from finetune.pipeline.store import Store, read_manifest
from finetune.sources import fetch
from finetune.spec.load import Project

SCHEMA = 1
FACTS, SUMS, README = "bundle.json", "SHA256SUMS", "README.md"
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.xz")
_TEXT = """\
# {name}: a finetune bundle

All that the recipe `{recipe}` needs, for a cluster without a network. Made by finetune {version}
with Python {python} on {machine}.

1. Copy the tar file (or this folder) to a disk that login and compute nodes of the cluster see.
   Unpack it there:

       tar xf FILE.tar
       cd {name}

2. Check that it arrived whole:

       sha256sum --quiet -c SHA256SUMS

{install}
4. Put models and corpora into a store, and recipe and cards into a new folder to work in:

       finetune unbundle . --store STORE --into ../{name}-work

5. Work there:

       cd ../{name}-work
       finetune check {recipe}{overrides}
       finetune submit {recipe} --store STORE --site {site}{overrides}
"""
_INSTALL = """\
3. Make an environment with the same Python ({python}), and install from the wheels in here:

       python3 -m venv {options}../finetune-environment
       . ../finetune-environment/bin/activate
       pip install --no-index --no-deps --find-links wheels -r requirements.txt
"""
_NO_WHEELS = """\
3. Packages are not in here. Have finetune {version} installed with what it needs, and the packages
   that the recipe reads: {packages}.
"""


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into a bundle."""

    project: Opened
    steps: tuple[Step, ...]
    """The steps that need a network; their artefacts are in `store`."""
    store: Store
    site: Path | None
    wheels: bool
    skip_wheels: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    """As given to --set; the README repeats them."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What came out of a bundle."""

    recipe: Path
    added: tuple[str, ...]
    """Artefacts, `STAGE/KEY`, that were put into the store."""
    present: tuple[str, ...]
    """Those that were there before."""


def write_bundle(target: Path, contents: Contents) -> int:
    """Write a bundle to a new folder, or to a file if the name ends with .tar, .tar.gz or .tgz.

    Returns its size in bytes. Raises RecipeError if the target is there or the recipe names files
    that a bundle cannot hold, InputError if a wheel cannot be had, TypeError for a recipe that did
    not pass the gate for making something.
    """
    refuse_unopened(contents.project)
    if target.exists():
        raise RecipeError(f"{target}: already there; nothing was written")
    as_tar = target.name.endswith(_TAR)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".bundle-") as scratch:
        folder = Path(scratch) / contents.project.recipe.name
        folder.mkdir()
        _fill(folder, contents)
        size_bytes = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        if not as_tar:
            folder.rename(target)
            return size_bytes
        aside = Path(scratch) / target.name
        mode = {".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz"}.get(target.suffix, "w")
        with tarfile.open(aside, mode) as tar:  # type: ignore[call-overload]
            tar.add(folder, arcname=folder.name, filter=_without_owner)
        aside.rename(target)
        return target.stat().st_size


def unpack(source: Path, *, store: Store, into: Path | None) -> Unpacked:
    """Verify a bundle, put its artefacts into a store and its project into a new folder.

    `into`: default a folder of the recipe's name here. Raises InputError if a file is damaged or
    missing, RecipeError if `into` is there.
    """
    with _opened(source) as folder:
        facts = _verified(folder)
        goal = into if into is not None else Path(facts["name"])
        if goal.exists():
            raise RecipeError(f"{goal}: already there; name a new folder with --into")
        added: list[str] = []
        present: list[str] = []
        for name in facts["artifacts"]:
            stage, _, key = name.partition("/")
            new = _adopt(folder / "store" / stage / key, store.path_of(stage, key))
            (added if new else present).append(name)
        goal.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder / "project", goal)
    return Unpacked(goal / facts["recipe"], tuple(added), tuple(present))


def _fill(folder: Path, contents: Contents) -> None:
    project = contents.project
    recipe = _write_project(folder / "project", contents)
    artifacts = []
    for step in contents.steps:
        found = contents.store.find(step.stage.name, step.key)
        if found is None:
            raise InputError(
                f"{step.label} is not in the store; run: finetune fetch {project.path}"
            )
        shutil.copytree(found.path, folder / "store" / step.stage.name / step.key)
        artifacts.append(f"{step.stage.name}/{step.key}")
    packages = packages_of(project)
    skipped: list[str] = []
    if contents.wheels:
        skipped = write_wheels(folder, packages, skip=contents.skip_wheels)
    facts = {
        "schema": SCHEMA,
        "name": project.recipe.name,
        "recipe": recipe,
        "version": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "machine": f"{platform.system()} {platform.machine()}",
        "artifacts": artifacts,
        "packages": packages,
        "wheels": contents.wheels,
        "skipped_wheels": skipped,
        "site": contents.site.name if contents.site else None,
    }
    write_json(folder / FACTS, facts)
    (folder / README).write_text(_readme(facts, contents), encoding="utf-8")
    lines = [f"{digest}  {name}\n" for name, digest in sorted(_digests(folder).items())]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _write_project(folder: Path, contents: Contents) -> str:
    """Copy recipe, lock, cards, site and local models; return the recipe's path in `folder`."""
    project = contents.project
    name = f"recipes/{project.path.name}"
    recipe = folder / name
    recipe.parent.mkdir(parents=True)
    shutil.copyfile(project.path, recipe)
    lock = fetch.lock_path(project.path)
    if lock.is_file():
        shutil.copyfile(lock, fetch.lock_path(recipe))
    schema = project.path.with_name("recipe.schema.json")
    if schema.is_file():
        shutil.copyfile(schema, recipe.with_name(schema.name))
    add_cards(project, folder)
    if contents.site is not None:
        (folder / "slurm/sites").mkdir(parents=True)
        shutil.copyfile(contents.site, folder / "slurm/sites" / contents.site.name)
    for path in _local_paths(project):
        _copy_local(path, folder, recipe=project.path)
    return name


def _local_paths(project: Project) -> list[str]:
    base = project.recipe.base
    first = project.recipe.stages_of_training[0].train
    named = [base.model] if base.kind in ("gguf", "directory") else []
    named += [first.start_from] if first.start_from else []
    prepare = project.recipe.prepare
    named += [model.fasttext for model in prepare.identify.files]
    return named + [one.path for one in prepare.evaluation_sets]


def _copy_local(path: str, folder: Path, *, recipe: Path) -> None:
    source = Path(path)
    inside = os.path.normpath(path)
    if source.is_absolute() or inside.startswith(("..", "~")):
        raise RecipeError(
            f"{recipe}: {path!r} lies outside this folder; move it inside and name it relatively, "
            "so that the recipe finds it on the cluster too"
        )
    target = folder / inside
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _readme(facts: dict[str, Any], contents: Contents) -> str:
    overrides = "".join(f" --set {shlex.quote(text)}" for text in contents.overrides)
    site = contents.site.name if contents.site else "NAME.yaml"
    if facts["wheels"]:
        skipped = facts["skipped_wheels"]
        options = "--system-site-packages " if skipped else ""
        install = _INSTALL.format(python=facts["python"], options=options)
        if skipped:
            left_out = ", ".join(f"{name}=={facts['packages'][name]}" for name in skipped)
            install += (
                f"\n   Left out, because the cluster has them: {left_out}.\n"
                "   Load the module that has them before this, and in `setup` of the site.\n"
            )
    else:
        read = [n for n in facts["packages"] if n not in closure([DISTRIBUTION])]
        packages = ", ".join(f"{n}=={facts['packages'][n]}" for n in read) or "none"
        install = _NO_WHEELS.format(version=facts["version"], packages=packages)
    return _TEXT.format(
        **{key: facts[key] for key in ("name", "recipe", "version", "python", "machine")},
        install=install,
        site=f"slurm/sites/{site}",
        overrides=overrides,
    )


@contextmanager
def _opened(source: Path) -> Iterator[Path]:
    """Give the folder of a bundle; a tar file is unpacked beside it for the while."""
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise RecipeError(f"{source}: there is no such bundle")
    with tempfile.TemporaryDirectory(dir=source.absolute().parent, prefix=".bundle-") as scratch:
        try:
            with tarfile.open(source) as tar:
                tar.extractall(scratch, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise InputError(f"{source}: cannot be unpacked: {error}; copy it again") from None
        folders = [path for path in Path(scratch).iterdir() if path.is_dir()]
        if len(folders) != 1:
            raise InputError(f"{source}: this is no bundle of `finetune bundle`")
        yield folders[0]


def _verified(folder: Path) -> dict[str, Any]:
    """Return the facts of a bundle after comparing every file with its checksum."""
    try:
        lines = (folder / SUMS).read_text("utf-8").splitlines()
        wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        facts: dict[str, Any] = json.loads((folder / FACTS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: this is no bundle of `finetune bundle` ({error})") from None
    found = _digests(folder)
    problems = [f"{folder / name}: missing" for name in wanted if name not in found]
    problems += [
        f"{folder / name}: damaged; copy the bundle again"
        for name in wanted
        if name in found and found[name] != wanted[name]
    ]
    if problems:
        raise InputError(*problems)
    if facts["schema"] != SCHEMA:
        raise InputError(f"{folder}: made by another version of finetune; use that one")
    return facts


def _adopt(source: Path, target: Path) -> bool:
    """Copy a finished artefact into a store, aside and then by one rename; False if it is there."""
    if target.is_dir():
        return False
    read_manifest(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{target.name}.{uuid.uuid4().hex}.partial")
    try:
        shutil.copytree(source, aside)
        for file in aside.rglob("*"):
            if file.is_file():
                flush(file)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    flush(target.parent)
    return True


def _digests(folder: Path) -> dict[str, str]:
    """Return sha256 of every file but the list of them, by relative path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != SUMS:
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Who made a bundle is nobody's business on the way."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
