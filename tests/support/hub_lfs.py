"""Large files of the hub in memory: the LFS batch protocol, whole (`basic`) or in parts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class Large(bytes):
    """A file that the repository knows by its checksum only."""

    def pointer(self) -> dict[str, Any]:
        """Return what a tree says about it."""
        return {"oid": hashlib.sha256(self).hexdigest(), "size": len(self), "pointerSize": 134}


@dataclass
class Objects:
    """Every large object by its SHA-256, and the parts that have arrived of those to come."""

    content: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    part_bytes: int | None = None

    def batch(self, wanted: Sequence[dict[str, Any]], *, url: str) -> dict[str, Any]:
        """Answer a batch request: where each object goes; nothing for one that is here."""
        return {"transfer": "basic", "objects": [self._actions(o, url=url) for o in wanted]}

    def _actions(self, wanted: dict[str, Any], *, url: str) -> dict[str, Any]:
        oid, size = wanted["oid"], wanted["size"]
        if oid in self.content:
            return wanted
        upload: dict[str, Any] = {"href": f"{url}/lfs/put/{oid}"}
        if self.part_bytes is not None and size > self.part_bytes:
            count = -(-size // self.part_bytes)
            upload["href"] = f"{url}/lfs/join/{oid}"
            upload["header"] = {"chunk_size": str(self.part_bytes)} | {
                str(n): f"{url}/lfs/part/{oid}/{n}" for n in range(1, count + 1)
            }
        verify = {"href": f"{url}/lfs/verify/{oid}"}
        return wanted | {"actions": {"upload": upload, "verify": verify}}

    def receive(self, verb: str, oid: str, *, body: bytes, part: int) -> dict[str, str]:
        """Take what was sent; return headers. KeyError or ValueError for what does not fit."""
        if verb == "part":
            self.parts.setdefault(oid, {})[part] = body
            return {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}
        if verb == "verify":
            return {"X-Size": str(len(self.content[oid]))}
        if verb == "join":
            arrived = self.parts.pop(oid)
            body = b"".join(arrived[n] for n in sorted(arrived))
        if hashlib.sha256(body).hexdigest() != oid:
            raise ValueError("these are other bytes")
        self.content[oid] = body
        return {}
