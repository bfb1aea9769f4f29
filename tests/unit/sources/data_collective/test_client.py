"""Mozilla Data Collective: its own client, over HTTP against a server of the tests."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finetune.cli import main
from finetune.errors import DataError, FinetuneError, InputError, MissingPackageError, StoreError
from finetune.output.console import Console
from finetune.sources.data_collective import client
from finetune.sources.data_collective.archive import fetch_files
from finetune.sources.fetch import run_corpus
from finetune.sources.files import resolve_files
from finetune.spec.card import DataCard
from finetune.spec.load import load_card
from tests.support.collective_server import (
    ARCHIVE,
    DATASET,
    FILES,
    KEY,
    Collective,
    collective_server,
    packed,
    sha256,
)
from tests.support.problems import raises
from tests.support.surroundings import Inside, Variables

NAME = "wolof/train.tsv"
PINS = {NAME: sha256(FILES[NAME])}


@pytest.fixture
def collective(variables: Variables, inside: Inside, tmp_path: Path) -> Iterator[Collective]:
    """The server, a key in the environment, and a working folder with another key in `.env`."""
    pytest.importorskip("datacollective", reason="the extra `mdc` is not installed")
    inside(tmp_path)
    Path(".env").write_text("MDC_API_KEY=of-a-file\nMDC_FROM_A_FILE=1\n")
    with collective_server() as state:
        variables(MDC_API_URL=state.url, MDC_API_KEY=KEY, HOME=str(tmp_path / "home"))
        yield state


def fetched(into: Path, **changes: Any) -> list[str]:
    """Fetch the one file; return what lies there."""
    facts = {"dataset": DATASET, "sha256": sha256(ARCHIVE), "files": PINS} | changes
    into.mkdir(exist_ok=True)
    fetch_files(facts["dataset"], facts["sha256"], facts["files"], into)
    return sorted(path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file())


def test_the_files_of_the_card_leave_the_archive_and_nothing_else(
    collective: Collective, tmp_path: Path
) -> None:
    """One file, byte by byte; nothing in the home, no log; the key goes to the service alone."""
    assert fetched(tmp_path / "out") == [NAME]
    assert (tmp_path / "out" / NAME).read_bytes() == FILES[NAME]
    assert not (tmp_path / "home").exists()
    by_path = dict(zip(collective.paths, collective.keys, strict=True))
    assert by_path[f"POST /datasets/{DATASET}/download"] == f"Bearer {KEY}"
    assert {key for path, key in by_path.items() if not path.startswith("POST")} == {""}


def test_no_setting_comes_from_a_file(
    collective: Collective, variables: Variables, tmp_path: Path
) -> None:
    """A `.env` of the working folder sets no variable, and gives no key."""
    assert client.client()
    assert "MDC_FROM_A_FILE" not in os.environ
    variables(MDC_API_KEY="")
    with raises(InputError, code="mdc-no-key", variable="MDC_API_KEY"):
        fetched(tmp_path / "out")
    assert collective.paths == []


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (403, InputError, "mdc-no-access"),
        (402, InputError, "mdc-paid"),
        (404, InputError, "mdc-no-dataset"),
        (410, InputError, "mdc-no-dataset"),
        (429, StoreError, "mdc-too-often"),
        (500, StoreError, "mdc-answered"),
    ],
)
def test_each_refusal_has_its_remedy_and_shows_no_secret(
    collective: Collective, tmp_path: Path, status: int, kind: type[FinetuneError], code: str
) -> None:
    """No key, no signed address, no traceback of the client; nothing is left behind."""
    collective.status = status
    with raises(kind, code=code, at=f"data set '{DATASET}' of Mozilla Data Collective") as refused:
        fetched(tmp_path / "out")
    said = str(refused.value)
    assert KEY not in said
    assert "Signature" not in said
    assert list((tmp_path / "out").iterdir()) == []


def test_a_wrong_key_and_an_unknown_data_set_are_told_apart(
    collective: Collective, variables: Variables, tmp_path: Path
) -> None:
    with raises(InputError, code="mdc-no-dataset", dataset="nothere1234"):
        fetched(tmp_path / "out", dataset="nothere1234")
    variables(MDC_API_KEY="another")
    with raises(InputError, code="mdc-key-refused"):
        fetched(tmp_path / "out")


def test_no_network_is_said_as_that(
    collective: Collective, variables: Variables, tmp_path: Path
) -> None:
    variables(MDC_API_URL="http://127.0.0.1:9")
    with raises(StoreError, code="mdc-no-network"):
        fetched(tmp_path / "out")


def test_another_version_is_refused(collective: Collective, tmp_path: Path) -> None:
    """The archive is pinned, and so is each file in it."""
    with raises(DataError, code="wrong-checksum", file=NAME):
        fetched(tmp_path / "one", files={NAME: "0" * 64})
    with raises(DataError, code="mdc-no-file"):
        fetched(tmp_path / "two", files={"absent.tsv": "0" * 64})
    collective.archive = packed({NAME: b"other\n"})
    with raises(DataError, code="wrong-checksum", file="wolof.tar.gz"):
        fetched(tmp_path / "three")


@pytest.mark.parametrize("name", ["../../escape.tar.gz", "", ".hidden", "a/b.tar.gz"])
def test_a_name_that_leads_elsewhere_is_refused_before_the_download(
    collective: Collective, tmp_path: Path, name: str
) -> None:
    """The client joins folder and name unseen; we look first."""
    collective.details = {"filename": name}
    with raises(StoreError, code="mdc-odd-name"):
        fetched(tmp_path / "out")
    assert not any(path.startswith("POST") for path in collective.paths)


def test_a_torn_archive_and_one_that_is_too_large_are_errors(
    collective: Collective, variables: Variables, tmp_path: Path
) -> None:
    collective.archive = ARCHIVE[: len(ARCHIVE) // 2]
    with raises(DataError, code="damaged-archive"):
        fetched(tmp_path / "out", sha256=sha256(collective.archive))
    collective.details = {"sizeBytes": 2**60}
    with raises(InputError, code="large-download"):
        fetched(tmp_path / "out")


def test_a_card_is_written_from_an_identifier_and_read_again(
    collective: Collective, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Licence, restrictions and forbidden use are typed keys; fetching it gives the texts."""
    assert main(["cards", "mdc", DATASET, "--cards", "data_cards"]) == 0
    assert NAME in capsys.readouterr().out
    words = ["--language", "wol_Latn", "--file", NAME, "--column", "text=sentence"]
    assert main(["cards", "mdc", DATASET, *words, "--cards", "data_cards"]) == 0
    card = load_card(Path("data_cards/train.md"))
    assert (card.license, card.license_name) == ("other", "NOODL-1.0")
    assert card.license_link == "https://licensingafricandatasets.com/nwulite-obodo-license"
    terms = card.corpus.terms
    assert terms is not None
    assert terms.authority is not None
    assert terms.authority.who == "Radio of the tests"
    assert terms.forbidden_uses == ["No imitation of speakers."]
    assert terms.rehosting == "ask"
    assert card.corpus.access.conditions.startswith("Only for schools.")
    assert KEY not in card.path.read_text()
    assert _texts_of(card, tmp_path / "store") == FILES[NAME]
    assert main(["cards", "mdc", DATASET, *words, "--cards", "data_cards"]) == 2  # never over one


def _texts_of(card: DataCard, workspace: Path) -> bytes:
    """Fetch a card as the stage `corpus` does; return the bytes that a reader gets."""
    workspace.mkdir()
    job: Any = SimpleNamespace(
        cards={card.name: card}, workspace=workspace, console=Console(out=io.StringIO())
    )
    result = run_corpus(job)
    assert result["dataset"] == DATASET
    made: Any = SimpleNamespace(path=workspace)
    [file] = resolve_files(card, inputs={f"corpus:{card.name}": made})
    return file.path.read_bytes()


def test_without_the_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the pip command."""
    monkeypatch.setitem(__import__("sys").modules, "datacollective", None)
    with pytest.raises(MissingPackageError) as missing:
        client.client()
    assert "pip install 'finetune-lowres[mdc]'" in str(missing.value)
