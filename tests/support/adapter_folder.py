"""Folders of adapters outside a store: one of PEFT, and a release as it is published."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from finetune.sources.checksums import sha256_of
from tests.support.release_job import RECIPE, write_adapter

COMMIT = "a" * 40
CARD = (
    "---\nlicense: cc-by-4.0\nlanguage:\n- ha\ntags:\n- lora\nmodel-index:\n- name: lora\n"
    "  results: []\nextra_gated_prompt: not for surveillance\n---\n# Hausa\n\nThe scores.\n"
)


def write_peft(root: Path) -> Path:
    """Write `base/model` and `train/adapter`, which names `org/base` at COMMIT; return `root`."""
    _, adapter = write_adapter(root)
    config = json.loads((adapter / "adapter_config.json").read_text())
    config |= {"base_model_name_or_path": "org/base", "revision": COMMIT}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    (adapter / "README.md").write_text(CARD)
    return root


def write_release(made: Path, folder: Path) -> Path:
    """Write a release of the adapter below `made`: recipe, base, notices and checksums."""
    shutil.copytree(made / "train/adapter", folder)
    (folder / "provenance").mkdir()
    recipe = RECIPE | {"prepare": {"chat_template": "chatml", "system_prompt": "none"}}
    (folder / "provenance/recipe.json").write_text(json.dumps(recipe))
    (folder / "NOTICE").write_text("amina/hausa-lora\n")
    (folder / "LICENSES").mkdir()
    (folder / "LICENSES/CC-BY-4.0.txt").write_text("Attribution\n")
    weights = made / "base/model/model.safetensors"
    base = {"repo": "tiny/base", "revision": None}
    base |= {"weights_sha256": {weights.name: sha256_of(weights)}}
    data = {"base": base, "languages": ["hau_Latn"]}
    (folder / "training_data.json").write_text(json.dumps(data))
    sums = {n: hashlib.sha256(content).hexdigest() for n, content in files_of(folder).items()}
    text = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    (folder / "provenance/SHA256SUMS").write_text(text)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """Return name -> content of the files of a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
