"""Finished artefacts for tests that build none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune.pipeline import plan
from finetune.pipeline.manifest import MANIFEST, write_manifest
from finetune.pipeline.store import Request
from finetune.spec.load import load_project


def finished(
    folder: Path,
    *,
    result: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    content: Mapping[str, Any] | None = None,
    key: str | None = None,
    started: float = 0.0,
) -> Path:
    """Make `.../STAGE/KEY`, with what lies in it, a finished artefact; return the folder.

    `key` is what it will be called, if the folder is still called otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    request = Request(folder.parent.name, key or folder.name, "tiny", content or {}, inputs or {})
    write_manifest(folder, request, result=result or {}, started=started)
    return folder


def as_of_schema_1(folder: Path, **changes: Any) -> None:
    """Rewrite a manifest as versions before the digest wrote it, with other values."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_text("utf-8")) | {"schema": 1} | changes
    manifest.pop("digest", None)
    path.write_text(json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True), "utf-8")


def finish_fetching(recipe: Path, store: Path) -> None:
    """Make what a recipe fetches finished artefacts of a store, so that no network is needed."""
    for step in plan.steps_of(load_project(recipe)):
        if step.stage.needs_network:
            finished(store / step.stage.name / step.key)
