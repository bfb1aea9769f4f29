"""Adapters of the Hub, kept in the store by commit."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune.api.adapters.hub_facts import COMMIT, commit_of
from finetune.api.adapters.travelling_files import MAX_BYTES, MOST_FILES, is_shipped
from finetune.artefacts.results import BaseResult, as_json
from finetune.errors import InputError, StoreError
from finetune.messages import Place, problem, sentence
from finetune.models.adapter_files import look_at_adapter
from finetune.output.console import Console
from finetune.pipeline.manifest import key_of
from finetune.pipeline.plan import STAGES
from finetune.pipeline.store import Request, Store
from finetune.pipeline.verify import refuse_damaged
from finetune.sources.hub_fetch import download, endpoint, explained, listed, sizes_of
from finetune.sources.lock import ADAPTER_FILES
from finetune.sources.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS

_FILES = {*ADAPTER_FILES, "chat_template.jinja"}
_NO_NAME = re.compile(r"[^a-z0-9._-]+")


def fetched_adapter(
    repo: str, revision: str | None, *, store: Store, console: Console
) -> tuple[Path, str]:
    """Return the folder of an adapter of the Hub in the store, fetched if need be, and its commit.

    `revision`: branch, tag or commit; None: the newest. A commit that is in the store is opened
    without a network. Only safetensors, JSON and texts are fetched, and nothing is executed.

    Raises:
        InputError: no such repository or revision, no access, or no adapter in safetensors.
        StoreError: no network, the server failed, or the disk is too small.
    """
    commit = _commit(repo, revision, store)
    row = STAGES["base"]
    pin = {"adapter": {"kind": "hub", "id": repo, "revision": commit}}
    content = {"stage": row.name, "version": row.version, "content": pin, "inputs": {}}
    name = _NO_NAME.sub("-", repo.rpartition("/")[2].lower()).strip("-._") or "adapter"
    request = Request(row.name, key_of(content), name[:80], content, {})

    def make(workspace: Path) -> dict[str, Any]:
        console.say(
            sentence("downloading {repo} at {commit}", repo=repo, commit=commit),
            repo=repo,
            commit=commit,
        )
        folder = workspace / "adapter"
        _fetch(repo, commit, folder)
        _, tensors = look_at_adapter(folder)
        count = sum(math.prod(entry.shape) for entry in tensors.values())
        source = f"Hub {repo}@{commit}"
        return as_json(BaseResult(repo, parameters=count, revision=commit, source=source))

    artifact = store.build(request, make)
    refuse_damaged([artifact])
    return artifact.path / "adapter", commit


def _commit(repo: str, revision: str | None, store: Store) -> str:
    """Return the commit of a revision; offline, the message names those that are in the store."""
    if revision is not None and COMMIT.fullmatch(revision):
        return revision
    try:
        return commit_of(repo, revision)
    except StoreError as error:
        kept = [
            str(artifact.result["revision"])
            for artifact, manifest in store.artifacts()
            if manifest.made_of.get("adapter", {}).get("id") == repo and "hub_id" in artifact.result
        ]
        if not kept:
            raise
        raise StoreError(
            *error.problems,
            problem(
                "name-the-commit",
                "this commit of it is in the store and needs no network: {named}",
                at=Place(repo),
                named=f"{repo}@{kept[-1]}",
            ),
        ) from error


def _fetch(repo: str, commit: str, folder: Path) -> None:
    what = sentence("adapter {repo!r} at {commit}", repo=repo, commit=commit)
    page = f"{endpoint()}/{repo}"
    files = explained(lambda: listed(repo, commit, kind="model"), what=what, page=page)
    sizes = sizes_of(files)
    _refuse_none(repo, sizes, at=Place(page))
    wanted = {name: size for name, size in sizes.items() if name in _FILES}
    wanted |= _texts(sizes)
    folder.mkdir(parents=True, exist_ok=True)
    download(repo, commit, wanted, folder, what=what, page=page)


def _texts(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the texts that travel with an adapter."""
    texts = {n: size for n, size in sizes.items() if is_shipped(n) and size <= MAX_BYTES}
    return dict(sorted(texts.items())[:MOST_FILES])


def _refuse_none(repo: str, names: Mapping[str, int], *, at: Place) -> None:
    """Raise InputError if a repository has no adapter that can be opened safely."""
    if ADAPTER_CONFIG not in names:
        raise InputError(
            problem(
                "no-adapter-on-the-hub",
                "{repo!r} has no {file}, so it is no adapter of PEFT",
                at=at,
                repo=repo,
                file=ADAPTER_CONFIG,
            )
        )
    if ADAPTER_WEIGHTS not in names:
        raise InputError(
            problem(
                "adapter-without-safetensors",
                "{repo!r} has no {file}; weights in other formats (adapter_model.bin) are not "
                "loaded, because they can run code: ask its owners to convert them",
                at=at,
                repo=repo,
                file=ADAPTER_WEIGHTS,
            )
        )
