"""Headers of safetensors files: names, types and shapes of tensors, without their numbers.

A header is read with a bound and compared with the file, so that half a copy, a pointer of Git LFS
or a flipped bit in it is found before anything is loaded or allocated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.messages import sentence
from finetune.output.small_files import UnreadableError, parse_json, read_bytes

MAX_HEADER_BYTES = 100_000_000
"""More is refused by the format's own library, too."""
MAX_TENSORS = 1_000_000
LFS_MARK = b"version https://git-lfs.github.com/spec/"
PULL = sentence(
    "is a pointer of Git LFS and not the file itself: run `git lfs pull` in its repository"
)
EMPTY = sentence("is empty: copy it again")
CUT_OFF = sentence("is cut off: copy it again")
_LENGTH_BYTES = 8
_BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Type and shape of a tensor in a header."""

    dtype: str
    """As the format spells it: `F32`, `BF16`, `I64`."""
    shape: tuple[int, ...]

    @property
    def is_float(self) -> bool:
        """Return whether the tensor is real floating-point, not complex."""
        return self.dtype[0] in "FB" and self.dtype != "BOOL"


def read_header(path: Path) -> dict[str, TensorEntry]:
    """Return the tensors of a safetensors file by name.

    Raises:
        UnreadableError: a pointer of Git LFS, an empty or cut file, or a header that does not fit
            the file; its reason is a sentence with what to do.
        OSError: not there, no permission, or the disk failed.
    """
    size = path.stat().st_size
    start = read_bytes(path) if size < _LENGTH_BYTES else _head(path)
    if start.startswith(LFS_MARK):
        raise UnreadableError(PULL)
    if size < _LENGTH_BYTES:
        raise UnreadableError(CUT_OFF if size else EMPTY)
    length = int.from_bytes(start[:_LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        raise UnreadableError(
            sentence("is no safetensors file, or its beginning is damaged: copy it again")
        )
    if _LENGTH_BYTES + length > size:
        raise UnreadableError(
            sentence(
                "is cut off: its header alone has {header} bytes, the file {size}: copy it again",
                header=length,
                size=size,
            )
        )
    with path.open("rb") as file:
        file.seek(_LENGTH_BYTES)
        header = _parsed(file.read(length))
    found, end = _entries(header)
    if _LENGTH_BYTES + length + end != size:
        raise UnreadableError(
            sentence(
                "is cut off or too long: by its header it has {stated} bytes, the file has {size}: "
                "copy it again",
                stated=_LENGTH_BYTES + length + end,
                size=size,
            )
        )
    return found


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(LFS_MARK))


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        return parse_json(content, dict[str, Any])
    except UnreadableError as error:
        raise UnreadableError(
            sentence("has a damaged header ({why}): copy it again", why=error.args[0])
        ) from None


def _entries(header: Mapping[str, Any]) -> tuple[dict[str, TensorEntry], int]:
    """Return the tensors of a parsed header, and where the last one ends."""
    spans: list[tuple[int, int, str]] = []
    found: dict[str, TensorEntry] = {}
    if len(header) > MAX_TENSORS:
        raise UnreadableError(
            sentence("names {count} tensors, more than any model", count=len(header))
        )
    for name, entry in header.items():
        if name == "__metadata__":
            if entry is not None and not (
                isinstance(entry, dict) and all(isinstance(v, str) for v in entry.values())
            ):
                raise _damaged("__metadata__")
            continue
        found[name], span = _entry(name, entry)
        spans.append((*span, name))
    end = 0
    for first, last, name in sorted(spans):
        if first != end:
            raise UnreadableError(
                sentence(
                    "has a damaged header (the numbers of {tensor!r} do not follow those before): "
                    "copy it again",
                    tensor=name[:200],
                )
            )
        end = last
    return found, end


def _damaged(tensor: str) -> UnreadableError:
    return UnreadableError(
        sentence("has a damaged header at {tensor!r}: copy it again", tensor=tensor[:200])
    )


def _entry(name: str, entry: Any) -> tuple[TensorEntry, tuple[int, int]]:
    damaged = _damaged(name)
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise damaged
    dtype, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not _are_sizes(shape) or not _are_sizes(span):
        raise damaged
    if dtype not in _BITS:
        raise UnreadableError(
            sentence("contains numbers of the unknown type {type!r}", type=dtype[:50])
        )
    if len(span) != 2 or len(shape) > 32:
        raise damaged
    bits = math.prod(shape) * _BITS[dtype]
    if bits % 8 or span[1] - span[0] != bits // 8:
        raise UnreadableError(
            sentence(
                "has a damaged header ({tensor!r} has shape {shape} and {size} bytes, which do not "
                "agree): copy it again",
                tensor=name[:200],
                shape=str(shape),
                size=span[1] - span[0],
            )
        )
    return TensorEntry(dtype, tuple(shape)), (span[0], span[1])


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)
