"""Files of a release: those of the stage and those of its exports.

Anything else in the folder (the store's manifest) stays at home.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path

from finetune.errors import ReleaseError
from finetune.messages import Place, problem
from finetune.spec.tables.export_format import IN_RELEASE, Export, export_format

TEXTS = (
    *("LICENSE", "NOTICE", "README.md", "TRAINING_CONTENT.md", "credits.csv", "evaluation.json"),
    *("loss.png", "training_content.json", "training_data.json"),
)
"""Card, notices, scores and picture, whatever is exported."""
FOLDERS = (
    *("items/*.jsonl", "items/*.npy", "every_eval_ever/*.json", "every_eval_ever/*.jsonl"),
    *("LICENSES/*.txt", "provenance/*.json", "provenance/SHA256SUMS"),
    *("provenance/data_cards/*.md", "provenance/data_cards/withdrawn/*.txt"),
)
"""Patterns of the scores per item, of the records of Every Eval Ever, of licence texts, and of what
the release was made from; `*` goes through folders."""
VARYING_LINES = (
    *("Training took ", "Generation speed on the machine of the evaluation "),
    *("Energy", "\u00c9nergie", "  emissions: "),
)
"""Starts of the lines of README.md that differ between equal runs: measurements of time,
energy and speed. Everything else in a release is the same, but for records of evaluations
(VARYING_FACTS), fields of manifests (provenance.write_provenance.VARYING), and the checksums of
these files."""
VARYING_FACTS = (' "evaluation_timestamp": ', ' "retrieved_timestamp": ')
"""The same of records of Every Eval Ever: the time of the evaluation."""
REQUIRED_TEXTS = ("NOTICE", "README.md")


def exports_of_a_release() -> list[Export]:
    """Return the exports that every release has."""
    return [export_format(name) for name in IN_RELEASE]


def is_of_release(name: str) -> bool:
    """Return whether a release may have a file of this name.

    >>> is_of_release("items/translation.chrf.npy"), is_of_release("items/notes.txt")
    (True, False)
    """
    fixed = {*TEXTS, *(file for one in exports_of_a_release() for file in one.files)}
    return name in fixed or any(fnmatchcase(name, pattern) for pattern in FOLDERS)


def release_files(folder: Path) -> dict[str, Path]:
    """Return the files of a built release by name; ReleaseError if `folder` is none."""
    inside = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    files = {name: inside[name] for name in sorted(inside) if is_of_release(name)}
    required = {*REQUIRED_TEXTS, *(n for one in exports_of_a_release() for n in one.required)}
    missing = sorted(required - set(files))
    if missing:
        raise ReleaseError(
            problem(
                "no-release",
                "is no built release ({missing} missing); build one with: finetune release RECIPE",
                at=Place(folder),
                missing=missing,
            )
        )
    return files


def write_json(path: Path, value: object) -> None:
    """Write a JSON file of a release; ReleaseError if a number in it is not finite."""
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    except ValueError as error:
        raise ReleaseError(
            problem(
                "not-finite",
                "a value is not finite ({why}); nothing is released",
                at=Place(path.name),
                why=str(error),
            )
        ) from error
    path.write_text(text + "\n", "utf-8")
