"""Which files a release has. Anything else in the folder (the store's manifest) stays at home."""

from __future__ import annotations

from pathlib import Path

from finetune.errors import ReleaseError

RELEASE_FILES = (
    "LICENSE",
    "NOTICE",
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "chat_template.jinja",
    "evaluation.json",
    "loss.png",
    "tokenizer.json",
    "tokenizer_config.json",
    "training_data.json",
)
REQUIRED = ("NOTICE", "README.md", "adapter_config.json", "adapter_model.safetensors")


def release_files(folder: Path) -> dict[str, Path]:
    """Return the files of a built release by name; ReleaseError if `folder` is none."""
    files = {name: folder / name for name in RELEASE_FILES if (folder / name).is_file()}
    missing = [name for name in REQUIRED if name not in files]
    if missing:
        raise ReleaseError(
            f"{folder}: is no built release ({', '.join(missing)} missing); "
            "make one with: finetune release RECIPE"
        )
    return files
