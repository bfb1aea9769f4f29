"""Models and datasets of the Hub at a commit, through its own clients (imported when used)."""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from finetune.artefacts.fetched import FetchedDataset
from finetune.errors import DataError, FinetuneError, InputError, StoreError, first_line
from finetune.messages import Place, Sentence, phrase, problem, sentence
from finetune.output import secrets
from finetune.output.small_files import read_bytes
from finetune.sources.checksums import sha256_of
from finetune.sources.hub_limits import MAX_FILES, TooMuch, watched
from finetune.spec.sections.source import HubSource

MODEL_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
"""Files of a model to fetch. No pickles (`.bin`, `.pt`): they can run code when opened."""
_NOT_NEEDED = ("*/*", "consolidated*", "training_args*", "optimizer*")
_Fetched = TypeVar("_Fetched")


def fetch_model(repo: str, revision: str, into: Path, *, key: str = "base.model") -> dict[str, str]:
    """Fetch a model or adapter of the Hub at a commit into a folder; return name -> sha256.

    `key` names it in the recipe. Server: HF_ENDPOINT; token: HF_TOKEN. An interrupted one resumes.

    Raises:
        InputError: no such model or commit, access not granted, or no safetensors weights.
        StoreError: no network, or the server failed.
    """
    what = sentence("model {repo!r} at {revision}", repo=repo, revision=revision)
    page = f"{endpoint()}/{repo}"
    sizes = explained(lambda: _sizes(repo, revision, kind="model"), what=what, page=page)
    sizes = {name: size for name, size in sizes.items() if _is_needed(name)}
    download(repo, revision, sizes, into, what=what, page=page)
    files = sorted(path for path in into.iterdir() if path.is_file())
    if not any(path.suffix == ".safetensors" for path in files):
        raise InputError(
            problem(
                "no-safetensors",
                "{repo!r} has no safetensors weights at {revision}, only formats that can run code "
                "when opened; choose a revision that has them, or ask its owners to convert",
                at=Place(key=key),
                repo=repo,
                revision=revision,
            )
        )
    return {path.name: sha256_of(path) for path in files}


def download(
    repo: str, commit: str, sizes: Mapping[str, int], into: Path, *, what: Sentence, page: str
) -> None:
    """Fetch the files that `sizes` (bytes) names of a model repository; raises as fetch_model."""
    from huggingface_hub import snapshot_download

    refuse_no_room(sizes, into, what=what)
    explained(
        lambda: snapshot_download(
            repo,
            revision=commit,
            local_dir=into,
            allow_patterns=[glob.escape(name) for name in sizes],
            endpoint=endpoint(),
        ),
        what=what,
        page=page,
        sizes=sizes,
    )
    shutil.rmtree(into / ".cache", ignore_errors=True)  # the client's notes on the download


def fetch_dataset(source: HubSource, workspace: Path, *, card: str) -> FetchedDataset:
    """Fetch a split of a dataset into `workspace/data.parquet`; return the facts of the dataset.

    Raises:
        InputError: no such dataset, commit, configuration or split, or no access.
        DataError: the dataset is empty.
        StoreError: no network, or the server failed.
    """
    import datasets

    scratch = workspace / ".download"
    datasets.disable_progress_bars()
    what = sentence(
        "card {card!r}: dataset {repo!r} at {revision}",
        card=card,
        repo=source.dataset,
        revision=source.revision,
    )
    page = f"{endpoint()}/datasets/{source.dataset}"
    sizes = explained(
        lambda: _sizes(source.dataset, str(source.revision), kind="dataset"), what=what, page=page
    )
    explained(lambda: refuse_elsewhere(source, what=what), what=what, page=page, sizes=sizes)
    table = explained(
        lambda: datasets.load_dataset(
            source.dataset,
            source.config,
            split=source.split,
            revision=source.revision,
            cache_dir=str(scratch),
        ),
        what=what,
        page=page,
        sizes=sizes,
    )
    if table.num_rows == 0:
        raise DataError(
            problem(
                "empty-dataset",
                "card {card!r}: dataset {repo!r} has no rows in {split}",
                card=card,
                repo=source.dataset,
                split=source.split,
            )
        )
    target = workspace / "data.parquet"
    table.to_parquet(target)
    columns = tuple(table.column_names)
    rows = int(table.num_rows)
    del table  # it maps files of the scratch folder
    shutil.rmtree(scratch)
    return FetchedDataset(
        dataset=source.dataset,
        revision=source.revision,
        config=source.config,
        split=source.split,
        rows=rows,
        columns=columns,
        sha256=sha256_of(target),
    )


@contextmanager
def network_as_set() -> Iterator[None]:
    """Make the Hub's libraries follow HF_HUB_OFFLINE as it is now.

    They read it once, when imported; a stage that ran offline before in this process would
    otherwise forbid the network for good.
    """
    from huggingface_hub import constants

    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    modules: list[Any] = [constants]
    if "datasets.config" in sys.modules:
        modules.append(sys.modules["datasets.config"])
    before = [module.HF_HUB_OFFLINE for module in modules]
    try:
        for module in modules:
            module.HF_HUB_OFFLINE = offline
        yield
    finally:
        for module, value in zip(modules, before, strict=True):
            module.HF_HUB_OFFLINE = value


def endpoint() -> str:
    """Return the address of the hub: HF_ENDPOINT as it is now, or the public Hub."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _is_needed(name: str) -> bool:
    wanted = any(fnmatch(name, pattern) for pattern in MODEL_FILES)
    return wanted and not any(fnmatch(name, pattern) for pattern in _NOT_NEEDED)


def listed(repo: str, revision: str, *, kind: str) -> dict[str, Any]:
    """Return the files of a repository at a commit: path -> what the Hub says of it."""
    from huggingface_hub import HfApi, RepoFile

    api = HfApi(endpoint=endpoint())
    found = {}
    for entry in api.list_repo_tree(repo, revision=revision, repo_type=kind, recursive=True):
        if isinstance(entry, RepoFile):
            found[entry.path] = entry
        if len(found) > MAX_FILES:
            raise TooMuch(f"the repository lists more than {MAX_FILES:,} files")
    return found


def sizes_of(files: Mapping[str, Any]) -> dict[str, int]:
    """Return the size in bytes of each file of `listed`."""
    return {path: int(one.lfs.size if one.lfs else one.size) for path, one in files.items()}


def _sizes(repo: str, revision: str, *, kind: str) -> dict[str, int]:
    return sizes_of(listed(repo, revision, kind=kind))


def refuse_no_room(sizes: Mapping[str, int], into: Path, *, what: Sentence) -> None:
    """Raise StoreError if files of these sizes do not fit on the disk of a folder."""
    total, free = sum(sizes.values()), shutil.disk_usage(into.parent).free
    if total > free:
        raise StoreError(
            problem(
                "disk-full",
                "{what}: it has {gib:.1f} GiB, and the disk of {folder} has {free_gib:.1f} GiB "
                "left; make room and fetch again",
                what=what,
                gib=total / 2**30,
                folder=into.parent,
                free_gib=free / 2**30,
            )
        )


def refuse_elsewhere(source: HubSource, *, what: Sentence) -> None:
    """Raise InputError for a dataset whose README names files that do not lie in it.

    They would be read from this machine or from any server, under the name of the dataset.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError
    from ruamel.yaml import YAML

    with TemporaryDirectory() as folder:
        try:
            readme = hf_hub_download(
                source.dataset,
                "README.md",
                repo_type="dataset",
                revision=source.revision,
                local_dir=folder,
                endpoint=endpoint(),
            )
        except EntryNotFoundError:
            return
        text = read_bytes(Path(readme)).decode("utf-8", errors="replace")
    found = re.match(r"\s*---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    if found is None:
        return
    facts = YAML(typ="safe", pure=True).load(found[1])
    configs = facts.get("configs") if isinstance(facts, dict) else None
    for path in _paths(configs):
        if re.match(r"[a-z0-9+.]+:|/|~|\\", path, re.IGNORECASE) or ".." in path.split("/"):
            raise InputError(
                problem(
                    "data-outside",
                    "{what}: its README.md names {path!r} as data, outside of the dataset; ask its "
                    "owners, or choose another revision",
                    what=what,
                    path=path[:200],
                )
            )


def _paths(configs: Any) -> Iterator[str]:
    """Yield every string below `data_files` or `data_dir`; shared values once."""
    waiting: list[tuple[Any, bool]] = [(configs, False)]
    seen = set()
    while waiting:
        value, inside = waiting.pop()
        if isinstance(value, str) and inside:
            yield value
        if not isinstance(value, dict | list) or (id(value), inside) in seen:
            continue
        seen.add((id(value), inside))
        if isinstance(value, list):
            waiting += [(inner, inside) for inner in value]
            continue
        for key, inner in value.items():
            if key != "split":
                waiting.append((inner, inside or key in ("data_files", "data_dir")))


def explained(
    fetch: Callable[[], _Fetched],
    *,
    what: Sentence,
    page: str,
    sizes: Mapping[str, int] | None = None,
) -> _Fetched:
    """Run a download of files of these sizes, with the errors of clients as ours."""
    from huggingface_hub import get_session

    try:
        with network_as_set(), watched(get_session(), sizes or {}):
            return fetch()
    except (FinetuneError, MemoryError):
        raise
    except Exception as error:  # of libraries, over foreign content of a hub
        root = _root(error)
        if isinstance(root, TooMuch):
            raise StoreError(
                problem(
                    "unbounded-answer",
                    "{what}: {why}; fetch it from another server",
                    what=what,
                    why=hide(root),
                )
            ) from error
        raise _ours(error, what=what, page=page) from error


def _ours(error: Exception, *, what: Sentence, page: str) -> FinetuneError:
    """Return a client's error as ours, with what to do."""
    from httpx2 import HTTPError
    from huggingface_hub import errors as hub

    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    known: tuple[tuple[Any, type[FinetuneError], str, Sentence], ...] = (
        (hub.GatedRepoError, InputError, "hub-access", _access_needed(page)),
        (
            (hub.RevisionNotFoundError, hub.RevisionResolutionError),
            InputError,
            "hub-revision",
            sentence(
                "there is no such revision; its commits are listed on {page}",
                page=page + "/commits/main",
            ),
        ),
        (
            hub.RepositoryNotFoundError,
            InputError,
            "hub-not-found",
            sentence(
                "not found; check the spelling, and if it is private, set HF_TOKEN to a token that "
                "may read it"
            ),
        ),
        (
            (hub.OfflineModeIsEnabled, hub.LocalEntryNotFoundError),
            StoreError,
            "no-network",
            _offline(error),
        ),
        (hub.HfHubHTTPError, StoreError, "hub-server", _http_status(error)),
        # FileNotFoundError: of `datasets`, for a dataset that it may not see
        (FileNotFoundError, InputError, "hub-not-found", _not_visible(error, page)),
        (
            OSError if full else (),
            StoreError,
            "disk-full",
            sentence("the disk is full; make room and fetch again"),
        ),
        ((HTTPError, OSError), StoreError, "no-network", _offline(error)),
    )
    for kinds, made, code, why in known:
        if isinstance(error, kinds):
            return made(problem(code, "{what}: {why}", what=what, why=why))
    root = _root(error)
    cause = "" if root is error else f" ({hide(root)})"
    why = phrase(hide(error) + cause)
    return InputError(problem("hub-unusable", "{what}: cannot be used: {why}", what=what, why=why))


def _access_needed(page: str) -> Sentence:
    return sentence(
        "its owners must grant access first; ask for it on {page}, then set HF_TOKEN to a token of "
        "that account and fetch again",
        page=page,
    )


def _offline(error: Exception) -> Sentence:
    return sentence(
        "is not here and cannot be fetched without network; run `finetune fetch RECIPE` on a "
        "machine with network (and without HF_HUB_OFFLINE), then copy the store here ({why})",
        why=hide(error),
    )


def _http_status(error: Exception) -> Sentence:
    status = getattr(getattr(error, "response", None), "status_code", 0)
    return sentence("the server answered HTTP {status:d}; fetch again later", status=status)


def _not_visible(error: Exception, page: str) -> Sentence:
    return sentence(
        "{why} Check the spelling; if it is private or gated, ask for access on {page} and set "
        "HF_TOKEN to a token that may read it",
        why=hide(error),
        page=page,
    )


def _root(error: BaseException) -> BaseException:
    """Return what an error was raised from at first."""
    for _ in range(20):
        if error.__cause__ is None:
            break
        error = error.__cause__
    return error


def hide(error: BaseException) -> str:
    """Return an error's first line without secrets; its type if it is empty."""
    return secrets.hide(first_line(error, max_characters=400))
