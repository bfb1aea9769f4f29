"""Upload to a server with the protocol of the Hugging Face Hub, in one commit.

What others wrote there is neither overwritten nor deleted unless that is asked for. Every release
has a tag, a commit of which the title says what changed, and the commit that was looked at as its
parent, so that none comes in between unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from finetune.errors import ReleaseError
from finetune.messages import Place, Sentence, problem
from finetune.release.contents import is_of_release
from finetune.release.hub_changes import (
    NOTHING,
    Changes,
    changes,
    is_ours,
    mark_of,
    refuse_foreign,
    title_of,
)
from finetune.release.hub_errors import explanation
from finetune.release.hub_tries import patiently
from finetune.sources.hub_fetch import endpoint, network_as_set


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
    """True for a name of which our own file is removed when it is not uploaded again."""
    force: bool = False
    """True if what others changed is undone."""
    pull_request: bool = False
    make_public: bool = False
    """True if a private repository becomes visible to all."""

    @property
    def address(self) -> str:
        """Address for people."""
        return f"{endpoint()}/{'datasets/' if self.kind == 'dataset' else ''}{self.repo}"


@dataclass(frozen=True, slots=True)
class Found:
    """Repository before an upload, and what the upload changes."""

    exists: bool
    private: bool = True
    head: str | None = None
    changes: Changes = NOTHING


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Result of an upload."""

    changed: bool
    private: bool
    """Seen by its owners only."""
    commit: str | None = None
    """With the files; None as long as they are in a pull request."""
    changes: Changes = NOTHING
    tag: str | None = None
    pull_request: str | None = None
    """Address."""


def upload(
    files: Mapping[str, Path], target: Target, *, say: Callable[[Sentence], None] = lambda _: None
) -> Uploaded:
    """Make a repository hold these files.

    Creates the repository if there is none. With `private` nothing goes into a repository that
    is public, however it became so (some servers do not know the client's `visibility`).
    A gated one is hidden until the gate is there. Files that are neither given nor
    `replaced` are left alone. `say` gets a sentence before each pause.

    Raises:
        ReleaseError: no token, no permission, no network, changes of others, or the server failed.
    """
    with explained(target) as api:
        return _upload(api, files, target, say=say)


def look(files: Mapping[str, Path], target: Target) -> Found:
    """Return what `upload` would find and change; write nothing. Raises ReleaseError as it does."""
    with explained(target) as api:
        if not api.repo_exists(target.repo, repo_type=target.kind):
            return Found(exists=False, changes=Changes(added=tuple(files)))
        return _found(api, files, target)


@contextmanager
def explained(target: Target) -> Iterator[Any]:
    """Give the client; turn its errors into a ReleaseError that has the cause."""
    from huggingface_hub import HfApi

    try:
        with network_as_set():
            yield HfApi(endpoint=endpoint(), library_name="finetune")
    except ReleaseError:
        raise
    except Exception as error:
        why = explanation(error, repo=target.repo, option=target.option)
        if why is None:
            raise
        raise ReleaseError(why) from None  # the error's own text may quote headers


def _upload(
    api: Any, files: Mapping[str, Path], target: Target, *, say: Callable[[Sentence], None]
) -> Uploaded:
    repo, kind = target.repo, target.kind
    if not api.repo_exists(repo, repo_type=kind):
        hidden = target.private or target.gated is not None
        patiently(
            lambda: api.create_repo(repo, private=hidden, exist_ok=True, repo_type=kind), say=say
        )
    seen_by_all = not api.repo_info(repo, repo_type=kind).private
    refuse_visible(target, seen_by_all=seen_by_all)

    def set_up(**settings: Any) -> None:
        patiently(lambda: api.update_repo_settings(repo, repo_type=kind, **settings), say=say)

    if target.gated is not None:
        set_up(gated=target.gated)
    done = patiently(lambda: _commit(api, files, target), say=say)
    tag, is_new_tag = None, False
    if kind == "model" and done.commit is not None:
        tag, is_new_tag = patiently(lambda: _tag(api, files, done, repo=repo), say=say)
    shows = (target.make_public or target.gated is not None) and not target.private
    if shows and not seen_by_all:
        set_up(private=False)
    return replace(
        done,
        changed=done.changed or is_new_tag or (shows and not seen_by_all),
        private=not (seen_by_all or shows),
        tag=tag,
    )


def refuse_visible(target: Target, *, seen_by_all: bool) -> None:
    """Raise ReleaseError if something private would go where everyone sees it."""
    if not (target.private and seen_by_all):
        return
    raise ReleaseError(
        problem(
            "repository-is-public",
            "the repository is public, but publish.private is true, so nothing was uploaded. "
            "Make it private on the server, or set publish.private: false",
            at=Place(target.address),
        )
        if target.kind == "model"
        else problem(
            "dataset-is-public",
            "the dataset is public, so nothing was uploaded. Make it private on the server, or "
            "give --public",
            at=Place(target.address),
        )
    )


def _commit(api: Any, files: Mapping[str, Path], target: Target) -> Uploaded:
    """Look at the repository and change it in one commit, or as a pull request."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    found = _found(api, files, target)
    refuse_foreign(found.changes, Place(target.address))
    what, mark = found.changes, mark_of(files)
    if what.is_empty:
        return Uploaded(changed=False, private=True, commit=found.head, changes=what)
    if target.pull_request and (address := _open_request(api, target, mark=mark)):
        return Uploaded(changed=False, private=True, changes=what, pull_request=address)
    operations: list[Any] = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=files[name])
        for name in (*what.added, *what.replaced)
    ]
    operations += [CommitOperationDelete(path_in_repo=name) for name in what.removed]
    made = api.create_commit(
        target.repo,
        operations=operations,
        commit_message=title_of(what, mark=mark),
        repo_type=target.kind,
        parent_commit=found.head,
        create_pr=target.pull_request,
    )
    commit = None if target.pull_request else made.oid
    return Uploaded(
        changed=True, private=True, commit=commit, changes=what, pull_request=made.pr_url
    )


def _open_request(api: Any, target: Target, *, mark: str) -> str | None:
    """Return the address of an open pull request with the same files."""
    requests = api.get_repo_discussions(
        target.repo,
        repo_type=target.kind,
        discussion_type="pull_request",
        discussion_status="open",
    )
    return next((str(one.url) for one in requests if one.title.startswith(f"Release {mark}")), None)


def _found(api: Any, files: Mapping[str, Path], target: Target) -> Found:
    info = api.repo_info(target.repo, repo_type=target.kind)
    commits = api.list_repo_commits(target.repo, repo_type=target.kind)
    last = next((one.commit_id for one in commits if is_ours(one.title)), None)
    remote = _tree(api, target, revision=info.sha)
    what = changes(
        files,
        remote=remote,
        published=_tree(api, target, revision=last) if last else {},
        replaces=target.replaces,
    )
    what = what.with_force() if target.force else what
    return Found(exists=True, private=bool(info.private), head=info.sha, changes=what)


def _tree(api: Any, target: Target, *, revision: str) -> dict[str, Any]:
    from huggingface_hub.hf_api import RepoFile

    entries = api.list_repo_tree(
        target.repo, recursive=True, revision=revision, repo_type=target.kind
    )
    return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


def _tag(api: Any, files: Mapping[str, Path], done: Uploaded, *, repo: str) -> tuple[str, bool]:
    """Return the tag of these files in a repository, and whether it was made now."""
    tag = f"release-{mark_of(files)}"
    if any(one.name == tag for one in api.list_repo_refs(repo).tags):
        return tag, False
    api.create_tag(repo, tag=tag, revision=done.commit, exist_ok=True)
    return tag, True
