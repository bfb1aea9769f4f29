"""A hub in memory that speaks the Hugging Face Hub's protocol to its real client, over real HTTP.

Files travel base64 inside the commit, so that a client with Xet installed needs no setting; those
above `lfs_over` bytes by LFS, whole or in parts (tests/support/hub_lfs.py). Tags, and pull requests
that can be merged. No Xet, git protocol or branches: only what publishing an adapter, fetching a
model and loading a dataset ask for, what deletes old revisions, and collections.

    with HubServer() as hub:
        hub.add("tiny/base", {"config.json": b"{}"}, owner="tiny")
        HfApi(endpoint=hub.url, token=hub.token("amina")).create_repo("amina/x", private=True)
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.hub_lfs import Large, Objects

_TOKEN_END = "0" * 20
KINDS = {"models": "model", "datasets": "dataset"}


@dataclass
class Commit:
    """One state of a repository."""

    sha: str
    message: str
    files: dict[str, bytes]


@dataclass
class Repo:
    """A repository: its commits, oldest first."""

    owner: str
    private: bool = False
    gated: bool | str = False
    commits: list[Commit] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    """Name -> commit."""
    large: list[tuple[str, Large]] = field(default_factory=list)
    """Name and content of every large file that was ever committed and is not deleted."""
    requests: list[Commit] = field(default_factory=list)
    """Pull requests, open ones first to last; number n stands at n - 1."""

    def merge(self, number: int) -> Commit:
        """Merge a pull request as the Hub does: one commit, with the number in its title."""
        request = self.requests[number - 1]
        return self.commit(request.files, f"{request.message} (#{number})")

    def commit(self, files: dict[str, bytes], message: str) -> Commit:
        """Append a state; the same history gives the same hash."""
        parent = self.commits[-1].sha if self.commits else ""
        tree = json.dumps({p: blob_id(c) for p, c in sorted(files.items())})
        sha = hashlib.sha1(f"{parent}\n{message}\n{tree}".encode()).hexdigest()
        self.commits.append(Commit(sha, message, files))
        return self.commits[-1]

    def at(self, revision: str) -> Commit | None:
        """Return the state at `main`, or at a full or shortened commit hash."""
        if revision in ("main", "refs/heads/main", "HEAD"):
            return self.commits[-1]
        revision = self.tags.get(revision, revision)
        return next((c for c in self.commits if c.sha.startswith(revision)), None)


class Refused(Exception):
    """An answer other than 200, with the Hub's error code."""

    def __init__(self, status: int, code: str = "", message: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {"X-Error-Code": code, "X-Error-Message": message} | headers


class HubServer:
    """The hub; a context manager that serves on 127.0.0.1 in a thread.

    `ignores_visibility` makes it create public repositories whatever was asked. `faults` maps a
    part of a path to `lose-request`, `lose-answer`, an HTTP status or a `Refused` with its headers,
    used up one request each.
    Files larger than `lfs_over` bytes have to come by LFS, in parts of `part_bytes` if that is set.
    """

    def __init__(self, *, ignores_visibility: bool = False) -> None:
        self.lfs_over: int | None = None
        self.objects = Objects()
        self.repos: dict[tuple[str, str], Repo] = {}
        self.collections: dict[str, dict[str, Any]] = {}
        """Slug -> title, private, items."""
        self.faults: list[tuple[str, str | int | Refused]] = []
        self.requests: list[tuple[str, str]] = []
        self.log: list[tuple[bool, bool | str, int]] = []
        """After each change of settings: private, gated, number of commits."""
        self.ignores_visibility = ignores_visibility
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.hub = self  # type: ignore[attr-defined]
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def token(user: str) -> str:
        """Return the token of a user; every user may write to repositories named `user/...`."""
        return f"hf_{user}{_TOKEN_END}"

    def add(
        self, repo: str, files: Mapping[str, bytes], *, kind: str = "model", **settings: bool
    ) -> str:
        """Create a repository with one commit; return its hash."""
        made = Repo(owner=repo.partition("/")[0], **settings)
        self.repos[(kind, repo)] = made
        return made.commit(dict(files), "initial commit").sha

    def files(self, repo: str, *, kind: str = "model") -> dict[str, bytes]:
        """Return the files of a repository at its newest commit."""
        return self.repos[(kind, repo)].commits[-1].files


def blob_id(content: bytes) -> str:
    """Return the git hash of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve("GET")

    def do_HEAD(self) -> None:
        self._serve("HEAD")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self, method: str) -> None:
        hub: HubServer = self.server.hub  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        split = urlsplit(self.path)
        path = unquote(split.path)
        hub.requests.append((method, path))
        fault = next((f for f in hub.faults if f[0] in path), None)
        if fault:
            hub.faults.remove(fault)
            if fault[1] == "lose-request":
                return self._hang_up()
            if isinstance(fault[1], int):
                return self._answer(fault[1], b"", {"X-Error-Message": "out of order"})
            if isinstance(fault[1], Refused):
                return self._answer(fault[1].status, b"{}", fault[1].headers)
        try:
            with hub.lock:
                request = _Request(hub, method, path, parse_qs(split.query), body, self._user())
                status, content, headers = route(request)
        except Refused as refused:
            return self._answer(refused.status, b"{}", refused.headers)
        if fault and fault[1] == "lose-answer":
            return self._hang_up()
        return self._ranged(status, content, headers)

    def _chunks(self) -> bytes:
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def _user(self) -> str | None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if not token:
            return None
        user = token.removeprefix("hf_").removesuffix(_TOKEN_END)
        if HubServer.token(user) != token:
            raise Refused(401, message="Invalid user token.")
        return user

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _ranged(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        wanted = self.headers.get("Range", "")
        if status == 200 and wanted.startswith("bytes=") and "ETag" in headers:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            end = min(int(last or len(content) - 1), len(content) - 1)
            headers = headers | {"Content-Range": f"bytes {first}-{end}/{len(content)}"}
            status, content = 206, content[int(first) : end + 1]
        self._answer(status, content, headers)

    def _answer(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@dataclass
class _Request:
    hub: HubServer
    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    user: str | None

    def fields(self) -> dict[str, Any]:
        """Return the body, JSON or a form (the client posts `paths-info` as a form)."""
        try:
            return json.loads(self.body or b"{}")
        except ValueError:
            return parse_qs(self.body.decode())


Answer = tuple[int, bytes, dict[str, str]]


def route(request: _Request) -> Answer:
    """Answer one request; Refused for everything that the Hub refuses."""
    parts = request.path.strip("/").split("/")
    if parts[:2] == ["api", "whoami-v2"]:
        if request.user is None:
            raise Refused(401, message="Invalid credentials")
        return _json({"type": "user", "name": request.user, "orgs": [], "auth": {}})
    if parts[:2] == ["api", "collections"]:
        return _collections(request, "/".join(parts[2:4]), parts[4:])
    if parts[:2] == ["api", "validate-yaml"] or parts[:3] == ["api", "repos", "create"]:
        return _create(request) if parts[-1] == "create" else _json({"errors": [], "warnings": []})
    if parts[0] == "lfs" or parts[-3:] == ["lfs", "objects", "batch"]:
        return _lfs(request, parts)
    if parts[0] == "api" and parts[1] in KINDS and len(parts) >= 4:
        return _api(request, KINDS[parts[1]], "/".join(parts[2:4]), parts[4:])
    kind = "dataset" if parts[0] == "datasets" else "model"
    parts = parts[1:] if kind == "dataset" else parts
    if len(parts) >= 5 and parts[2] == "resolve":
        return _resolve(request, kind, "/".join(parts[:2]), parts[3], "/".join(parts[4:]))
    raise Refused(404, message=f"no such page: {request.path}")


def _may_write(request: _Request, repo: Repo) -> None:
    if request.user != repo.owner:
        raise Refused(403 if request.user else 401, message="You may not write here")


def _lfs(request: _Request, parts: list[str]) -> Answer:
    objects = request.hub.objects
    if parts[-1] == "batch":  # org/name.git/info/lfs/objects/batch
        _may_write(request, _find(request, "model", "/".join(parts[:2]).removesuffix(".git")))
        return _json(objects.batch(request.fields()["objects"], url=request.hub.url))
    verb, oid, *rest = parts[1:]
    try:
        if verb == "cdn":
            return 200, objects.content[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"}
        if verb == "verify" and request.user is None:
            raise Refused(401, message="Invalid credentials")
        return 200, b"{}", objects.receive(verb, oid, body=request.body, part=int([*rest, "0"][0]))
    except (KeyError, ValueError) as error:
        raise Refused(400, message=f"{verb} {oid}: {error}") from None


def _json(value: object, status: int = 200) -> Answer:
    return status, json.dumps(value).encode(), {"Content-Type": "application/json"}


def _create(request: _Request) -> Answer:
    wish = request.fields()
    if request.user is None:
        raise Refused(401, message="Invalid credentials")
    owner = wish.get("organization") or request.user
    if owner != request.user:
        raise Refused(403, message=f"You don't have the rights to create under {owner}")
    name, kind = f"{owner}/{wish['name']}", wish.get("type") or "model"
    url = f"{request.hub.url}/{'datasets/' if kind == 'dataset' else ''}{name}"
    if (kind, name) in request.hub.repos:
        return _json({"error": "You already created this repo", "url": url}, 409)
    private = wish.get("visibility") == "private" or bool(wish.get("private"))
    request.hub.add(
        name,
        {".gitattributes": b"*.safetensors filter=lfs\n"},
        kind=kind,
        private=private and not request.hub.ignores_visibility,
    )
    return _json({"url": url, "id": "0", "name": name})


def _find(request: _Request, kind: str, name: str) -> Repo:
    repo = request.hub.repos.get((kind, name))
    hidden = repo is not None and repo.private and request.user != repo.owner
    if repo is None or hidden:
        raise Refused(404 if request.user else 401, "RepoNotFound", "Repository not found")
    return repo


def _commit_of(repo: Repo, revision: str) -> Commit:
    commit = repo.at(revision)
    if commit is None:
        raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return commit


def _api(request: _Request, kind: str, name: str, rest: list[str]) -> Answer:
    repo = _find(request, kind, name)
    verb = rest[0] if rest else "revision"
    revision = rest[1] if len(rest) > 1 else "main"
    if verb == "revision":
        return _json(_info(repo, kind, name, _commit_of(repo, revision)))
    if verb == "tree":
        return _tree(_commit_of(repo, revision), "/".join(rest[2:]), request.query)
    if verb == "paths-info":
        wanted = request.fields().get("paths", [])
        files = _commit_of(repo, revision).files
        found = [_entry(p, files[p]) for p in wanted if p in files]
        folders = [p for p in wanted if any(f.startswith(f"{p}/") for f in files)]
        found += [{"type": "directory", "path": p, "oid": "0" * 40, "size": 0} for p in folders]
        return _json(found)
    if verb in _SHOWN:
        return _json(_SHOWN[verb](repo, name))
    if verb == "lfs-files" and request.method == "GET":
        return _json(_large_files(repo))
    if verb in _WRITTEN:
        _may_write(request, repo)
        return _WRITTEN[verb](request, repo, name)
    raise Refused(404, "EntryNotFound", f"no such page: {request.path}")


def _refs(repo: Repo, _: str) -> dict[str, Any]:
    head = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commits[-1].sha}
    tags = [
        {"name": name, "ref": f"refs/tags/{name}", "targetCommit": sha}
        for name, sha in repo.tags.items()
    ]
    return {"branches": [head], "converts": [], "tags": tags}


def _history(repo: Repo, _: str) -> list[dict[str, Any]]:
    return [
        {
            "id": commit.sha,
            "title": commit.message,
            "message": "",
            "authors": [{"user": repo.owner}],
            "date": "2026-01-01T00:00:00.000Z",
        }
        for commit in reversed(repo.commits)
    ]


def _discussions(repo: Repo, name: str) -> dict[str, Any]:
    found = [
        {
            "num": number,
            "title": request.message,
            "author": {"name": repo.owner},
            "createdAt": "2026-01-01T00:00:00.000Z",
            "status": "open",
            "isPullRequest": True,
            "repo": {"name": name, "type": "model"},
        }
        for number, request in enumerate(repo.requests, 1)
    ]
    return {"discussions": found, "count": len(found), "start": 0}


def _large_files(repo: Repo) -> list[dict[str, Any]]:
    """Return every large file of every commit, and those that no commit has any more."""
    found = {c.pointer()["oid"]: (name, c) for name, c in repo.large}
    return [
        {
            "fileOid": oid,
            "filename": name,
            "oid": blob_id(content),
            "pushedAt": "2026-01-01T00:00:00.000Z",
            "size": len(content),
        }
        for oid, (name, content) in found.items()
    ]


def _delete_large(request: _Request, repo: Repo, _: str) -> Answer:
    shas = request.fields()["deletions"]["sha"]
    repo.large = [(name, c) for name, c in repo.large if c.pointer()["oid"] not in shas]
    for sha in shas:
        request.hub.objects.content.pop(sha, None)
    return _json({})


def _squash(request: _Request, repo: Repo, _: str) -> Answer:
    files = repo.commits[-1].files
    repo.commits = [c for c in repo.commits if c.sha in repo.tags.values()]  # a tag keeps its own
    tagged, repo.commits = repo.commits, []
    new = repo.commit(files, request.fields()["message"])
    repo.commits = [*tagged, new]
    return _json({})


def _collections(request: _Request, slug: str, rest: list[str]) -> Answer:
    """Make a collection, return one, or add an item to it."""
    if request.user is None:
        raise Refused(401, message="Invalid credentials")
    shelves, wish = request.hub.collections, request.fields() if request.method == "POST" else {}
    if not slug:
        owner = wish["namespace"]
        if owner != request.user:
            raise Refused(403, message=f"You don't have the rights to create under {owner}")
        slug = f"{owner}/{wish['title'].lower().replace(' ', '-')}-0"
        there = slug in shelves
        shelves.setdefault(slug, {"title": wish["title"], "private": wish["private"], "items": []})
        return _json(_collection(slug, shelves[slug]), 409 if there else 200)
    if slug not in shelves:
        raise Refused(404, message=f"no such collection: {slug}")
    if rest == ["items"]:
        item = wish["item"]
        if item in shelves[slug]["items"]:
            return _json({"error": "Item already in this collection"}, 409)
        shelves[slug]["items"].append(item)
    return _json(_collection(slug, shelves[slug]))


def _collection(slug: str, shelf: dict[str, Any]) -> dict[str, Any]:
    return {
        "slug": slug,
        "title": shelf["title"],
        "owner": {"name": slug.partition("/")[0]},
        "items": [
            {"_id": str(n), "id": item["id"], "type": item["type"], "position": n}
            for n, item in enumerate(shelf["items"])
        ],
        "lastUpdated": "2026-01-01T00:00:00.000Z",
        "position": 0,
        "private": shelf["private"],
        "theme": "blue",
        "upvotes": 0,
    }


def _put_tag(request: _Request, repo: Repo, _: str) -> Answer:
    if request.method == "DELETE":
        del repo.tags[request.path.rpartition("/")[2]]
        return _json({})
    tag = request.fields()["tag"]
    if tag in repo.tags:
        raise Refused(409, message=f"Tag {tag} exists already")
    repo.tags[tag] = _commit_of(repo, request.path.rpartition("/")[2]).sha
    return _json({})


def _info(repo: Repo, kind: str, name: str, commit: Commit) -> dict[str, Any]:
    return {
        "_id": "0",
        "id": name,
        "modelId": name if kind == "model" else None,
        "author": repo.owner,
        "sha": commit.sha,
        "lastModified": "2026-01-01T00:00:00.000Z",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "private": repo.private,
        "gated": "auto" if repo.gated is True else repo.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": [{"rfilename": path} for path in sorted(commit.files)],
    }


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "oid": blob_id(content), "size": len(content)}
    return entry | ({"lfs": content.pointer()} if isinstance(content, Large) else {})


def _tree(commit: Commit, under: str, query: dict[str, list[str]]) -> Answer:
    prefix = f"{under}/" if under else ""
    inside = {p: c for p, c in sorted(commit.files.items()) if p.startswith(prefix)}
    if under and not inside:
        raise Refused(
            404, "EntryNotFound", f"{under} does not exist", **{"X-Repo-Commit": commit.sha}
        )
    recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
    folders = {
        prefix + p.removeprefix(prefix).partition("/")[0]
        for p in inside
        if "/" in p.removeprefix(prefix)
    }
    entries = [
        {"type": "directory", "path": f, "oid": "0" * 40, "size": 0} for f in sorted(folders)
    ]
    entries += [
        _entry(p, c) for p, c in inside.items() if recursive or "/" not in p.removeprefix(prefix)
    ]
    return _json(entries)


def _settings(request: _Request, repo: Repo, _: str) -> Answer:
    wish = request.fields()
    repo.gated = wish.get("gated", repo.gated)
    if "visibility" in wish or "private" in wish:
        repo.private = wish.get("visibility") == "private" or bool(wish.get("private"))
    request.hub.log.append((repo.private, repo.gated, len(repo.commits)))
    return _json({})


def _preupload(request: _Request, repo: Repo, _: str) -> Answer:
    files, limit = repo.commits[-1].files, request.hub.lfs_over
    return _json(
        {
            "files": [
                {
                    "path": wish["path"],
                    "uploadMode": "regular" if limit is None or wish["size"] <= limit else "lfs",
                    "shouldIgnore": False,
                    "oid": blob_id(files[wish["path"]]) if wish["path"] in files else None,
                }
                for wish in request.fields()["files"]
            ]
        }
    )


def _commit(request: _Request, repo: Repo, name: str) -> Answer:
    head = repo.commits[-1]
    files, message = dict(head.files), ""
    for line in request.body.splitlines():
        record = json.loads(line)
        value = record["value"]
        if record["key"] == "header":
            message = value["summary"]
            if value.get("parentCommit", head.sha) != head.sha:
                raise Refused(
                    412, message="A commit has happened since. Please refresh and try again"
                )
        elif record["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif record["key"] == "lfsFile":
            if value["oid"] not in request.hub.objects.content:
                raise Refused(400, message=f"no such object: {value['oid']}")
            files[value["path"]] = Large(request.hub.objects.content[value["oid"]])
            repo.large.append((value["path"], files[value["path"]]))
        elif record["key"] == "deletedFile":
            del files[value["path"]]
        else:
            raise Refused(400, message=f"unknown operation {record['key']}")
    if request.query.get("create_pr", ["0"])[0] in ("1", "true"):
        repo.requests.append(Commit(head.sha, message, files))
        page = f"{request.hub.url}/{name}"
        made = {"commitOid": head.sha, "commitUrl": f"{page}/commit/{head.sha}"}
        made |= {"pullRequestUrl": f"{page}/discussions/{len(repo.requests)}"}
        return _json({"success": True} | made)
    commit = repo.commit(files, message)
    url = f"{request.hub.url}/{name}/commit/{commit.sha}"
    return _json({"success": True, "commitOid": commit.sha, "commitUrl": url})


_SHOWN = {"refs": _refs, "commits": _history, "discussions": _discussions}
_WRITTEN = {
    "preupload": _preupload,
    "commit": _commit,
    "settings": _settings,
    "tag": _put_tag,
    "super-squash": _squash,
    "lfs-files": _delete_large,
}
"""Answers by the last word of an address below that of a repository."""


def _resolve(request: _Request, kind: str, name: str, revision: str, path: str) -> Answer:
    repo = _find(request, kind, name)
    commit = _commit_of(repo, revision)
    if repo.gated and request.user != repo.owner:
        raise Refused(
            403 if request.user else 401, "GatedRepo", "Access to this repo is restricted"
        )
    if path not in commit.files:
        raise Refused(404, "EntryNotFound", "Entry not found", **{"X-Repo-Commit": commit.sha})
    content = commit.files[path]
    headers = {
        "X-Repo-Commit": commit.sha,
        "ETag": f'"{blob_id(content)}"',
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    if isinstance(content, Large):  # the bytes are with another server, as on the real Hub
        oid = content.pointer()["oid"]
        request.hub.objects.content[oid] = bytes(content)
        headers |= {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        elsewhere = request.hub.url.replace("127.0.0.1", "localhost")
        return 302, b"", headers | {"Location": f"{elsewhere}/lfs/cdn/{oid}"}
    return 200, content, headers
