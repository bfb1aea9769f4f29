"""Subtitles in two languages: paired by the time at which they are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune.cli import main
from finetune.readers.record import Record
from finetune.spec.load import load_card
from tests.support.reading import problem_of, rejections, texts_of, units
from tests.support.subtitle_files import srt, vtt
from tests.support.surroundings import Inside

PAIR: dict[str, Any] = {
    "kind": "parallel",
    "format": "subtitles",
    "languages": ["eng_Latn", "hau_Latn"],
    "columns": {"eng_Latn": "en", "hau_Latn": "ha"},
}
ENGLISH = srt((1, 2.5, "How are you?"), (3, 5, "I am fine, and"), (5.1, 6, "you?"), (9, 10, "Yes."))


def film(english: str, hausa: str, *, second: str = "srt") -> dict[str, str]:
    return {"film.en.srt": english, f"film.ha.{second}": hausa}


def test_what_is_shown_together_is_a_pair(tmp_path: Path) -> None:
    """Borders may differ a little; a sentence over several cues is one pair, with its time."""
    hausa = srt(
        (1.1, 2.6, "Yaya kake?"), (3, 5.2, "Lafiya lau, kai"), (5.2, 6, "fa?"), (9.2, 10, "I.")
    )
    found = units(tmp_path, film(ENGLISH, hausa), **PAIR)
    assert [tuple(one.fields.values()) for one in found if isinstance(one, Record)] == [
        ("How are you?", "Yaya kake?"),
        ("I am fine, and you?", "Lafiya lau, kai fa?"),
        ("Yes.", "I."),
    ]
    assert str(found[0].place) == "film.en.srt: 1.000 s"


def test_one_cue_beside_two_is_one_pair(tmp_path: Path) -> None:
    hausa = srt((1, 2.5, "Yaya kake?"), (3, 6, "Lafiya lau, kai fa?"), (9, 10, "I."))
    assert texts_of(tmp_path, film(ENGLISH, hausa), **PAIR)[1] == (
        "I am fine, and you?",
        "Lafiya lau, kai fa?",
    )


def test_what_has_no_counterpart_is_counted(tmp_path: Path) -> None:
    """Of either language, with its file and time; sounds and credits too."""
    hausa = srt((1, 2.5, "Yaya kake?"), (3, 6, "Lafiya."), (7, 8, "[kiɗa]"), (20, 22, "Sai gobe."))
    assert rejections(tmp_path, film(ENGLISH, hausa), **PAIR) == [
        ("sound", "[kiɗa]"),
        ("unpaired", "Yes."),
        ("unpaired", "Sai gobe."),
    ]


def test_kinds_of_files_may_differ(tmp_path: Path) -> None:
    hausa = vtt((1, 2.5, "Yaya kake?"), (3, 6, "Lafiya."), (9, 10, "I."))
    files = {"en/film.srt": ENGLISH, "ha/film.vtt": hausa}
    assert len(texts_of(tmp_path, files, **PAIR)) == 3


def test_two_versions_of_a_film_are_refused(tmp_path: Path) -> None:
    """Files whose times have nothing to do with each other would be paired wrongly."""
    hausa = srt(*((n * 10 + 7, n * 10 + 8, f"Kalma {n}.") for n in range(9)))
    problem = problem_of(tmp_path, film(ENGLISH, hausa), **PAIR)
    assert (problem.code, problem.facts["total"]) == ("subtitles-not-parallel", 13)


def test_a_new_card_finds_the_languages_in_the_names(tmp_path: Path, inside: Inside) -> None:
    inside(tmp_path)
    cues = [(n * 3.0, n * 3 + 2.0, f"Kalma {n}.") for n in range(60)]
    for name in ("film.en.srt", "film.ha.srt"):
        Path(name).write_text(srt(*cues), encoding="utf-8")
    arguments = ["film.en.srt", "film.ha.srt", "--language", "eng_Latn, hau_Latn"]
    assert main(["cards", "new", *arguments, "--name", "film"]) == 0
    block = load_card(Path("data_cards/film.md")).corpus
    assert (block.kind, block.format) == ("parallel", "subtitles")
    assert block.columns == {"eng_Latn": "en", "hau_Latn": "ha"}
