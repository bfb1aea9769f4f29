"""A package outside the tree adds formats that every verb takes like our own."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.pipeline.plan import steps_of
from finetune.spec.load import load_card, load_project
from tests.support.project import write_project
from tests.support.surroundings import Inside

CODE = '''\
"""Two formats: the journal of a radio, and a word list."""
from finetune.errors import DataError
from finetune.messages import phrase, sentence
from finetune.readers.guards import library, unreadable
from finetune.readers.numbered_lines import numbered_lines
from finetune.readers.record import Record
from finetune.readers.tables import record_of
from finetune.spec.formats import Format


def read_journal(files, *, corpus):
    """One text per line: `HH:MM text`."""
    for file in files:
        for number, line in numbered_lines(file, encoding=corpus.encoding):
            at = file.place(number)
            time, _, text = line.partition(" ")
            if line and not time.replace(":", "").isdigit():
                what = phrase("a journal of the radio")
                raise unreadable(at, what=what, why=f"no time: {time!r}")
            if text:
                yield Record(at, {"text": text})


def read_words(files, *, corpus):
    """Entries: `word = meaning`."""
    for file in files:
        for number, line in numbered_lines(file, encoding=corpus.encoding):
            word, _, meaning = line.partition(" = ")
            row = {"word": word, "meaning": meaning}
            yield record_of(file.place(number), row, corpus)


def read_tape(files, *, corpus):
    library("no_such_library", form="tape")


def names(file):
    return ["word", "meaning"]


JOURNAL = Format(
    "journal",
    "radio_reader:read_journal",
    suffixes=(".radio",),
    kinds=("text",),
    documents=True,
    about=sentence("journal of the radio"),
)
WORDS = Format("words", "radio_reader:read_words", suffixes=(".lex",), columns="radio_reader:names")
TAPE = Format(
    "tape", "radio_reader:read_tape", suffixes=(".tape",), documents=True
)
'''
ENTRY_POINTS = """\
[finetune.readers]
journal = radio_reader:JOURNAL
words = radio_reader:WORDS
tape = radio_reader:TAPE
plain = radio_reader:read_words
"""
METADATA = "Metadata-Version: 2.1\nName: radio-reader\nVersion: 1.0\n"
SAID = "".join(f"07:{n:02d} Ina kwana lafiya {n * 7} ɗan gida.\n" for n in range(60))
LEXICON = "".join(f"open door {n} = bude kofa {n} ƙ\n" for n in range(60))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: Inside) -> Path:
    """A folder to work in, and the package on the path as pip would have put it."""
    site = tmp_path / "site"
    about = site / "radio_reader-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "radio_reader.py").write_text(CODE, encoding="utf-8")
    (about / "METADATA").write_text(METADATA, encoding="utf-8")
    (about / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    inside(tmp_path)
    Path("day.radio").write_text(SAID, encoding="utf-8")
    Path("pairs.lex").write_text(LEXICON, encoding="utf-8")
    return tmp_path


def new(file: str, *flags: str, language: str = "hau_Latn") -> int:
    """Make a card of a file."""
    said = ("--licence=mit", "--contact=radio@example.org", "--basis=written", "--consent=yes")
    return main(["cards", "new", file, f"--language={language}", "--lang=en", *said, *flags])


def test_cards_and_recipes_take_them_like_our_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """cards new knows the endings and columns, cards check reads, check agrees, prepare packs."""
    recipe = write_project(folder)
    for card in (folder / "data_cards").iterdir():
        card.unlink()
    pairs = ["--name=pairs", "--column=eng_Latn=word", "--column=hau_Latn=meaning"]
    assert new("day.radio", "--name=lines") == 0
    assert new("pairs.lex", *pairs, language="eng_Latn hau_Latn") == 0
    cards = {name: load_card(Path(f"data_cards/{name}.md")) for name in ("lines", "pairs")}
    assert {name: card.corpus.format for name, card in cards.items()} == {
        "lines": "journal",
        "pairs": "words",
    }
    assert cards["lines"].corpus.columns == {}
    assert "| texts | 60 |" in cards["lines"].body
    assert main(["cards", "check", "--lang=en"]) == 0
    assert main(["check", str(recipe)]) == 0
    assert main(["prepare", str(recipe), "--store", str(folder / "store")]) == 0
    [manifest] = (folder / "store" / "prepare").glob("*/manifest.json")
    ledger = (manifest.parent / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    assert Counter(json.loads(line)["card"] for line in ledger) == {"lines": 60, "pairs": 60}


def test_another_version_of_the_package_prepares_anew(folder: Path) -> None:
    """The key of a prepared corpus holds the package's version; that of the base does not."""
    recipe = write_project(folder)
    (folder / "data_cards" / "lines.md").unlink()
    assert new("day.radio", "--name=lines") == 0

    def keys(version: str) -> dict[str, str]:
        about = folder / "site" / "radio_reader-1.0.dist-info" / "METADATA"
        about.write_text(METADATA.replace("1.0", version), encoding="utf-8")
        return {step.stage.name: step.key for step in steps_of(load_project(recipe))}

    old, newer = keys("1.0"), keys("1.1")
    assert keys("1.0") == old
    assert {stage for stage in old if old[stage] != newer[stage]} == set(old) - {"base"}


def test_where_the_package_is_missing_that_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a machine without the package a card of its format is not taken for a broken one."""
    recipe = write_project(folder)
    (folder / "data_cards" / "lines.md").unlink()
    assert new("day.radio", "--name=lines") == 0
    (folder / "site" / "radio_reader-1.0.dist-info" / "entry_points.txt").unlink()
    assert main(["check", str(recipe)]) == 2
    said = capsys.readouterr().err
    assert "lines.md: corpus.format: 'journal' is none of the readers: " in said
    assert "columns" not in said


def test_what_it_refuses_is_a_finding(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error of the package is shown by `cards check` with its place."""
    assert new("day.radio") == 0
    file = next(Path("data_cards").rglob("day.radio"))
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_text("Ina kwana\n", encoding="utf-8")
    after = hashlib.sha256(file.read_bytes()).hexdigest()
    card = Path("data_cards/day.md")
    card.write_text(card.read_text("utf-8").replace(before, after), encoding="utf-8")
    capsys.readouterr()
    assert main(["cards", "check", "day", "--lang=fr"]) == 2
    assert "day.radio:1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["x.bin"],
            "give it with --format, one of .*html, journal, json, jsonl, messages",
        ),
        (["x.bin", "--format=jurnal"], "write one of these: .*Did you mean 'journal'"),
        (["pairs.lex", "--language=eng_Latn hau_Latn"], "state the columns: .*word, meaning"),
        (["day.radio", "--language=eng_Latn hau_Latn"], "`journal` is for cards of kind text, and"),
        (["x.tape"], r"reading \.tape files .*no_such_library"),
        (["pairs.lex", "--format=plain"], "columns: name the column of the text"),
    ],
)
def test_messages_know_them(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """Errors name their formats, columns and packages."""
    Path("x.bin").write_bytes(b"x")
    Path("x.tape").write_bytes(b"x")
    file, *flags = arguments
    assert main(["cards", "new", file, "--language=hau_Latn", "--lang=en", *flags]) == 2
    assert re.search(words, capsys.readouterr().err)
    assert list(folder.rglob("*.md")) == []
