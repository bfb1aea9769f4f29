"""Scores per item: every number of an evaluation can be recomputed from these files.

For each task `items/TASK.jsonl` has a line per scored item, and for each of its metrics
`items/TASK.METRIC.npy` has the statistics of these items (finetune.artefacts.scores.ItemFile).
Items are named by hashes; their texts are there only if the owners let them be passed on.

Legend: S systems, N items, K statistics of an item.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.items import Item, Question
from finetune.artefacts.scores import ItemFile
from finetune.evaluate.compare import Asked, Counted, documents_of
from finetune.output.paths import HOME_OF_ANYONE
from finetune.output.secrets import secrets_in

FOLDER = "items"


def write_item_scores(
    workspace: Path, asked: Asked, found: Sequence[Counted], *, shared: Collection[str]
) -> list[ItemFile]:
    """Write items and statistics of a task; `shared`: the cards whose texts may be passed on."""
    folder = workspace / FOLDER
    folder.mkdir(exist_ok=True)
    task = _safe(asked.task.name)
    files = []
    groups = {_group(one): one for one in found}
    lines = [line for one in groups.values() for line in _lines(one, shared=shared)]
    for metric in asked.metrics:
        mine = {_group(one): one for one in found if one.pair.test.metric == metric.name}
        systems = tuple(dict.fromkeys(name for one in mine.values() for name in one.statistics))
        if not mine:
            continue
        (folder / f"{task}.jsonl").write_text("".join(lines), "utf-8", newline="\n")
        name = f"{task}.{_safe(metric.name)}.npy"
        width = next(iter(mine.values())).statistics["adapter"].shape[1]
        parts = [
            _statistics(mine[group].statistics if group in mine else {}, systems, shape)
            for group, one in groups.items()
            for shape in [(len(one.items), width)]
        ]
        np.save(folder / name, np.concatenate(parts, axis=1), allow_pickle=False)
        files.append(
            ItemFile(
                asked.task.name,
                metric.name,
                systems,
                scores=f"{FOLDER}/{name}",
                items=f"{FOLDER}/{task}.jsonl",
                scores_sha256=_sha256(folder / name),
                items_sha256=_sha256(folder / f"{task}.jsonl"),
            )
        )
    return files


def _group(found: Counted) -> tuple[str | None, ...]:
    test = found.pair.test
    return test.language, test.direction, test.phase, found.held_out


def _statistics(
    by_system: Mapping[str, NDArray[np.float64]], systems: Sequence[str], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the statistics of all systems (S, N, K); of one that has none, NaN."""
    return np.stack([by_system.get(name, np.full(shape, np.nan)) for name in systems])


def _lines(found: Counted, *, shared: Collection[str]) -> list[str]:
    test = found.pair.test
    of_all = {"language": test.language, "direction": test.direction, "phase": test.phase}
    of_all |= {"held_out": found.held_out} if found.held_out else {}
    lines = []
    for number, (item, document) in enumerate(
        zip(found.items, documents_of(found.items), strict=True)
    ):
        record: dict[str, Any] = of_all | {"document": document, "item": _hash(item, number)}
        if isinstance(item, Item):
            record["card"] = item.card
            if item.card in shared and may_leave(item.source, item.reference):
                record |= {"source": item.source, "reference": item.reference}
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    return lines


def may_leave(*texts: str | None) -> bool:
    """Return whether no text holds what a release refuses: a password, a folder of a person.

    >>> may_leave("Ina kwana?", None), may_leave("bude /home/amina/wasiƙa")
    (True, False)
    """
    found = " ".join(filter(None, texts))
    return HOME_OF_ANYONE.search(found) is None and not any(secrets_in(found))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _hash(item: Any, number: int) -> str:
    """Return the SHA-256 (hex) of an item: of its fields, or of its number in its group."""
    if isinstance(item, Question):
        return item.hash
    known = asdict(item) if isinstance(item, Item) else number
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _safe(name: str) -> str:
    """Return a name as part of a file name.

    >>> _safe("chrf++"), _safe("a/b c")
    ('chrf', 'a_b_c')
    """
    return re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_")
