"""Subtitles become running text: nothing that is said is lost, nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from finetune.cards.explain import explain
from finetune.cli import main
from finetune.errors import DataError
from finetune.readers import subtitles
from finetune.spec.load import load_card
from tests.unit.readers.test_tables import read

SUBTITLES: dict[str, Any] = {"format": "subtitles"}


def srt(*cues: tuple[float, float, str], first: int = 1) -> str:
    """Return an SRT file of (start, end, text)."""
    return "".join(
        f"{number}\n{_clock(start)} --> {_clock(end)}\n{text}\n\n"
        for number, (start, end, text) in enumerate(cues, start=first)
    )


def vtt(*cues: tuple[float, float, str], head: str = "WEBVTT") -> str:
    """Return a WebVTT file of (start, end, text)."""
    blocks = (f"{_clock(a)} --> {_clock(b)}\n{text}\n" for a, b, text in cues)
    return "\n".join([f"{head}\n", *(block.replace(",", ".", 2) for block in blocks)])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d},{rest % 1000:03d}"


@pytest.mark.parametrize("make", [srt, vtt])
def test_a_stretch_of_speech_is_a_document(tmp_path: Path, make: Any) -> None:
    """A sentence over several cues stays whole; two seconds of silence begin a new document."""
    data = make(
        (1, 2.5, "Nanga def,\nsama xarit?"),
        (2.6, 4, "Maa ngi fi"),
        (5.9, 7, "rekk."),
        (9, 10, "[music]"),
    )
    found = read(tmp_path, data, **SUBTITLES)
    assert [fields["text"] for _, fields in found] == [
        "Nanga def, sama xarit? Maa ngi fi rekk.",
        "[music]",
    ]
    lines = data.splitlines()
    assert [where.rpartition(":")[0] for where, _ in found] == ["corpus.subtitles"] * 2
    assert [lines[int(where.rpartition(":")[2]) - 1][:10] for where, _ in found] == [
        _clock(1).replace(",", ".")[:10] if make is vtt else _clock(1)[:10],
        _clock(9).replace(",", ".")[:10] if make is vtt else _clock(9)[:10],
    ]


def test_a_minute_without_a_pause_is_enough(tmp_path: Path) -> None:
    """Captions without pauses are cut every minute, so that some texts can be held out."""
    data = srt(*((n * 5, n * 5 + 5, f"benn {n}") for n in range(30)))
    texts = [fields["text"] for _, fields in read(tmp_path, data, **SUBTITLES)]
    assert [text.count("benn") for text in texts] == [12, 12, 6]


def test_files_glued_together_are_cut_where_time_begins_again(tmp_path: Path) -> None:
    """A cue that stands before the one above it in time is another recording."""
    data = srt((50, 51, "jeex.")) + srt((1, 2, "tambali"), first=1)
    assert [f["text"] for _, f in read(tmp_path, data, **SUBTITLES)] == ["jeex.", "tambali"]


def test_what_is_not_said_is_left_out(tmp_path: Path) -> None:
    """Formatting, positions, notes, styles, names of cues and voices are no text."""
    data = (
        "WEBVTT - radio\nKind: captions\n\nNOTE\nBenn\n\nSTYLE\n::cue { color: red }\n\n"
        "REGION\nid:fred\n\nintro\n00:01.000 --> 00:02.000 align:start\n"
        "<v Amina><i>Benn</i> &amp; <00:01.500><c.red>ñaar</c></v>\n\n"
        "NOTE ñett\n\n00:02.000 --> 00:03.000\n{\\an8}fukk\n"
    )
    [(where, fields)] = read(tmp_path, data, **SUBTITLES)
    assert (where, fields["text"]) == ("corpus.subtitles:14", "Benn & ñaar fukk")


def test_speakers_keep_their_lines(tmp_path: Path) -> None:
    """A dash or a voice begins a line of its own; what is written as a label stays."""
    data = srt((1, 2, "{\\an8}- Nanga def?\n<i>- Maa ngi fi.</i>"), (2, 3, "AMINA: Waaw."))
    [(_, fields)] = read(tmp_path, data, **SUBTITLES)
    assert fields["text"] == "- Nanga def?\n- Maa ngi fi. AMINA: Waaw."
    [(_, fields)] = read(tmp_path, vtt((1, 2, "<v A>Benn"), (2, 3, "<v B>Ñaar")), **SUBTITLES)
    assert fields["text"] == "Benn\nÑaar"


@pytest.mark.parametrize("text", ["3 < 5 kuma 7 > 6", "x <- y -> z", "<Musa> Ina kwana", "a <b"])
def test_brackets_that_are_no_tag_are_text(tmp_path: Path, text: str) -> None:
    """Nothing that a person wrote between `<` and `>` is lost, in either format."""
    for data in (srt((1, 2, text)), vtt((1, 2, text))):
        [(_, fields)] = read(tmp_path, data, **SUBTITLES)
        assert fields == {"text": text}


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
@pytest.mark.parametrize("order", ["utf-8-sig", "utf-8", "utf-16"])
@pytest.mark.parametrize("make", [srt, vtt])
def test_programs_write_lines_and_letters_differently(
    tmp_path: Path, make: Any, order: str, end: str
) -> None:
    """Line ends of every system, byte order marks, and cues without text are read alike."""
    data = make((1, 2, "Ñaar"), (2, 3, ""), (3, 4, "ñett")).replace("\n", end).encode(order)
    encoding = {"encoding": "utf-16"} if order == "utf-16" else {}
    [(where, fields)] = read(tmp_path, data, **SUBTITLES, **encoding)
    assert (where, fields["text"]) == (f"corpus.subtitles:{2 if make is srt else 3}", "Ñaar ñett")


TORN = srt((1, 2, "Benn."))
HOSTILE = [
    ("", "corpus.subtitles: is not a file of subtitles (SRT or WebVTT) that can be read"),
    ("just text\n", "corpus.subtitles: is not a file of subtitles"),
    (b"PK\x03\x04", "corpus.subtitles: is not a file of subtitles"),
    (TORN + "2\n", "corpus.subtitles:5: is not a cue of subtitles that can be read (the file ends"),
    (TORN + "2\n00:00:03,0", "corpus.subtitles:6: is not a cue"),
    (TORN + "2\n00:00:03,000 - 00:00:04,000\nÑaar\n", "corpus.subtitles:6: is not a cue"),
    (TORN + "2\n00:00:03 --> soon\nÑaar\n", "corpus.subtitles:7: is not a cue"),
    (TORN + "00:00:03,000 --> 00:00:04,000\nÑaar\n", "corpus.subtitles:6: is not a cue"),
    (vtt((1, 2, "Benn")) + "\n00:03.000 --> 00:04\nÑaar\n", "corpus.subtitles:7: is not a cue"),
    (vtt((1, 2, "Benn")) + "\nÑaar\n", "corpus.subtitles:6: is not a cue"),
    (TORN + "2\n00:00:03,000 --> 00:00:04,000\na\0b\n", "corpus.subtitles:7: holds a NUL"),
    (srt((1, 2, "café")).encode("latin-1"), "corpus.subtitles:3: byte 35 of the file (0xe9)"),
    (srt((1, 2, "café")).encode("utf-16"), "corpus.subtitles:1: begins with a UTF-16 byte order"),
]


@pytest.mark.parametrize(("data", "words"), HOSTILE)
def test_what_is_torn_is_told_in_both_languages(
    tmp_path: Path, data: bytes | str, words: str
) -> None:
    """Half a file, wrong times, other files and old encodings are errors with their line."""
    with pytest.raises(DataError) as caught:
        read(tmp_path, data, **SUBTITLES)
    [problem] = caught.value.problems
    assert problem.startswith(words)
    assert len({problem, explain(problem, "en"), explain(problem, "fr")}) == 3


def test_a_huge_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the library never sees it, and the sentence has its French."""
    monkeypatch.setattr(subtitles, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="larger than 0 MiB; is it a file of subtitles") as caught:
        read(tmp_path, TORN, **SUBTITLES)
    assert "dépasse 0 Mo" in explain(str(caught.value), "fr")


WORD = st.text(st.characters(categories=["L", "M", "N"]), min_size=1, max_size=6)
SAID = st.lists(st.lists(WORD, min_size=1, max_size=4), min_size=1, max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cues=SAID, gaps=st.lists(st.floats(0, 4), min_size=6, max_size=6), web=st.booleans())
def test_every_word_that_is_said_comes_out_once(
    tmp_path: Path, cues: list[list[str]], gaps: list[float], web: bool
) -> None:
    """Whatever the words and pauses, the documents hold the words of all cues in order."""
    at, timed = 0.0, []
    for words, gap in zip(cues, gaps, strict=False):
        at += gap
        timed.append((at, at + 1, "\n".join(f"x{word}" for word in words)))
        at += 1
    found = read(tmp_path, (vtt if web else srt)(*timed), **SUBTITLES)
    said = [word for _, fields in found for word in fields["text"].split()]
    assert said == [f"x{word}" for words in cues for word in words]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.sampled_from(["1", "2", "", " ", "Benn", "NOTE", "WEBVTT", "-->", "<i", "00:00:01,000"])
        | st.sampled_from(["00:00:01,000 --> 00:00:02,000", "00:01.000 --> 00:02.000"])
        | st.text(max_size=8)
    ),
    st.booleans(),
)
def test_any_lines_are_read_or_refused_in_words(
    tmp_path: Path, lines: list[str], web: bool
) -> None:
    """No file is a traceback, and no line of words is passed over in silence."""
    lines = ["WEBVTT", "", *lines] if web else ["1", "00:00:01,000 --> 00:00:02,000", *lines]
    data = "\n".join(lines).encode("utf-8", "replace")
    try:
        found = read(tmp_path, data, **SUBTITLES)
    except DataError:
        return
    said = " ".join(fields["text"] for _, fields in found)
    if not web:
        assert all(line in said for line in lines if line == "Benn")


def test_two_languages_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files in two languages cannot be paired by their times, and that is said at once."""
    monkeypatch.chdir(tmp_path)
    for name in ("fr.srt", "wo.vtt"):
        Path(name).write_text(srt((1, 2, "a")) if "srt" in name else vtt((1, 2, "a")))
    assert main(["cards", "new", "fr.srt", "wo.vtt", "--language", "fra_Latn wol_Latn"]) == 2
    said = capsys.readouterr().err
    assert "format: `subtitles` holds documents, not parallel records" in said
    assert not list(Path.cwd().rglob("*.md"))
    with pytest.raises(ValidationError, match="holds documents, not chat records"):
        read(tmp_path, "", kind="chat", **SUBTITLES)


def test_cards_new_takes_subtitles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their endings say what they are, in one card if there are both kinds."""
    monkeypatch.chdir(tmp_path)
    Path("un.srt").write_text(srt((1, 2, "Nanga def?")), encoding="utf-8")
    Path("ñaar.vtt").write_text(vtt((1, 2, "Maa ngi fi.")), encoding="utf-8")
    assert main(["cards", "new", "un.srt", "ñaar.vtt", "--language", "wol_Latn"]) == 0
    card = load_card(Path("data_cards/un.md"))
    assert (card.corpus.format, card.corpus.columns) == ("subtitles", {})
    assert "| texts | 2 |" in card.body
