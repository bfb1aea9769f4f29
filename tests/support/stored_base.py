"""A base in a store, as the stage `base` leaves it."""

from __future__ import annotations

import shutil
from pathlib import Path

from finetune.artefacts.job import Artifact
from finetune.artefacts.results import BaseResult, as_json
from finetune.pipeline.manifest import key_of
from finetune.pipeline.store import Request, Store


def store_base(store: Store, folder: Path, *, hub_id: str, revision: str | None = None) -> Artifact:
    """Put a model folder into a store under a Hub id."""
    content = {"stage": "base", "content": {"hub_id": hub_id, "revision": revision}}

    def make(workspace: Path) -> dict[str, object]:
        shutil.copytree(folder, workspace / "model")
        return as_json(BaseResult(hub_id, parameters=1, revision=revision, source="folder tiny"))

    return store.build(Request("base", key_of(content), "tiny", content, {}), make)
