"""The disk after a power cut: the writes of one recorded run, replayed up to any call.

A file is what was in it when it was last synced, a folder lists what it did then. What file systems
really do lies between `Loss.ALL`, which loses every name and every byte that was not synced, and
`Loss.CONTENT`, which keeps all names, in their order, and loses the bytes (files that are there and
empty). `Loss.SOME` draws for each file and folder.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePosixPath

from tests.support.strace_log import Call, calls, trace


class Loss(Enum):
    """Data that the power cut loses."""

    ALL = "names and bytes"
    CONTENT = "bytes"
    SOME = "some names and some bytes"


@dataclass(slots=True)
class Node:
    """A file, a folder or a link."""

    is_folder: bool = False
    content: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    names: dict[str, Node] = field(default_factory=dict)
    synced_names: dict[str, Node] = field(default_factory=dict)
    link: str | None = None

    def sync(self) -> None:
        self.synced = bytes(self.content)
        self.synced_names = dict(self.names)


class IncompleteError(AssertionError):
    """The recording misses something that the program wrote."""


@dataclass(slots=True)
class Disk:
    """The folder `root` as the calls leave it, and as much of it as would survive."""

    root: PurePosixPath
    top: Node
    offsets: dict[tuple[int, int], int] = field(default_factory=dict)
    appending: set[tuple[int, int]] = field(default_factory=set)

    def node(self, path: str) -> Node | None:
        node: Node | None = self.top
        for part in self._inside(path) or ():
            node = None if node is None else node.names.get(part)
        return node

    def _inside(self, path: str) -> tuple[str, ...] | None:
        whole = PurePosixPath(os.path.normpath(self.root / path))
        return whole.relative_to(self.root).parts if whole.is_relative_to(self.root) else None

    def parent(self, path: str) -> tuple[Node, str] | None:
        """Return the folder that holds a path, and its name there; None outside."""
        parts = self._inside(path)
        if not parts:
            return None
        folder = self.node(str(self.root.joinpath(*parts[:-1])))
        assert folder is not None, f"{path}: in a folder that nothing made"
        return folder, parts[-1]

    def is_inside(self, path: str) -> bool:
        return bool(self._inside(path))


def read(folder: Path) -> Node:
    """Return a folder as it is, all of it on the disk."""
    top = Node(is_folder=True)
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            top.names[path.name] = Node(link=str(path.readlink()))
        elif path.is_dir():
            top.names[path.name] = read(path)
        else:
            top.names[path.name] = Node(content=bytearray(path.read_bytes()))
            top.names[path.name].sync()
    top.sync()
    return top


def survivors(node: Node, *, loss: Loss, draw: random.Random) -> Node:
    """Return what is left of a folder after the power cut."""
    if node.link is not None:
        return node
    if not node.is_folder:
        content = bytearray(node.synced)
        if loss is Loss.SOME and draw.random() < 0.5:
            begun = len(node.synced) if node.content.startswith(node.synced) else 0
            content = node.content[: draw.randint(begun, len(node.content))]
        return Node(content=content)
    keeps = loss is Loss.CONTENT or (loss is Loss.SOME and draw.random() < 0.5)
    names = node.names if keeps else node.synced_names
    left = {name: survivors(child, loss=loss, draw=draw) for name, child in names.items()}
    return Node(is_folder=True, names=left)


def write(node: Node, folder: Path) -> None:
    """Write a folder as it is when the machine is back, an hour later."""
    folder.mkdir()
    for name, child in node.names.items():
        if child.link is not None:
            (folder / name).symlink_to(child.link)
        elif child.is_folder:
            write(child, folder / name)
        else:
            (folder / name).write_bytes(child.content)
            then = time.time() - 3600
            os.utime(folder / name, (then, then))


def fingerprint(node: Node) -> str:
    """Return what two equal folders have in common."""
    if not node.is_folder:
        return f"{node.link}" if node.link else hashlib.sha256(node.content).hexdigest()
    names = [f"{name} {fingerprint(child)}" for name, child in sorted(node.names.items())]
    return hashlib.sha256(repr(names).encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Recording:
    """One run: the folder before it, and the calls that changed something in it."""

    root: Path
    before: Node
    calls: Sequence[Call]
    points: Sequence[int]
    """After how many calls something was changed."""
    said: str


def record(
    command: Sequence[str], *, root: Path, log: Path, environment: Mapping[str, str]
) -> Recording:
    """Run a command in a folder and record it.

    Raises IncompleteError if the calls that were seen do not make the files that are there.
    """
    before = read(root)
    said = trace(command, folder=root, log=log, environment=environment)
    seen = list(calls(log, below=root))
    disk = Disk(PurePosixPath(root), read_again(before))
    points = [number for number, call in enumerate(seen, start=1) if apply(disk, call)]
    refuse_incomplete(disk.top, root)
    return Recording(root, before, seen, points, said)


def read_again(node: Node) -> Node:
    """Return a copy that can be changed."""
    copy = Node(node.is_folder, bytearray(node.content), link=node.link)
    copy.names = {name: read_again(child) for name, child in node.names.items()}
    copy.sync()
    return copy


def refuse_incomplete(node: Node, folder: Path) -> None:
    """Raise IncompleteError unless a folder holds just what was recorded, byte by byte."""
    there = {path.name: path for path in folder.iterdir()}
    if there.keys() != node.names.keys():
        raise IncompleteError(f"{folder}: {sorted(there.keys() ^ node.names.keys())} not recorded")
    for name, path in there.items():
        child = node.names[name]
        if path.is_symlink() or child.link is not None:
            if not path.is_symlink() or str(path.readlink()) != child.link:
                raise IncompleteError(f"{path}: a link that was not recorded")
        elif path.is_dir():
            refuse_incomplete(child, path)
        elif path.stat().st_size != len(child.content) or path.read_bytes() != child.content:
            size = path.stat().st_size
            raise IncompleteError(f"{path}: {size} bytes, {len(child.content)} were recorded")


def replayed(recording: Recording) -> Disk:
    """Return the disk after all calls."""
    disk = Disk(PurePosixPath(recording.root), read_again(recording.before))
    for call in recording.calls:
        apply(disk, call)
    return disk


@dataclass(frozen=True, slots=True)
class State:
    """A disk after a power cut."""

    calls: int
    """Number of calls before it."""
    last: str
    """The last of them."""
    loss: Loss
    left: Node


def states(recording: Recording, *, most: int, seed: int = 0) -> Iterator[State]:
    """Yield what is left at most `most` times, evenly picked among those that differ."""
    seen, kept = set(), []
    for state in _all_states(recording, seed=seed):
        found = fingerprint(state.left)
        if found not in seen:
            seen.add(found)
            kept.append((state.loss, state.calls))
    chosen = {kept[round((len(kept) - 1) * n / max(1, most - 1))] for n in range(most)}
    for state in _all_states(recording, seed=seed):
        if (state.loss, state.calls) in chosen:
            yield state


def _all_states(recording: Recording, *, seed: int) -> Iterator[State]:
    for loss in Loss:
        disk = Disk(PurePosixPath(recording.root), read_again(recording.before))
        draw, points = random.Random(seed), set(recording.points)
        for number, call in enumerate(recording.calls, start=1):
            apply(disk, call)
            if number in points:
                last = f"{call.name}({', '.join(call.arguments)})"
                yield State(number, last, loss, survivors(disk.top, loss=loss, draw=draw))


# ---- the calls -----------------------------------------------------------------------------

_DESCRIPTOR = re.compile(r"(\d+|AT_FDCWD)<(.*)>(?:\(deleted\))?", re.DOTALL)
_QUOTED = re.compile(r'"(.*)"', re.DOTALL)


def apply(disk: Disk, call: Call) -> bool:
    """Change the disk as a call did; return whether it changed anything."""
    return _CALLS.get(call.name, _nothing)(disk, call)


def _nothing(disk: Disk, call: Call) -> bool:
    return False


def _path(arguments: Sequence[str], place: int, *, at: bool) -> str:
    """Return a path of a call, of one of the `...at` family together with its folder."""
    name = _QUOTED.fullmatch(arguments[place])
    assert name is not None, arguments
    if not at:
        return name[1]
    folder = _DESCRIPTOR.fullmatch(arguments[place - 1])
    return name[1] if folder is None else os.path.join(folder[2], name[1])  # noqa: PTH118


def _opened(disk: Disk, argument: str) -> tuple[int, Node] | None:
    """Return number and node of a descriptor; None if it is of no file in the folder."""
    found = _DESCRIPTOR.fullmatch(argument)
    if found is None or not disk.is_inside(found[2]):
        root = found is not None and found[2] == str(disk.root)
        return (int(found[1]), disk.top) if root and found[1].isdigit() else None
    node = disk.node(found[2])
    return None if node is None else (int(found[1]), node)


def _open(disk: Disk, call: Call) -> bool:
    at = call.name == "openat"
    path = _path(call.arguments, int(at), at=at)
    flags = "O_CREAT|O_TRUNC|O_WRONLY" if call.name == "creat" else call.arguments[int(at) + 1]
    if not disk.is_inside(path):
        return False
    if "O_TMPFILE" in flags:
        raise IncompleteError(f"{path}: a file without a name")
    node, changed = disk.node(path), False
    if node is not None and node.link is not None:
        node = disk.node(os.path.join(os.path.dirname(path), node.link))  # noqa: PTH118, PTH120
    if node is None:
        place = disk.parent(path)
        if "O_CREAT" not in flags or place is None:
            return False
        node = place[0].names[place[1]] = Node()
        changed = True
    if "O_TRUNC" in flags and not node.is_folder:
        changed = changed or bool(node.content)
        node.content = bytearray()
    key = (call.result, id(node))
    disk.offsets[key] = 0
    disk.appending.discard(key)
    if "O_APPEND" in flags:
        disk.appending.add(key)
    return changed


def _put(node: Node, data: bytes, at: int) -> None:
    if len(node.content) < at:
        node.content.extend(bytes(at - len(node.content)))
    node.content[at : at + len(data)] = data


def _write(disk: Disk, call: Call) -> bool:
    opened = _opened(disk, call.arguments[0])
    if opened is None:
        return False
    number, node = opened
    data = call.data[: call.result]
    if len(data) != call.result:
        raise IncompleteError(f"{call.arguments[0]}: {len(data)} of {call.result} bytes were seen")
    if call.name.startswith("p"):
        _put(node, data, int(call.arguments[-1 if call.name == "pwrite64" else 3]))
        return True
    _put_next(disk, number, node, data)
    return True


def _put_next(disk: Disk, number: int, node: Node, data: bytes) -> None:
    key = (number, id(node))
    at = len(node.content) if key in disk.appending else disk.offsets.get(key, len(node.content))
    _put(node, data, at)
    disk.offsets[key] = at + len(data)


def _seek(disk: Disk, call: Call) -> bool:
    opened = _opened(disk, call.arguments[0])
    if opened is None or opened[1].is_folder:
        return False
    disk.offsets[opened[0], id(opened[1])] = call.result
    return False


def _copy(disk: Disk, call: Call) -> bool:
    """Apply `sendfile(to, from, [begin] => [end], n)`, `copy_file_range(from, [b], to, [b], n)`."""
    is_range = call.name == "copy_file_range"
    source, begin, target = (call.arguments[n] for n in ((0, 1, 2) if is_range else (1, 2, 0)))
    opened = _opened(disk, target)
    if opened is None or call.result == 0:
        return False
    found = _DESCRIPTOR.fullmatch(source)
    assert found is not None, call
    inside = _opened(disk, source)
    content = bytes(inside[1].content) if inside else Path(found[2]).read_bytes()
    number = re.match(r"\[(\d+)", begin)
    if number is not None:
        start = int(number[1])
    else:
        key = (int(found[1]), id(inside[1]) if inside else hash(found[2]))
        start = disk.offsets.get(key, 0)
        disk.offsets[key] = start + call.result
    data = content[start : start + call.result]
    if len(data) != call.result:
        raise IncompleteError(f"{found[2]}: copied, and changed since")
    _put_next(disk, *opened, data)
    return True


def _ioctl(disk: Disk, call: Call) -> bool:
    """Apply a copy that shares blocks (`FICLONE`)."""
    opened = _opened(disk, call.arguments[0])
    if "FICLONE" not in call.arguments[1] or opened is None:
        return False
    source = _DESCRIPTOR.fullmatch(call.arguments[2])
    if source is None or call.arguments[1] != "FICLONE":
        raise IncompleteError(f"{call.arguments}: a kind of copy that is not followed")
    inside = _opened(disk, call.arguments[2])
    opened[1].content = bytearray(inside[1].content if inside else Path(source[2]).read_bytes())
    return True


def _rename(disk: Disk, call: Call) -> bool:
    at = call.name != "rename"
    old, new = (_path(call.arguments, n, at=at) for n in ((1, 3) if at else (0, 1)))
    if not disk.is_inside(old) and not disk.is_inside(new):
        return False
    before, after = disk.parent(old), disk.parent(new)
    if before is None or after is None:
        raise IncompleteError(f"{old} -> {new}: into the folder or out of it")
    after[0].names[after[1]] = before[0].names.pop(before[1])
    return True


def _link(disk: Disk, call: Call) -> bool:
    at = call.name != "link"
    old, new = (_path(call.arguments, n, at=at) for n in ((1, 3) if at else (0, 1)))
    place, node = disk.parent(new), disk.node(old)
    if place is None:
        return False
    if node is None:
        raise IncompleteError(f"{old} -> {new}: a link to a file outside")
    place[0].names[place[1]] = node
    return True


def _symlink(disk: Disk, call: Call) -> bool:
    at = call.name != "symlink"
    place = disk.parent(_path(call.arguments, 2 if at else 1, at=at))
    if place is None:
        return False
    place[0].names[place[1]] = Node(link=_path(call.arguments, 0, at=False))
    return True


def _unlink(disk: Disk, call: Call) -> bool:
    at = call.name == "unlinkat"
    place = disk.parent(_path(call.arguments, int(at), at=at))
    if place is None:
        return False
    del place[0].names[place[1]]
    return True


def _mkdir(disk: Disk, call: Call) -> bool:
    at = call.name == "mkdirat"
    place = disk.parent(_path(call.arguments, int(at), at=at))
    if place is None:
        return False
    place[0].names[place[1]] = Node(is_folder=True)
    return True


def _truncate(disk: Disk, call: Call) -> bool:
    if call.name == "truncate":
        node = disk.node(_path(call.arguments, 0, at=False))
    else:
        opened = _opened(disk, call.arguments[0])
        node = None if opened is None else opened[1]
    if node is None:
        return False
    size = int(call.arguments[1])
    node.content = node.content[:size] + bytes(max(0, size - len(node.content)))
    return True


def _allocate(disk: Disk, call: Call) -> bool:
    opened = _opened(disk, call.arguments[0])
    if opened is None or "KEEP_SIZE" in call.arguments[1]:
        return False
    if call.arguments[1] != "0":
        raise IncompleteError(f"{call.arguments}: not followed")
    end = int(call.arguments[2]) + int(call.arguments[3])
    _put(opened[1], b"", end)
    return True


def _sync(disk: Disk, call: Call) -> bool:
    opened = _opened(disk, call.arguments[0])
    if opened is None:
        return False
    opened[1].sync()
    return True


def _sync_everything(disk: Disk, call: Call) -> bool:
    raise IncompleteError("sync() and syncfs() are not followed: what they keep is not known")


def _map(disk: Disk, call: Call) -> bool:
    writes = "PROT_WRITE" in call.arguments[2] and "MAP_SHARED" in call.arguments[3]
    if writes and _opened(disk, call.arguments[4]) is not None:
        raise IncompleteError(f"{call.arguments[4]}: written through memory, which is not seen")
    return False


_CALLS = {
    **dict.fromkeys(("open", "openat", "creat"), _open),
    **dict.fromkeys(("write", "pwrite64", "writev", "pwritev", "pwritev2"), _write),
    **dict.fromkeys(("sendfile", "copy_file_range"), _copy),
    **dict.fromkeys(("rename", "renameat", "renameat2"), _rename),
    **dict.fromkeys(("link", "linkat"), _link),
    **dict.fromkeys(("symlink", "symlinkat"), _symlink),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), _unlink),
    **dict.fromkeys(("mkdir", "mkdirat"), _mkdir),
    **dict.fromkeys(("truncate", "ftruncate"), _truncate),
    **dict.fromkeys(("fsync", "fdatasync"), _sync),
    **dict.fromkeys(("sync", "syncfs"), _sync_everything),
    "lseek": _seek,
    "ioctl": _ioctl,
    "fallocate": _allocate,
    "mmap": _map,
}
