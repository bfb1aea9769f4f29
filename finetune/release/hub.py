"""Upload to a server that speaks the Hugging Face Hub protocol, in one commit."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune.errors import ReleaseError
from finetune.fetch import network_as_set
from finetune.release.contents import RELEASE_FILES
from finetune.release.leaks import hide_tokens

_LOG_IN = (
    "set HF_TOKEN to a token that may write (https://huggingface.co/settings/tokens) or run "
    "`hf auth login`, then publish again"
)


def endpoint() -> str:
    """Return the address of the hub: HF_ENDPOINT as it is now, or the public Hub."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def upload(files: Mapping[str, Path], repo: str, *, private: bool) -> bool:
    """Make `repo` hold exactly these release files; return whether anything changed.

    Creates the repository if there is none. With `private` nothing goes into a repository that
    everybody can see, whoever made it so (some servers do not know the client's `visibility`).
    Files that no release writes are left alone.

    Raises:
        ReleaseError: no token, no permission, no network, or the server failed.
    """
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = HfApi(endpoint=endpoint(), library_name="finetune")
    try:
        with network_as_set():
            return _upload(api, files, repo=repo, private=private)
    except LocalTokenNotFoundError as error:
        raise ReleaseError(f"{endpoint()}: no access token; {_LOG_IN}") from error
    except HfHubHTTPError as error:
        raise ReleaseError(_refusal(error, repo=repo)) from None  # its text may quote headers
    except (HFValidationError, InvalidURL) as error:
        raise ReleaseError(f"release.repo: {repo!r}: {hide_tokens(str(error))}") from error
    except (HTTPError, OSError) as error:
        raise ReleaseError(
            f"{endpoint()}: cannot be reached ({hide_tokens(str(error))}). Check the network, "
            "HF_ENDPOINT and HF_HUB_OFFLINE, then publish again; what arrived is not sent twice. "
            "A server without Xet storage may need HF_HUB_DISABLE_XET=1."
        ) from None


def _upload(api: Any, files: Mapping[str, Path], *, repo: str, private: bool) -> bool:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    if not api.repo_exists(repo):
        api.create_repo(repo, private=private, exist_ok=True)
    if private and not api.model_info(repo).private:
        raise ReleaseError(
            f"{endpoint()}/{repo}: everybody can see it, but publish.private is true, so nothing "
            "was uploaded. Make it private on the server, or set publish.private: false."
        )
    remote = _remote_files(api, repo)
    new = [name for name, path in files.items() if not _is_there(path, remote.get(name))]
    stale = [name for name in remote if name in RELEASE_FILES and name not in files]
    if not new and not stale:
        return False
    operations: list[Any] = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=files[name]) for name in new
    ]
    operations += [CommitOperationDelete(path_in_repo=name) for name in stale]
    api.create_commit(repo, operations=operations, commit_message="Release the adapter")
    return True


def _remote_files(api: Any, repo: str) -> dict[str, Any]:
    from huggingface_hub.hf_api import RepoFile

    entries = api.list_repo_tree(repo, recursive=True)
    return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


def _is_there(path: Path, remote: Any) -> bool:
    """Return whether the hub has exactly these bytes, by the checksum that it keeps."""
    if remote is None or remote.size != path.stat().st_size:
        return False
    content = path.read_bytes()
    if remote.lfs is not None:
        return bool(hashlib.sha256(content).hexdigest() == remote.lfs.sha256)
    blob = b"blob %d\0" % len(content) + content
    return bool(hashlib.sha1(blob, usedforsecurity=False).hexdigest() == remote.blob_id)


def _refusal(error: Any, *, repo: str) -> str:
    status = error.response.status_code
    said = hide_tokens(error.server_message or "").strip()
    reasons = {
        401: f"the token is missing, wrong or expired; {_LOG_IN}",
        403: f"this token may not write to {repo}; {_LOG_IN}, or change release.repo",
        404: f"there is no {repo}, or this token may not see it; check release.repo and HF_TOKEN",
        409: "somebody else is writing to this repository; publish again",
        413: "the server takes no file of this size",
        429: "the server asks to wait; publish again later",
    }
    what = reasons.get(status, "publish again; if it stays so, ask those who run the server")
    quoted = f" ({said})" if said else ""
    return f"{endpoint()}: refused with HTTP {status}{quoted}: {what}"
