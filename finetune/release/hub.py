"""Upload to a server that speaks the Hugging Face Hub protocol, in one commit."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from finetune.errors import ReleaseError
from finetune.release.contents import release_names
from finetune.release.leaks import hide_tokens
from finetune.sources.fetch import checksum, endpoint, network_as_set

_LOG_IN = (
    "set HF_TOKEN to a token that may write (https://huggingface.co/settings/tokens) or run "
    "`hf auth login`, then publish again"
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where an upload goes, and who may see it."""

    repo: str
    """`org/name`."""
    private: bool
    kind: Literal["model", "dataset"] = "model"
    gated: Literal["auto", "manual"] | None = None
    """`auto`: whoever accepts the conditions gets in; `manual`: the owner decides each time."""
    option: str = "release.repo"
    """What messages tell a person to change."""
    replaced: Collection[str] = field(default_factory=release_names)
    """Files that are removed from the repository when they are not uploaded again."""
    message: str = "Release the adapter"


def upload(files: Mapping[str, Path], target: Target) -> bool:
    """Make a repository hold these files; return whether anything changed.

    Creates the repository if there is none. With `private` nothing goes into a repository that
    everybody can see, whoever made it so (some servers do not know the client's `visibility`).
    A gated one is seen by nobody until the gate is there. Files that are neither given nor
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
        said = _explanation(error, target)
        if said is None:
            raise
        raise ReleaseError(said) from None  # the error's own text may quote headers


def _explanation(error: BaseException, target: Target) -> str | None:
    """Say what an error of the client means and what to do; None for one that nobody foresaw."""
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    if isinstance(error, LocalTokenNotFoundError):
        return f"{endpoint()}: no access token; {_LOG_IN}"
    if isinstance(error, HfHubHTTPError):
        return _refusal(error, target)
    if isinstance(error, (HFValidationError, InvalidURL)):
        return f"{target.option}: {target.repo!r}: {hide_tokens(str(error))}"
    if isinstance(error, (HTTPError, OSError)):
        return (
            f"{endpoint()}: cannot be reached ({hide_tokens(str(error))}). Check the network, "
            "HF_ENDPOINT and HF_HUB_OFFLINE, then publish again; what arrived is not sent twice. "
            "A server without Xet storage may need HF_HUB_DISABLE_XET=1."
        )
    if "LFS batch" in str(error):  # the server will not take one of the files
        return f"{endpoint()}: {hide_tokens(str(error))}. Ask those who run the server"
    # what failed in the transfer of a large file comes wrapped
    return _explanation(error.__cause__, target) if error.__cause__ else None


def _upload(api: Any, files: Mapping[str, Path], target: Target) -> bool:
    repo, kind = target.repo, target.kind
    if not api.repo_exists(repo, repo_type=kind):
        hidden = target.private or target.gated is not None
        api.create_repo(repo, private=hidden, exist_ok=True, repo_type=kind)
    seen_by_all = not api.repo_info(repo, repo_type=kind).private
    if target.private and seen_by_all:
        raise ReleaseError(
            f"{endpoint()}/{repo}: everybody can see it, but publish.private is true, so nothing "
            "was uploaded. Make it private on the server, or set publish.private: false."
            if kind == "model"
            else f"{endpoint()}/datasets/{repo}: everybody can see it, so nothing was uploaded. "
            "Make it private on the server, or say --public."
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
    stale = [name for name in remote if name in target.replaced and name not in files]
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


def _refusal(error: Any, target: Target) -> str:
    repo, option = target.repo, target.option
    status = error.response.status_code
    said = hide_tokens(error.server_message or "").strip()
    reasons = {
        401: f"the token is missing, wrong or expired; {_LOG_IN}",
        403: f"this token may not write to {repo}; {_LOG_IN}, or change {option}",
        404: f"there is no {repo}, or this token may not see it; check {option} and HF_TOKEN",
        409: "somebody else is writing to this repository; publish again",
        413: "the server takes no file of this size",
        429: "the server asks to wait; publish again later",
    }
    what = reasons.get(status, "publish again; if it stays so, ask those who run the server")
    quoted = f" ({said})" if said else ""
    return f"{endpoint()}: refused with HTTP {status}{quoted}: {what}"
