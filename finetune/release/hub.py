"""Upload to a server with the protocol of the Hugging Face Hub, in one commit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from finetune.errors import ReleaseError
from finetune.messages import Place, Problem, problem, sentence
from finetune.output.secrets import hide
from finetune.release.contents import is_of_release
from finetune.sources.checksums import checksum
from finetune.sources.hub_fetch import endpoint, network_as_set

_LOG_IN = sentence(
    "set HF_TOKEN to a token that may write (https://huggingface.co/settings/tokens) or run "
    "`hf auth login`, then publish again"
)


@dataclass(frozen=True, slots=True)
class Target:
    """Destination and visibility of an upload."""

    repo: str
    """`org/name`."""
    private: bool
    kind: Literal["model", "dataset"] = "model"
    gated: Literal["auto", "manual"] | None = None
    """`auto`: users who accept the conditions get access; `manual`: the owner decides each time."""
    option: str = "release.repo"
    """Setting named in messages."""
    replaces: Callable[[str], bool] = is_of_release
    """True for a name of which a file is removed when it is not uploaded again."""
    message: str = "Release the adapter"


def upload(files: Mapping[str, Path], target: Target) -> bool:
    """Make a repository hold these files; return whether anything changed.

    Creates the repository if there is none. With `private` nothing goes into a repository that
    is public, however it became so (some servers do not know the client's `visibility`).
    A gated one is hidden until the gate is there. Files that are neither given nor
    `replaced` are left alone.

    Raises:
        ReleaseError: no token, no permission, no network, or the server failed.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint(), library_name="finetune")
    try:
        with network_as_set():
            return _upload(api, files, target)
    except ReleaseError:
        raise
    except Exception as error:
        explained = _explanation(error, target)
        if explained is None:
            raise
        raise ReleaseError(explained) from None  # the error's own text may quote headers


def is_private(repo: str, *, kind: Literal["model", "dataset"] = "model") -> bool:
    """Return whether a repository that was just published to is seen by its owners only."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint(), library_name="finetune")
    with network_as_set():
        return bool(api.repo_info(repo, repo_type=kind).private)


def _explanation(error: BaseException, target: Target) -> Problem | None:
    """Return the problem behind an error of the client; None for an unknown one."""
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    server = Place(endpoint())
    if isinstance(error, LocalTokenNotFoundError):
        return problem("no-token", "no access token; {remedy}", at=server, remedy=_LOG_IN)
    if isinstance(error, HfHubHTTPError):
        return _refusal(error, target)
    if isinstance(error, (HFValidationError, InvalidURL)):
        place = Place(key=target.option)
        why = hide(str(error))
        return problem("wrong-repo", "{repo!r}: {why}", at=place, repo=target.repo, why=why)
    if isinstance(error, (HTTPError, OSError)):
        return problem(
            "hub-unreachable",
            "cannot be reached ({why}). Check the network, HF_ENDPOINT and HF_HUB_OFFLINE, then "
            "publish again; files that arrived are not uploaded twice. A server without Xet "
            "storage may need HF_HUB_DISABLE_XET=1",
            at=server,
            why=hide(str(error)),
        )
    if "LFS batch" in str(error):  # the server rejects one of the files
        why = hide(str(error))
        return problem(
            "file-rejected", "{why}; ask the operators of the server", at=server, why=why
        )
    # a failed transfer of a large file comes wrapped
    return _explanation(error.__cause__, target) if error.__cause__ else None


def _upload(api: Any, files: Mapping[str, Path], target: Target) -> bool:
    repo, kind = target.repo, target.kind
    if not api.repo_exists(repo, repo_type=kind):
        hidden = target.private or target.gated is not None
        api.create_repo(repo, private=hidden, exist_ok=True, repo_type=kind)
    seen_by_all = not api.repo_info(repo, repo_type=kind).private
    if target.private and seen_by_all:
        raise ReleaseError(
            problem(
                "repository-is-public",
                "the repository is public, but publish.private is true, so nothing was uploaded. "
                "Make it private on the server, or set publish.private: false",
                at=Place(f"{endpoint()}/{repo}"),
            )
            if kind == "model"
            else problem(
                "dataset-is-public",
                "the dataset is public, so nothing was uploaded. Make it private on the server, or "
                "give --public",
                at=Place(f"{endpoint()}/datasets/{repo}"),
            )
        )
    if target.gated is not None:
        api.update_repo_settings(repo, gated=target.gated, repo_type=kind)
    changed = _commit(api, files, target)
    if target.gated is not None and not target.private and not seen_by_all:
        api.update_repo_settings(repo, private=False, repo_type=kind)
        changed = True
    return changed


def _commit(api: Any, files: Mapping[str, Path], target: Target) -> bool:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    remote = _remote_files(api, target)
    new = [name for name, path in files.items() if not _is_there(path, remote.get(name))]
    stale = [name for name in remote if target.replaces(name) and name not in files]
    if not new and not stale:
        return False
    operations: list[Any] = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=files[name]) for name in new
    ]
    operations += [CommitOperationDelete(path_in_repo=name) for name in stale]
    api.create_commit(
        target.repo,
        operations=operations,
        commit_message=target.message,
        repo_type=target.kind,
    )
    return True


def _remote_files(api: Any, target: Target) -> dict[str, Any]:
    from huggingface_hub.hf_api import RepoFile

    entries = api.list_repo_tree(target.repo, recursive=True, repo_type=target.kind)
    return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


def _is_there(path: Path, remote: Any) -> bool:
    """Return whether the hub has exactly these bytes, by the checksum that it keeps."""
    if remote is None or remote.size != path.stat().st_size:
        return False
    if remote.lfs is not None:
        return bool(checksum(path) == remote.lfs.sha256)
    blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as content:
        while block := content.read(2**20):
            blob.update(block)
    return bool(blob.hexdigest() == remote.blob_id)


def _refusal(error: Any, target: Target) -> Problem:
    repo, option = target.repo, target.option
    status = error.response.status_code
    remedies = {
        401: sentence("the token is missing, wrong or expired; {remedy}", remedy=_LOG_IN),
        403: sentence(
            "this token may not write to {repo}; {remedy}, or change {option}",
            repo=repo,
            remedy=_LOG_IN,
            option=option,
        ),
        404: sentence(
            "there is no {repo}, or this token may not see it; check {option} and HF_TOKEN",
            repo=repo,
            option=option,
        ),
        409: sentence("another process is writing to this repository; publish again"),
        413: sentence("the server accepts no file of this size"),
        429: sentence("the server asks to wait; publish again later"),
    }
    unknown = sentence("publish again; if it persists, ask the operators of the server")
    reply = hide(error.server_message or "").strip()
    return problem(
        "hub-refused",
        "rejected with HTTP {status:d}{reply}: {remedy}",
        at=Place(endpoint()),
        status=status,
        reply=sentence(" ({reply})", reply=reply) if reply else "",
        remedy=remedies.get(status, unknown),
    )
