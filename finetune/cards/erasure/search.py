"""Search of a store and of folders for withdrawn texts, and what each place is.

Artefacts are found by the ledgers of prepared corpora and by the inputs in manifests; weights
cannot be searched, so copies of an adapter are found by its checksum. Everything else is read.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.artefacts.job import Artifact
from finetune.artefacts.results import ReleaseResult, read_result
from finetune.cards.catalogue import MARK
from finetune.cards.erasure.erasure_listing import Found, Kind, Listing, Published
from finetune.cards.erasure.file_texts import BrokenFile, texts_in
from finetune.cards.erasure.needles import Needles
from finetune.cards.withdraw import Held
from finetune.cluster.bundle.inventory import FACTS, SUMS
from finetune.errors import StoreError
from finetune.pipeline.corpora import is_fetched_for
from finetune.pipeline.manifest import read_manifest
from finetune.pipeline.store import STAGE_FOLDERS, Store
from finetune.release.contents import is_of_release
from finetune.release.folder_hub import our_files, recorded
from finetune.release.hub_changes import mark_of
from finetune.sources.checksums import checksum
from finetune.sources.model_folder import ADAPTER_WEIGHTS
from finetune.spec.card import DataCard
from finetune.spec.withdrawn import list_path

CAMPAIGN = "campaign.json"
CAMPAIGN_FILES = ("judge.html", "pearmut.json", CAMPAIGN)
"""Files of `finetune judge build`, as finetune.judge names them."""
_BIG_WITHOUT_TEXTS = frozenset({"base"})
"""Stages that hold models alone."""
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz")
_OF_THE_LIST = (".txt", ".erasure.json", ".hub.md")


@dataclass(frozen=True, slots=True)
class Where:
    """Store and folders of a search."""

    store: Store
    card: DataCard
    folders: Sequence[Path]
    """Besides the store, and the card's folder."""
    of_card: frozenset[str]
    """Artefacts that were made with texts of the card (`lineage`)."""


def search(
    where: Where,
    needles: Needles,
    held: Sequence[Held],
    *,
    progress: Callable[[int], object] = lambda _: None,
) -> Listing:
    """Return every place with the texts, or made from them; nothing is changed.

    `held`: what the ledgers and manifests say. `progress` gets the number of files read so far.
    """
    found = {str(one.artifact.path): _artefact(one.artifact) for one in held}
    weights = _weights_of([one.artifact for one in held])
    published = list(_published(held))
    done = 0
    for root in _roots(where):
        for path in _files(root, store=where.store.root):
            done += 1
            progress(done)
            if _is_of_the_list(path, where.card) or _is_in_whole(path, found):
                continue
            try:
                is_hit, is_broken = _is_copy(path, weights) or _has(path, needles), False
            except BrokenFile:
                is_hit, is_broken = True, True
            if not is_hit:
                continue
            unit = _unit(path, root=root, where=where)
            if unit.path not in found:
                unit = Found(kind="unreadable", path=str(path)) if is_broken else unit
                found[unit.path] = unit
    published += [
        Published(repo=one.name, kind="dataset")
        for one in found.values()
        if one.kind == "published" and not (Path(one.path) / ADAPTER_WEIGHTS).is_file()
    ]
    return Listing(
        card=where.card.name,
        found=tuple(found.values()),
        published=tuple(dict.fromkeys(published)),
    )


def _is_in_whole(path: Path, found: Mapping[str, Found]) -> bool:
    """Return whether a file is in a place that is listed as a whole; it need not be read then."""
    above = (found.get(str(folder)) for folder in path.parents)
    return any(place is not None and not place.files for place in above)


def _has(path: Path, needles: Needles) -> bool:
    by_hash = path.suffix == ".jsonl" and needles.hashes
    for text in texts_in(path):
        if needles.inside(text):
            return True
        if by_hash and any(one in text for one in needles.hashes):
            return True
    return False


def _artefact(artifact: Artifact) -> Found:
    return Found(kind="artefact", path=str(artifact.path), name=f"{artifact.stage}/{artifact.key}")


def _weights_of(artifacts: Collection[Artifact]) -> frozenset[str]:
    """Return the checksums of the adapters that learned from the texts."""
    found = set()
    for artifact in artifacts:
        for name, entry in read_manifest(artifact.path).files.items():
            if name.rpartition("/")[2] == ADAPTER_WEIGHTS:
                found.add(entry.sha256)
    return frozenset(found)


def _is_copy(path: Path, weights: Collection[str]) -> bool:
    return path.name == ADAPTER_WEIGHTS and bool(weights) and checksum(path) in weights


def _published(held: Sequence[Held]) -> Iterator[Published]:
    """Yield the repository and the tag of each release that was made from the texts."""
    for one in held:
        if one.artifact.stage != "release":
            continue
        try:
            result = read_result(one.artifact, ReleaseResult)
        except StoreError:
            continue
        files = {name: one.artifact.path / name for name in result.files}
        if all(path.is_file() for path in files.values()):
            yield Published(repo=result.repo, tag=f"release-{mark_of(files)}")


def _roots(where: Where) -> list[Path]:
    """Return the folders to search, none inside of another."""
    wanted = [where.store.root, where.card.path.parent, *where.folders]
    real = sorted({path.resolve() for path in wanted if path.exists()})
    return [path for path in real if not any(up in real for up in path.parents)]


def _files(root: Path, *, store: Path) -> Iterator[Path]:
    """Yield the files below a folder, or a file itself; links are not followed."""
    if root.is_file():
        yield root
        return
    for above, folders, files in os.walk(root):
        inside = Path(above)
        folders[:] = sorted(
            name
            for name in folders
            if name != ".git" and not (inside == store.resolve() and name in _BIG_WITHOUT_TEXTS)
        )
        for name in sorted(files):
            path = inside / name
            if not path.is_symlink() and path.is_file():
                yield path


def _unit(path: Path, *, root: Path, where: Where) -> Found:
    """Return what a file is a part of: what is deleted as a whole, or listed."""
    store = where.store.root.resolve()
    if path.is_relative_to(store):
        return _of_store(path, path.relative_to(store).parts, where=where)
    if path.is_relative_to(where.card.path.parent.resolve()):
        return Found(kind="files", path=str(path))
    kind = _kind_of_file(path)
    if kind is not None:
        return Found(kind=kind, path=str(path))
    above = [folder for folder in path.parents if folder.is_relative_to(root)]
    return next(filter(None, (_part_of(folder, path) for folder in above)), _other(path))


def _kind_of_file(path: Path) -> Kind | None:
    if path.name.endswith(_TARS) and _is_packed_bundle(path):
        return "bundle"
    return "catalogue" if path.name == "index.html" and _is_catalogue(path) else None


def _part_of(folder: Path, path: Path) -> Found | None:
    """Return the bundle, campaign or copy of a release that a folder is, if a file is of it."""
    if (folder / FACTS).is_file() and (folder / SUMS).is_file():
        return Found(kind="bundle", path=str(folder))
    if folder == path.parent and (folder / CAMPAIGN).is_file():
        return _campaign(path)
    if (folder / ADAPTER_WEIGHTS).is_file() and is_of_release(path.relative_to(folder).as_posix()):
        return Found(kind="release", path=str(folder), files=_release_files(folder))
    return None


def _other(path: Path) -> Found:
    return Found(kind="other", path=str(path))


def _of_store(path: Path, parts: Sequence[str], *, where: Where) -> Found:
    store = where.store.root.resolve()
    if parts[0] in STAGE_FOLDERS and len(parts) > 2:
        place, key = store / parts[0] / parts[1], parts[1].partition(".")[0]
        name = f"{parts[0]}/{key}"
        if "." in parts[1]:
            return Found(kind="unfinished", path=str(place), name=name)
        if name in where.of_card:
            return Found(kind="artefact", path=str(place), name=name)
        return _other(place)
    if parts[0] == "chains" and len(parts) > 2:
        return Found(kind="snapshot", path=str(path), name=parts[1])
    depth = 4 if parts[1:2] == ("datasets",) else 3
    if parts[0] == "hub" and len(parts) > depth:
        return _published_copy(path, store.joinpath(*parts[:depth]), card=where.card)
    return _other(path)


def _published_copy(path: Path, folder: Path, *, card: DataCard) -> Found:
    """Return a repository of the folder hub; what others changed in it is theirs."""
    ours = our_files(folder)
    if recorded(folder) is None and not (folder / ADAPTER_WEIGHTS).is_file():  # a data set
        named = {"README.md", *(f.path for f in getattr(card.corpus.source, "files", None) or ())}
        ours = tuple(sorted(name for name in named if (folder / name).is_file()))
    if path.relative_to(folder).as_posix() not in ours:
        return _other(path)
    name = "/".join(folder.parts[-2:])
    return Found(kind="published", path=str(folder), name=name, files=ours)


def _is_packed_bundle(path: Path) -> bool:
    """Return whether an archive begins as a bundle does: with its inventory."""
    try:
        with tarfile.open(path, "r:*") as archive:
            first = archive.next()
    except BrokenFile:
        return False
    return first is not None and first.name.rpartition("/")[2] in (FACTS, SUMS)


def _campaign(path: Path) -> Found:
    """Return a campaign; what judges wrote in it (comments, returned files) is theirs."""
    ours = tuple(name for name in CAMPAIGN_FILES if (path.parent / name).is_file())
    if path.name not in ours:
        return _other(path)
    return Found(kind="campaign", path=str(path.parent), files=ours)


def _release_files(folder: Path) -> tuple[str, ...]:
    names = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return tuple(sorted(name for name in names if is_of_release(name)))


def _is_catalogue(page: Path) -> bool:
    with page.open("rb") as stream:
        return MARK.encode() in stream.read(64 * 2**10)


def _is_of_the_list(path: Path, card: DataCard) -> bool:
    """Return whether a file is the withdrawal list of the card, or beside it."""
    return path.parent == list_path(card.path).parent.resolve() and path.name.endswith(_OF_THE_LIST)


def lineage(store: Store, card: DataCard) -> frozenset[str]:
    """Return the names of all artefacts that were made with texts of a card."""
    found: set[str] = set()
    for artifact, manifest in store.artifacts():
        name = f"{artifact.stage}/{artifact.key}"
        prepared = artifact.stage == "prepare" and card.name in manifest.made_of.get("cards", ())
        is_made_of = any(one in found for one in manifest.inputs.values())
        if prepared or is_made_of or is_fetched_for(card, artifact, manifest):
            found.add(name)
    return frozenset(found)
