"""What can be added without touching the core, by name; nothing is imported until it is used.

A name of ours stands here as "module:attribute". A package outside adds one with an entry point:

    [project.entry-points."finetune.readers"]
    radio = "my_package.radio:read"
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from finetune.errors import RecipeError
from finetune.spec.load import did_you_mean

READERS: Mapping[str, str] = {
    "text": "finetune.readers.tables:read_text",
    "jsonl": "finetune.readers.tables:read_jsonl",
    "csv": "finetune.readers.tables:read_csv",
    "tsv": "finetune.readers.tables:read_tsv",
    "parquet": "finetune.readers.tables:read_parquet",
    "messages": "finetune.readers.tables:read_messages",
    "xlsx": "finetune.readers.office:read_xlsx",
    "docx": "finetune.readers.office:read_docx",
    "pdf": "finetune.readers.office:read_pdf",
    "html": "finetune.readers.html:read_html",
    "tmx": "finetune.readers.translations:read_tmx",
    "po": "finetune.readers.translations:read_po",
    "xliff": "finetune.readers.translations:read_xliff",
    "elan": "finetune.readers.fieldwork:read_elan",
    "toolbox": "finetune.readers.fieldwork:read_toolbox",
}
"""Corpus formats: `read(files, *, corpus) -> iterator of finetune.readers.record.Record`."""


def find(name: str, *, group: str, known: Mapping[str, str]) -> str:
    """Return the "module:attribute" of a name: ours first, then installed entry points.

    Raises RecipeError with the nearest name if there is none.

    >>> find("text", group="finetune.readers", known=READERS)
    'finetune.readers.tables:read_text'
    """
    if name in known:
        return known[name]
    others = {point.name: point.value for point in entry_points(group=group)}
    if name in others:
        return others[name]
    names = sorted({*known, *others})
    raise RecipeError(
        f"{name!r} is none of the {group.removeprefix('finetune.')}: {', '.join(names)}"
        f"{did_you_mean(name, names)}"
    )


def find_reader(name: str) -> str:
    """Return where the reader of a corpus format is. Raises RecipeError for an unknown one."""
    return find(name, group="finetune.readers", known=READERS)


def load(target: str) -> Any:
    """Import what "module:attribute" names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def reader(name: str) -> Any:
    """Return the reader of a corpus format. Raises RecipeError for an unknown one."""
    return load(find_reader(name))
