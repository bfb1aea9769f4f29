"""A release with a folder `provenance`, made without training: files, cards, recipe, index."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.release.leaks import Private
from finetune.release.provenance.checksum_list import write_sums
from finetune.release.provenance.write_provenance import write_provenance
from finetune.spec.card import DataCard
from tests.support.release_job import release_job

KEYS = {role: f"{number}" * 16 for number, role in enumerate(("base", "prepare", "train"))}
NOBODY = Private((), ())


def manifest(stage: str, *, inputs: dict[str, str] | None = None, **content: Any) -> dict[str, Any]:
    """Return a manifest of a stage."""
    return {
        "stage": stage,
        "content": {"content": content, "stage": stage},
        "digest": "0" * 64,
        "environment": {"python": "3.11.7", "packages": {"torch": "2.13.0"}, "machine": "x86_64"},
        "finished": 2.5,
        "inputs": inputs or {},
        "result": {"steps": 20},
        "started": 1.5,
    }


def provenance_job(root: Path, *, cards: dict[str, DataCard] | None = None, **recipe: Any) -> Job:
    """Return the job of a release in a store at `root`, with manifests."""
    job = release_job(root, recipe=recipe or None, cards=cards)
    inputs = {}
    for role, artifact in job.inputs.items():
        key = KEYS.get(role, "f" * 16)
        path = root / "store" / role / key
        path.mkdir(parents=True, exist_ok=True)
        inputs[role] = Artifact(role, key, path, artifact.result)
    facts = {name: {"source": "SOURCE OF A CARD"} for name in job.cards}
    write = {
        "base": manifest("base", files={"model.safetensors": "a" * 64}),
        "prepare": manifest("prepare", cards=facts, withdrawn={name: ["HASH"] for name in facts}),
        "train": manifest("train", inputs={"prepare": f"prepare/{KEYS['prepare']}"}),
        "evaluate": manifest("evaluate"),
    }
    for role, content in write.items():
        (inputs[role].path / "manifest.json").write_text(json.dumps(content))
    return replace(job, inputs=inputs)


def written(job: Job, *, private: Private = NOBODY, public: tuple[str, ...] = ()) -> Path:
    """Write the rest of a release and its provenance; return its folder."""
    folder = job.workspace
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "training_data.json").write_text("{}")
    write_provenance(job, job.cards, private=private, public=public)
    seal(folder)
    return folder


def seal(folder: Path) -> None:
    """Write the list of checksums."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    write_sums(files, folder)


def change(folder: Path, name: str, by: Callable[[Any], None]) -> None:
    """Change a JSON file of the provenance as its maker could, checksums included."""
    path = folder / "provenance" / name
    values = json.loads(path.read_text())
    by(values)
    path.write_text(json.dumps(values))
    seal(folder)
