"""The files of a release: what the stage writes, and the exports that a release has.

Anything else in the folder (the store's manifest) stays at home.
"""

from __future__ import annotations

import json
from pathlib import Path

from finetune.errors import ReleaseError
from finetune.spec.tables.export_format import IN_RELEASE, Export, export_format

TEXTS = ("LICENSE", "NOTICE", "README.md", "evaluation.json", "loss.png", "training_data.json")
"""Card, notices, scores and picture, whatever is exported."""
REQUIRED_TEXTS = ("NOTICE", "README.md")


def exports_of_a_release() -> list[Export]:
    """Return the exports that every release has."""
    return [export_format(name) for name in IN_RELEASE]


def release_names() -> tuple[str, ...]:
    """Return the names of all files that a release may have."""
    return tuple(sorted({*TEXTS, *(n for one in exports_of_a_release() for n in one.files)}))


def release_files(folder: Path) -> dict[str, Path]:
    """Return the files of a built release by name; ReleaseError if `folder` is none."""
    files = {name: folder / name for name in release_names() if (folder / name).is_file()}
    required = {*REQUIRED_TEXTS, *(n for one in exports_of_a_release() for n in one.required)}
    missing = sorted(required - set(files))
    if missing:
        raise ReleaseError(
            f"{folder}: is no built release ({', '.join(missing)} missing); "
            "make one with: finetune release RECIPE"
        )
    return files


def write_json(path: Path, value: object) -> None:
    """Write a JSON file of a release; ReleaseError if a number in it is not finite."""
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    except ValueError as error:
        raise ReleaseError(
            f"{path.name}: a value is not finite ({error}); nothing is released"
        ) from error
    path.write_text(text + "\n", "utf-8")
