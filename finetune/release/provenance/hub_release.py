"""Fetching of a release from the Hub: files by name and size, at a commit; nothing is executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from finetune.errors import InputError
from finetune.messages import Place, problem, sentence
from finetune.release.contents import is_of_release
from finetune.release.provenance.checksum_list import LIST
from finetune.release.provenance.provenance_index import FOLDER
from finetune.sources.archives import refused_name
from finetune.sources.hub_fetch import download, endpoint, explained, listed, sizes_of
from finetune.sources.tar_stream import shown

MOST_FILES = 5000
MAX_FILE_BYTES = 32 * 2**20
"""Of a file in `provenance`."""


def fetch_release(repo: str, revision: str | None, into: Path) -> str:
    """Fetch the files of a release into a folder that is not there yet; return their commit.

    `revision`: branch, tag or commit; None: the newest state. Files of others are left alone.

    Raises:
        InputError: no such release or revision, no access, no folder `provenance`, a name that
            leaves the folder, or a file of `provenance` that is too large.
        StoreError: no network, the server failed, or the disk is too small.
    """
    from huggingface_hub import HfApi

    what = sentence("release {repo!r}", repo=repo)
    page = f"{endpoint()}/{repo}"

    def commit_of() -> str:
        return str(HfApi(endpoint=endpoint()).model_info(repo, revision=revision).sha)

    commit = explained(commit_of, what=what, page=page)
    files = explained(lambda: listed(repo, commit, kind="model"), what=what, page=page)
    sizes = {name: size for name, size in sizes_of(files).items() if is_of_release(name)}
    _refuse_odd(sizes, at=Place(page))
    into.parent.mkdir(parents=True, exist_ok=True)
    download(repo, commit, sizes, into, what=what, page=page)
    return commit


def _refuse_odd(sizes: Mapping[str, int], *, at: Place) -> None:
    if LIST not in sizes:
        raise InputError(
            problem(
                "release-without-provenance",
                "has no {list}; only releases since version 7 of the stage can be made again",
                at=at,
                list=LIST,
            )
        )
    if len(sizes) > MOST_FILES:
        raise InputError(
            problem(
                "too-many-files-of-release",
                "more files than a release has: {count}, and at most {most} are allowed",
                at=at,
                count=len(sizes),
                most=MOST_FILES,
            )
        )
    problems = []
    for name, size in sizes.items():
        why = refused_name(name)
        if why is None and name.startswith(f"{FOLDER}/") and size > MAX_FILE_BYTES:
            why = f"is larger than {MAX_FILE_BYTES // 2**20} MiB"
        if why:
            problems.append(
                problem("odd-file-of-release", "{name}: {why}", at=at, name=shown(name), why=why)
            )
    if problems:
        raise InputError(*problems)
