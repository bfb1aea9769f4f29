"""Every text of a file is a record, or is rejected with a reason: none is lost, none comes twice.

The files are written by hand with known texts; their marks are counted in the raw bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.readers.record import Record, Rejection
from tests.support.made import Made, marks_in, marks_of
from tests.support.made.markers import toolbox, usfm_book, usx_book
from tests.support.made.pages import pdf_file, web_page
from tests.support.made.tiers import elan_pairs, elan_words, textgrid
from tests.support.made.translations import (
    aligned,
    catalogue,
    memory,
    messages,
    subtitles,
    xliff_1,
    xliff_2,
)
from tests.support.made.word import word_file, word_table
from tests.support.reading import units

MAKERS: dict[str, tuple[Callable[[int], Made], int]] = {
    "Word": (word_file, 16),
    "tables of Word": (lambda seed: word_table(seed, by_number=False), 3),
    "tables of Word by number": (lambda seed: word_table(seed, by_number=True), 3),
    "words of ELAN": (elan_words, 6),
    "pairs of ELAN": (elan_pairs, 10),
    "Praat": (textgrid, 6),
    "USFM": (usfm_book, 10),
    "paragraphs of USFM": (lambda seed: usfm_book(seed, unit="paragraph"), 6),
    "USX": (usx_book, 5),
    "Toolbox": (toolbox, 4),
    "web pages": (web_page, 10),
    "PDF": (pdf_file, 4),
    "TMX": (memory, 12),
    "XLIFF 1.2": (xliff_1, 12),
    "XLIFF 2": (xliff_2, 8),
    "PO": (catalogue, 12),
    "aligned lines": (aligned, 8),
    "messages": (messages, 8),
    "subtitles": (subtitles, 12),
}
FILES = [(name, seed) for name, (_, seeds) in MAKERS.items() for seed in range(seeds)]


@pytest.mark.parametrize(("name", "seed"), FILES, ids=[f"{name} {seed}" for name, seed in FILES])
def test_every_text_is_a_record_or_left_out(tmp_path: Path, name: str, seed: int) -> None:
    """Records have the expected texts in order; all else is rejected with its reason."""
    made = MAKERS[name][0](seed)
    found = units(tmp_path, made.data, **made.block)
    records = [dict(one.fields) for one in found if isinstance(one, Record)]
    left = [one for one in found if isinstance(one, Rejection)]
    assert sorted(map(str, records)) == sorted(map(str, made.records))
    texts = [text for one in records for text in one.values() if text]
    texts += [one.text for one in left]
    counted = marks_of(texts)
    assert set(counted.values()) <= {1}
    assert set(counted) == marks_in(made.data)
    reasons = {mark: one.reason for one in left for mark in marks_of([one.text])}
    assert reasons == {mark: reason for reason, text in made.left for mark in marks_of([text])}
