"""Put a built release where others find it: a folder hub, or a server that speaks the Hub protocol.

Publishing reads the folder and changes nothing in it. Twice is the same as once; after an
interruption, publish again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from finetune.artefacts.job import Artifact
from finetune.errors import ReleaseError
from finetune.output.console import Console
from finetune.output.durable import flush
from finetune.pipeline.gate import Opened, refuse_unopened
from finetune.pipeline.lease import leased
from finetune.pipeline.store import Store
from finetune.release.contents import release_files
from finetune.release.leaks import Private, private_facts, scan
from finetune.spec.recipe import Publish


def publish_release(
    project: Opened,
    release: Artifact,
    *,
    store: Store,
    console: Console,
    hub: Literal["directory", "huggingface"] | None = None,
    dry_run: bool = False,
) -> str:
    """Publish the release of a recipe as the recipe says; return where it is now.

    `hub` is where it goes instead. The folder hub lies in the store if the recipe names no other.
    Raises ReleaseError as `publish` does, TypeError for a recipe that did not pass the gate.
    """
    refuse_unopened(project, purposes={"run", "publish"})
    settings = project.recipe.publish
    if hub:
        settings = settings.model_copy(update={"hub": hub})
    return publish(
        release.path,
        project.recipe.released.repo,
        settings=settings,
        default_directory=store.root / "hub",
        console=console,
        dry_run=dry_run,
        gate=release.result.get("gate", ()),
    )


def publish(
    folder: Path,
    repo: str,
    *,
    settings: Publish,
    default_directory: Path,
    console: Console,
    dry_run: bool = False,
    gate: Sequence[str] = (),
) -> str:
    """Publish the release in `folder` as `repo` (`org/name`); return where it is now.

    `default_directory` is the root of the folder hub when `settings.directory` says nothing.
    With `dry_run` only say what would go where; nothing is opened or asked for. `gate` are the
    conditions of access of the corpora: with any, nothing is published for everybody to see.

    Raises:
        ReleaseError: the folder is no release, a file holds a token or local path, or the hub
            refused; the message says what to do.
    """
    files = release_files(folder)
    if gate and settings.hub == "huggingface" and not settings.private:
        raise ReleaseError(
            f"publish.private: false: {repo} was trained on texts whose access is not open "
            f"({'; '.join(gate)}). Publish it privately, turn on gated access in the settings of "
            "the repository, and then make it visible there."
        )
    # names of users were checked when it was built, where it is known which ones are meant
    scan(files, private=Private(private_facts(folders=[folder]).folders, names=()))
    root = Path(settings.directory).expanduser() if settings.directory else default_directory
    if settings.hub == "directory":
        place = str(root / repo)
    else:
        from finetune.sources.fetch import endpoint

        place = f"{endpoint()}/{repo}"
    if dry_run:
        _show(files, place=place, settings=settings, console=console)
        return place
    if settings.hub == "directory":
        changed = to_directory(files, root / repo, waiting=console.say)
    else:
        from finetune.release.hub import Target, upload

        changed = upload(files, Target(repo, private=settings.private))
    if changed:
        console.say(f"published {repo} to {place}", repo=repo, place=place, changed=True)
    else:
        console.say(f"{place} has this release already: nothing to do", place=place, changed=False)
    return place


def _show(files: Mapping[str, Path], *, place: str, settings: Publish, console: Console) -> None:
    sizes = {name: path.stat().st_size for name, path in files.items()}
    rows = [(n, size if console.json_lines else f"{size:,}") for n, size in sizes.items()]
    console.table(f"would go to {place}", ["file", "bytes"], rows)
    if settings.hub == "directory":
        who = "whoever can read that folder"
    elif settings.private:
        who = "its owners only (private)"
    else:
        who = "everybody (public)"
    console.say(
        f"{len(sizes)} files, {sum(sizes.values()):,} bytes, to be seen by {who}; nothing was sent",
        files=len(sizes),
        size_bytes=sum(sizes.values()),
        private=settings.private,
        place=place,
    )


def to_directory(
    files: Mapping[str, Path], target: Path, *, waiting: Callable[[str], None] = lambda _: None
) -> bool:
    """Put files (relative path -> file) into a folder hub; return whether anything changed.

    One publisher at a time (`waiting` is told of another); a new version replaces the old one
    whole. Raises ReleaseError if the folder hub cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with leased(target.with_name(f".{target.name}.lease"), waiting=waiting):
            return _replace(files, target)
    except OSError as error:
        raise ReleaseError(
            f"{target}: cannot be written ({error.strerror or error}); make room or set "
            "publish.directory to a folder that you may write, then publish again"
        ) from error


def _replace(files: Mapping[str, Path], target: Path) -> bool:
    """Build the new version aside and rename; return whether anything changed.

    A kill between the two renames leaves the old version as `.NAME.old`: publishing again puts
    the new one in place and removes it.
    """
    aside, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    if _same(files, target):
        _remove(aside, old)
        return False
    _remove(aside)
    aside.mkdir()
    for name, path in files.items():
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, aside / name)
        flush(aside / name)
    if target.exists():
        _remove(old)
        target.rename(old)
    aside.rename(target)
    flush(target.parent)
    _remove(old)
    return True


def _same(files: Mapping[str, Path], target: Path) -> bool:
    there = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    if there != set(files):
        return False
    return all((target / name).read_bytes() == path.read_bytes() for name, path in files.items())


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
