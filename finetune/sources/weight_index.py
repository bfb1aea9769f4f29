"""The index of a model's weights: the file of each tensor, and whether the files agree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from finetune.messages import Sentence, sentence
from finetune.output.small_files import UnreadableError
from finetune.sources.checksums import checksums
from finetune.sources.safetensors_file import TensorEntry

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def weights_sha256(folder: Path) -> dict[str, str]:
    """Return the checksums of the weights in a model folder, by file name."""
    found = checksums(sorted(folder.glob("*.safetensors")))
    return {path.name: sha256 for path, sha256 in found.items()}


def weight_map(index: Mapping[str, Any]) -> dict[str, str]:
    """Return tensor -> file of an index. Raises UnreadableError for another shape."""
    stated = index.get("weight_map")
    if not isinstance(stated, dict) or not stated:
        raise UnreadableError(sentence("has no weight_map of tensors to files: copy it again"))
    for name, shard in stated.items():
        if not isinstance(shard, str) or not re.fullmatch(r"[^/\\\0]{1,200}\.safetensors", shard):
            raise UnreadableError(
                sentence(
                    "has a weight_map with {tensor!r} in {file}, which is no name of a safetensors "
                    "file in this folder",
                    tensor=name[:200],
                    file=repr(shard)[:200],
                )
            )
    return stated


def misplaced(
    wanted: Mapping[str, str], found: Mapping[str, Mapping[str, TensorEntry]]
) -> Iterator[tuple[str, Sentence]]:
    """Find tensors that are not in the file that the index names, or in two files."""
    lost = [n for n, shard in wanted.items() if shard in found and n not in found[shard]]
    if lost:
        missing = sentence(
            "lists {tensors} in {file}, which does not contain them: take a complete copy of the "
            "model",
            tensors=named(lost),
            file=wanted[lost[0]],
        )
        yield INDEX, missing
    seen: dict[str, str] = {}
    for shard, tensors in found.items():
        twice = next((name for name in tensors if name in seen), None)
        if twice is not None:
            again = sentence(
                "contains {tensor!r}, and so does {file}: remove one of them",
                tensor=twice[:200],
                file=seen[twice],
            )
            yield shard, again
        seen |= dict.fromkeys(tensors, shard)


def refuse_doubtful(folder: Path, places: Mapping[str, str]) -> None:
    """Refuse an index beside model.safetensors that names files which are not there."""
    lost = [name for name in dict.fromkeys(places.values()) if not (folder / name).is_file()]
    if lost:
        raise UnreadableError(
            sentence(
                "names {files}, which are missing: copy them, or remove the index if {weights} is "
                "the whole model",
                files=named(lost),
                weights=WEIGHTS,
            )
        )


def named(names: Iterable[str], *, shown: int = 3) -> str:
    """Return the first of some names, and how many more there are.

    >>> named(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    every = [name[:200] for name in names]
    more = len(every) - shown
    return ", ".join(every[:shown]) + (f" and {more} more" if more > 0 else "")
