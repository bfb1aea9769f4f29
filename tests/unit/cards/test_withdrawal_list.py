"""A withdrawal list that lost entries is noticed, and the commands of the message repair it."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from finetune.cards.seal import seal_card
from finetune.cli import main
from finetune.errors import RecipeError
from finetune.pipeline.corpora import read_content
from finetune.pipeline.store import Request, Store
from finetune.pipeline.withdrawals import recorded_withdrawals, refuse_lost_withdrawals
from finetune.sources.checksums import sha256_of
from finetune.spec.load import load_card
from finetune.spec.withdrawn import (
    add_withdrawn,
    list_path,
    read_list,
    read_withdrawn,
    record_hash,
    seal_of,
    write_list,
)
from tests.support.artefacts import as_of_schema_1
from tests.support.prepare_job import make_card
from tests.support.problems import raises
from tests.support.surroundings import Inside
from tests.support.withdrawn_card import line, prepared

DAY = date(2026, 11, 29)
HASHES = sorted(record_hash({"text": text}) for text in ("benn", "ñaar", "ñett"))


@pytest.fixture
def radio(tmp_path: Path, inside: Inside) -> Path:
    """Return a card in data_cards/ with two texts withdrawn on the command line."""
    inside(tmp_path)
    Path("data_cards").mkdir()
    made = make_card(Path("data_cards"), "radio", "benn\nñaar\nñett\n")
    Path("data_cards/radio.md").write_text(_text(made.corpus.source.files[0].sha256))
    Path("take.txt").write_text("benn\nñaar\n", encoding="utf-8")
    assert main(["cards", "withdraw", "radio", "--records", "take.txt"]) == 0
    return Path("data_cards/radio.md")


def _text(sha256: str, *, corpus: str = "corpus:") -> str:
    return f"""---
language: [wo]
license: mit
pretty_name: Radio
{corpus}
  kind: text
  languages: [wol_Latn]
  source:
    kind: files
    files:
      - path: radio.text
        sha256: "{sha256}"
  format: text
---
# Radio
"""


def _remember(card: Path, hashes: list[str]) -> Store:
    """Put a corpus into the store that was prepared when these had been withdrawn."""
    store = Store(Path(".finetune").resolve())
    loaded = load_card(card, with_list=False)
    part = {"cards": {"radio": read_content(loaded)}, "withdrawn": {"radio": hashes}}
    store.build(Request("prepare", "a" * 16, "tiny", {"content": part}, {}), lambda _: {})
    return store


LOSSES: dict[str, Callable[[Path], None]] = {
    "emptied": lambda path: path.write_bytes(b""),
    "only blank lines": lambda path: path.write_bytes(b"\n\n"),
    "only comments": lambda path: path.write_text("# nothing\n"),
    "deleted": Path.unlink,
    "one entry gone": lambda path: path.write_text(
        "\n".join(path.read_text().split("\n")[:-2]) + "\n"
    ),
    "first line gone, too": lambda path: path.write_text(path.read_text().split("\n")[2] + "\n"),
    "cut in the middle of an entry": lambda path: os.truncate(path, path.stat().st_size - 9),
    "an entry of another": lambda path: path.write_text(
        path.read_text().replace(read_list_of(path)[0], "0" * 64)
    ),
    "zeros, as after a power cut": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a folder in its place": lambda path: (path.unlink(), path.mkdir())[1],
    "a circle of links": lambda path: (path.unlink(), path.symlink_to(path.name))[1],
    "a dangling link": lambda path: (path.unlink(), path.symlink_to("nowhere"))[1],
}


def read_list_of(path: Path) -> list[str]:
    """Return the entries of a list."""
    return [row for row in path.read_text().splitlines() if not row.startswith("#")]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_list_that_lost_something_is_refused_and_named(
    radio: Path, loss: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The card alone knows, without any store: nothing of it can be used."""
    LOSSES[loss](list_path(radio))
    lost = ("withdrawals-lost", "no-withdrawal", "withdrawals-cannot-be-read")
    with raises(RecipeError, code=lost) as caught:
        load_card(radio)
    assert {str(problem.place.file) for problem in caught.value.problems} == {str(list_path(radio))}
    assert main(["cards", "withdraw", "radio", "--records", "take.txt"]) == 2
    assert "Traceback" not in capsys.readouterr().err


RESTORABLE = [name for name in LOSSES if not {"folder", "link", "links"} & set(name.split())]


@pytest.mark.parametrize("loss", [n for n in RESTORABLE if n not in ("an entry of another",)])
def test_the_command_that_is_reported_restores_the_list(radio: Path, loss: str) -> None:
    """Withdrawals in prepared corpora are restored, and the card can be used again."""
    before = load_card(radio).withdrawn
    _remember(radio, sorted(before))
    path = list_path(radio)
    LOSSES[loss](path)
    with pytest.raises(RecipeError) as caught:
        load_card(radio)
    _type(str(caught.value), "--restore")
    assert load_card(radio).withdrawn == before


@pytest.mark.parametrize("loss", ["emptied", "deleted", "one entry gone"])
def test_that_it_is_meant_can_be_said_with_the_command_that_is_reported(
    radio: Path, loss: str
) -> None:
    """The statement stays in the list, and the store's memory gives way to it."""
    store = _remember(radio, sorted(load_card(radio).withdrawn))
    LOSSES[loss](list_path(radio))
    with pytest.raises(RecipeError) as caught:
        load_card(radio)
    _type(str(caught.value), "--undo")
    card = load_card(radio)
    assert not card.withdrawn
    assert "back all" in list_path(radio).read_text()
    refuse_lost_withdrawals([card], store)
    assert main(["cards", "withdraw", "radio", "--records", "take.txt"]) == 0
    assert load_card(radio).withdrawn == set(recorded_withdrawals(card, store))


def test_a_list_that_may_not_be_looked_at_is_not_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without permission to read, the absence of withdrawals is unknown."""
    card = make_card(tmp_path, "radio", "benn\n").path
    real = Path.lstat

    def refused(path: Path) -> os.stat_result:
        if path == list_path(card):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "lstat", refused)
    with raises(RecipeError, code="withdrawals-cannot-be-read", at=str(list_path(card))):
        read_withdrawn(card)


def test_nothing_is_restored_where_the_store_remembers_less_than_there_was(
    radio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list is never declared whole with fewer entries than the card states."""
    one = sorted(load_card(radio).withdrawn)[:1]
    _remember(radio, one)
    list_path(radio).unlink()
    assert main(["cards", "withdraw", "radio", "--restore"]) == 2
    assert "entries before: 2" in capsys.readouterr().err
    assert not list_path(radio).exists()


def test_a_list_with_another_digit_is_not_restored_on_its_own_word(
    radio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many entries as were written are not those that were written: a bent one takes nothing
    back. With what the store remembers it is mended."""
    known = sorted(load_card(radio).withdrawn)
    whole = list_path(radio).read_text()
    bent = whole.replace(known[0], known[0].translate(str.maketrans("0123", "1230")))
    list_path(radio).write_text(bent)
    assert main(["cards", "withdraw", "radio", "--restore"]) == 2
    said = capsys.readouterr().err
    assert "remembers 0" in said
    assert "--restore" not in said, "what was just typed is no way out"
    assert list_path(radio).read_text() == bent
    _remember(radio, known)
    assert main(["cards", "withdraw", "radio", "--restore"]) == 0
    assert load_card(radio).withdrawn >= set(known)


def test_a_list_in_another_order_is_restored(radio: Path) -> None:
    """A sorted list with all remembered entries is the list that was written."""
    known = load_card(radio).withdrawn
    _remember(radio, sorted(known))
    rows = list_path(radio).read_text().splitlines()
    list_path(radio).write_text("\n".join(reversed(rows)) + "\n")
    with pytest.raises(RecipeError) as caught:
        load_card(radio)
    _type(str(caught.value), "--restore")
    assert load_card(radio).withdrawn == known


def test_nothing_to_restore_is_said(radio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A card without withdrawals has no list to restore from a backup."""
    list_path(radio).unlink()
    rows = radio.read_text().split("\n")
    radio.write_text("\n".join(row for row in rows if "withdrawals" not in row))
    assert main(["cards", "withdraw", "radio", "--restore"]) == 2
    assert "--restore" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["folder", "dangling link", "named pipe", "no text"])
def test_what_stands_in_the_place_of_a_list_is_moved_away_and_the_list_restored(
    radio: Path, kind: str
) -> None:
    """Whatever is there instead of a list, typing the message's two commands ends it."""
    known = load_card(radio).withdrawn
    _remember(radio, sorted(known))
    path = list_path(radio)
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind == "named pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b"\xff\xfe\0")
    with raises(RecipeError, code="withdrawals-cannot-be-read") as caught:
        load_card(radio)
    move = re.search(r"\((mv [^)]*)\)", str(caught.value))
    assert move is not None
    _, old, new = shlex.split(move[1])
    Path(old).rename(new)
    _type(str(caught.value), "--restore")
    assert load_card(radio).withdrawn == known


def test_the_store_remembers_where_card_and_list_do_not(radio: Path) -> None:
    """A list and the line of the card both gone: what was prepared before still says it."""
    known = sorted(load_card(radio).withdrawn)
    store = _remember(radio, known)
    list_path(radio).unlink()
    rows = radio.read_text().split("\n")
    radio.write_text("\n".join(row for row in rows if "withdrawals" not in row))
    card = load_card(radio)
    with raises(
        RecipeError, code="withdrawals-forgotten", at="radio.txt", artefact="prepare/" + "a" * 16
    ) as caught:
        refuse_lost_withdrawals([card], store)
    assert caught.value.problems[0].facts["what"].facts == {"count": 2}
    _type(str(caught.value), "--restore")
    refuse_lost_withdrawals([load_card(radio)], store)
    assert load_card(radio).withdrawn == set(known)


def test_a_card_of_another_source_is_another_card(radio: Path) -> None:
    """In a store that several projects share, only the card of the same files is held to it."""
    store = _remember(radio, ["all"])
    other = load_card(radio)
    files = [other.corpus.source.files[0].model_copy(update={"path": "tales.txt"})]
    source = other.corpus.source.model_copy(update={"files": files})
    corpus = other.corpus.model_copy(update={"source": source})
    refuse_lost_withdrawals([other.model_copy(update={"corpus": corpus})], store)
    with raises(RecipeError, code="withdrawals-forgotten", at="withdrawn/radio.txt"):
        refuse_lost_withdrawals([other], store)


@pytest.mark.parametrize("odd", [b"", b"{", b"null", b"[]", b"{}", b'{"content": 3}', b"[" * 9000])
def test_an_odd_manifest_remembers_nothing_and_stops_none(radio: Path, odd: bytes) -> None:
    """Damage of another corpus is shown by `runs`, and is no reason to refuse this card."""
    store = Store(Path(".finetune").resolve())
    folder = store.root / "prepare" / ("b" * 16)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(odd)
    assert recorded_withdrawals(load_card(radio), store) == {}


def test_lists_of_earlier_versions_are_read_and_get_their_first_line_when_written(
    tmp_path: Path,
) -> None:
    """No header is needed to read; comments of the old list are kept."""
    card = make_card(tmp_path, "radio", "benn\n").path
    list_path(card).parent.mkdir()
    list_path(card).write_text(f"# 2025-01-01\n{HASHES[0]}  # by letter\n")
    assert read_withdrawn(card) == {HASHES[0]}
    add_withdrawn(card, HASHES[1:2], day=DAY)
    rows = list_path(card).read_text().splitlines()
    assert rows[0].startswith("# 2 entries, sha256 ")
    assert rows[1:] == ["# 2025-01-01", f"{HASHES[0]}  # by letter", "# 2026-11-29", HASHES[1]]


def test_entries_added_by_hand_or_by_a_killed_command_are_more_and_not_less(radio: Path) -> None:
    """A list that has all it had, and one more, is the list that was meant."""
    with list_path(radio).open("a") as file:
        file.write(HASHES[2] + "\n")
    assert HASHES[2] in load_card(radio).withdrawn


def test_a_withdrawal_killed_before_each_of_its_writes_loses_nothing(
    radio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is old or new, the card fits it either way, and the same command finishes."""
    before = load_card(radio).withdrawn
    Path("more.txt").write_text("ñett\n", encoding="utf-8")
    command = ["cards", "withdraw", "radio", "--records", "more.txt"]
    real = Path.replace
    for left in range(2):
        done = 0

        def replace(path: Path, target: Path, left: int = left) -> Path:
            nonlocal done
            done += 1
            if done > left:
                raise KeyboardInterrupt
            return real(path, target)

        monkeypatch.setattr(Path, "replace", replace)
        assert main(command) == 130
        monkeypatch.setattr(Path, "replace", real)
        assert load_card(radio).withdrawn >= before
    assert main(command) == 0
    assert len(load_card(radio).withdrawn) == 3
    assert load_card(radio).corpus.withdrawals == seal_of(read_list(radio).entries)


def test_some_texts_are_given_back_and_taken_again(radio: Path) -> None:
    """--undo with --records undoes only these; the last entry counts."""
    Path("one.txt").write_text("benn\n")
    assert main(["cards", "withdraw", "radio", "--undo", "--records", "one.txt"]) == 0
    assert len(load_card(radio).withdrawn) == 1
    assert main(["cards", "withdraw", "radio", "--undo", "--records", "one.txt"]) == 2
    assert main(["cards", "withdraw", "radio", "--records", "one.txt"]) == 0
    assert len(load_card(radio).withdrawn) == 2


CARDS = {
    "block": _text("0" * 64),
    "comment": _text("0" * 64, corpus="corpus:  # what the Hub cannot say"),
    "windows": _text("0" * 64).replace("\n", "\r\n"),
    "mark": "\ufeff" + _text("0" * 64),
    "deep": _text("0" * 64).replace("\n  ", "\n      "),
    "flow": "---\nlanguage: [wo]\nlicense: mit\npretty_name: Radio\ncorpus: {kind: text, format: "
    "text,\n  languages: [wol_Latn], source: {kind: files, files: [{path: radio.txt, sha256: "
    f'"{"0" * 64}"}}]}}}}\n---\n# Radio\n',
}


@pytest.mark.parametrize("layout", CARDS)
def test_only_the_line_of_the_seal_changes_in_a_card(tmp_path: Path, layout: str) -> None:
    """However a card is laid out, all else stays as its owner wrote it; twice is once."""
    card = tmp_path / "radio.md"
    card.write_text(CARDS[layout], encoding="utf-8", newline="")
    for count in (1, 2, 3):
        write_list(card, HASHES[:count], day=DAY)
        assert seal_card(card, seal_of(HASHES[:count])) is None
        assert load_card(card).withdrawn == set(HASHES[:count])
    left = card.read_bytes().decode()
    assert left.count("withdrawals") == 1
    without = re.sub(r"[ \t]*withdrawals: \{[^}]*\}(,[ ]?|\r?\n)", "", left)
    assert without.replace(" ", "") == CARDS[layout].replace(" ", "")


@pytest.mark.parametrize("text", ["corpus: &a\n  kind: text\n", "x: 1\n"])
def test_a_card_laid_out_otherwise_stays_and_its_owner_is_reported_the_line(
    tmp_path: Path, text: str
) -> None:
    """Nothing is guessed in a card; the line to write is returned."""
    card = tmp_path / "radio.md"
    card.write_text(f"---\n{text}---\n# x\n")
    before = card.read_bytes()
    line_ = seal_card(card, seal_of(HASHES))
    assert line_ is not None
    assert line_.startswith("withdrawals: {entries: 3")
    assert card.read_bytes() == before


@pytest.mark.parametrize(
    "odd", ['{"record": "a', "null\n", "[]\n", '{"record": 1, "card": "radio"}\n', "[" * 9000]
)
@pytest.mark.parametrize("is_written_so", [True, False])
def test_a_torn_ledger_names_itself_and_hides_nothing(
    radio: Path, odd: str, is_written_so: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The corpus, and the adapter made from it, are still listed as holding the texts.

    Whether it changed after it was written, or was written so.
    """
    store = Store(Path(".finetune").resolve())
    prepared(store, "c" * 16, cards=["radio"], lines=[line("benn")])
    ledger = store.root / "prepare" / ("c" * 16) / "ledger.jsonl"
    ledger.write_text(json.dumps(line("other")) + "\n" + odd)
    words = "ledger.jsonl: "
    if is_written_so:
        words = "ledger.jsonl:2: no line of a ledger"
        files = json.loads((ledger.parent / "manifest.json").read_text())["files"]
        files["ledger.jsonl"] = {
            "sha256": sha256_of(ledger),
            "size_bytes": ledger.stat().st_size,
        }
        as_of_schema_1(ledger.parent, files=files)
    store.build(
        Request("train", "d" * 16, "tiny", {"content": {}}, {"prepare": f"prepare/{'c' * 16}"}),
        lambda _: {},
    )
    assert main(["cards", "withdraw", "radio", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert f"prepare/{'c' * 16}" in said
    assert f"train/{'d' * 16}" in said
    assert words in " ".join(said.split())


def _type(message: str, option: str) -> None:
    """Type the command of a message that has an option."""
    found = re.search(rf"finetune (cards withdraw [^;]*{option}[^;]*)", message)
    assert found, message
    assert main(shlex.split(found[1])) == 0
