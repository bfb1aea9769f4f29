"""Selection of withdrawn records, and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.cards.withdraw import records_in_file, records_of_contributor, trace
from finetune.cli import main
from finetune.errors import DataError
from finetune.pipeline.store import Request, Store
from finetune.spec.card import DataCard
from finetune.spec.withdrawn import list_path, record_hash
from tests.support.good_card import write
from tests.support.prepare_job import make_card, pairs_card
from tests.support.withdrawn_card import line, prepared

ROWS = "text\twho\nñaar\tAmina\nbenn\tMusa\nñett\tAmina\n"


def radio(folder: Path) -> DataCard:
    """Return a card whose texts have contributors."""
    columns = {"text": "text", "contributor": "who"}
    return make_card(folder, "radio", ROWS, format="tsv", columns=columns)


def hashes(*texts: str) -> frozenset[str]:
    """Return the record hashes of texts."""
    return frozenset(record_hash({"text": text}) for text in texts)


def test_a_contributor_is_found_in_files_and_ledgers(tmp_path: Path) -> None:
    """All texts of a contributor are withdrawn, also those no longer in a file."""
    store = Store(tmp_path / "store")
    prepared(store, "a", cards=["radio"], lines=[line("gone", who="Amina"), line("x", who="Musa")])
    meant = records_of_contributor(radio(tmp_path), "Amina", store=store)
    assert meant.hashes == hashes("ñaar", "ñett", "gone")
    assert meant.places == ("radio.tsv:2", "radio.tsv:4")


def test_records_are_named_by_text_or_fingerprint(tmp_path: Path) -> None:
    """Unicode form and spaces at the ends make no difference; comments count for nothing."""
    [musa] = hashes("benn")
    (tmp_path / "take.txt").write_text(f"# withdrawn\n n\u0303aar \n{musa}\n", encoding="utf-8")
    meant = records_in_file(radio(tmp_path), tmp_path / "take.txt", store=Store(tmp_path / "s"))
    assert meant.hashes == hashes("ñaar", "benn")


def test_one_side_names_a_pair(tmp_path: Path) -> None:
    """The text of either language withdraws the pair."""
    card = pairs_card(tmp_path, pairs=[("one", "benn"), ("two", "ñaar")])
    (tmp_path / "take.txt").write_text("ñaar\n", encoding="utf-8")
    meant = records_in_file(card, tmp_path / "take.txt", store=Store(tmp_path / "s"))
    assert meant.hashes == {record_hash({"eng_Latn": "two", "hau_Latn": "ñaar"})}


def test_a_line_that_names_nothing_stops_it_all(tmp_path: Path) -> None:
    """Its number is shown and not its text; nothing counts as withdrawn."""
    (tmp_path / "take.txt").write_text("ñaar\nsecret\n" + "0" * 64 + "\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        records_in_file(radio(tmp_path), tmp_path / "take.txt", store=Store(tmp_path / "s"))
    assert len(caught.value.problems) == 3
    first = caught.value.problems[0]
    assert (first.code, first.place.line) == ("no-such-record", 2)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("name", "near"), [("Binta", ""), (" AMINA", "Amina")])
def test_an_unknown_contributor_is_refused(tmp_path: Path, name: str, near: str) -> None:
    """A name without texts is an error; proposed are only names with the same letters or words."""
    with pytest.raises(DataError) as caught:
        records_of_contributor(radio(tmp_path), name, store=Store(tmp_path / "s"))
    [refused] = caught.value.problems
    assert (refused.code, refused.facts["count"]) == ("contributor-unknown", 2)
    assert "Musa" not in str(caught.value)
    proposed = str(refused.facts["near"])
    assert near in proposed
    assert bool(near) == bool(proposed)


def test_without_a_column_of_contributors_the_other_way_is_named(tmp_path: Path) -> None:
    """--records works without recorded contributors."""
    card = make_card(tmp_path, "text", "benn\n")
    with pytest.raises(DataError) as caught:
        records_of_contributor(card, "Amina", store=Store(tmp_path / "s"))
    assert caught.value.codes == ("no-contributor-column",)


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


def test_a_damaged_ledger_hides_nothing(tmp_path: Path) -> None:
    """It is not trusted: the corpus, and artefacts made from it, may contain the texts."""
    warned: list[str] = []
    store = Store(tmp_path / "store", warn=warned.append)
    prepared(store, "torn", cards=["radio"], lines=[line("benn")])
    prepared(store, "flipped", cards=["radio"], lines=[line("benn")])
    store.build(Request("train", "t1", "tiny", {}, {"prepare": "prepare/torn"}), lambda _: {})
    (tmp_path / "store/prepare/torn/ledger.jsonl").write_text("{")
    flipped = tmp_path / "store/prepare/flipped/ledger.jsonl"
    flipped.write_bytes(flipped.read_bytes().replace(b"radio", b"radip"))
    held = {h.name: h.records for h in trace(store, radio(tmp_path), hashes("ñaar"))}
    assert held == {"prepare/torn": None, "prepare/flipped": None, "train/t1": None}
    meant = records_of_contributor(radio(tmp_path), "Amina", store=store)
    assert meant.hashes == hashes("ñaar", "ñett")
    assert len([w for w in warned if "ledger.jsonl" in w and "finetune runs --store" in w]) == 2


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run says in the conditional what it would do; the real one writes the list once."""
    path = write(tmp_path)
    store = ["--store", str(tmp_path / "store")]
    arguments = ["cards", "withdraw", str(path), "--lang", "fr", *store]
    assert main([*arguments, "--dry-run"]) == 0
    assert not list_path(path).exists()
    assert "serait" in capsys.readouterr().out
    assert main(arguments) == 0
    assert main(arguments) == 0
    assert list_path(path).read_text().count("all\n") == 1


def test_two_ways_at_once_are_refused(tmp_path: Path) -> None:
    """--records and --contributor exclude each other, and nothing is written."""
    path = write(tmp_path)
    both = ["--records=x", "--contributor=y", "--store", str(tmp_path / "store")]
    assert main(["cards", "withdraw", str(path), *both]) == 2
    assert not list_path(path).exists()
