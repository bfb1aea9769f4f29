"""Progress of `cards check` over a large file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from finetune.cards.check.reading_progress import LEAST_LINES, reading_progress
from finetune.output.console import Console
from finetune.spec.load import load_card
from tests.support.good_card import write


def said(folder: Path, *, lines: int, after: float = 0) -> str:
    """Return what is shown while half of a file of so many lines is read."""
    card = load_card(write(folder, texts="nanga def\n" * lines))
    console = Console(out=io.StringIO(), language="fr")
    with reading_progress(card, console, after=after) as watch:
        watch(lines // 4)
        watch(lines // 2)
    assert isinstance(console.out, io.StringIO)
    return console.out.getvalue()


def test_a_large_file_is_read_with_the_time_left(tmp_path: Path) -> None:
    """The lines of the file are the whole; the words are those of the person's language."""
    shown = said(tmp_path, lines=LEAST_LINES)
    assert "10,000/20,000 textes" in shown
    assert "encore" in shown


@pytest.mark.parametrize(("lines", "after"), [(LEAST_LINES // 2, 0), (LEAST_LINES, 60)])
def test_what_is_read_at_once_has_no_progress(tmp_path: Path, lines: int, after: float) -> None:
    assert said(tmp_path, lines=lines, after=after) == ""
