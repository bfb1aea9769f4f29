"""What can be added without touching the core, by name; nothing is imported until it is used.

A name of ours stands here as "module:attribute". A package outside adds one with an entry point:

    [project.entry-points."finetune.readers"]
    radio = "my_package.radio:read"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune.spec.entry_points import find, load

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


def find_reader(name: str) -> str:
    """Return where the reader of a corpus format is. Raises RecipeError for an unknown one."""
    return find(name, group="finetune.readers", known=READERS)


def reader(name: str) -> Any:
    """Return the reader of a corpus format. Raises RecipeError for an unknown one."""
    return load(find_reader(name))
