"""Hostile bundles and npm archives, made by hand or mutated, and their outcomes.

`cases(seed, count)` gives those made by hand and then mutants, `run_case` tries one in this process
and returns what is wrong with the outcome. Refused means: exit code 2, one message without a
traceback that names the entry, and not a file more or less than before, inside and outside.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from finetune.cli import main
from finetune.errors import FinetuneError
from finetune.pipeline.manifest import key_of, write_manifest
from finetune.pipeline.store import Request
from finetune.sources import npm
from tests.support import raw_tar
from tests.support.file_size import largest_file
from tests.support.raw_tar import member, padded, pax, tar
from tests.support.results import base_result

CONTENT = {"stage": "base", "version": 1, "content": {"files": {}}, "inputs": {}}
KEY = key_of(CONTENT)
SHELF = f"store/base/{KEY}"
PAYLOAD = b"raise SystemExit('the canary was run')\n"
MAX_SECONDS = 20.0
MAX_FILE_BYTES = 2**27
"""No case writes more than this, also where the bound of the program is broken."""
ABSOLUTE = tuple(map(Path, ("/evil", "/tmp/evil", "/tmp/escaped")))
"""Path outside of every folder at which hand-made archives would write."""
TEXT = "Ina kwana lafiya ɗan gida.\n".encode() * 40
NPM_FILES = {"package/a.txt": TEXT, "package/b/c.txt": b"x", "package/package.json": b"{}"}
Files = dict[str, bytes]
Maker = Callable[[Path], Path]


@dataclass(frozen=True, slots=True)
class Case:
    """An archive to be tried."""

    label: str
    make: Maker
    """Writes it below a new folder, and returns its path."""
    said: str = ""
    """Text that the message must contain, e.g. the name of the entry."""
    sound: bool = False
    """True if it may also be taken, if what comes out is byte for byte what went in."""
    kind: Literal["bundle", "npm"] = "bundle"
    into: bool = True
    """True if --into is given."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of an archive; `faults` is empty if it is as it must be."""

    label: str
    outcome: str
    said: str
    faults: tuple[str, ...]


@cache
def good() -> Mapping[str, bytes]:
    """Return the files of a sound bundle: a project and one artefact."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "model").mkdir()
        (folder / "model/config.json").write_text("{}")
        (folder / "model/model.safetensors").write_bytes(bytes(range(256)) * 8)
        request = Request(stage="base", key=KEY, name="tiny", content=CONTENT, inputs={})
        write_manifest(folder, request, result=base_result(source="Hub org/tiny"), started=1.0)
        shelf = {
            f"{SHELF}/{path.relative_to(folder).as_posix()}": path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    facts: dict[str, Any] = {
        "schema": 1,
        "name": "tiny",
        "recipe": "recipes/tiny.yaml",
        "version": "0.1.0",
        "python": "3.11",
        "machine": "Linux x86_64",
        "artifacts": [f"base/{KEY}"],
        "packages": {"torch": "2.0"},
        "wheels": False,
        "skipped_wheels": [],
        "site": None,
        "overrides": ["train.max_steps=3"],
    }
    files = {
        "bundle.json": json.dumps(facts).encode(),
        "README.md": b"# tiny\n",
        "project/recipes/tiny.yaml": b"name: tiny\n",
        "project/data_cards/lines.md": b"---\nlicense: mit\n---\n",
        "project/data_cards/lines.txt": TEXT,
    }
    return listed(files | shelf)


def listed(files: Mapping[str, bytes]) -> Files:
    """Return the files with a list of checksums that is true."""
    names = sorted(name for name in files if name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in names]
    return {"SHA256SUMS": "".join(lines).encode(), **{name: files[name] for name in names}}


def as_folder(
    files: Mapping[str, bytes], after: Callable[[Path], object] = lambda _: None
) -> Maker:
    """Return a maker of a folder; `after` may do to it what files in a dict cannot say."""

    def make(folder: Path) -> Path:
        for name, data in files.items():
            path = folder / "tiny" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        after(folder / "tiny")
        return folder / "tiny"

    return make


def as_file(data: bytes, name: str = "tiny.tar") -> Maker:
    """Return a maker of a file."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def as_tar(files: Mapping[str, bytes], *more: bytes) -> Maker:
    """Return a maker of a tar file of the files, and raw members after them."""
    return as_file(packed(files, *more))


def packed(files: Mapping[str, bytes], *more: bytes) -> bytes:
    """Return a tar file of a bundle's files, and raw members after them."""
    return tar({f"tiny/{name}": data for name, data in files.items()}, more=more)


def changed(file: str, /, **changes: Any) -> Files:
    """Return the sound bundle with other values in one of its JSON files; Ellipsis removes one."""
    value = json.loads(good()[file]) | changes
    value = {key: kept for key, kept in value.items() if kept is not ...}
    return replaced(file, json.dumps(value).encode())


def replaced(name: str, data: bytes) -> Files:
    """Return the sound bundle with another file in place of one, or beside, and a true list."""
    return listed({**good(), name: data})


def cases(seed: int, count: int) -> Iterator[Case]:
    """Yield so many archives: those made by hand, then mutants of sound ones."""
    made = hostile_bundles()
    yield from made[:count]
    yield from mutants(seed, max(0, count - len(made)))


def hostile_bundles() -> list[Case]:
    """Return the bundles made by hand, each of them to be refused."""
    return [*_facts(), *_lists(), *_manifests(), *_projects(), *_folders(), *_tars(), *_packings()]


def _facts() -> Iterator[Case]:
    """Names and values of `bundle.json` that lead elsewhere, or are none."""
    deep = b'{"schema": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    escape = f"base/../../outside/{'0' * 16}"
    changes: dict[str, dict[str, Any]] = {
        "artifacts.0": {"artifacts": ["x/../../outside/sitecustomize"]},
        "artifacts.1": {"artifacts": [f"base/{KEY}", "../.."]},
        "artifacts.2": {"artifacts": [f"base/{KEY}", f"base/{KEY}", escape]},
        "artifacts": {"artifacts": f"base/{KEY}"},
        "name": {"name": "../escaped"},
        "recipe: ": {"recipe": "../../../../etc/passwd"},
        "schema": {"schema": 2},
        "overrides.0": {"overrides": [1]},
        "skipped_wheels": {"skipped_wheels": None},
        "packages": {"packages": [1]},
        "extra": {"extra": 1},
        "site": {"site": "a\x1b[2J"},
        "wheels": {"wheels": "yes"},
        "x1b": {"\x1b[2J": 1},
        "x7f": {"\x7fverrides": []},
        "xxxxxxxxxxxx": {"x" * 10_000: 1},
    }
    for said, change in changes.items():
        yield Case(f"bundle.json: {change}", as_folder(changed("bundle.json", **change)), said)
    for name in ("base", "/etc", f"base//{KEY}", f"train/{KEY}", f"base/{KEY.upper()}", 1, None):
        files = changed("bundle.json", artifacts=[name])
        yield Case(f"artifact {name!r}", as_tar(files), "artifacts.0")
    for name in ("", "/tmp/escaped", ".", "..", "a/b", "\x1b[2Jx", None, 7, "-rf", "A", "x" * 300):
        files = changed("bundle.json", name=name)
        yield Case(f"name {name!r}", as_tar(files), "bundle.json: name", into=False)
    for path in ("/etc/passwd", "", ".", "recipes", "nothing.yaml", "recipes/../recipes/tiny.yaml"):
        yield Case(f"recipe {path!r}", as_tar(changed("bundle.json", recipe=path)), "recipe: ")
    yield Case("recipe ESC", as_tar(changed("bundle.json", recipe="\x1b]0;x\a")), "recipe")
    for key in ("schema", "name", "recipe", "artifacts", "packages", "wheels"):
        files = changed("bundle.json", **{key: ...})
        yield Case(f"no {key}", as_folder(files), key)
    for data in (
        b"[]",
        b"null",
        b"{}",
        b"",
        b"\xff\xfe",
        b"3",
        deep,
        b"{" * 1000,
        b" " * 5 * 2**20,
    ):
        yield Case(
            f"bundle.json {data[:12]!r}", as_tar(replaced("bundle.json", data)), "bundle.json"
        )
    twice = changed("bundle.json", artifacts=[f"base/{KEY}"] * 2)
    yield Case(
        "an artefact named twice", as_folder(twice), "artifacts: an artefact is listed twice"
    )


def _lists() -> Iterator[Case]:
    """Lists of checksums that say less, more or something else than is there."""
    files = dict(good())
    sums = files["SHA256SUMS"]
    text = "project/data_cards/lines.txt"
    line = next(one for one in sums.splitlines(keepends=True) if text.encode() in one)
    evil = "project/data_cards/evil.md"
    for where, name in (("project", evil), ("artefact", f"{SHELF}/model/evil.py")):
        yield Case(f"unlisted: {where}", as_folder({**files, name: PAYLOAD}), name)
        yield Case(f"unlisted in a tar: {where}", as_tar({**files, name: PAYLOAD}), name)
    digest = line[:64]
    lists = {
        "empty": (b"", "SHA256SUMS: empty"),
        "a line end only": (b"\n", "SHA256SUMS:1"),
        "a line gone": (sums.replace(line, b""), text),
        "a line of nothing": (sums + digest + b"  project/gone.txt\n", "project/gone.txt"),
        "another digest": (sums.replace(digest, b"0" * 64), text),
        "upper case": (sums.replace(digest, digest.upper()), "SHA256SUMS:"),
        "short digest": (sums.replace(digest, digest[:40]), "SHA256SUMS:"),
        "twice": (sums + line, text),
        "itself": (sums + digest + b"  SHA256SUMS\n", "lists itself"),
        "leads up": (sums + digest + b"  ../outside/x\n", "../outside/x"),
        "absolute": (sums + digest + b"  /etc/passwd\n", "/etc/passwd"),
        "escapes": (sums + digest + b"  project/\x1b[2J\n", "x1b[2J"),
        "NUL": (sums + digest + b"  project/a\0b\n", "x00"),
        "no UTF-8": (sums + digest + b"  project/\xff\n", "SHA256SUMS: not UTF-8"),
        "cut off": (sums[:-20], "SHA256SUMS"),
        "no text": (bytes(10_000), "SHA256SUMS"),
        "huge": (b"0" * (33 * 2**20), "SHA256SUMS"),
    }
    for label, (content, said) in lists.items():
        yield Case(f"list: {label}", as_folder({**files, "SHA256SUMS": content}), said)
    for gone in ("SHA256SUMS", "bundle.json", text, f"{SHELF}/manifest.json"):
        yield Case(f"without {gone}", as_tar({n: d for n, d in files.items() if n != gone}), gone)
    unlisted = listed({n: d for n, d in files.items() if n != "bundle.json"})
    facts = {"bundle.json": files["bundle.json"]}
    yield Case("bundle.json not in the list", as_folder(unlisted | facts), "bundle.json")


def _manifests() -> Iterator[Case]:
    """Artefacts that are not what their manifest says, with lists that are true."""
    where = f"{SHELF}/manifest.json"
    real = json.loads(good()[where])
    weights = real["files"]["model/model.safetensors"]
    changes: dict[str, dict[str, Any]] = {
        "another key": {"key": "0" * 16},
        "another stage": {"stage": "train"},
        "another content": {"content": CONTENT | {"version": 9}},
        "another schema": {"schema": 99},
        "no files": {"files": {}},
        "files a list": {"files": []},
        "no result": {"result": ...},
        "no times": {"finished": None},
        "names of files that lead up": {"files": real["files"] | {"../../x": weights}},
        "a name with escapes": {"files": real["files"] | {"\x1b[2J": weights}},
        "a size below zero": {"files": {"model/model.safetensors": weights | {"size_bytes": -1}}},
        "another checksum": {
            "files": real["files"] | {"model/model.safetensors": weights | {"sha256": "0" * 64}}
        },
        "another size": {
            "files": real["files"] | {"model/model.safetensors": weights | {"size_bytes": 7}}
        },
        "a file less": {"files": {"model/model.safetensors": weights}},
    }
    for label, change in changes.items():
        yield Case(f"manifest: {label}", as_folder(changed(where, **change)), SHELF)
    for data in (b"{}", b"[]", b"null", b"", b"\xff", b"[" * 100_000, b" " * 5 * 2**20):
        yield Case(f"manifest {data[:5]!r}", as_tar(replaced(where, data)), where)
    other = f"{SHELF}/model/model.safetensors"
    yield Case("weights changed, list true", as_tar(replaced(other, b"other")), other)
    yield Case("a file more", as_folder(replaced(f"{SHELF}/x.py", PAYLOAD)), f"{SHELF}/x.py")
    gone = listed({name: data for name, data in good().items() if name != other})
    yield Case("a file of the artefact gone", as_folder(gone), other)
    none = changed("bundle.json", artifacts=[])
    yield Case("an artefact without an entry", as_folder(none), SHELF)
    second = changed("bundle.json", artifacts=[f"base/{KEY}", f"corpus/{'0' * 16}"])
    yield Case("an artefact that is not there", as_folder(second), f"store/corpus/{'0' * 16}")


def _projects() -> Iterator[Case]:
    """Files, listed and whole, that would be run or read by accident where they are put."""
    names = (
        "project/sitecustomize.py",
        "project/yaml/__init__.py",
        "project/json/__init__.cpython-311-x86_64-linux-gnu.so",
        "project/torch.so",
        "project/.git/config",
        "project/model/.git/hooks/post-checkout",
        "project/.finetune/train/0123456789abcdef/manifest.json",
        "project/.envrc",
        "project/evil-1.dist-info/entry_points.txt",
        "project/evil.egg-info/entry_points.txt",
        "project/evil.pth",
        "finetune-environment/lib/python3.11/site-packages/sitecustomize/__init__.py",
        "store/x.txt",
        "store/train/0123456789abcdef/x",
        "wheels/evil.whl",
        "requirements.txt",
        "evil.sh",
    )
    for name in names:
        yield Case(f"holds {name}", as_tar(replaced(name, PAYLOAD)), name)


def _folders() -> Iterator[Case]:
    """Folders with what is no file, or whose names lead elsewhere."""
    at = "project/data_cards/odd"

    def listen(path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as server, chdir(path.parent):
            server.bind(path.name)

    def dig(path: Path) -> None:
        path.mkdir()
        with chdir(path):
            for _ in range(300):
                Path("d").mkdir()
                os.chdir("d")

    made: dict[str, Callable[[Path], object]] = {
        "a link to a file outside": lambda path: path.symlink_to("/etc/hostname"),
        "a link to a folder outside": lambda path: path.symlink_to("/etc"),
        "a link inside": lambda path: path.symlink_to("lines.txt"),
        "a link to nothing": lambda path: path.symlink_to("nothing"),
        "a link to itself": lambda path: path.symlink_to("odd"),
        "a link to a device": lambda path: path.symlink_to("/dev/zero"),
        "a named pipe": os.mkfifo,
        "a socket": listen,
        "300 folders": dig,
    }
    for label, make in made.items():

        def after(root: Path, make: Callable[[Path], object] = make) -> None:
            make(root / at)

        yield Case(f"folder with {label}", as_folder(good(), after), at)
    for name in ("a\nb", "a\x1b[2J", "a\\b", "a\u202eb", "a\x85b", " ", "..."):
        files = {**good(), f"project/{name}": b""}
        shown = repr(f"project/{name}")[1:-1] if name.strip(" .") else repr(name)
        yield Case(f"folder with {name!r}", as_folder(files), shown)
    for inside in ("SHA256SUMS", "bundle.json", f"{SHELF}/manifest.json"):

        def swap(root: Path, inside: str = inside) -> None:
            (root / inside).unlink()
            (root / inside).symlink_to("/dev/zero")

        yield Case(f"folder whose {inside} is a device", as_folder(good(), swap), inside)


def _tars() -> Iterator[Case]:
    """Members that are no files, or whose headers lie."""
    files = good()
    evil = "tiny/project/evil"
    kinds = {
        "link": member(evil, kind=raw_tar.LINK, to="../../.."),
        "link inside": member(evil, kind=raw_tar.LINK, to="recipes/tiny.yaml"),
        "hard link outside": member(evil, kind=raw_tar.HARD_LINK, to="../outside/secret.txt"),
        "hard link inside": member(evil, kind=raw_tar.HARD_LINK, to="tiny/bundle.json"),
        "character device": member(evil, kind=raw_tar.CHARACTERS),
        "block device": member(evil, kind=raw_tar.BLOCKS),
        "pipe": member(evil, kind=raw_tar.PIPE),
        "sparse file": member(evil, b"x", kind=raw_tar.SPARSE),
        "sparse file of PAX": pax({"GNU.sparse.major": "1", "GNU.sparse.name": evil})
        + member("tiny/GNUSparseFile.0/evil", b"x"),
        "contiguous file": member(evil, b"x", kind=raw_tar.CONTIGUOUS),
        "unknown type": member(evil, b"x", kind=b"Z"),
        "link with content": member(evil, b"x" * 600, kind=raw_tar.LINK, to="/etc"),
        "file twice": member(evil, b"a") + member(evil, b"b"),
        "file and folder": member(f"{evil}/", kind=raw_tar.FOLDER) + member(evil, b"a"),
        "file below a file": member(f"{evil}/x", b"a") + member(evil, b"a"),
    }
    yield from (Case(f"tar: {label}", as_tar(files, raw), evil) for label, raw in kinds.items())
    through = member(evil, kind=raw_tar.LINK, to="../..") + member(f"{evil}/x", PAYLOAD)
    yield Case("tar: through a link", as_tar(files, through), evil)
    first = tar({}, more=[member("tiny", kind=raw_tar.LINK, to="/tmp")])[: raw_tar.BLOCK]
    yield Case("tar: the folder is a link", as_file(first + packed(files)), "'tiny'")
    names = (
        "../evil",
        "/evil",
        "tiny/../../evil",
        "tiny//evil",
        "tiny/./evil",
        "tiny/..",
        "tiny/a\\b",
    )
    odd = ("tiny/a\nb", "tiny/\x1b[2J", "tiny/\u202e", "", "tiny/ ", "tiny/...", "tiny/evil/")
    for name in (*names, *odd):
        yield Case(f"tar: name {name!r}", as_tar(files, member(name, b"x")), repr(name)[1:-1])
    at = tuple("/".join(["tiny", *["d"] * depth]) for depth in (40, 1200))
    for name in (*at, "tiny/" + "n" * 300, "tiny/" + "/".join(["n" * 200] * 8)):
        said = name[:40]
        yield Case(f"tar: a name of {len(name)}", as_tar(files, member(name, b"x")), said)
        long = raw_tar.long_name(name) + member("tiny/x", b"x")
        yield Case(f"tar: a name of {len(name)} as GNU", as_tar(files, long), said)
    yield Case("tar: not UTF-8", as_tar(files, raw_tar.header(b"tiny/\xff\xfe")), "udcff")
    plain = member("tiny/ok", b"x")
    for path in ("../evil", "/evil", "tiny/\0evil", "tiny/../../evil"):
        said = repr(path)[1:-1]
        yield Case(f"tar: PAX path {path!r}", as_tar(files, pax({"path": path}) + plain), said)
        gnu = raw_tar.long_name(path) + plain
        yield Case(f"tar: GNU name {path!r}", as_tar(files, gnu), said)
    yield Case("tar: CVE-2025-4517", as_tar(files, *_links()), "tiny/a")
    yield Case(
        "tar: CVE-2025-4517, links first", as_file(b"".join(_links()) + packed(files)), "tiny/a"
    )
    yield Case("tar: the folder is a file", as_file(tar({"tiny": b"x"})), "'tiny'")
    yield Case("tar: a file beside", as_file(tar({"x.py": PAYLOAD})[:1024] + packed(files)), "x.py")
    two = as_file(tar({f"{top}/{name}": data for top in "ab" for name, data in files.items()}))
    yield Case("tar: two bundles", two, "several top folders")
    inner = {**files, "project/inner.tar": packed(files)}
    yield Case("tar: another one in it, unlisted", as_tar(inner), "project/inner.tar")


def _links() -> list[bytes]:
    return raw_tar.beyond_path_max("tiny", secret="secret.txt")


def _packings() -> Iterator[Case]:
    """Headers whose numbers lie, files that are cut, and little that unpacks to much."""
    files, ok = good(), member("tiny/ok", b"x")
    whole = packed(files)
    sizes: dict[str, bytes] = {
        "below zero": b"\xff" * 12,
        "minus": b"-0000000001\0",
        "no number": b"0x10\0",
        "underscore": b"1_0\0",
        "beyond the file": b"77777777777\0",
        "beyond any disk": b"\x80" + b"\xff" * 11,
    }
    for label, size in sizes.items():
        lying = raw_tar.header("tiny/lies", size=size)
        yield Case(f"tar: a size {label}", as_tar(files, lying), "tiny.tar: ")
        yield Case(
            f"tar.gz: a size {label}", as_file(gzip.compress(packed(files, lying))), "tiny.tar: "
        )
    for value in ("-1", "1e3", "9" * 19, "9" * 5000, "", "0x1", "1_0"):
        lying = pax({"size": value}) + ok
        yield Case(f"tar: PAX size {value[:9]}", as_tar(files, lying), "tiny.tar: ")
    headers = {
        "two of one kind": pax({"path": "tiny/a"}) + pax({"path": "tiny/b"}) + ok,
        "two names": pax({"path": "tiny/a"}) + raw_tar.long_name("tiny/b") + ok,
        "a name for all": pax({"path": "tiny/a"}, kind=raw_tar.GLOBAL) + ok,
        "a size for all": pax({"size": "0"}, kind=raw_tar.GLOBAL) + ok,
        "too long": pax({"comment": "x" * 2**21}) + ok,
        "a name of 2 MiB": raw_tar.long_name("n" * 2**21) + ok,
        "a chain of 5,000": pax({"comment": "x"}) * 5000 + ok,
        "a chain of long names": raw_tar.long_name("tiny/a") * 5000 + ok,
        "belonging to nothing": pax({"path": "tiny/a"}),
        "damaged": raw_tar.header("x", size=6, kind=raw_tar.PAX) + padded(b"99 a=b") + ok,
        "with a length below zero": raw_tar.header("x", size=9, kind=raw_tar.PAX)
        + padded(b"-9 aa=bb\n")
        + ok,
        "with no equals": raw_tar.header("x", size=5, kind=raw_tar.PAX) + padded(b"5 ab\n") + ok,
        "of half a gigabyte": raw_tar.header("x", size=2**29, kind=raw_tar.PAX) + ok,
        "with a wrong checksum": raw_tar.header("tiny/x", right_sum=False),
    }
    for label, raw in headers.items():
        yield Case(f"tar: a header {label}", as_tar(files, raw), "tiny.tar: ")
    cuts = {
        "in a header": whole[:700],
        "in a file": whole[: len(whole) // 2 + 100],
        "before its end": whole[:-1024],
        "going on": whole + ok,
        "twice": whole + whole,
        "empty": b"",
        "text": b"hello\n",
        "zeros": bytes(2**16),
    }
    yield from (Case(f"tar: {label}", as_file(data), "tiny.tar") for label, data in cuts.items())
    zipped, xz = gzip.compress(whole), lzma.compress(whole)
    bomb = raw_tar.header("tiny/bomb", size=3 * 2**30)
    large = {
        "gz cut": zipped[:-20],
        "gz with a wrong checksum": zipped[:-8] + bytes(8),
        "gz going on": zipped + b"garbage",
        "xz cut": xz[:-20],
        "xz damaged": xz[:200] + b"\0" * 8 + xz[208:],
        "xz of 1 GiB of memory": _memory_hungry(whole),
        "gz bomb": _bomb(gzip.compress, bomb),
        "xz bomb": _bomb(lzma.compress, bomb),
        "gz bomb in a gz": gzip.compress(gzip.compress(whole)),
        "gz bomb of headers": gzip.compress(pax({"comment": "x" * 2**20}) * 400, 1),
        "bzip2": b"BZh91AY&SY",
        "zip": b"PK\3\4" + bytes(100),
        "zstd": b"\x28\xb5\x2f\xfd" + bytes(100),
        "a pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    }
    for label, data in large.items():
        yield Case(f"packed: {label}", as_file(data, "tiny.tar.gz"), "tiny.tar.gz: ")
    yield Case("a device", lambda _: Path("/dev/zero"), "/dev/zero")
    yield Case("a pipe", _pipe, "tiny.tar")
    yield Case("nothing", lambda folder: folder / "tiny.tar", "tiny.tar")


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "tiny.tar")
    return folder / "tiny.tar"


def _bomb(compress: Callable[[bytes], bytes], head: bytes) -> bytes:
    """Return a file that begins to unpack to more than is reasonable, as its header says."""
    return compress(head + bytes(2**20))


def _memory_hungry(data: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 1}]
    made = bytearray(lzma.compress(data, filters=filters))
    place = made.index(b"\x21\x01", 12) + 2  # the size of the dictionary in the block's header
    made[place] = 36  # 1 GiB
    head = made[12 : 12 + (made[12] + 1) * 4 - 4]
    import zlib

    made[12 + len(head) : 16 + len(head)] = zlib.crc32(head).to_bytes(4, "little")
    return bytes(made)


def mutants(seed: int, count: int) -> Iterator[Case]:
    """Yield sound bundles with some bytes, blocks, members or files changed at random."""
    whole = packed(good())
    for number in range(count):
        rng = random.Random(f"{seed}:{number}")
        way = number % 5
        if way == 0:
            make = as_file(mutated(whole, rng))
        elif way == 1:
            make = as_file(mutated(gzip.compress(whole, mtime=0), rng), "tiny.tgz")
        elif way == 2:
            make = as_file(gzip.compress(mutated(whole, rng), mtime=0), "tiny.tar.gz")
        elif way == 3:
            make = as_file(mutated(lzma.compress(whole), rng), "tiny.tar.xz")
        else:
            make = as_folder(_other_files(rng))
        yield Case(f"mutant {seed}:{number}", make, "tiny", sound=True)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with some of them flipped, set, cut, added, moved or swapped."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16, 64))):
        if not changed:
            break
        at, way = rng.randrange(len(changed)), rng.randrange(7)
        if way == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif way == 1:
            changed[at] = rng.choice((0, 255, 127, 128, *b"97/."))
        elif way == 2:
            del changed[at : at + rng.choice((1, 2, 8, 512))]
        elif way == 3:
            changed[at:at] = rng.randbytes(rng.choice((1, 4, 32, 512)))
        elif way == 4 and rng.random() < 0.2:
            del changed[at:]
        elif way == 5:
            _swap_blocks(changed, rng)
        elif way == 6:  # in a header, whose checksum is made right again
            _change_a_header(changed, rng)
    return bytes(changed)


def _swap_blocks(data: bytearray, rng: random.Random) -> None:
    blocks = len(data) // 512
    if blocks > 1:
        one, two = (512 * rng.randrange(blocks) for _ in range(2))
        data[one : one + 512], data[two : two + 512] = data[two : two + 512], data[one : one + 512]


def _change_a_header(data: bytearray, rng: random.Random) -> None:
    places = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if places:
        at = rng.choice(places)
        data[at + rng.choice((0, 3, 124, 130, 156, 157, 345))] = rng.choice(b"./057129Lxg\0\xff")
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])


def _other_files(rng: random.Random) -> Files:
    files = dict(good())
    names = list(files)
    for _ in range(rng.choice((1, 1, 2))):
        one, two = rng.sample(names, 2)
        way = rng.randrange(6)
        if way == 0:
            files[one] = mutated(files[one], rng)
        elif way == 1:
            files[one], files[two] = files[two], files[one]
        elif way == 2:
            files.pop(one, None)
            names.remove(one)
        elif way == 3:
            files[f"{two}.new"] = files.get(one, b"")
        elif way == 4:
            files[one] = files[one][: rng.randrange(len(files[one]) + 1)]
        else:
            files[one] += files[two]
        if len(names) < 3:
            break
    return files


def npm_cases(seed: int, count: int) -> Iterator[Case]:
    """Yield so many archives of npm: those made by hand, then mutants of a sound one."""
    sound = tar(NPM_FILES)
    wanted = "package/a.txt"
    others = {name: data for name, data in NPM_FILES.items() if name != wanted}
    kinds = {
        "a link": member(wanted, kind=raw_tar.LINK, to="/etc/hostname"),
        "a hard link": member(wanted, kind=raw_tar.HARD_LINK, to="package/b/c.txt"),
        "a folder": member(wanted, kind=raw_tar.FOLDER),
        "a pipe": member(wanted, kind=raw_tar.PIPE),
        "sparse": member(wanted, TEXT, kind=raw_tar.SPARSE),
        "sparse by PAX": pax({"GNU.sparse.major": "1"}) + member(wanted, TEXT),
        "there twice": member(wanted, TEXT) * 2,
        "another file": member(wanted, TEXT + b"x"),
        "larger than it says": pax({"size": "1"}) + member(wanted, TEXT),
        "smaller than it says": pax({"size": "999999"}) + member(wanted, TEXT),
    }
    made = [
        Case(f"npm: {k}", as_file(gzip.compress(tar(others, more=[raw]))), wanted, kind="npm")
        for k, raw in kinds.items()
        if "than it says" not in k
    ]
    made += [
        Case(
            f"npm: {k}", as_file(gzip.compress(tar(others, more=[raw]))), "npm package", kind="npm"
        )
        for k, raw in kinds.items()
        if "than it says" in k
    ]
    passed = (*_links(), member("../evil", b"x"), member("/evil", b"x"))
    made += [
        Case(
            "npm: CVE-2025-4517 beside",
            as_file(gzip.compress(tar(NPM_FILES, more=passed))),
            sound=True,
            kind="npm",
        ),
        Case(
            "npm: bomb",
            as_file(gzip.compress(member("package/z", bytes(2**28)), 1)),
            "MiB",
            kind="npm",
        ),
    ]
    yield from made[:count]
    for number in range(count - len(made)):
        rng = random.Random(f"npm {seed}:{number}")
        data = gzip.compress(sound, mtime=0)
        data = mutated(data, rng) if number % 2 else gzip.compress(mutated(sound, rng), mtime=0)
        yield Case(f"npm mutant {seed}:{number}", as_file(data), "", sound=True, kind="npm")


def run_case(case: Case, folder: Path, *, command: Callable[[list[str]], int] = main) -> Verdict:
    """Try an archive in a new folder, which is removed afterwards; say what is wrong."""
    for name in ("made", "outside", "work"):
        (folder / name).mkdir(parents=True)
    (folder / "outside/secret.txt").write_text("secret")
    archive = case.make(folder / "made")
    before, above = _state(folder), [path for path in ABSOLUTE if path.exists()]
    _CANARY.watch(folder)
    started = time.process_time()
    with chdir(folder / "work"), largest_file(MAX_FILE_BYTES):
        if case.kind == "bundle":
            code, said = _unbundled(archive, case, command)
        else:
            code, said = _from_npm(archive)
    seconds = time.process_time() - started
    faults = [f"ran {what}" for what in _CANARY.watch(None)]
    after = _state(folder)
    shutil.rmtree(folder, ignore_errors=True)
    taken = {p: v for p, v in after.items() if before.get(p) != v}
    if seconds > MAX_SECONDS:
        faults.append(f"took {seconds:.0f} s")
    if "Traceback" in said or code is None:
        faults.append(f"traceback: {said[-300:]}")
    if any(not (c.isprintable() or c in "\n\u200c\u200d") for c in said):
        faults.append("a character that moves the cursor")
    if code == 0:
        if not case.sound:
            faults.append("was taken")
        faults += _differences(taken, case)
    else:
        faults += [f"exit code {code}: {said}"] if code != 2 else []
        faults += [f"left {path}" for path in taken]
        faults += [f"says nothing of {case.said!r}: {said}"] if case.said not in said else []
    faults += [f"wrote {path}" for path in ABSOLUTE if path.exists() and path not in above]
    faults += [f"removed {path}" for path in before.keys() - after.keys()]
    return Verdict(case.label, "taken" if code == 0 else "refused", said, tuple(faults))


def _unbundled(
    archive: Path, case: Case, command: Callable[[list[str]], int]
) -> tuple[int | None, str]:
    options = [
        "unbundle",
        str(archive),
        "--store",
        "store",
        *(["--into", "into"] if case.into else []),
    ]
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        try:
            return command(options), out.getvalue()
        except BaseException as error:  # what came out is the verdict
            return None, f"{type(error).__name__}: {error}"


def _from_npm(archive: Path) -> tuple[int | None, str]:
    wanted = {"package/a.txt": hashlib.sha256(TEXT).hexdigest()}
    into = Path("into")
    into.mkdir()
    try:
        npm.unpack(archive, wanted, into, package="p==1.0.0")
    except FinetuneError as error:
        shutil.rmtree(into)  # as the store does with what was not finished
        return error.exit_code, str(error)
    except BaseException as error:  # what came out is the verdict
        return None, f"{type(error).__name__}: {error}"
    return 0, ""


def _differences(taken: Mapping[str, str], case: Case) -> list[str]:
    """Say where what was taken is not what the sound archive holds."""
    if case.kind == "npm":
        wanted = {"work/into/package/a.txt": TEXT}
    else:
        wanted = {
            f"work/into/{n.removeprefix('project/')}": d
            for n, d in good().items()
            if n.startswith("project/")
        }
        wanted |= {f"work/{n}": d for n, d in good().items() if n.startswith("store/")}
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in wanted.items()}
    files = {path: digest for path, digest in taken.items() if digest != "folder"}
    return [f"{path} is {files.get(path)}" for path in files.keys() ^ digests.keys()] + [
        f"{path} changed" for path in files.keys() & digests.keys() if files[path] != digests[path]
    ]


def _state(folder: Path) -> dict[str, str]:
    """Return every path below a folder, and what is there; nothing is followed."""
    state: dict[str, str] = {}
    for above, folders, names in os.walk(folder):
        for path in (Path(above) / name for name in (*folders, *names)):
            inside = path.relative_to(folder).as_posix()
            if path.is_symlink():
                state[inside] = f"link to {path.readlink()}"
            elif path.is_file():
                state[inside] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                state[inside] = "folder" if path.is_dir() else "special"
    return state


class _Canary:
    """Notes programs that are started, and code that is run from the folder that is watched."""

    def __init__(self) -> None:
        self._folder: str | None = None
        self._seen: list[str] = []
        self._installed = False

    def watch(self, folder: Path | None) -> list[str]:
        """Watch a folder, or none; return what was seen until now."""
        if not self._installed:
            sys.addaudithook(self._hear)
            self._installed = True
        seen, self._seen = self._seen, []
        self._folder = str(folder) if folder is not None else None
        return seen

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._folder is None:
            return
        if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"):
            self._seen.append(f"{event} {arguments!r}")
        elif event == "exec" and arguments[0].co_filename.startswith(self._folder):
            self._seen.append(arguments[0].co_filename)


_CANARY = _Canary()
