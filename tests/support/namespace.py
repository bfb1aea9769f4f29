"""Network namespaces for commands, and what a command under strace tried to reach."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess

import pytest

from tests.support.strace_log import MISSING, is_there

ALONE = ("unshare", "--user", "--map-root-user", "--net")
"""Runs a command where no interface works."""
_CALLS = "trace=connect,sendto,sendmsg,sendmmsg"
TRACED = ("strace", "-f", "-qq", "-e", _CALLS, "-e", "signal=none", "-o")
"""Before the name of a log and a command."""
_OUTSIDE = re.compile(
    r"^\d+ +(?:connect|sendto|sendmsg|sendmmsg)\(.*sa_family=AF_INET6?\b.*$", re.M
)


def require_namespaces() -> None:
    """Skip where namespaces or strace are missing, or fail where they were asked for."""
    lacks = "" if is_there() else MISSING
    if not shutil.which("unshare") or subprocess.run([*ALONE, "true"], check=False).returncode:
        lacks = "no network namespace can be made here (unshare --user --net)"
    if lacks and os.environ.get("FINETUNE_REQUIRE_STRACE") == "1":
        pytest.fail(lacks)
    if lacks:
        pytest.skip(lacks)


def reached(log: str) -> list[str]:
    """Return the lines of a log of strace in which an address of a network was tried."""
    return _OUTSIDE.findall(log)


def raise_loopback() -> None:
    """Make 127.0.0.1 work in the namespace of this process."""
    up, set_flags = 0x1 | 0x40, 0x8914  # IFF_UP and IFF_RUNNING; SIOCSIFFLAGS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sH22x", b"lo", up))
