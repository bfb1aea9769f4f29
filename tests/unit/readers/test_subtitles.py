"""Subtitles become running text: nothing that is reported is lost, nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from finetune.cli import main
from finetune.errors import DataError
from finetune.messages import Place
from finetune.readers.record import Record
from finetune.readers.subtitles import passages
from finetune.spec.load import load_card
from tests.support.reading import problem_of, read, rejections, units
from tests.support.subtitle_files import clock, srt, vtt
from tests.support.surroundings import Constants

SUBTITLES: dict[str, Any] = {"format": "subtitles"}


@pytest.mark.parametrize("make", [srt, vtt])
def test_a_stretch_of_speech_is_a_document(tmp_path: Path, make: Any) -> None:
    """A sentence over several cues stays whole; two seconds of silence begin a new document."""
    data = make(
        (1, 2.5, "Nanga def,\nsama xarit?"),
        (2.6, 4, "Maa ngi fi"),
        (5.9, 7, "rekk."),
        (9, 10, "Waaw."),
    )
    found = read(tmp_path, data, **SUBTITLES)
    assert [fields["text"] for _, fields in found] == [
        "Nanga def, sama xarit? Maa ngi fi rekk.",
        "Waaw.",
    ]
    lines = data.splitlines()
    assert [where.rpartition(":")[0] for where, _ in found] == ["corpus.subtitles"] * 2
    assert [lines[int(where.rpartition(":")[2]) - 1][:10] for where, _ in found] == [
        clock(1).replace(",", ".")[:10] if make is vtt else clock(1)[:10],
        clock(9).replace(",", ".")[:10] if make is vtt else clock(9)[:10],
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


def test_what_is_not_said_is_omitted(tmp_path: Path) -> None:
    """Formatting, positions, notes, styles, names of cues and voices are no text."""
    data = (
        "WEBVTT - radio\nKind: captions\n\nNOTE\nBenn\n\nSTYLE\n::cue { color: red }\n\n"
        "REGION\nid:fred\n\nintro\n00:01.000 --> 00:02.000 align:start\n"
        "<v Amina><i>Benn</i> &amp; <00:01.500><c.red>ñaar</c></v>\n\n"
        "NOTE ñett\n\n00:02.000 --> 00:03.000\n{\\an8}fukk\n"
    )
    [(where, fields)] = read(tmp_path, data, **SUBTITLES)
    assert (where, fields["text"]) == ("corpus.subtitles:14", "Benn & ñaar fukk")


def test_each_speaker_has_a_text(tmp_path: Path) -> None:
    """A dash or a voice begins a text; a sentence goes on over cues, and a label stays."""
    data = srt(
        (1, 2, "{\\an8}- Nanga def?\n<i>- Fan nga"),
        (2, 3, "jëm</i>"),
        (3, 4, "–5 fan, AMINA: Waaw."),
    )
    texts = [fields["text"] for _, fields in read(tmp_path, data, **SUBTITLES)]
    assert texts == ["Nanga def?", "Fan nga jëm –5 fan, AMINA: Waaw."]
    voices = vtt((1, 2, "<v A>Benn"), (2, 3, "<v B>Ñaar"))
    assert [fields["text"] for _, fields in read(tmp_path, voices, **SUBTITLES)] == ["Benn", "Ñaar"]


@pytest.mark.parametrize("make", [srt, vtt])
def test_sounds_and_credits_are_counted(tmp_path: Path, make: Any) -> None:
    """Lines that are not spoken are rejected, each with its reason."""
    data = make(
        (1, 2, "♪ Waka tana tashi ♪"),
        (2, 3, "[MUSIC]"),
        (3, 4, "Ina kwana?\n(KARE)"),
        (4, 5, "♪♪"),
        (5, 6, "Subtitles by Bala"),
        (6, 7, "Sous-titres : équipe"),
        (7, 8, "(lafiya lau) 3 # 4"),
    )
    assert [fields["text"] for _, fields in read(tmp_path, data, **SUBTITLES)] == [
        "Waka tana tashi",
        "Ina kwana? (lafiya lau) 3 # 4",
    ]
    assert rejections(tmp_path, data, **SUBTITLES) == [
        ("sound", "[MUSIC]"),
        ("sound", "(KARE)"),
        ("sound", "♪♪"),
        ("credits", "Subtitles by Bala"),
        ("credits", "Sous-titres : équipe"),
    ]


def test_captions_that_roll_up_are_read_once(tmp_path: Path) -> None:
    """Automatic captions show each line twice, with lines of spaces; a word said twice stays."""
    data = (
        "WEBVTT\nKind: captions\n\n00:00:01.000 --> 00:00:03.000 align:start\n \nIna<00:00:01.500>"
        "<c> kwana</c>\n\n00:00:03.000 --> 00:00:03.010\nIna kwana\n \n\n00:00:03.010 --> "
        "00:00:05.000\nIna kwana\nlafiya<00:00:03.500><c> lau</c>\n \n"
        "00:00:05.000 --> 00:00:06.000\nlafiya lau\n"
    )
    texts = [fields["text"] for _, fields in read(tmp_path, data, **SUBTITLES)]
    assert texts == ["Ina kwana lafiya lau lafiya lau"]
    assert rejections(tmp_path, data, **SUBTITLES) == [("repeated-cue", "Ina kwana")] * 2


OTHERS = {
    "ass": (
        "[Script Info]\nTitle: x\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: a,b\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:05.00,0:00:06.00,a,,0,0,0,,Biyu, {\\i1}uku{\\i0}\n"
        "Comment: 0,0:00:01.00,0:00:02.00,a,,0,0,0,,a note\n"
        "Dialogue: 0,0:00:01.00,0:00:02.00,a,,0,0,0,,Ina\\Nkwana\\hda\n"
        "Dialogue: 0,0:00:01.00,0:00:02.00,a,,0,0,0,,{\\p1}m 0 0 l 1 1{\\p0}\n"
    ),
    "sbv": (
        "0:00:01.000,0:00:02.000\nIna\nkwana da\n\n0:00:05.000,0:00:06.000\nBiyu, uku\n"
    ),
    "sub": "{1}{1}25.0\n{25}{50}{y:i}Ina|kwana da\n{125}{150}/Biyu, uku\n",
    "ttml": (
        '<?xml version="1.0"?><tt xmlns="http://www.w3.org/ns/ttml" xmlns:p="http://www.w3.org/ns/'
        'ttml#parameter" p:tickRate="10"><head><p>no</p></head><body><div><p begin="00:00:01.000" '
        'end="2s">Ina<br/>\n  <span>kwana</span> da</p><p begin="50t" dur="1s">Biyu, uku</p></div>'
        "</body></tt>"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_of_subtitles(tmp_path: Path, kind: str) -> None:
    """SubStation, SBV, MicroDVD and TTML give the same texts; the content shows the kind."""
    data = OTHERS[kind].replace("<head><p>no</p></head>", "")
    texts = [fields["text"] for _, fields in read(tmp_path, data, **SUBTITLES)]
    assert texts == ["Ina kwana da", "Biyu, uku"]


def test_damaged_cues_among_good_ones_are_counted(tmp_path: Path) -> None:
    """A cue that cannot be read is a malformed unit with its line; the others are read."""
    good = [(3.0 * n, 3 * n + 0.5, f"benn {n}") for n in range(1, 60)]
    torn = srt(*good) + "60\n00:09:00 --> soon\nñaar\n\n61\n00:09:03,000 - 00:09:04,000\nñett\n"
    found = units(tmp_path, torn, **SUBTITLES)
    assert sum(isinstance(unit, Record) for unit in found) == 59
    assert rejections(tmp_path, torn, **SUBTITLES) == [("malformed", "ñaar"), ("malformed", "ñett")]
    unnumbered = TORN + "00:00:03,000 --> 00:00:04,000\nÑaar\n\nblank above\n2\n"
    assert read(tmp_path, unnumbered, **SUBTITLES)[0][1] == {"text": "Benn. Ñaar blank above 2"}


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
    encoding: dict[str, str] = {}  # UTF-16 is known by its mark
    [(where, fields)] = read(tmp_path, data, **SUBTITLES, **encoding)
    assert (where, fields["text"]) == (f"corpus.subtitles:{2 if make is srt else 3}", "Ñaar ñett")


TORN = srt((1, 2, "Benn."))
HOSTILE = [
    ("", None, "unreadable-file"),
    ("just text\n", 1, "unreadable-file"),
    (b"PK\x03\x04", 1, "unreadable-file"),
    (TORN + "2\n", 5, "unreadable-file"),
    (TORN + "2\n00:00:03,0", 6, "unreadable-file"),
    (TORN + "2\n00:00:03,000 - 00:00:04,000\nÑaar\n", 6, "unreadable-file"),
    (TORN + "2\n00:00:03 --> soon\nÑaar\n", 6, "unreadable-file"),
    (vtt((1, 2, "Benn")) + "\n00:03.000 --> 00:04\nÑaar\n", 6, "unreadable-file"),
    (vtt((1, 2, "Benn")) + "\nÑaar\n", 6, "unreadable-file"),
    (TORN + "2\n00:00:03,000 --> 00:00:04,000\na\0b\n", 7, "nul-character"),
    (srt((1, 2, "café")).encode("latin-1"), 3, "wrong-encoding"),
]


@pytest.mark.parametrize(("data", "line", "code"), HOSTILE)
def test_damaged_files_are_errors_with_their_line(
    tmp_path: Path, data: bytes | str, line: int | None, code: str
) -> None:
    """Half a file, wrong times, other files and old encodings are errors with their line."""
    problem = problem_of(tmp_path, data, **SUBTITLES)
    assert (problem.code, problem.place) == (code, Place("corpus.subtitles", line))


def test_a_huge_file_is_not_opened(tmp_path: Path, constants: Constants) -> None:
    """A file beyond the bound does not reach the library."""
    constants(passages, MAX_BYTES=10)
    assert problem_of(tmp_path, TORN, **SUBTITLES).code == "large-file"


WORD = st.text(st.characters(categories=["L", "M", "N"]), min_size=1, max_size=6)
SAID = st.lists(st.lists(WORD, min_size=1, max_size=4), min_size=1, max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cues=SAID, gaps=st.lists(st.floats(0, 4), min_size=6, max_size=6), web=st.booleans())
def test_every_word_that_is_said_comes_out_once(
    tmp_path: Path, cues: list[list[str]], gaps: list[float], web: bool
) -> None:
    """Whatever the words and pauses, the documents hold the words of all cues in order."""
    at, timed = 0.0, []
    for number, (words, gap) in enumerate(zip(cues, gaps, strict=False)):
        at += gap
        timed.append((at, at + 1, "\n".join(f"x{number}{word}" for word in words)))
        at += 1
    found = read(tmp_path, (vtt if web else srt)(*timed), **SUBTITLES)
    said = [word for _, fields in found for word in fields["text"].split()]
    assert said == [f"x{number}{word}" for number, words in enumerate(cues) for word in words]


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
    """No file is a traceback, and no line of words is skipped silently."""
    lines = ["WEBVTT", "", *lines] if web else ["1", "00:00:01,000 --> 00:00:02,000", *lines]
    data = "\n".join(lines).encode("utf-8", "replace")
    try:
        found = read(tmp_path, data, **SUBTITLES)
    except DataError:
        return
    said = " ".join(fields["text"] for _, fields in found)
    if not web:
        assert all(line in said for line in lines if line == "Benn")


def test_conversations_are_refused(tmp_path: Path) -> None:
    """Subtitles do not tell who asks and who answers."""
    with pytest.raises(ValidationError, match="this card is of kind chat"):
        read(tmp_path, "", kind="chat", **SUBTITLES)


@pytest.mark.usefixtures("workdir")
def test_cards_new_takes_subtitles(tmp_path: Path) -> None:
    """Their endings say what they are, in one card if there are both kinds."""
    Path("un.srt").write_text(srt((1, 2, "Nanga def?")), encoding="utf-8")
    Path("ñaar.vtt").write_text(vtt((1, 2, "Maa ngi fi.")), encoding="utf-8")
    assert main(["cards", "new", "un.srt", "ñaar.vtt", "--language", "wol_Latn"]) == 0
    card = load_card(Path("data_cards/un.md"))
    assert (card.corpus.format, card.corpus.columns) == ("subtitles", {})
    assert "| texts | 2 |" in card.body
