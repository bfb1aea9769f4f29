"""Exported chats: messages without date and sender; the card states who is named."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from finetune.cards.brought_files import format_of
from finetune.readers.record import Record
from finetune.readers.units import units_of
from finetune.sources.files import resolve_files
from tests.support.prepare_job import make_card
from tests.support.reading import problem_of, rejections, texts_of

CHAT: dict[str, Any] = {"format": "chat-export", "personal_names": "present"}
FORMS = {
    "Android": "01/05/2024, 09:12 - {who}: {text}",
    "Android, 12 hours": "5/1/24, 9:12\u202fAM - {who}: {text}",
    "Android, French": "01/05/2024 \u00e0 09:12 - {who}: {text}",
    "Android, year first": "2024-05-01, 9:12 p. m. - {who}: {text}",
    "Android, Arabic": "\u200f\u0661\u200f/\u0665\u200f/\u0662\u0664\u060c \u0669:\u0661\u0662"
    " \u0635 - {who}: {text}",
    "iOS": "[01.05.24, 10:02:11] {who}: {text}",
    "iOS, unsaved name": "\u200e[01/05/2024, 10:02:11] ~\u202f{who}: \u200e{text}",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_messages_are_texts_without_date_and_sender(tmp_path: Path, form: str) -> None:
    lines = [
        *(form.format(who="Awa Ndiaye", text="Nanga def?"), "yaw mi ci kaw"),
        form.format(who="+221 77 000 00 00", text="Maa ngi fi rekk: ana nga?"),
        form.format(who="Awa Ndiaye", text="<Media omitted>"),
        form.format(who="Awa Ndiaye", text="Waaw <This message was edited>"),
        form.partition("{who}")[0].rstrip("~\u202f ") + " Messages are end-to-end encrypted.",
    ]
    content = "\n".join(lines)
    assert texts_of(tmp_path, content, **CHAT) == [
        *(("Nanga def?\nyaw mi ci kaw",), ("Maa ngi fi rekk: ana nga?",), ("Waaw",))
    ]
    assert rejections(tmp_path / "r", content, **CHAT) == [
        ("chat-notice", "<Media omitted>"),
        ("chat-notice", "Messages are end-to-end encrypted."),
    ]


def test_messages_copied_from_telegram_have_sender_and_time_in_a_line_above(tmp_path: Path) -> None:
    heads = ("Awa Ndiaye, [01.05.2024 09:12]", "Bo, [01.05.24 21:13]:", "Awa, [5/1/24, 9:14 PM]")
    content = "".join(f"{head}\nWaaw {n}\nyaw itam\n\n" for n, head in enumerate(heads))
    assert texts_of(tmp_path, content, **CHAT) == [(f"Waaw {n}\nyaw itam",) for n in range(3)]
    assert problem_of(tmp_path / "t", content).code == "text-is-a-chat"


CONTENT = "".join(
    f"{FORMS['Android'].format(who=who, text='Waaw')}\n" for who in ("Awa", "Bo", "Bo")
)


def test_a_chat_is_refused_until_the_card_states_the_names(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, CONTENT, format="chat-export")
    assert (problem.code, problem.facts["count"]) == ("chat-names-not-stated", 2)


def test_plain_text_that_is_a_chat_is_refused(tmp_path: Path) -> None:
    assert problem_of(tmp_path, CONTENT).code == "text-is-a-chat"


def test_senders_are_contributors_and_their_names_are_masked(tmp_path: Path) -> None:
    card = make_card(tmp_path, "corpus", CONTENT, **CHAT)
    units = list(units_of(card, resolve_files(card, inputs={})))
    assert [unit.contributor for unit in units if isinstance(unit, Record)] == ["Awa", "Bo", "Bo"]
    assert units[0].names == ("Awa", "Bo")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("1\tIna kwana.\n2\tLafiya.\n3\tYau.\n", "text-is-a-table"),
        ("11\thau\tIna kwana.\n12\thau\tLafiya.\n13\thau\tYau.\n", "text-is-a-table"),
        ("11\thau\tIna kwana.\n12\tLafiya.\n13\thau\tYau.\n", "text-is-a-ragged-table"),
    ],
)
def test_plain_text_that_is_a_table_is_refused(tmp_path: Path, content: str, code: str) -> None:
    assert problem_of(tmp_path, content).code == code


def test_commas_and_indents_make_no_table(tmp_path: Path) -> None:
    lines = ["Ina kwana, malam", "Lafiya, na gode", "\tYau, da gobe", "Sai an jima, Ali"]
    assert [text for (text,) in texts_of(tmp_path, "\n".join(lines))] == lines
    indented = "\n".join(f"\t{line}" for line in "abc")
    assert len(texts_of(tmp_path / "i", indented)) == 3


def test_the_format_is_that_of_the_content(tmp_path: Path) -> None:
    for name, content, form in [
        ("chat.txt", CONTENT.encode(), "chat-export"),
        ("LEIPZIG.TXT", b"1\ta\n2\tb\n3\tc\n", "tsv"),
        ("plain.txt", b"a, b\nc, d\ne, f\n", "text"),
        ("rows.txt", b"id;text\n1;a b\n2;c, d\n", "csv"),
        ("numbers.txt", b"id,text\n1,a b\n2,c; d\n", "csv"),
        ("verse.txt", b"a; b\nc; d\ne; f;\n", "text"),
        ("chat.txt.gz", gzip.compress(CONTENT.encode()), "chat-export"),
        ("records.txt", b'{"text": "a"}\n{"text": "b"}\n', "jsonl"),
        ("array.txt", b'[\n {"text": "a"}]', "jsonl"),
        ("braces.txt", b"{a}\n[b]\n{c}\n", "text"),
        ("cues.txt", b"1\n00:00:01,000 --> 00:00:02,000\na\n\n" * 3, "subtitles"),
        ("catalogue.txt", b'# a\nmsgid ""\nmsgstr ""\n', "po"),
        ("toolbox.txt", b"\\_sh v3.0  400  Text\n\n\\id a\n", "toolbox"),
        ("markers.txt", b"\\ref 1\n\\tx a\n\\ft b\n\n\\ref 2\n\\tx c\n\\ft d\n", "toolbox"),
        ("words.db", b"\\lx a\n\\ge b\n\n\\lx c\n\\ge d\n\n\\lx e\n\\ge f\n", "toolbox"),
        ("latex.txt", b"\\section{A}\nText\n\\emph{b} c\n\nText\nd\ne\n", "text"),
        ("report.csv", b"%PDF-1.4", "pdf"),
        ("page.csv", b"<html><table></table></html>", "html"),
        ("TABLE.CSV", b"id;text\n", "csv"),
    ]:
        (tmp_path / name).write_bytes(content)
        found = format_of([tmp_path / name])
        assert found is not None
        assert found.name == form, name
