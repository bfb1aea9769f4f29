"""Manners on a hub: what others wrote there stays, and what happens is said, before and after."""

import io
import re
import shutil
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from finetune.artefacts.gates.table import gates_of
from finetune.errors import ReleaseError
from finetune.output.console import Console
from finetune.release.publish import How, collect
from finetune.spec.sections.gates import Gates
from tests.support.gates import BAD, evidence
from tests.support.hub_server import HubServer, Refused
from tests.support.published import REPO, put, small_release
from tests.support.surroundings import Variables

MODEL = ("model", REPO)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_release(tmp_path)


@pytest.fixture
def hub(variables: Variables, tmp_path: Path):
    with HubServer() as server:
        variables(
            HF_ENDPOINT=server.url, HF_TOKEN=server.token("amina"), HF_HOME=str(tmp_path / "hf")
        )
        yield server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses that were asked for; none takes time."""
    asked: list[float] = []
    monkeypatch.setattr("time.sleep", asked.append)
    return asked


def edited(hub: HubServer, **files: bytes | None) -> None:
    """Commit a change on the server, as another member of the organisation; None removes a file."""
    names = {"readme": "README.md", "licence": "LICENSE", "notice": "NOTICE", "photo": "photo.jpg"}
    now = dict(hub.files(REPO))
    for name, content in files.items():
        now.pop(names[name], None)
        if content is not None:
            now[names[name]] = content
    hub.repos[MODEL].commit(now, "Update README.md")


def refused(folder: Path, **options) -> ReleaseError:
    with pytest.raises(ReleaseError) as caught:
        put(folder, **options)
    return caught.value


def again(folder: Path, **texts: str) -> None:
    """Change the release, as another training does."""
    for name, text in ({"NOTICE": "made from more\n"} | texts).items():
        (folder / name).write_text(text)


def test_edits_of_others_are_not_overwritten(folder, hub):
    """An edited card stops the next release, dry or not, with its name; nothing is written."""
    put(folder)
    edited(hub, readme=b"---\nlicense: mit\n---\n# Edited on the Hub\n")
    again(folder, **{"README.md": "---\nlicense: mit\n---\n# y\n"})
    before = dict(hub.files(REPO))
    for dry_run in (True, False):
        error = refused(folder, dry_run=dry_run)
        assert error.codes == ("changed-by-others",)
        assert error.problems[0].facts["files"] == ("README.md",)
        assert "--force" in str(error)
    assert hub.files(REPO) == before


def test_an_edit_stops_even_an_unchanged_release(folder, hub):
    """Publishing the same again does not put the old card back."""
    put(folder)
    edited(hub, readme=b"---\nlicense: mit\n---\n# Edited on the Hub\n")
    assert refused(folder).codes == ("changed-by-others",)


def test_what_others_removed_does_not_come_back_unasked(folder, hub):
    """A file that was deleted on the Hub is a change of others, too."""
    put(folder)
    edited(hub, notice=None)
    assert refused(folder).problems[0].facts["files"] == ("NOTICE",)


def test_files_that_others_added_stay_and_are_named(folder, hub):
    """A LICENSE of the owners, which this release has not, and a picture survive a new release."""
    put(folder)
    edited(hub, licence=b"Our terms\n", photo=b"jpg")
    again(folder)
    assert "LICENSE" in put(folder, dry_run=True)
    assert "left as they are" in put(folder)
    assert hub.files(REPO)["LICENSE"] == b"Our terms\n"
    assert hub.files(REPO)["photo.jpg"] == b"jpg"
    assert hub.files(REPO)["NOTICE"] == b"made from more\n"


def test_a_file_that_others_made_first_is_not_overwritten(folder, hub):
    """A repository with a card of its own, never published to, is theirs."""
    hub.add(REPO, {"README.md": b"# Ours\n", ".gitattributes": b"x"}, private=True)
    assert refused(folder).problems[0].facts["files"] == ("README.md",)
    put(folder, how=How(force=True))
    assert hub.files(REPO)["README.md"] == (folder / "README.md").read_bytes()
    assert hub.files(REPO)[".gitattributes"] == b"x"


def test_force_replaces_what_the_list_names(folder, hub):
    """With --force the edit is undone and the added release file goes; other files stay."""
    put(folder)
    edited(hub, readme=b"---\n---\n# Edited\n", licence=b"Our terms\n", photo=b"jpg")
    put(folder, how=How(force=True))
    there = hub.files(REPO)
    assert there["README.md"] == (folder / "README.md").read_bytes()
    assert "LICENSE" not in there
    assert there["photo.jpg"] == b"jpg"
    title = hub.repos[MODEL].commits[-1].message
    assert title.endswith(": change README.md; remove LICENSE")


def test_the_last_release_is_known_on_another_machine(folder, hub, tmp_path):
    """The same repository from a store without a memory: our own files are replaced, no others."""
    put(folder)
    elsewhere = small_release(tmp_path / "elsewhere")
    again(elsewhere)
    put(elsewhere)
    assert hub.files(REPO)["NOTICE"] == b"made from more\n"


def test_a_commit_names_its_changes_and_every_release_has_a_tag(folder, hub):
    """The title says what changed; a tag leads to that commit; once more makes neither."""
    put(folder)
    again(folder)
    (folder / "loss.png").write_bytes(b"png")
    said = put(folder)
    repo = hub.repos[MODEL]
    title = repo.commits[-1].message
    assert re.fullmatch(r"Release [0-9a-f]{12}: add loss.png; change NOTICE", title)
    mark = title.split(":")[0].split()[1]
    assert repo.tags[f"release-{mark}"] == repo.commits[-1].sha
    assert f"release-{mark}" in said
    assert len(repo.tags) == 2
    put(folder)
    assert (len(repo.tags), len(repo.commits)) == (2, 3)


def test_a_tag_that_a_kill_left_out_comes_with_the_next_try(folder, hub):
    """The commit is there and the tag is not: it is set on that commit."""
    put(folder)
    repo = hub.repos[MODEL]
    wanted = dict(repo.tags)
    repo.tags.clear()
    put(folder)
    assert repo.tags == wanted
    assert len(repo.commits) == 2


def test_a_pull_request_changes_nothing_until_it_is_merged(folder, hub):
    """Twice is once, and its address is said; after the merge our files are known as ours."""
    put(folder)
    again(folder)
    before = dict(hub.files(REPO))
    for _ in range(2):
        assert f"{hub.url}/{REPO}/discussions/1" in put(folder, how=How(pull_request=True))
    repo = hub.repos[MODEL]
    assert hub.files(REPO) == before
    assert len(repo.requests) == 1
    assert len(repo.tags) == 1
    repo.merge(1)
    again(folder, NOTICE="made from even more\n")
    put(folder)
    assert hub.files(REPO)["NOTICE"] == b"made from even more\n"
    assert len(repo.tags) == 2


def test_private_becomes_public_when_that_is_asked_for(folder, hub):
    """--make-public shows the repository after its files are there; a dry run says the same."""
    put(folder)
    assert "stays private" in put(folder, private=False)
    assert "--make-public" in put(folder, private=False)
    said = put(folder, private=False, how=How(dry_run=True, make_public=True))
    assert "visible to all" in " ".join(said.split())
    assert hub.repos[MODEL].private
    put(folder, private=False, how=How(make_public=True))
    assert not hub.repos[MODEL].private
    assert hub.log == [(False, False, 2)]


def test_a_dry_run_says_that_a_private_repository_stays_so(folder, hub):
    """`private: false` alone shows nothing, dry and in deed."""
    put(folder)
    said = " ".join(put(folder, dry_run=True, private=False).split())
    assert "the repository is private and stays so" in said
    put(folder, private=False)
    assert hub.repos[MODEL].private


def test_a_dry_run_refuses_what_the_upload_refuses(folder, hub):
    """A private release into a repository that is public."""
    hub.add(REPO, {".gitattributes": b""})
    assert refused(folder, dry_run=True).codes == refused(folder).codes == ("repository-is-public",)


def test_nothing_becomes_public_past_a_gate(folder, hub):
    """--make-public is refused by every gate that a public release is refused by."""
    put(folder)
    changes, *_ = next(iter(BAD.values()))
    gates = gates_of(evidence(**changes), Gates.with_defaults())
    error = refused(folder, private=False, gates=gates, how=How(make_public=True))
    assert set(error.codes) == {"gate-not-passed"}
    assert hub.repos[MODEL].private


def test_a_pull_request_and_a_new_visibility_are_two_things(folder, hub):
    """They do not go together, and no option of the Hub goes with a folder hub."""
    both = How(pull_request=True, make_public=True)
    assert refused(folder, private=False, how=both).codes == ("request-and-public",)
    for how in (How(pull_request=True), How(make_public=True)):
        assert refused(folder, hub="directory", how=how).codes == ("needs-the-hub",)
    assert hub.requests == []


BUSY = {
    "create, 503": ("/api/repos/create", 503, [1.0]),
    "create, 429 and a pause": ("/api/repos/create", {"Retry-After": "7"}, [7.0]),
    "commit, 500": ("/commit/", 500, [1.0]),
    "commit, 429 and a pause": ("/commit/", {"Retry-After": "7"}, [7.0]),
    "commit done, answer 503": ("/commit/", 503, [1.0]),
    "tag, 502": ("/tag/", 502, [1.0]),
}


@pytest.mark.parametrize(("path", "fault", "expected"), BUSY.values(), ids=list(BUSY))
def test_a_busy_server_is_asked_again(folder, hub, waits, path, fault, expected):
    """Creation, commit and tag, after the pause that the server asks for; one commit is made."""
    hub.faults += [(path, Refused(429, **fault) if isinstance(fault, dict) else fault)]
    said = put(folder)
    assert waits == expected
    assert "trying again" in said
    repo = hub.repos[MODEL]
    assert (len(repo.commits), len(repo.tags)) == (2, 1)


def test_a_pause_may_be_given_as_a_date(folder, hub, waits):
    """`Retry-After` with the time of day."""
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    hub.faults += [("/commit/", Refused(503, **{"Retry-After": later}))]
    put(folder)
    [wait] = waits
    assert 20 < wait <= 30


def test_a_server_that_stays_busy_is_given_up(folder, hub, waits):
    """After five tries; at once where it asks for more than five minutes."""
    hub.faults += [("/commit/", 503)] * 5
    assert refused(folder).problems[0].facts["status"] == 503
    assert waits == [1.0, 2.0, 4.0, 8.0]
    waits.clear()
    hub.faults += [("/commit/", Refused(429, **{"Retry-After": "3600"}))]
    assert refused(folder).problems[0].facts["status"] == 429
    assert waits == []


def test_a_commit_in_between_is_looked_at_before_the_next_try(folder, hub, waits):
    """Parent is the commit that was seen: that of another member comes first, and stays."""
    put(folder)
    again(folder)
    hub.faults += [("/commit/", Refused(412))]
    put(folder)
    assert waits == [1.0]
    parents = [path for method, path in hub.requests if path.endswith("/commits/main")]
    assert len(parents) >= 3  # once for the first release, twice for the second
    assert hub.files(REPO)["NOTICE"] == b"made from more\n"


def test_a_full_storage_is_not_blamed_on_the_token(folder, hub):
    """The Hub's 403 for a used-up quota."""
    said = "Private repository storage limit reached, please upgrade your plan"
    hub.faults += [("/commit/", Refused(403, "", said))]
    text = str(refused(folder))
    assert "the storage of amina is used up" in text
    assert "may not write" not in text


def test_large_files_of_others_are_told_by_their_checksum(folder, hub, constants):
    """By LFS: our weights are replaced, weights that others uploaded are not."""
    from huggingface_hub import constants as hub_constants

    constants(hub_constants, HF_HUB_DISABLE_XET=True)
    hub.lfs_over = 10_000
    weights = folder / "adapter_model.safetensors"
    put(folder)
    weights.write_bytes(bytes(reversed(range(256))) * 50)
    put(folder)
    assert hub.files(REPO)[weights.name] == weights.read_bytes()
    theirs = hub.files(REPO) | {weights.name: bytes(20_000)}
    hub.repos[MODEL].commit(theirs, "Upload adapter_model.safetensors")
    weights.write_bytes(bytes(range(128)) * 100)
    assert refused(folder).problems[0].facts["files"] == (weights.name,)


def test_a_release_of_another_folder_is_compared_whole(folder, hub, tmp_path):
    """A second folder with the same bytes is the same release: up to date, the same tag."""
    put(folder)
    copy = shutil.copytree(folder, tmp_path / "store" / "release" / "copy")
    assert "already up to date" in put(copy)
    assert len(hub.repos[MODEL].tags) == 1


def test_a_release_is_added_to_a_private_collection_per_language(hub, waits):
    """One collection per language, private, in the namespace of the repository; a busy server is
    asked again, again changes nothing, and a dry run names them and asks nothing."""
    out = io.StringIO()
    wish = {"private": False, "console": Console(out=out)}
    collect(REPO, ["hau_Latn", "wol_Latn"], how=How(collection=True, dry_run=True), **wish)
    assert hub.requests == []
    assert "Hausa (hau_Latn), Wolof (wol_Latn)" in out.getvalue()
    hub.faults += [("/api/collections", 503), ("/items", 429)]
    for _ in range(2):
        collect(REPO, ["hau_Latn", "wol_Latn"], how=How(collection=True), **wish)
    assert hub.collections == {
        f"amina/{name}-0": {
            "title": title,
            "private": True,
            "items": [{"id": REPO, "type": "model"}],
        }
        for name, title in (
            ("hausa-(hau_latn)", "Hausa (hau_Latn)"),
            ("wolof-(wol_latn)", "Wolof (wol_Latn)"),
        )
    }
    with pytest.raises(ReleaseError):
        collect("moussa/x", ["hau_Latn"], how=How(collection=True), **wish)
