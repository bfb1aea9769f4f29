"""File operations of a program below a folder, from the log of `strace -f -y -xx`.

Python hooks miss what native code writes (safetensors, Arrow, tokenizers), strace sees every call.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,ioctl,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "truncate,ftruncate,fallocate,lseek,fsync,fdatasync,sync_file_range,syncfs,sync,mmap,close"
)
MOST_BYTES = 16 * 2**20
"""Of one write; strace keeps a buffer of several times as much."""
MOST_LOG_BYTES = 2 * 2**30
MISSING = "strace is not installed (Debian: apt-get install strace)"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that succeeded."""

    name: str
    process: int
    """Of the thread that made it."""
    arguments: tuple[str, ...]
    """As strace shows them, strings and paths decoded."""
    data: bytes
    """The bytes that were written, of a call that writes bytes."""
    result: int
    result_path: str
    """Of a descriptor that is returned."""


def is_there() -> bool:
    """Return whether strace is installed and may trace here."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], check=False).returncode == 0


def trace(
    command: Sequence[str], *, folder: Path, log: Path, environment: Mapping[str, str]
) -> str:
    """Run a command under strace in a folder; return what it printed."""
    tracing = ["strace", "-f", "--seccomp-bpf", "-qq", "-xx", "-y", "-s", str(MOST_BYTES)]
    done = subprocess.run(
        [*tracing, "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(log), *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        preexec_fn=_bounded,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_LOG_BYTES, MOST_LOG_BYTES))


_LINE = re.compile(rb"(\d+) +(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+)(?:<([^>]*)>)?")
_UNFINISHED = re.compile(rb"(\d+) +(\w+\(.*?)(?:, )? <unfinished \.\.\.>$")
_RESUMED = re.compile(rb"(\d+) +<\.\.\. \w+ resumed>(?:, )?(.*)")
_STRING = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')
_HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")
_BY_NAME = re.compile(rb"\d+ +(?:sync|rename|link|symlink|unlink|mkdir|rmdir|truncate)\(")
"""Calls that may name a path of the working folder without its whole name."""
_WRITES = frozenset({"write", "pwrite64", "writev", "pwritev", "pwritev2"})


def calls(log: Path, *, below: Path) -> Iterator[Call]:
    """Yield the calls that succeeded and name something below a folder, in their order."""
    waiting: dict[bytes, bytes] = {}
    needle = "".join(f"\\x{byte:02x}" for byte in os.fsencode(below)).encode()
    with log.open("rb") as lines:
        for raw in lines:
            line = raw.rstrip(b"\n")
            if unfinished := _UNFINISHED.match(line):
                waiting[unfinished[1]] = unfinished[2]
                continue
            if resumed := _RESUMED.match(line):
                begun = waiting.pop(resumed[1])
                joint = b"" if begun.endswith(b"(") or resumed[2].startswith(b")") else b", "
                line = resumed[1] + b" " + begun + joint + resumed[2]
            if needle not in line and not _BY_NAME.match(line):
                continue
            if (found := _LINE.match(line)) and not found[4].startswith(b"-"):
                yield _call(found)


def _call(found: re.Match[bytes]) -> Call:
    name = found[2].decode()
    data = b""
    arguments = found[3]
    if name in _WRITES:
        strings = _STRING.findall(arguments)
        data = b"".join(bytes.fromhex(s.decode().replace("\\x", "")) for s in strings)
        arguments = _STRING.sub(b'""', arguments)
    return Call(
        name,
        int(found[1]),
        tuple(_decoded(part) for part in _parts(arguments)),
        data,
        int(found[4], 0),
        _decoded((found[5] or b"").decode()),
    )


def _parts(arguments: bytes) -> list[str]:
    """Split at commas outside of brackets."""
    parts, depth, current = [], 0, ""
    for letter in arguments.decode("utf-8", "surrogateescape"):
        depth += (letter in "[{<(") - (letter in "]}>)")
        if letter == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += letter
    return [*parts, current.strip()]


def _decoded(part: str) -> str:
    return _HEX.sub(
        lambda m: os.fsdecode(bytes.fromhex(m[0].replace("\\x", ""))), part
    ).removesuffix(" (deleted)")
