"""`finetune cards publish`: texts with their card, and nothing that the card does not allow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from finetune.cards.publish import files_of
from finetune.cli import main
from finetune.errors import ReleaseError
from finetune.spec.load import load_card
from finetune.spec.withdrawn import add_withdrawn, record_hash
from tests.support.good_card import LINES, TODAY, write
from tests.support.hub_server import HubServer
from tests.support.surroundings import Inside, Variables

REPO = "amina/radio"
Edit = tuple[str, str]


@pytest.fixture
def hub(variables: Variables, inside: Inside, tmp_path: Path) -> Iterator[HubServer]:
    """A hub on this machine, and the token of its user amina."""
    inside(tmp_path)
    with HubServer() as server:
        variables(
            HF_ENDPOINT=server.url, HF_TOKEN=server.token("amina"), HF_HOME=str(tmp_path / "hf")
        )
        yield server


def put(*arguments: str, hub: str = "huggingface", lang: str = "en") -> int:
    """Publish the card radio; return the exit code."""
    options = ["--repo", REPO, "--hub", hub, "--cards", ".", "--lang", lang, *arguments]
    return main(["cards", "publish", "radio", *options])


def refusals(path: Path, *, public: bool = False) -> tuple[str, ...]:
    """Return the codes of the clauses of a card that forbid publishing its texts."""
    with pytest.raises(ReleaseError) as caught:
        files_of(load_card(path), public=public, today=TODAY, folder=path.parent)
    return caught.value.codes


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
    for changed in (True, False):
        assert main(["cards", "publish", "radio", "--repo", REPO, "--cards", ".", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["changed"] == changed
    folder = tmp_path / ".finetune/hub/datasets" / REPO
    assert (folder / "deep/radio.txt").read_text(encoding="utf-8") == LINES
    assert (folder / "README.md").read_bytes() == card.read_bytes()
    assert hub.requests == []


def test_a_public_data_set_is_asked_for(hub: HubServer, tmp_path: Path) -> None:
    """--public makes a new public one; a public one takes no private upload."""
    write(tmp_path)
    assert put("--public") == 0
    assert not hub.repos["dataset", REPO].private
    assert put() == 1


def test_private_texts_become_public_with_the_option(hub: HubServer, tmp_path: Path) -> None:
    """--public after a look in private: everyone sees them, and nothing is sent twice."""
    write(tmp_path)
    assert put() == 0
    repo = hub.repos["dataset", REPO]
    assert repo.private
    assert put("--public") == 0
    assert not repo.private
    assert len(repo.commits) == 2


def test_edits_on_the_hub_stop_the_next_upload(hub: HubServer, tmp_path: Path) -> None:
    """A card that was edited there is not overwritten without --force."""
    path = write(tmp_path)
    assert put() == 0
    repo = hub.repos["dataset", REPO]
    repo.commit(hub.files(REPO, kind="dataset") | {"README.md": b"# Edited\n"}, "Update README.md")
    assert put("--dry-run") == put() == 1
    assert put("--dry-run", "--force") == 0
    assert hub.files(REPO, kind="dataset")["README.md"] == b"# Edited\n"
    assert put("--force") == 0
    assert hub.files(REPO, kind="dataset")["README.md"] == path.read_bytes()


@pytest.mark.parametrize("conditions", ["no adverts", 'Ask: "Awa", not---others é | #'])
def test_conditions_stand_where_the_hub_shows_them(
    hub: HubServer, tmp_path: Path, conditions: str
) -> None:
    """In the owners' words, as `extra_gated_prompt`; the rest of the card is theirs to the byte."""
    access = f"  access: {{kind: agree, conditions: {json.dumps(conditions)}}}\n  contact"
    path = write(tmp_path, ("  contact", access))
    assert put() == 0
    text = hub.files(REPO, kind="dataset")["README.md"].decode()
    front = yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))
    assert front["extra_gated_prompt"] == conditions
    lines = text.splitlines()
    [added] = [line for line in lines if line.startswith("extra_gated_prompt")]
    lines.remove(added)
    assert lines == path.read_text("utf-8").splitlines()
    published = tmp_path / "again" / "radio.md"
    published.parent.mkdir()
    published.write_text(text, "utf-8")
    assert load_card(published).corpus.access.conditions == conditions


def test_an_owners_own_prompt_stays(hub: HubServer, tmp_path: Path) -> None:
    """A card with the Hub's key is uploaded as it is."""
    access = "  access: {kind: agree, conditions: no adverts}\n  contact"
    path = write(
        tmp_path, ("  contact", access), ("pretty_name", "extra_gated_prompt: ours\npretty_name")
    )
    assert put() == 0
    assert hub.files(REPO, kind="dataset")["README.md"] == path.read_bytes()


@pytest.mark.parametrize(("kind", "gate"), [("agree", "auto"), ("ask", "manual")])
def test_none_sees_a_gated_one_before_the_gate_is_there(
    hub: HubServer, tmp_path: Path, kind: str, gate: str
) -> None:
    """Public with conditions: made private, gated, filled, and only then shown."""
    write(tmp_path, ("  contact", f"  access: {{kind: {kind}, conditions: no adverts}}\n  contact"))
    assert put("--public") == 0
    repo = hub.repos["dataset", REPO]
    assert (repo.private, repo.gated) == (False, gate)
    assert hub.log == [(True, gate, 1), (False, gate, 2)]


@pytest.mark.parametrize(
    ("edit", "arguments", "code"),
    [
        (("  contact", "  status: withdrawn\n  contact"), [], "publish-withdrawn"),
        (("a call to the station", "us, expires: 2026-01-01"), [], "publish-consent-expired"),
        (("  contact", "  permitted_uses: [train-models]\n  contact"), [], "publish-not-permitted"),
        (("  contact", "  not_established: [license]\n  contact"), [], "publish-licence"),
        (("cc-by-4.0", "my-own"), [], "publish-licence"),
        (
            ("personal_data: none-known", "personal_data: present"),
            ["--public"],
            "publish-personal-data",
        ),
    ],
)
@pytest.mark.parametrize("where", ["directory", "huggingface"])
def test_what_the_card_does_not_allow_stays_here(
    hub: HubServer,
    tmp_path: Path,
    *,
    edit: Edit,
    arguments: list[str],
    code: str,
    where: str,
) -> None:
    """Each clause that says no is named, and nothing is sent or written."""
    path = write(tmp_path, edit)
    assert refusals(path, public="--public" in arguments) == (code,)
    assert put(*arguments, hub=where) == 1
    assert hub.requests == []
    assert not (tmp_path / ".finetune").exists()


def test_internal_texts_stay_inside(
    hub: HubServer, variables: Variables, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not to everyone, also in a rehearsal, and not to the public Hub; to one's own server."""
    write(tmp_path, ("  contact", "  access: {kind: internal}\n  contact"))
    for arguments in (["--public"], ["--public", "--dry-run"]):
        assert put(*arguments) == 1
        assert "shown to everyone" in capsys.readouterr().err
    assert hub.requests == []
    assert put() == 0
    assert hub.repos["dataset", REPO].private
    variables(HF_ENDPOINT="https://huggingface.co")
    assert put() == 1
    assert "HF_ENDPOINT" in capsys.readouterr().err


def test_all_clauses_are_named(tmp_path: Path) -> None:
    """Two clauses that forbid it are two problems."""
    path = write(
        tmp_path,
        ("  contact", "  status: withdrawn\n  permitted_uses: [research]\n  contact"),
    )
    assert refusals(path) == ("publish-withdrawn", "publish-not-permitted")


def test_withdrawn_records_do_not_go_out(hub: HubServer, tmp_path: Path) -> None:
    """While the files contain one, publishing is refused with its place; then it is uploaded."""
    path = write(tmp_path)
    gone = record_hash({"text": LINES.splitlines()[2]})
    add_withdrawn(path, [gone], day=TODAY)
    with pytest.raises(ReleaseError) as caught:
        files_of(load_card(path), public=False, today=TODAY, folder=tmp_path)
    [refused] = caught.value.problems
    assert (refused.code, refused.facts["count"]) == ("publish-withdrawn-records", 1)
    assert [str(place) for place in refused.facts["places"]] == ["radio.txt:3"]
    write(tmp_path, texts=LINES.replace(LINES.splitlines()[2] + "\n", ""))
    assert put() == 0


def test_texts_of_others_are_not_published_again() -> None:
    """A card of a package or of the Hub describes what is published elsewhere already."""
    shipped = Path(__file__).parents[3] / "data_cards" / "kolibri-hau.md"
    assert "publish-elsewhere" in refusals(shipped)


def test_a_token_in_a_card_stops_it(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Secrets in a card are found before anything is sent."""
    write(tmp_path, ("# Radio stories", f"# Radio stories\n\nhf_{'a' * 30}\n"))
    assert put() == 2
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
    """It lists files and place, and only reads from the server; into a folder not even that."""
    write(tmp_path)
    assert put("--dry-run", hub="directory") == 0
    assert hub.requests == []
    capsys.readouterr()
    assert put("--dry-run") == 0
    out = capsys.readouterr().out
    assert "radio.txt" in out
    assert f"{hub.url}/datasets/{REPO}" in out
    assert {method for method, _ in hub.requests} == {"GET"}
    assert hub.repos == {}


def test_a_wrong_token_names_the_option(
    hub: HubServer,
    tmp_path: Path,
    variables: Variables,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A refusal of the hub states what to change, without a traceback."""
    write(tmp_path)
    variables(HF_TOKEN=hub.token("musa"))
    assert put() == 1
    err = capsys.readouterr().err
    assert "HTTP 403" in err
    assert "--repo" in err
