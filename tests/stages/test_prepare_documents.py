from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.job import Job
from finetune.artefacts.results import PrepareResult, parse_result
from finetune.prepare.reading.document import text_id
from finetune.prepare.run import run
from finetune.spec.card import DataCard
from finetune.spec.withdrawn import record_hash
from tests.support.prepare_job import make_card, make_job, pairs_card

ANIMALS = ("kyanwa", "kare", "saniya", "akuya", "doki", "rakumi")
BOOKS = {
    f"{animal}.txt": [f"Labari na {n * 7}: {animal} {n} ta zauna a gida." for n in range(40)]
    for animal in ANIMALS
}


@dataclass(frozen=True)
class Prepared:
    """The split of each record, the marks of test items, and the result."""

    splits: Mapping[str, str]
    """Record hash -> split."""
    held_out: Mapping[str, str | None]
    """Id of a test item -> what is held out with it."""
    result: PrepareResult
    said: str

    def split_of(self, text: str) -> str | None:
        """Return the split of a plain text; None if it was rejected."""
        return self.splits.get(record_hash({"text": text}))

    def whole(self, books: Mapping[str, list[str]]) -> set[str]:
        """Return the documents of which each kept text is a marked test text."""
        return {
            name
            for name, texts in books.items()
            if all(self.held_out.get(text_id(text)) == "document" for text in texts)
        }


def prepared(folder: Path, *cards: DataCard, **settings: Any) -> Prepared:
    """Prepare cards."""
    job = make_job(folder, *cards, **settings)
    result = run(job)
    return Prepared(
        {one["record"]: one["split"] for one in _lines(job, "ledger.jsonl")},
        {one["id"]: one.get("held_out") for one in _lines(job, "test/items.jsonl")},
        parse_result(result, PrepareResult, path=job.workspace),
        job.console.out.getvalue(),  # type: ignore[attr-defined]
    )


def _lines(job: Job, name: str) -> list[dict[str, Any]]:
    return [json.loads(x) for x in (job.workspace / name).read_text("utf-8").splitlines()]


def card_of(folder: Path, books: Mapping[str, list[str]], **corpus: Any) -> DataCard:
    """Return a text card with a file per book."""
    return make_card(folder, "books", {n: "\n".join(t) + "\n" for n, t in books.items()}, **corpus)


def test_every_text_of_a_held_out_document_is_a_marked_test_text(tmp_path: Path) -> None:
    """One of six books is held out, its cost is reported, and single texts of others are too."""
    found = prepared(tmp_path, card_of(tmp_path, BOOKS), test_share=0.1)
    whole = found.whole(BOOKS)
    assert len(whole) == 1
    assert {found.split_of(text) for text in BOOKS[whole.pop()]} == {"test"}
    assert list(found.held_out.values()).count("document") == 40
    assert list(found.held_out.values()).count(None) > 0
    [counts] = found.result.documents
    assert (counts.documents, counts.held_out, counts.texts) == (6, 1, 40)
    assert counts.share == pytest.approx(1 / 6, abs=1e-3)
    assert "1 of 6 documents held out as a whole, with 40 texts (17% of the card's)" in found.said


def test_more_text_moves_no_text_to_another_side(tmp_path: Path) -> None:
    """A text that is added, or withdrawn, changes the split of no other."""
    more = {name: [*texts, f"Sabon layi na {name}"] for name, texts in BOOKS.items()}
    gone = {record_hash({"text": texts[3]}) for texts in BOOKS.values()}
    card = card_of(tmp_path / "c", BOOKS).model_copy(update={"withdrawn": frozenset(gone)})
    first = prepared(tmp_path / "a", card_of(tmp_path / "a", BOOKS)).splits
    second = prepared(tmp_path / "b", card_of(tmp_path / "b", more)).splits
    third = prepared(tmp_path / "c", card).splits
    assert {record: second[record] for record in first} == first
    assert third == {record: split for record, split in first.items() if record not in gone}


def test_no_text_of_a_held_out_document_is_trained_on(tmp_path: Path) -> None:
    """A text that another document or card repeats stays in the test alone, and is counted."""
    [whole] = prepared(tmp_path / "a", card_of(tmp_path / "a", BOOKS)).whole(BOOKS)
    repeated = BOOKS[whole][:10]
    other = next(name for name in BOOKS if name != whole)
    books = BOOKS | {other: [*repeated, *BOOKS[other]]}
    found = prepared(
        tmp_path / "b",
        card_of(tmp_path / "b", books),
        make_card(tmp_path / "b", "again", "\n".join(repeated) + "\n"),
    )
    assert {found.split_of(text) for text in repeated} == {"test"}
    rejected = found.result.rejected or {}
    alone = sum(found.held_out[text_id(text)] is None for text in repeated)
    assert sum(rejected.get(key, 0) for key in ("in-evaluation", "duplicate")) == 20
    assert alone == 0 or rejected["duplicate"] >= alone


def test_books_of_one_name_are_held_out_in_every_language(tmp_path: Path) -> None:
    """Cards with documents of the same names hold out the same ones."""

    def card(language: str) -> DataCard:
        files = {
            f"{x}/{n}.txt": "".join(f"{x} {n} {i * 3} ta.\n" for i in range(20))
            for n in ANIMALS
            for x in ("en", language[:2])
        }
        return make_card(
            tmp_path / language,
            language[:3],
            files,
            kind="parallel",
            format="aligned",
            languages=["eng_Latn", language],
            columns={"eng_Latn": "en", language: language[:2]},
        )

    corpora = [{"card": x[:3], "source": "eng_Latn", "target": x} for x in ("hau_Latn", "yor_Latn")]
    found = prepared(tmp_path, card("hau_Latn"), card("yor_Latn"), corpora=corpora)
    assert [one.held_out for one in found.result.documents] == [1, 1]
    marked = [x for x, held in found.held_out.items() if held == "document"]
    assert len(marked) == 20  # ids of English lines, each once: the same lines in both languages


@pytest.mark.parametrize(
    ("why", "corpus", "settings"),
    [
        ("setting", {}, {"hold_out_documents": "none"}),
        ("card", {"test": ["kare.txt"]}, {}),
    ],
)
def test_why_no_document_is_held_out(
    tmp_path: Path, why: str, corpus: dict[str, Any], settings: dict[str, Any]
) -> None:
    """None is where the recipe holds none out, and where the card names its test."""
    found = prepared(tmp_path, card_of(tmp_path, BOOKS, **corpus), **settings)
    assert [one.why for one in found.result.documents] == [why]
    assert "document" not in found.held_out.values()


def test_a_text_that_is_a_whole_file_is_held_out_alone(tmp_path: Path) -> None:
    """With `unit: file` held-out texts are other documents, so no more is held out."""
    letters = {f"{n}.txt": [f"Wasika ta {n * 3}.", f"Ruwa {n * 7} zai sauka."] for n in range(40)}
    found = prepared(tmp_path, card_of(tmp_path, letters, unit="file"))
    assert [one.why for one in found.result.documents] == ["whole"]
    assert set(found.held_out.values()) == {None}


def test_a_corpus_of_one_document_or_few_says_so(tmp_path: Path) -> None:
    """One document is a stated limit; of two, one is held out if the recipe asks for it."""
    one = prepared(tmp_path / "1", pairs_card(tmp_path / "1"))
    assert [found.why for found in one.result.documents] == ["one"]
    assert "pairs: one document each, so nothing can be said about texts of other" in one.said
    two = dict(list(BOOKS.items())[:2])
    few = prepared(tmp_path / "2", card_of(tmp_path / "2", two))
    assert [found.why for found in few.result.documents] == ["few"]
    asked = prepared(tmp_path / "3", card_of(tmp_path / "3", two), hold_out_documents="always")
    assert len(asked.whole(two)) == 1


def test_a_column_names_documents(tmp_path: Path) -> None:
    """Records of a table are held out by the document that a column names."""
    rows = "".join(f"{name}\t{text}\n" for name, texts in BOOKS.items() for text in texts)
    card = make_card(
        tmp_path,
        "t",
        "book\ttext\n" + rows,
        format="tsv",
        columns={"text": "text", "document": "book"},
    )
    found = prepared(tmp_path, card)
    assert len(found.whole(BOOKS)) == 1


def test_nothing_of_a_card_for_evaluation_only_is_trained_on(tmp_path: Path) -> None:
    """Each of its texts is a marked test text, and copies in another card are not trained on."""
    radio = [f"Rediyo ta ce {n * 3}: ruwa zai sauka." for n in range(30)]
    found = prepared(
        tmp_path,
        make_card(tmp_path, "books", "\n".join([*radio[:5], *BOOKS["kare.txt"]]) + "\n"),
        make_card(tmp_path, "radio", "\n".join(radio) + "\n"),
        corpora=[{"card": "books"}, {"card": "radio", "evaluate_only": True}],
    )
    assert {found.split_of(text) for text in radio} == {"test"}
    assert sum(held == "card" for held in found.held_out.values()) >= 25
    assert [one.why for one in found.result.documents] == ["one", "evaluate-only"]
