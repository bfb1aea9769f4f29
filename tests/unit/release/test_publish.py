"""Publishing to a folder hub and, over real HTTP, to a server that speaks the Hub's protocol."""

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finetune.artefacts.gates.table import gates_of
from finetune.errors import ReleaseError
from finetune.messages import Problem
from finetune.release import folder_hub as publishing
from finetune.release.folder_hub import record_path
from finetune.release.publish import How
from finetune.spec.sections.gates import Gates
from tests.support.gates import BAD, evidence
from tests.support.hub_lfs import Large
from tests.support.hub_server import HubServer
from tests.support.published import REPO, put, small_release, snapshot
from tests.support.surroundings import Variables


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


def test_directory_hub_gets_the_release_and_not_the_manifest(folder, tmp_path):
    """A folder hub holds the files of the release under org/name, and nothing of the store."""
    assert "copied" in put(folder, hub="directory")
    there = snapshot(tmp_path / "hub")
    assert set(there) == {
        "amina/.hausa-lora.published.json",  # what was put there, beside it
        *(
            f"{REPO}/{n}"
            for n in ("README.md", "NOTICE", "adapter_config.json", "adapter_model.safetensors")
        ),
    }


def test_directory_hub_twice_changes_nothing(folder, tmp_path):
    """The second publishing states that there is nothing to do and touches no file."""
    put(folder, hub="directory")

    def times() -> dict[Path, int]:
        found = (tmp_path / "hub").rglob("*")
        return {p: p.stat().st_mtime_ns for p in found if p.is_file()}

    before = times()
    assert "already up to date" in put(folder, hub="directory")
    assert times() == before


def test_directory_hub_loses_our_stale_files(folder, tmp_path):
    """A new release replaces the old one, its stale files included."""
    (folder / "loss.png").write_bytes(b"png")
    put(folder, hub="directory")
    (folder / "loss.png").unlink()
    (folder / "NOTICE").write_text("changed\n")
    put(folder, hub="directory")
    there = snapshot(tmp_path / "hub" / REPO)
    assert "loss.png" not in there
    assert there["NOTICE"] == b"changed\n"


class Killed(BaseException):
    """Stands for the process dying."""


@pytest.mark.parametrize("at", range(9))
def test_interrupted_directory_publishing_can_be_repeated(folder, tmp_path, monkeypatch, at):
    """Killed before any step, the hub has the old release, the new one or none; again mends it."""
    put(folder, hub="directory")
    old = snapshot(tmp_path / "hub" / REPO)
    (folder / "NOTICE").write_text("changed\n")
    calls = iter(range(100))

    def dying(function):
        def call(*args, **kwargs):
            if next(calls) == at:
                raise Killed
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(publishing.shutil, "copyfile", dying(shutil.copyfile))
        patch.setattr(Path, "rename", dying(Path.rename))
        patch.setattr(publishing.shutil, "rmtree", dying(shutil.rmtree))
        patch.setattr(publishing, "flush", dying(publishing.flush))
        with pytest.raises(Killed):
            put(folder, hub="directory")
    place = tmp_path / "hub" / REPO
    new = {k: v for k, v in snapshot(folder).items() if k != "manifest.json"}
    assert not place.exists() or snapshot(place) in (old, new)
    put(folder, hub="directory")
    assert snapshot(place) == new
    assert {p.name for p in place.parent.iterdir()} == {place.name, record_path(place).name}


def test_what_others_changed_in_a_directory_hub_stays(folder, tmp_path):
    """A licence that was added, a note named like ours and a changed file outlive publishing; the
    last stops it with its name, dry run too, until --force."""
    place = tmp_path / "hub" / REPO
    put(folder, hub="directory")
    (place / "LICENCE.pdf").write_bytes(b"theirs")
    (place / "loss.png").write_bytes(b"theirs")
    (folder / "NOTICE").write_text("new\n")
    assert "left as they are: loss.png" in put(folder, hub="directory")
    assert snapshot(place)["LICENCE.pdf"] == snapshot(place)["loss.png"] == b"theirs"
    (place / "README.md").write_text("their words")
    (folder / "README.md").write_text("our words")
    before = snapshot(place)
    for how in (How(), How(dry_run=True)):
        with pytest.raises(ReleaseError) as caught:
            put(folder, hub="directory", how=how)
        assert caught.value.codes == ("changed-by-others",)
        assert caught.value.problems[0].facts["files"] == ("README.md",)
    assert snapshot(place) == before
    assert "copied" in put(folder, hub="directory", how=How(force=True))
    after = snapshot(place)
    assert (after["README.md"], after["LICENCE.pdf"]) == (b"our words", b"theirs")
    assert "loss.png" not in after
    assert "already up to date" in put(folder, hub="directory")


LOOP = """\
import io, sys
from pathlib import Path
from finetune.output.console import Console
from finetune.release.publish import publish
from finetune.spec.sections.publish import Publish
from finetune.spec.sections.gates import Gates
from tests.support.gates import BAD, evidence

hub, folder, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
for n in range(times):
    if n % 2:  # so that there is something to replace every time
        (folder / "NOTICE").write_text(f"{folder.name} {n}\\n")
    publish(folder, sys.argv[4], settings=Publish(), default_directory=hub,
            console=Console(out=io.StringIO()))
    print(n, flush=True)
"""


def publisher(hub: Path, folder: Path, *, times: int) -> subprocess.Popen[str]:
    """Start a process that publishes `folder` again and again, changed every other time."""
    arguments = [str(hub), str(folder), str(times), REPO]
    return subprocess.Popen(
        [sys.executable, "-c", LOOP, *arguments], stdout=subprocess.PIPE, text=True
    )


def test_two_publishers_of_one_repository_take_turns(folder, tmp_path):
    """Two processes publish different releases at once: neither fails, one of them is there."""
    other = shutil.copytree(folder, folder.with_name("other"))
    hub = tmp_path / "hub"
    with publisher(hub, folder, times=30) as one, publisher(hub, other, times=30) as two:
        assert (one.wait(60), two.wait(60)) == (0, 0)
    place = hub / REPO
    releases = [snapshot(folder), snapshot(other)]
    for release in releases:
        del release["manifest.json"]
    assert snapshot(place) in releases
    names = {p.name for p in place.parent.iterdir()}
    assert names == {place.name, record_path(place).name}


def test_a_killed_publisher_holds_none_up(folder, tmp_path):
    """After SIGKILL at any instant the next publishing takes the lease over and cleans up."""
    hub = tmp_path / "hub"
    with publisher(hub, folder, times=10_000) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.SystemRandom().uniform(0, 0.2))
        process.kill()
    put(folder, hub="directory")
    expected = {k: v for k, v in snapshot(folder).items() if k != "manifest.json"}
    assert snapshot(hub / REPO) == expected
    names = {p.name for p in (hub / REPO).parent.iterdir()}
    # a kill in the instant of taking the lease leaves the note that was to become it
    kept = {Path(REPO).name, record_path(hub / REPO).name}
    assert {n for n in names if ".lease." not in n} == kept


def test_a_published_folder_that_is_a_link_is_replaced_and_what_it_leads_to_stays(folder, tmp_path):
    """A folder that was moved to another disk and linked can be published, and again."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/README.md").write_text("old")
    target = tmp_path / "hub" / REPO
    target.parent.mkdir(parents=True)
    target.symlink_to(tmp_path / "elsewhere")
    assert "copied" in put(folder, hub="directory")
    assert "already up to date" in put(folder, hub="directory")
    assert (tmp_path / "elsewhere/README.md").read_text() == "old"
    names = {path.name for path in target.parent.iterdir()}
    assert names == {target.name, record_path(target).name}


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_what_stands_in_the_way_of_a_folder_hub_is_named(folder, tmp_path, kind):
    """A file or a link to nothing where a folder belongs is named with what removes it."""
    odd = tmp_path / "hub" / REPO
    odd.parent.mkdir(parents=True)
    odd.touch() if kind == "file" else odd.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ReleaseError) as caught:
        put(folder, hub="directory")
    assert caught.value.codes == ("folder-in-the-way",)
    assert [path.name for path in odd.parent.iterdir()] == [odd.name], "nothing is left beside"


def test_unwritable_directory_hub_is_explained(folder, tmp_path):
    """A folder hub that cannot be written is a clear error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ReleaseError) as caught:
        put(folder, hub="directory", directory=str(tmp_path / "file"))
    assert caught.value.codes[0] in ("folder-in-the-way", "hub-not-writable")


def test_what_is_no_release_is_refused(tmp_path):
    """A folder without an adapter is not published."""
    empty = tmp_path / "a" / "b" / "c"
    empty.mkdir(parents=True)
    with pytest.raises(ReleaseError) as caught:
        put(empty, hub="directory")
    assert caught.value.codes == ("no-release",)
    assert "adapter_model.safetensors" in caught.value.problems[0].facts["missing"]


def test_a_token_in_a_file_is_not_published(folder):
    """A token that came into the folder after the build is still found."""
    (folder / "NOTICE").write_text("hf_" + "x" * 30)
    with pytest.raises(ReleaseError) as caught:
        put(folder, hub="directory")
    assert caught.value.codes == ("secret-in-release",)


def test_hub_gets_one_commit_and_a_private_repository(folder, hub):
    """Everything arrives byte by byte in one commit, in a private repository."""
    assert hub.url in put(folder)
    repo = hub.repos["model", REPO]
    assert repo.private
    assert len(repo.commits) == 2  # the server's own first one, and ours
    expected = {k: v for k, v in snapshot(folder).items() if k != "manifest.json"}
    assert {k: v for k, v in hub.files(REPO).items() if k != ".gitattributes"} == expected


def test_hub_twice_changes_nothing(folder, hub):
    """The second publishing compares checksums and sends nothing."""
    put(folder)
    hub.requests.clear()
    assert "already up to date" in put(folder)
    assert len(hub.repos["model", REPO].commits) == 2
    assert {method for method, _ in hub.requests} == {"GET"}


def test_new_release_removes_only_stale_release_files(folder, hub):
    """Files that a release does not write (an added picture) survive the next one."""
    (folder / "loss.png").write_bytes(b"png")
    put(folder)
    files = hub.files(REPO) | {"photo.jpg": b"jpg"}
    hub.repos["model", REPO].commit(files, "a photo")
    (folder / "loss.png").unlink()
    put(folder)
    assert "loss.png" not in hub.files(REPO)
    assert hub.files(REPO)["photo.jpg"] == b"jpg"


@pytest.mark.parametrize("path", ["/api/repos/create", "/preupload/", "/commit/"])
@pytest.mark.parametrize("fault", ["lose-request", "lose-answer", 503])
def test_interrupted_hub_publishing_can_be_repeated(folder, hub, path, fault, no_waiting):
    """A connection lost at any request, before or after the server acted: publish again."""
    hub.faults += [(path, fault)] * 10
    with pytest.raises(ReleaseError) as caught:
        put(folder)
    assert caught.value.codes[0] in ("hub-refused", "hub-unreachable")
    hub.faults.clear()
    put(folder)
    expected = {k: v for k, v in snapshot(folder).items() if k != "manifest.json"}
    assert {k: v for k, v in hub.files(REPO).items() if k != ".gitattributes"} == expected
    assert len(hub.repos["model", REPO].commits) == 2


WHOLE, PARTS = None, 5000


@pytest.fixture
def large(hub, constants):
    """Return a function: let weights travel by LFS, in one piece or in parts of so many bytes."""
    from huggingface_hub import constants as hub_constants

    def by_lfs(part_bytes: int | None) -> HubServer:
        constants(hub_constants, HF_HUB_DISABLE_XET=True)
        hub.lfs_over, hub.objects.part_bytes = 10_000, part_bytes
        return hub

    return by_lfs


@pytest.mark.parametrize(("part_bytes", "pieces"), [(WHOLE, 1), (PARTS, 3)])
def test_a_large_file_goes_by_lfs(folder, large, part_bytes, pieces):
    """Weights above the server's limit arrive whole and once; the small files in the commit."""
    hub = large(part_bytes)
    put(folder)
    weights = (folder / "adapter_model.safetensors").read_bytes()
    stored = hub.files(REPO)["adapter_model.safetensors"]
    assert isinstance(stored, Large)
    assert stored == weights
    assert not isinstance(hub.files(REPO)["README.md"], Large)
    sent = [path for method, path in hub.requests if method == "PUT"]
    assert len(sent) == pieces
    hub.requests.clear()
    assert "already up to date" in put(folder)
    assert {method for method, _ in hub.requests} == {"GET"}


@pytest.mark.parametrize("fault", ["lose-request", "lose-answer", 503])
@pytest.mark.parametrize(
    ("part_bytes", "path"),
    [
        *((WHOLE, path) for path in ("/objects/batch", "/lfs/put", "/lfs/verify")),
        *((PARTS, path) for path in ("/lfs/part", "/lfs/join", "/lfs/verify")),
    ],
)
def test_an_interrupted_large_upload_can_be_repeated(
    folder, large, part_bytes, path, fault, no_waiting
):
    """Cut at any request of the transfer: a clear error, no commit, and again mends it."""
    hub = large(part_bytes)
    hub.faults += [(path, fault)] * 10
    with pytest.raises(ReleaseError) as caught:
        put(folder)
    assert caught.value.codes[0] in ("hub-refused", "hub-unreachable")
    assert len(hub.repos["model", REPO].commits) == 1
    hub.faults.clear()
    put(folder)
    expected = {k: v for k, v in snapshot(folder).items() if k != "manifest.json"}
    assert {k: v for k, v in hub.files(REPO).items() if k != ".gitattributes"} == expected


def test_a_large_file_that_arrived_is_not_sent_again(folder, large):
    """After a commit that was lost, the second publishing sends no weights."""
    hub = large(WHOLE)
    hub.faults += [("/commit/", 400)]
    with pytest.raises(ReleaseError) as caught:
        put(folder)
    assert caught.value.codes[0] in ("hub-refused", "hub-unreachable")
    hub.requests.clear()
    put(folder)
    assert "PUT" not in {method for method, _ in hub.requests}
    assert isinstance(hub.files(REPO)["adapter_model.safetensors"], Large)


def test_a_server_without_xet_is_explained(folder, hub):
    """A client with Xet states which setting makes it use LFS, and nothing was committed."""
    hub.lfs_over = 10_000
    with pytest.raises(ReleaseError) as caught:
        put(folder)
    assert caught.value.codes == ("xet-failed",)
    assert "cannot be reached" not in str(caught.value)
    assert len(hub.repos["model", REPO].commits) == 1


def refused(folder: Path, token: str) -> Problem:
    with pytest.raises(ReleaseError) as error:
        put(folder)
    assert token not in str(error.value)
    assert token not in repr(error.value.__cause__)
    [found] = error.value.problems
    return found


def test_wrong_token_is_explained(folder, hub, variables):
    """A token that the server does not know: what to do, and the token is not printed."""
    token = "hf_" + "Zz9" * 10
    variables(HF_TOKEN=token)
    found = refused(folder, token)
    assert (found.code, found.facts["status"]) == ("hub-refused", 401)
    assert "HF_TOKEN" in str(found)


def test_missing_token_is_explained(folder, hub, monkeypatch):
    """Without a token: what to do."""
    monkeypatch.delenv("HF_TOKEN")
    assert "HF_TOKEN" in str(refused(folder, "hf_"))


def test_another_user_may_not_write(folder, hub, variables):
    """Another user's token is refused, for a new repository and for one that exists."""
    token = hub.token("musa")
    variables(HF_TOKEN=token)
    assert refused(folder, token).facts["status"] == 403
    hub.add(REPO, {"photo.jpg": b"x"})
    with pytest.raises(ReleaseError) as caught:
        put(folder, private=False)
    assert caught.value.problems[0].facts["status"] == 403


def test_no_network_is_explained(folder, hub, variables):
    """A server that does not answer: what to do."""
    variables(HF_ENDPOINT="http://127.0.0.1:1")
    assert refused(folder, hub.token("amina")).code == "hub-unreachable"


def test_offline_switch_is_explained_and_read_at_call_time(folder, hub, variables):
    """HF_HUB_OFFLINE forbids publishing while it is set, and not afterwards."""
    variables(HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE" in str(refused(folder, hub.token("amina")))
    variables(HF_HUB_OFFLINE="0")
    put(folder)


def test_offline_stage_before_does_not_stop_publishing(folder, hub, constants):
    """A library that was imported while offline does not keep publishing from the network."""
    from huggingface_hub import constants as hub_constants

    constants(hub_constants, HF_HUB_OFFLINE=True)
    put(folder)
    assert hub_constants.HF_HUB_OFFLINE


def test_private_release_never_enters_a_public_repository(folder, hub, monkeypatch):
    """A server that makes everything public, or a repository that is: nothing is uploaded."""
    hub.ignores_visibility = True
    for _ in range(2):
        with pytest.raises(ReleaseError) as caught:
            put(folder)
        assert caught.value.codes == ("repository-is-public",)
        assert set(hub.files(REPO)) == {".gitattributes"}
    put(folder, private=False)
    assert "README.md" in hub.files(REPO)


def test_dry_run_writes_nothing(folder, hub, tmp_path):
    """--dry-run lists files, sizes, place and visibility, and only reads from the server."""
    said = put(folder, dry_run=True)
    for word in ("adapter_model.safetensors", "12,800", f"{hub.url}/{REPO}", "private"):
        assert word in said.replace("\n", "")
    assert "manifest.json" not in said
    assert "public" in put(folder, dry_run=True, private=False)
    put(folder, dry_run=True, hub="directory")
    assert {method for method, _ in hub.requests} == {"GET"}
    assert hub.repos == {}
    assert not (tmp_path / "hub").exists()


def test_what_was_trained_on_gated_texts_is_not_shown_to_all(folder, hub):
    """With conditions of access a public upload is refused, by name; a private one is fine."""
    gate = ("Radio: Ask its owners first",)
    with pytest.raises(ReleaseError) as caught:
        put(folder, private=False, gate=gate)
    assert caught.value.codes == ("gated-texts",)
    assert caught.value.problems[0].facts["conditions"] == gate[0]
    assert hub.repos == {}
    put(folder, gate=gate)
    assert hub.repos["model", REPO].private


@pytest.mark.parametrize("changes", [case[0] for case in BAD.values()], ids=list(BAD))
def test_a_public_release_needs_its_gates(folder, hub, tmp_path, changes):
    """Refused by the gate's name and with its sentence, before the server is asked anything; a dry
    run says the same; privately and into a folder it goes."""
    gates = gates_of(evidence(**changes), Gates.with_defaults())
    said = []
    for dry_run in (True, False):
        with pytest.raises(ReleaseError) as caught:
            put(folder, private=False, gates=gates, dry_run=dry_run)
        said.append(str(caught.value))
    assert caught.value.codes == ("gate-not-passed",)
    name = caught.value.problems[0].facts["gate"]
    assert f"gates.override.{name}" in said[0]
    assert said[0] == said[1]
    assert hub.repos == {}
    assert hub.requests == []
    assert "copied" in put(folder, hub="directory", private=False, gates=gates)
    reason = {name: "a speaker of the language asked for it"}
    put(folder, private=False, gates=gates_of(evidence(**changes), Gates(override=reason)))
    assert not hub.repos["model", REPO].private


def test_all_that_bars_a_public_release_is_listed_at_once(folder, hub):
    """Every gate and the conditions of access, one problem each; without recorded gates all."""
    with pytest.raises(ReleaseError) as caught:
        put(folder, private=False, gates=(), gate=("Radio: Ask its owners first",))
    assert caught.value.codes == ("gate-not-passed",) * 9 + ("gated-texts",)
    assert hub.repos == {}
