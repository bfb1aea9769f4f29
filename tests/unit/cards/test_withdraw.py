"""Which records are meant, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.cards.withdraw import records_in_file, records_of_contributor, trace
from finetune.cli import main
from finetune.errors import DataError
from finetune.pipeline.store import Request, Store
from finetune.spec.card import DataCard
from finetune.spec.withdrawn import list_path, record_hash
from tests.support.prepare_job import make_card, pairs_card
from tests.unit.cards.test_check import write

ROWS = "text\twho\nñaar\tAmina\nbenn\tMusa\nñett\tAmina\n"


def radio(folder: Path) -> DataCard:
    """Return a card whose texts have contributors."""
    columns = {"text": "text", "contributor": "who"}
    return make_card(folder, "radio", ROWS, format="tsv", columns=columns)


def hashes(*texts: str) -> frozenset[str]:
    """Return the record hashes of texts."""
    return frozenset(record_hash({"text": text}) for text in texts)


def prepared(
    store: Store, key: str, *, cards: list[str], lines: list[dict[str, Any]] | None
) -> None:
    """Put a prepared corpus into the store; without `lines` it is one from before ledgers."""

    def build(workspace: Path) -> dict[str, Any]:
        if lines is not None:
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (workspace / "ledger.jsonl").write_text(text)
        return {}

    content = {"content": {"cards": {card: {} for card in cards}}}
    store.build(Request("prepare", key, "tiny", content, {}), build)


def line(text: str, *, card: str = "radio", who: str | None = None) -> dict[str, Any]:
    """Return a line of a ledger."""
    return {"record": record_hash({"text": text}), "card": card, "contributor": who}


def test_a_contributor_is_found_in_files_and_ledgers(tmp_path: Path) -> None:
    """What a person gave is meant, also a text that stands in no file any more."""
    store = Store(tmp_path / "store")
    prepared(store, "a", cards=["radio"], lines=[line("gone", who="Amina"), line("x", who="Musa")])
    meant = records_of_contributor(radio(tmp_path), "Amina", store=store)
    assert meant.hashes == hashes("ñaar", "ñett", "gone")
    assert meant.places == ("radio.tsv:2", "radio.tsv:4")


def test_records_are_named_by_text_or_fingerprint(tmp_path: Path) -> None:
    """Unicode form and spaces at the ends make no difference; comments count for nothing."""
    [musa] = hashes("benn")
    (tmp_path / "take.txt").write_text(f"# taken back\n n\u0303aar \n{musa}\n", encoding="utf-8")
    meant = records_in_file(radio(tmp_path), tmp_path / "take.txt", store=Store(tmp_path / "s"))
    assert meant.hashes == hashes("ñaar", "benn")


def test_one_side_names_a_pair(tmp_path: Path) -> None:
    """The text of either language withdraws the pair."""
    card = pairs_card(tmp_path, pairs=[("one", "benn"), ("two", "ñaar")])
    (tmp_path / "take.txt").write_text("ñaar\n", encoding="utf-8")
    meant = records_in_file(card, tmp_path / "take.txt", store=Store(tmp_path / "s"))
    assert meant.hashes == {record_hash({"eng_Latn": "two", "hau_Latn": "ñaar"})}


def test_a_line_that_names_nothing_stops_it_all(tmp_path: Path) -> None:
    """Its number is told and not its text; nothing counts as withdrawn."""
    (tmp_path / "take.txt").write_text("ñaar\nsecret\n" + "0" * 64 + "\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        records_in_file(radio(tmp_path), tmp_path / "take.txt", store=Store(tmp_path / "s"))
    assert len(caught.value.problems) == 3
    assert "take.txt:2: no record" in caught.value.problems[0]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"), [("Binta", r"gave no record .* has 2 other names"), ("amina", "no record")]
)
def test_an_unknown_contributor_is_refused(tmp_path: Path, name: str, words: str) -> None:
    """A name that gave nothing is an error that tells no other names."""
    with pytest.raises(DataError, match=words) as caught:
        records_of_contributor(radio(tmp_path), name, store=Store(tmp_path / "s"))
    assert "Musa" not in str(caught.value)


def test_without_a_column_of_contributors_the_other_way_is_named(tmp_path: Path) -> None:
    """--records is what helps where nobody wrote down who gave what."""
    card = make_card(tmp_path, "text", "benn\n")
    with pytest.raises(DataError, match="--records FILE"):
        records_of_contributor(card, "Amina", store=Store(tmp_path / "s"))


def test_only_what_holds_them_is_named(tmp_path: Path) -> None:
    """Other cards and corpora without these records are left alone; one without ledger is named."""
    store = Store(tmp_path / "store")
    prepared(store, "with", cards=["radio"], lines=[line("ñaar"), line("benn")])
    prepared(store, "without", cards=["radio"], lines=[line("benn")])
    prepared(store, "other", cards=["other"], lines=[line("ñaar", card="other")])
    prepared(store, "old", cards=["radio"], lines=None)
    for key, start in (("t1", "prepare/with"), ("t2", "prepare/without"), ("t3", "train/t1")):
        request = Request("train", key, "tiny", {"content": {}}, {"prepare": start})
        store.build(request, lambda _: {})
    held = {h.name: h.records for h in trace(store, radio(tmp_path), hashes("ñaar"))}
    assert held == {"prepare/with": 1, "prepare/old": None, "train/t1": None, "train/t3": None}


def test_a_dry_run_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--dry-run says what would be withdrawn, in French too; the real one writes the list once."""
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path)
    arguments = ["cards", "withdraw", str(path), "--lang", "fr"]
    assert main([*arguments, "--dry-run"]) == 0
    assert not list_path(path).exists()
    out = capsys.readouterr().out
    assert "Toute la fiche radio est retirée" in out
    assert "Rien n'a été écrit" in out
    assert main(arguments) == 0
    assert main(arguments) == 0
    assert list_path(path).read_text().count("all\n") == 1


def test_two_ways_at_once_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--records and --contributor exclude each other, and nothing is written."""
    path = write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert (
        main(["cards", "withdraw", "radio", "--cards", ".", "--records=x", "--contributor=y"]) == 2
    )
    assert "give one of the two" in capsys.readouterr().err
    assert not list_path(path).exists()
