"""Comparison of the files that a command leaves, without times, speeds and places.

Everything that is not named here must be the same to the byte.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from pathlib import Path
from typing import Any

from finetune.release.contents import VARYING_LINES

TIMES = frozenset(
    ("started", "finished", "created", "evaluation_timestamp", "retrieved_timestamp")
) | frozenset(("seconds", "data_seconds", "tokens_per_second", "energy", "micro_batch_rows"))
"""Keys of JSON files whose values are measured or dated."""
ATTEMPTS = frozenset(("start", "end", "checkpoint", "probe", "lost"))
"""Kinds of records of metrics.jsonl that tell of attempts, of which a killed run has more."""
MEASURED = re.compile(
    r"(metrics\.jsonl|README\.md|state\.json|every_eval_ever/.*\.json"
    r"|provenance/(manifests/.*\.json|SHA256SUMS))$"
)
"""Files that hold such values, so that their checksums in manifests differ too."""
SEALS = {"state.json": "sha256", "manifest.json": "digest"}
"""Keys under which files hold their own checksum, times included."""
CHAIN_ID = re.compile(r"tiny-\d{8}-\d{6}-[0-9a-f]+|tiny-\d+[-\w]*")


def contents(folder: Path) -> dict[str, str]:
    """Return path -> checksum of what is the same whenever a command has finished."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(repeatable(path)).hexdigest()
        elif not any(path.iterdir()):
            found[f"{name}/"] = "an empty folder"
    return found


def repeatable(path: Path) -> bytes:
    """Return the bytes of a file without what is measured or dated."""
    if path.suffix == ".tar":
        return _members(path)
    data = path.read_bytes()
    if path.suffix == ".json" and data:
        return _json(json.loads(data), path)
    if path.suffix == ".jsonl":
        records = [json.loads(line) for line in data.splitlines()]
        return b"\n".join(_json(one, path) for one in records if one.get("kind") not in ATTEMPTS)
    if path.name == "README.md":
        varying = tuple(start.encode() for start in VARYING_LINES)
        kept = [line for line in data.splitlines() if not line.startswith(varying)]
        return b"\n".join(kept)
    if path.name == "SHA256SUMS":
        kept = [line for line in data.splitlines() if not MEASURED.search(line.decode())]
        return b"\n".join(kept)
    return data


def _members(path: Path) -> bytes:
    """Return what an archive holds, without the times of its files."""
    with tarfile.open(path) as tar:
        held = [
            (member.name, member.mode, member.type, file.read() if file else b"")
            for member in tar.getmembers()
            for file in [tar.extractfile(member)]
        ]
    return repr(sorted(held)).encode()


def _json(value: Any, path: Path) -> bytes:
    lasting = _lasting(value)
    seal = SEALS.get(path.name)
    if seal:
        lasting.pop(seal, None)
    return json.dumps(lasting, sort_keys=True).encode()


def _lasting(value: Any) -> Any:
    if isinstance(value, list):
        return [_lasting(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: "measured" if MEASURED.search(key) else _lasting(item)
        for key, item in value.items()
        if key not in TIMES
    }


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Return what is missing, more, or not the same, each as a short sentence."""
    missing = [f"{name} is missing" for name in expected if name not in found]
    more = [f"{name} is left behind" for name in found if name not in expected]
    other = [
        f"{name} is not the same"
        for name, digest in expected.items()
        if name in found and found[name] != digest
    ]
    said = sorted(missing + more + other)
    return said[:8] + ([f"and {len(said) - 8} more"] if len(said) > 8 else [])
