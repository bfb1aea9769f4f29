"""Lines, paragraphs and files as texts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from finetune.cards.check.findings import check_card
from finetune.cli import main
from finetune.prepare.reading.phase_corpora import units_of_phase
from finetune.readers.units import units_of
from finetune.sources.files import resolve_files
from finetune.spec.load import load_card
from tests.support.brought_files import docx
from tests.support.good_card import TODAY, found, write
from tests.support.prepare_job import make_card, make_job
from tests.support.reading import read

WRAPPED = "\n\n".join(
    f"Paragraph {n} tells of a day on the road to the market of the next\n"
    "town, where people meet who have not seen each other for as long as\n"
    "they can remember, and where the price of millet is always the same\n"
    "whatever the rain may have done to the fields of the village."
    for n in range(20)
)
TEXT = "\n\nNanga def?\nMaa ngi\nfi rekk.\n \nWaaw.\r\n"


def test_the_unit_of_the_card_is_the_text(tmp_path: Path) -> None:
    """Places are those of the first line."""
    expected: dict[str | None, list[tuple[str, str]]] = {
        None: [(":3", "Nanga def?"), (":4", "Maa ngi"), (":5", "fi rekk."), (":7", "Waaw.")],
        "paragraph": [(":3", "Nanga def? Maa ngi fi rekk."), (":7", "Waaw.")],
        "file": [(":3", "Nanga def?\nMaa ngi\nfi rekk.\n \nWaaw.")],
    }
    for unit, texts in expected.items():
        facts: dict[str, Any] = {"unit": unit} if unit else {}
        assert [
            (w.removeprefix("corpus.text"), f["text"]) for w, f in read(tmp_path, TEXT, **facts)
        ] == texts


QUOTED = "Awa wrote:\n> Nanga\n> def?\n>\n> Ba\n>> Waaw\n>> kay.\nMaa ngi\nfi.\n"


def test_quotes_of_an_e_mail_are_texts_of_their_own(tmp_path: Path) -> None:
    """In wrapped paragraphs `>` would stand between words; its removal is a counted change."""
    card = make_card(tmp_path, "corpus", QUOTED, unit="paragraph")
    found = [unit for unit in units_of(card, resolve_files(card, inputs={}))]
    assert [(unit.fields["text"], len(unit.changes)) for unit in found] == [  # type: ignore[union-attr]
        *(("Awa wrote:", 0), ("Nanga def?", 1), ("Ba", 1), ("Waaw kay.", 1), ("Maa ngi fi.", 0))
    ]


def test_a_word_file_may_be_one_text(tmp_path: Path) -> None:
    card = make_card(tmp_path, "corpus", docx(["Benn.", "Ñaar."]), format="docx", unit="file")
    [unit] = units_of(card, resolve_files(card, inputs={}))
    assert unit.fields == {"text": "Benn.\nÑaar."}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "corpus",
    [
        {"format": "docx", "unit": "line"},
        {"format": "csv", "unit": "file", "columns": {"text": "a"}},
    ],
)
def test_a_unit_that_a_format_has_not_is_refused(tmp_path: Path, corpus: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_card(tmp_path, "corpus", "", **corpus)


def test_check_proposes_the_line_and_a_stated_unit_is_believed(tmp_path: Path) -> None:
    """A warning at the key, with what to write; none once the card states it."""
    finding = found(write(tmp_path, texts=WRAPPED))["hard-wrapped"]
    assert (finding.level, finding.facts["unit"]) == ("warning", "paragraph")
    for unit in ("line", "paragraph", "file"):
        path = write(tmp_path, ("format: text", f"format: text\n  unit: {unit}"), texts=WRAPPED)
        assert "hard-wrapped" not in {one.code for one in check_card(path, today=TODAY)}


def test_new_writes_the_unit_of_wrapped_lines(tmp_path: Path) -> None:
    """Into the card, where a person sees it; an option decides otherwise."""
    (tmp_path / "a.txt").write_text(WRAPPED, encoding="utf-8")
    options = ["--language", "eng_Latn", "--cards", str(tmp_path / "cards")]
    assert main(["cards", "new", str(tmp_path / "a.txt"), *options]) in (0, 1)
    assert load_card(tmp_path / "cards/a.md").corpus.unit == "paragraph"
    assert main(
        ["cards", "new", str(tmp_path / "a.txt"), "--name", "b", "--unit", "line", *options]
    ) in (0, 1)
    assert load_card(tmp_path / "cards/b.md").corpus.unit == "line"


def test_prepare_warns_and_never_guesses(tmp_path: Path) -> None:
    """Without a unit each line stays a text."""
    job = make_job(tmp_path, make_card(tmp_path, "wrapped", WRAPPED))
    [(_, units)] = units_of_phase(job, job.phase)
    assert len(list(units)) == 80
    assert isinstance(job.console.out, io.StringIO)
    assert "unit: paragraph" in job.console.out.getvalue()
