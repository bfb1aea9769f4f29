"""A small built release, published as `finetune publish` does it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.gates.table import GATES
from finetune.output.console import Console
from finetune.release.publish import How, publish
from finetune.spec.sections.publish import Publish

REPO = "amina/hausa-lora"
PASSED = tuple(GateResult(name, "passed") for name in GATES)


def small_release(root: Path) -> Path:
    """Write a release and the manifest that stays at home; return its folder."""
    made = root / "store" / "release" / "key"
    made.mkdir(parents=True)
    (made / "README.md").write_text("---\nlicense: mit\nlibrary_name: peft\n---\n# x\n")
    (made / "NOTICE").write_text("made from\n")
    (made / "adapter_config.json").write_text("{}\n")
    (made / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 50)
    (made / "manifest.json").write_text('{"host": "private"}')
    return made


def put(
    folder: Path,
    *,
    hub: str = "huggingface",
    how: How | None = None,
    dry_run: bool = False,
    gate: Sequence[str] = (),
    gates: Sequence[GateResult] = PASSED,
    **settings: Any,
) -> str:
    """Publish and return what was said."""
    out = io.StringIO()
    publish(
        folder,
        REPO,
        settings=Publish(hub=hub, **settings),
        default_directory=folder.parents[2] / "hub",
        console=Console(out=out),
        how=how or How(dry_run=dry_run),
        gate=gate,
        gates=gates,
    )
    return out.getvalue()


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, by name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
