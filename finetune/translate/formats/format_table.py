"""The table of formats that can be translated: a row each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.readers.translated.po_entries import CHARSET
from finetune.translate.formats.catalogue_entries import cut_po
from finetune.translate.formats.cue_lines import cut_srt, cut_vtt
from finetune.translate.formats.cut import Cut
from finetune.translate.formats.plain_lines import cut_text
from finetune.translate.formats.scripture import USFM_CHARSET, cut_usfm
from finetune.translate.formats.table_cells import cut_csv, cut_tsv
from finetune.translate.skeleton import Part


@dataclass(frozen=True, slots=True)
class Format:
    """A format: how the texts of a file are found."""

    name: str
    endings: tuple[str, ...]
    """Of file names, in small letters."""
    cut: Callable[[str, Cut], list[Part]]
    refused: tuple[str, ...] = ()
    """Signs that a translation must not add, because the format would read them."""
    charset: re.Pattern[bytes] | None = None
    """Finds the encoding that a file states, as its first group."""


FORMATS: Mapping[str, Format] = {
    row.name: row
    for row in (
        Format("txt", (".txt", ".md", ".text"), cut_text),
        Format("csv", (".csv",), cut_csv),
        Format("tsv", (".tsv", ".tab"), cut_tsv),
        Format("srt", (".srt",), lambda text, _: cut_srt(text), refused=("-->",)),
        Format("vtt", (".vtt",), lambda text, _: cut_vtt(text), refused=("-->", "<", "&")),
        Format("po", (".po", ".pot"), lambda text, _: cut_po(text), charset=CHARSET),
        Format(
            "usfm",
            (".usfm", ".sfm", ".ptx"),
            lambda text, _: cut_usfm(text),
            refused=("\\",),
            charset=USFM_CHARSET,
        ),
    )
}


def format_of(path: Path, *, name: str | None = None) -> Format:
    """Return the format of a file by its ending, or the one that is named.

    Raises DataError for an ending of no format.
    """
    if name is not None:
        return FORMATS[name]
    for row in FORMATS.values():
        if path.name.lower().endswith(row.endings):
            return row
    raise DataError(
        problem(
            "no-format",
            "the ending of its name is of no format that can be translated ({known}); add "
            "`--format NAME`",
            at=Place(path),
            known=list(FORMATS),
        )
    )
