"""`finetune cards publish`: texts with their card, and nothing that the card does not allow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.spec.withdrawn import add_withdrawn, record_hash
from tests.support.hub_server import HubServer
from tests.unit.cards.test_check import LINES, TODAY, write

REPO = "amina/radio"
Edit = tuple[str, str]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A hub on this machine, and the token of its user amina."""
    monkeypatch.chdir(tmp_path)
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", server.token("amina"))
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield server


def put(*arguments: str, hub: str = "huggingface", lang: str = "en") -> int:
    """Publish the card radio; return the exit code."""
    options = ["--repo", REPO, "--hub", hub, "--cards", ".", "--lang", lang, *arguments]
    return main(["cards", "publish", "radio", *options])


def test_texts_go_up_with_their_card(hub: HubServer, tmp_path: Path) -> None:
    """The data set holds the card as README.md and the files at the paths that the card names;
    it is private, and publishing again changes nothing."""
    path = write(tmp_path)
    assert put() == 0
    repo = hub.repos["dataset", REPO]
    assert repo.private
    files = hub.files(REPO, kind="dataset")
    assert files["README.md"] == path.read_bytes()
    assert files["radio.txt"] == LINES.encode()
    commits = len(repo.commits)
    assert put() == 0
    assert len(repo.commits) == commits


def test_the_default_is_a_folder(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --hub nothing leaves the machine; the folder has the card and the texts."""
    write(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "radio.txt").rename(tmp_path / "deep/radio.txt")
    card = tmp_path / "radio.md"
    card.write_text(card.read_text().replace("path: radio.txt", "path: deep/radio.txt"))
    for said in ("Publié : ", "a déjà ces textes"):
        assert main(["cards", "publish", "radio", "--repo", REPO, "--cards", ".", "--lang=fr"]) == 0
        assert said in capsys.readouterr().out
    folder = tmp_path / ".finetune/hub/datasets" / REPO
    assert (folder / "deep/radio.txt").read_text(encoding="utf-8") == LINES
    assert (folder / "README.md").read_bytes() == card.read_bytes()
    assert hub.requests == []


def test_a_public_data_set_is_asked_for(hub: HubServer, tmp_path: Path) -> None:
    """--public makes a new one that everybody sees; one that is public takes no private upload."""
    write(tmp_path)
    assert put("--public") == 0
    assert not hub.repos["dataset", REPO].private
    assert put() == 1


@pytest.mark.parametrize(("kind", "gate"), [("agree", "auto"), ("ask", "manual")])
def test_nobody_sees_a_gated_one_before_the_gate_is_there(
    hub: HubServer, tmp_path: Path, kind: str, gate: str
) -> None:
    """Public with conditions: made private, gated, filled, and only then shown."""
    write(tmp_path, ("  contact", f"  access: {{kind: {kind}, conditions: no adverts}}\n  contact"))
    assert put("--public") == 0
    repo = hub.repos["dataset", REPO]
    assert (repo.private, repo.gated) == (False, gate)
    assert hub.log == [(True, gate, 1), (False, gate, 2)]


@pytest.mark.parametrize(
    ("edit", "arguments", "words"),
    [
        (("  contact", "  status: withdrawn\n  contact"), [], "withdrawn by its owners"),
        (
            ("a call to the station", "us, expires: 2026-01-01"),
            [],
            "the consent ended on 2026-01-01",
        ),
        (("  contact", "  permitted_uses: [train-models]\n  contact"), [], "passing the texts on"),
        (("  contact", "  not_established: [license]\n  contact"), [], "is not established"),
        (("cc-by-4.0", "my-own"), [], "not established or not known"),
        (
            ("  contact", "  personal_data: present\n  contact"),
            ["--public"],
            "what everybody can see must hold none",
        ),
    ],
)
@pytest.mark.parametrize("where", ["directory", "huggingface"])
def test_what_the_card_does_not_allow_stays_here(
    hub: HubServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    edit: Edit,
    arguments: list[str],
    words: str,
    where: str,
) -> None:
    """Each clause that says no is named, and nothing is sent or written."""
    write(tmp_path, edit)
    assert put(*arguments, hub=where) == 1
    err = capsys.readouterr().err
    assert "data card 'radio': " in err
    assert words in err
    assert hub.requests == []
    assert not (tmp_path / ".finetune").exists()


def test_all_clauses_are_named_in_french_too(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two clauses give two lines."""
    write(
        tmp_path,
        ("  contact", "  status: withdrawn\n  permitted_uses: [research]\n  contact"),
    )
    assert put(lang="fr") == 1
    lines = capsys.readouterr().err.splitlines()
    assert "le corpus a été retiré" in lines[0]
    assert "ne permettent pas la diffusion" in lines[1]


def test_withdrawn_records_do_not_go_out(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As long as the files hold one it is refused with its place; once removed it goes."""
    path = write(tmp_path)
    gone = record_hash({"text": LINES.splitlines()[2]})
    add_withdrawn(path, [gone], day=TODAY)
    assert put() == 1
    assert "still hold 1 withdrawn records (radio.txt:3)" in capsys.readouterr().err
    write(tmp_path, texts=LINES.replace(LINES.splitlines()[2] + "\n", ""))
    assert put() == 0


def test_texts_of_others_are_not_published_again(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A card of a package or of the Hub describes what is published elsewhere already."""
    shipped = Path(__file__).parents[3] / "data_cards" / "kolibri-hau.md"
    assert main(["cards", "publish", str(shipped), "--repo", REPO, "--lang=en"]) == 1
    assert "published elsewhere already" in capsys.readouterr().err


def test_a_token_in_a_card_stops_it(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody means to publish is found in the card before anything is sent."""
    write(tmp_path, ("# Radio stories", f"# Radio stories\n\nhf_{'a' * 30}\n"))
    assert put() == 1
    assert "an access token" in capsys.readouterr().err
    assert hub.requests == []


@pytest.mark.parametrize("repo", ["radio", "../x/y", "a/b/c", "a b/c"])
def test_a_name_that_is_none_is_refused(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], repo: str
) -> None:
    """--repo takes ORG/NAME and nothing that leaves a folder."""
    write(tmp_path)
    assert main(["cards", "publish", "radio", "--repo", repo, "--cards", "."]) == 2
    assert "write ORG/NAME" in capsys.readouterr().err


def test_a_dry_run_sends_nothing(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It lists files and place."""
    write(tmp_path)
    assert put("--dry-run") == 0
    out = capsys.readouterr().out
    assert "radio.txt" in out
    assert f"{hub.url}/datasets/{REPO}; nothing was sent" in out
    assert hub.requests == []


def test_a_wrong_token_names_the_option(
    hub: HubServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A refusal of the hub says what to change, without a traceback."""
    write(tmp_path)
    monkeypatch.setenv("HF_TOKEN", hub.token("musa"))
    assert put() == 1
    err = capsys.readouterr().err
    assert "HTTP 403" in err
    assert "--repo" in err
