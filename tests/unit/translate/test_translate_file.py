"""Whole translations with a tiny random adapter: what is written, resumed and marked."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest

from finetune.errors import StoreError
from finetune.output.console import Console
from finetune.translate import translate_file as room
from finetune.translate.loaded_translator import Loading, Translator, load_translator
from finetune.translate.translate_file import Wanted, translate_file
from finetune.translate.translations_made import Written
from tests.support import translated_files as files
from tests.support.translated_files import cut_of
from tests.support.translation_job import WAY, wanted, write_models


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("translate")
    write_models(root, validation=44)
    return root


def _run(one: Wanted) -> room.Translated:
    return translate_file(one, console=Console(out=io.StringIO()))


def _subtitles() -> bytes:
    """Return 200 cues with CRLF and a byte order mark."""
    text = files.srt(Random(1), cues=200)
    return text.replace("\n", "\r\n").encode("utf-8-sig")


def test_a_file_of_two_hundred_cues_keeps_all_but_its_texts(models: Path, tmp_path: Path) -> None:
    """Numbers, times, tags, line ends and the mark are those of the source, in their order."""
    data, output = _subtitles(), tmp_path / "out.srt"
    made = _run(wanted(models, data, "srt", output, max_new_tokens=2))
    before, after = (found.decode("utf-8") for found in (data, output.read_bytes()))
    for kept in (r"^\ufeff", r"\r\n", r"\d+\r\n.*-->.*", r"</?[bi]>", r"\{\\an8\}", "\u202b"):
        assert re.findall(kept, after) == re.findall(kept, before)
    assert len(made.rows) == len(cut_of(data, "srt").segments())
    assert any(row.made.text for row in made.rows)
    assert [p.name for p in sorted(tmp_path.iterdir()) if p.is_file()] == [
        *("out.srt", "out.srt.review.html", "out.srt.review.tsv")
    ]


@dataclass
class _Counted:
    """A translator of nine texts at a time that counts them, and stops at one call."""

    stop_at: int = 0
    asked: list[int] = field(default_factory=list)

    def load(self, loading: Loading, question: Callable[[str], str]) -> Translator:
        made = load_translator(loading, question)

        def translate(texts: Sequence[str]) -> list[Written | None]:
            self.asked.append(len(texts))
            if len(self.asked) == self.stop_at:
                raise KeyboardInterrupt
            return made.translate(texts)

        return Translator(9, made.device, made.precision, translate)


def test_a_stopped_translation_is_resumed_to_the_same_bytes(models: Path, tmp_path: Path) -> None:
    """A kill loses a batch: whole ones are taken from the record, a torn one is made again."""
    data = files.usfm(Random(3), verses=30).encode()

    def start(name: str, counted: _Counted) -> None:
        one = wanted(models, data, "usfm", tmp_path / name, max_new_tokens=3)
        one = replace(one, prepared=None)
        translate_file(one, console=Console(out=io.StringIO()), load=counted.load)

    record = tmp_path / f"cut.usfm{room.RECORD}"
    with pytest.raises(KeyboardInterrupt):
        start("cut.usfm", _Counted(stop_at=4))
    whole = record.read_bytes()
    assert whole.count(b"\n") >= 2
    record.write_bytes(whole + b'[["torn')
    resumed, at_once = _Counted(), _Counted()
    start("cut.usfm", resumed)
    start("once.usfm", at_once)
    assert 0 < sum(resumed.asked) < sum(at_once.asked)
    for ending in ("", room.TABLE):
        cut, once = ((tmp_path / f"{n}.usfm{ending}").read_bytes() for n in ("cut", "once"))
        assert cut == once
    assert not record.exists()


def test_a_record_of_another_translation_is_refused(models: Path, tmp_path: Path) -> None:
    """Translations made with other settings do not get into a file."""
    output = tmp_path / "a.txt"
    Path(f"{output}{room.RECORD}").write_text('{"version": 1}\n[]\n', encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        _run(wanted(models, b"The cat\n", "txt", output))
    assert caught.value.codes == ("other-record",)


def test_a_random_adapter_gets_no_marks_and_the_table_has_every_segment(
    models: Path, tmp_path: Path
) -> None:
    """No level is stated if shuffled confidences do as well; the page has no script."""
    data = b"The cat 3\n<b>and</b> {name} ran\n\nThe cat 3\n"
    made = _run(wanted(models, data, "txt", tmp_path / "a.txt"))
    assert made.calibration is not None
    assert made.calibration.levels == ()
    table = (tmp_path / "a.txt.review.tsv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table), delimiter="\t"))
    assert [row["source"] for row in rows] == ["The cat 3", "and {name} ran", "The cat 3"]
    assert {row["trust"] for row in rows} == {""}
    page = (tmp_path / "a.txt.review.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("The cat 3") >= 2


def test_the_prompt_is_the_one_that_was_trained() -> None:
    """Names of languages and the text stand in the recipe's own words."""
    assert WAY.question("a {b}") == "To Hausa:\na {b}"
