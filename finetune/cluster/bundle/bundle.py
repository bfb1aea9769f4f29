"""Writer of bundles: a folder or tar file with all that a recipe needs, for air-gapped clusters.

README.md            instructions for unpacking
SHA256SUMS           checksums of every other file, for `sha256sum -c`
bundle.json          recipe, versions, artefacts
project/             the recipe, its lock, cards with their files, the site; the working folder
store/STAGE/KEY/     fetched models and corpora, as in any store
wheels/, requirements.txt   packages, optional
"""

from __future__ import annotations

import errno
import os
import platform
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from finetune import __version__
from finetune.cluster.bundle.instructions import readme, shell_word
from finetune.cluster.bundle.inventory import (
    FACTS,
    README,
    SCHEMA,
    SUMS,
    Facts,
    manifest_in,
    unfit_for_project,
)
from finetune.cluster.bundle.scratch import scratch_folder
from finetune.cluster.bundle.wheels import packages_of, write_wheels
from finetune.cluster.chain.snapshot import add_cards, copy_inside
from finetune.errors import InputError, RecipeError, StoreError
from finetune.messages import Place, problem, sentence
from finetune.output.copy_file import copy_file
from finetune.output.durable import flush, write_json
from finetune.output.small_files import UnreadableError
from finetune.pipeline.gate import Opened, refuse_unopened
from finetune.pipeline.manifest import MANIFEST
from finetune.pipeline.plan import Step
from finetune.pipeline.store import Store
from finetune.sources.archives import MAX_MEMBERS, refused_name
from finetune.sources.checksums import sha256_of
from finetune.sources.lock import adapter_folder
from finetune.sources.lock_file import lock_path
from finetune.sources.tar_stream import shown
from finetune.spec.load import Project
from finetune.spec.permission import standing
from finetune.spec.sections.compared_model import local_adapters
from finetune.spec.task_file import is_task_file, read_task_file
from finetune.spec.terms.refusals import refuse_copies

MAX_FILES = MAX_MEMBERS // 2
"""Maximum number of files; folders of a tar file count as members, too."""
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.xz")


@dataclass(frozen=True, slots=True)
class Contents:
    """Contents of a bundle."""

    project: Opened
    steps: tuple[Step, ...]
    """The steps that need a network; their artefacts are in `store`."""
    store: Store
    site: Path | None
    wheels: bool
    skip_wheels: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    """Values of --set, repeated in the README."""
    own_use: bool = False
    """True if it stays with those who hold the texts already."""


def write_bundle(
    target: Path, contents: Contents, *, waiting: Callable[[str], None] = lambda _: None
) -> int:
    """Write a bundle to a new folder, or to a file if the name ends with .tar, .tar.gz or .tgz.

    Returns its size in bytes.

    Raises:
        RecipeError: the target exists, or the recipe names files that a bundle cannot hold.
        ReleaseError: the terms of a card forbid copies of its texts.
        InputError: a wheel is not available, or an artefact is not in the store.
        StoreError: an artefact is damaged, or the disk is full.
        TypeError: for a recipe that did not pass the gate for making something.
    """
    refuse_unopened(contents.project)
    if not contents.own_use:
        own = sentence("; for a cluster of your own, which no one else reads, add --own-use")
        refuse_copies(standing(contents.project.cards), instead=own)
    place = target.with_name(f".{target.name}.bundle")
    _refuse_existing(target, unless=place)
    with _disk_errors(target), scratch_folder(place, waiting=waiting) as scratch:
        _refuse_existing(target)
        folder = scratch / contents.project.recipe.name
        folder.mkdir()
        sums = _fill(folder, contents)
        files = [SUMS, FACTS, *(name for name in sums if name != FACTS)]
        if target.name.endswith(_TAR):
            made = scratch / target.name
            _pack(folder, files, made)
            flush(made)
        else:
            made = folder
            for name in files:
                flush(folder / name)
            for above, _, _ in os.walk(folder):
                flush(Path(above))
        size_bytes = sum((folder / name).stat().st_size for name in files)
        size_bytes = made.stat().st_size if made is not folder else size_bytes
        _refuse_existing(target)
        made.rename(target)
        flush(target.absolute().parent)
        return size_bytes


def _refuse_existing(target: Path, *, unless: Path | None = None) -> None:
    """Raise RecipeError if the target exists, but not if a scratch folder `unless` does, too.

    The scratch folder is left by a writer that was killed after the rename, and is cleared first.
    """
    left = unless is not None and (
        os.path.lexists(unless) or os.path.lexists(unless.with_name(f"{unless.name}.lease"))
    )
    if os.path.lexists(target) and not left:
        raise RecipeError(
            problem("already-exists", "already exists; nothing was written", at=Place(target))
        )


def _pack(folder: Path, files: list[str], made: Path) -> None:
    """Write a tar file, with inventory and checksums first."""
    mode = {".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz"}.get(made.suffix, "w")
    with tarfile.open(made, mode) as tar:  # type: ignore[call-overload]
        for name in files:
            tar.add(folder / name, arcname=f"{folder.name}/{name}", filter=_without_owner)


def _fill(folder: Path, contents: Contents) -> dict[str, str]:
    """Write the files of a bundle; return their checksums, file -> sha256."""
    project = contents.project
    recipe = _write_project(folder / "project", contents)
    artifacts = [_copy_artifact(step, folder / "store", contents) for step in contents.steps]
    packages = packages_of(project)
    skipped: list[str] = []
    if contents.wheels:
        skipped = write_wheels(folder, packages, skip=contents.skip_wheels)
    facts = Facts.model_validate(
        {
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
            "overrides": list(contents.overrides),
        }
    )
    write_json(folder / FACTS, facts.model_dump(by_alias=True))
    (folder / README).write_text(readme(facts), encoding="utf-8")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    _refuse_unpackable(sums, project)
    _verify_artifacts(folder / "store", artifacts, sums=sums, store=contents.store)
    lines = [f"{digest}  {name}\n" for name, digest in sums.items()]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return sums


def _refuse_unpackable(sums: Mapping[str, str], project: Project) -> None:
    """Raise RecipeError for files that `finetune unbundle` would refuse."""
    if len(sums) > MAX_FILES:
        raise RecipeError(
            problem(
                "too-many-files",
                "{count} files, and a bundle holds at most {most}; merge texts into fewer files",
                at=Place(project.path),
                count=len(sums),
                most=MAX_FILES,
            )
        )
    problems = []
    for name in sums:
        why = refused_name(name)
        inner = name.removeprefix("project/")
        if why is None and inner != name:
            why = unfit_for_project(inner)
        if why:
            problems.append(
                problem(
                    "unfit-for-a-bundle",
                    "{reason}, so a bundle cannot hold it; rename it, or move it out of the folder "
                    "that recipe or card name",
                    at=Place(project.path, key=shown(inner)),
                    reason=why,
                )
            )
    if problems:
        raise RecipeError(*problems)


def _copy_artifact(step: Step, shelf: Path, contents: Contents) -> str:
    """Copy the files in the manifest of an artefact; return its name, `STAGE/KEY`."""
    name, store = f"{step.stage.name}/{step.key}", contents.store
    path = store.path_of(step.stage.name, step.key)
    if not path.is_dir():
        raise InputError(
            problem(
                "not-fetched-for-bundle",
                "{stage} is not in the store; run: finetune fetch {recipe}",
                stage=step.label,
                recipe=contents.project.path,
            )
        )
    try:
        files = [*manifest_in(path).files, MANIFEST]
    except (UnreadableError, FileNotFoundError) as error:
        raise _damaged(name, f"{MANIFEST}: {error}", store=store) from None
    store.find(step.stage.name, step.key)  # refuses one whose files are gone
    for file in files:
        target = shelf / name / file
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_file(path / file, target)
    return name


def _verify_artifacts(
    shelf: Path, artifacts: list[str], *, sums: Mapping[str, str], store: Store
) -> None:
    """Raise StoreError for a file that differs from the manifest of its artefact."""
    for name in artifacts:
        for file, facts in manifest_in(shelf / name).files.items():
            if sums[f"store/{name}/{file}"] != facts.sha256:
                raise _damaged(name, f"{file} has another checksum", store=store)


def _damaged(name: str, why: str, *, store: Store) -> StoreError:
    return StoreError(
        problem(
            "damaged-artefact-in-bundle",
            "damaged ({reason}); rebuild it: {command}, then the same command",
            at=Place(store.path_of(*name.split("/"))),
            reason=why,
            command=f"finetune runs --store {shell_word(str(store.root))} --remove {name}",
        )
    )


def _write_project(folder: Path, contents: Contents) -> str:
    """Copy recipe, lock, cards, site and local models; return the recipe's path in `folder`."""
    project = contents.project
    name = f"recipes/{project.path.name}"
    for named in (project.path, contents.site):
        if named is not None and (why := refused_name(named.name)):
            raise RecipeError(
                problem(
                    "unfit-name-for-a-bundle",
                    "{reason}, so a bundle cannot hold it; rename it",
                    at=Place(key=shown(named.name)),
                    reason=why,
                )
            )
    recipe = folder / name
    recipe.parent.mkdir(parents=True)
    copy_file(project.path, recipe)
    beside = {lock_path(project.path): lock_path(recipe)}
    schema = "recipe.schema.json"
    beside[project.path.with_name(schema)] = recipe.with_name(schema)
    for source, target in beside.items():
        if os.path.lexists(source):
            copy_inside(source, target, root=project.path.parent)
    add_cards(project, folder)
    if contents.site is not None:
        (folder / "slurm/sites").mkdir(parents=True)
        copy_file(contents.site, folder / "slurm/sites" / contents.site.name)
    for path in _local_paths(project):
        _copy_local(path, folder, recipe=project.path)
    return name


def _local_paths(project: Project) -> list[str]:
    first = project.recipe.training_phases[0].train
    named = [m.model for m in project.recipe.models if m.kind in ("gguf", "directory")]
    adapters = local_adapters(project.recipe.evaluate.models)
    named += [str(adapter_folder(Path(place))) for place in adapters]
    named += [first.start_from] if first.start_from else []
    prepare = project.recipe.prepare
    named += [model.fasttext for model in prepare.identify.files]
    named += [one.path for one in prepare.evaluation_sets]
    named += [*project.recipe.judgements, *(project.recipe.evaluate.prompts or ())]
    tasks = [read_task_file(Path(t)) for t in project.recipe.evaluate.tasks if is_task_file(t)]
    return named + [str(file) for task in tasks for file in task.files]


def _copy_local(path: str, folder: Path, *, recipe: Path) -> None:
    source, here = Path(path), Path.cwd()
    inside = os.path.normpath(path)
    if source.is_absolute() or inside.startswith(("..", "~")):
        raise RecipeError(
            problem(
                "outside-this-folder",
                "{path!r} is outside the working folder; move it inside and name it by a relative "
                "path, which is valid on the cluster, too",
                at=Place(recipe),
                path=path,
            )
        )
    # the same files of a folder as in its key and the lock (sources/lock.py)
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    for file in files:
        target = folder / inside / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():  # named twice
            copy_inside(file, target, root=here)


@contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where, why = error.filename or target, error.strerror or str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        hint = "free some space" if full else "choose another place with --output"
        raise StoreError(
            problem(
                "bundle-not-written",
                "the bundle cannot be written ({reason}); {remedy}",
                at=Place(where),
                reason=why,
                remedy=hint,
            )
        ) from None


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove the owner of a file from its entry."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
