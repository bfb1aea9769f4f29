"""Texts taken out of files and written back: all that is no text comes back to the byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.errors import DataError
from finetune.translate.formats.cut import Cut
from finetune.translate.formats.format_table import FORMATS
from finetune.translate.text_bytes import opened
from tests.support.translated_files import ENCODINGS, FILES, cut_of, other_words, raw_of

SEEDS = st.integers(0, 2**32)
ENDS = st.sampled_from(("\n", "\r\n"))


def _bytes(form: str, seed: int, end: str, encoding: str = "utf-8") -> bytes:
    return FILES[form](Random(seed)).replace("\n", end).encode(encoding)


@pytest.mark.parametrize("form", sorted(FILES))
def test_a_file_whose_texts_stay_is_the_same_to_the_byte(form: str) -> None:
    """The identity changes nothing, whatever the line ends, the encoding and the mark."""

    @settings(max_examples=40, deadline=None, database=None)
    @given(SEEDS, ENDS, st.sampled_from(ENCODINGS), st.booleans())
    def holds(seed: int, end: str, encoding: str, paragraphs: bool) -> None:
        data = _bytes(form, seed, end, encoding)
        cut = cut_of(data, form, paragraphs=paragraphs)
        assert cut.with_translations(lambda _: None) == data
        if form != "po":  # whose empty translations are filled
            assert cut.with_translations(lambda source: source) == data

    holds()


@pytest.mark.parametrize("form", sorted(FILES))
def test_texts_are_replaced_and_nothing_else_is(form: str) -> None:
    """A translated file, cut again, has the translations as texts and all else in its order."""

    @settings(max_examples=40, deadline=None, database=None)
    @given(SEEDS, ENDS)
    def holds(seed: int, end: str) -> None:
        cut = cut_of(_bytes(form, seed, end), form)
        again = cut_of(cut.with_translations(other_words), form)
        if form == "po":  # the texts are there now: nothing is left
            assert not again.segments()
            return
        texts = [segment.text.split() for segment in again.segments()]
        assert texts == [other_words(segment.text).split() for segment in cut.segments()]
        assert raw_of(again.parts).split() == raw_of(cut.parts).split()

    holds()


EXACT = {
    "po": (
        'msgctxt "m"\nmsgid "%d \\"big\\" dog"\nmsgid_plural "%d dogs"\n'
        'msgstr[0] ""\nmsgstr[1] ""\n',
        'msgctxt "m"\nmsgid "%d \\"big\\" dog"\nmsgid_plural "%d dogs"\n'
        'msgstr[0] "dog \\"big\\" %d kalma"\nmsgstr[1] "dogs %d kalma"\n',
    ),
    "csv": ('id;text\r\n1;"a; ""b""\nc"\r\n', 'id;text\r\n1;"""b"" a; kalma\nc kalma"\r\n'),
    "srt": (
        "7\n00:00:01,000 --> 00:00:02,000\n<i>Come in,</i>\nold friend\n",
        "7\n00:00:01,000 --> 00:00:02,000\n<i>friend old</i>\nin, Come kalma\n",
    ),
    "usfm": (
        "\\id GEN\n\\c 1\n\\p\n\\v 2-3 In the \\nd Lord\\nd*\\f + \\fr 1:2 \\ft Or God\\f* we\n"
        "\\q2 trust\n",
        "\\id GEN\n\\c 1\n\\p\n\\v 2-3 trust we \\nd Lord\\nd*"
        "\\f + \\fr 1:2 \\ft God Or kalma\\f* the\n"
        "\\q2 In kalma\n",
    ),
    "vtt": (
        "WEBVTT\n\n00:01.000 --> 00:02.000 line:0\n<v Al>you &amp; me\n",
        "WEBVTT\n\n00:01.000 --> 00:02.000 line:0\n<v Al>me &amp; you kalma\n",
    ),
}


@pytest.mark.parametrize("form", sorted(EXACT))
def test_a_translation_is_written_as_its_format_has_it(form: str) -> None:
    """Quotation marks, escapes, verse ranges, notes and voices stand where they belong."""
    source, expected = EXACT[form]
    cut = cut_of(source.encode(), form)
    assert cut.with_translations(other_words).decode() == expected


def test_what_is_no_file_of_a_format_is_refused_with_a_way_out() -> None:
    """An unnamed column, an open quotation mark and another encoding have their codes and lines."""
    csv = FORMATS["csv"]
    found = [
        problem_of(lambda: opened(b"id,text\n1,a\n", csv, Cut(Path("a.csv")))),
        problem_of(lambda: opened(b"id,text\n1,a\n", csv, Cut(Path("a.csv"), ("txt",)))),
        problem_of(lambda: cut_of(b'id,text\n1,"a\n', "csv")),
        problem_of(lambda: cut_of("a\né".encode("cp1252"), "txt")),
    ]
    assert found == [
        *(("no-column-named", 1), ("no-such-column", 1)),
        *(("open-quotation", 2), ("other-encoding", 2)),
    ]


def problem_of(act: Callable[[], object]) -> tuple[str, int | None]:
    """Return code and line of the one problem that a call raises."""
    with pytest.raises(DataError) as caught:
        act()
    [found] = caught.value.problems
    return found.code, found.place and found.place.line
