"""Texts that programs made from others: contents of a document, reading aids; old headers."""

from __future__ import annotations

import io
from pathlib import Path

from tests.support.reading import rejections, texts_of


def with_contents() -> bytes:
    """Return a Word file with a table of contents, whose styles have ids of French Word."""
    import docx
    from docx.enum.style import WD_STYLE_TYPE

    document = docx.Document()
    for name in ("toc 1", "table of figures"):
        style = document.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        style.element.set(style.element.nsmap["w"].join("{}") + "styleId", f"TM{len(name)}")
        document.add_paragraph("Njàlbéen\t3", style=style)
    document.add_paragraph("Njàlbéen")
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def test_the_contents_of_a_word_file_are_no_texts(tmp_path: Path) -> None:
    """They are its headings once more, with the numbers of pages."""
    assert texts_of(tmp_path / "t", with_contents(), format="docx") == [("Njàlbéen",)]
    assert (
        rejections(tmp_path / "r", with_contents(), format="docx")
        == [("peripheral", "Njàlbéen 3")] * 2
    )


def test_reading_aids_of_subtitles_are_counted(tmp_path: Path) -> None:
    cue = "00:01.000 --> 00:02.000\n<ruby>漢<rt>kan</rt>字<rt>ji</ruby>\n"
    content = f"WEBVTT\n\n{cue}"
    assert texts_of(tmp_path / "t", content, format="subtitles") == [("漢字",)]
    assert rejections(tmp_path / "r", content, format="subtitles") == [
        ("ruby", "kan"),
        ("ruby", "ji"),
    ]


def test_the_short_header_of_praat_is_read(tmp_path: Path) -> None:
    content = (
        'File type = "ooTextFile short"\n"TextGrid"\n\n0\n6\n<exists>\n1\n'
        '"IntervalTier"\n"wo"\n0\n6\n2\n0\n3\n"Nanga"\n3\n6\n"def"\n'
    )
    card = {"format": "textgrid", "columns": {"text": "wo"}}
    assert texts_of(tmp_path, content, **card) == [("Nanga",), ("def",)]
