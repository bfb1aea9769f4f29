"""Disk errors name the failed place, its owner and a remedy."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.errors import StoreError
from finetune.messages import Place
from finetune.pipeline.disk_errors import explained
from finetune.pipeline.store import Request, Store

USER = 61003


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A store and a folder for temporary files."""
    store, temporary = tmp_path / "store", tmp_path / "temporary"
    store.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return store, temporary


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(
    ("inside", "says", "never"),
    [
        ("store", "`finetune runs` lists the store", "TMPDIR"),
        ("temporary", "set TMPDIR", "finetune runs"),
        ("elsewhere", "free some space there", "TMPDIR"),
    ],
)
def test_a_full_disk_is_named_with_the_advice_that_fits(places, number, inside, says, never):
    """Store, temporary folder and other places have different messages."""
    store, _ = places
    place = store.parent / inside
    place.mkdir(exist_ok=True)
    found = explained(OSError(number, "full", str(place / "x")), root=store)
    assert found is not None
    assert (found.code, found.place) == ("disk-full", Place(place))
    assert says in str(found)
    assert never not in str(found)


@pytest.mark.parametrize("full", ["store", "temporary"])
def test_a_write_that_names_no_file_is_looked_for(places, full):
    """A failed write has no name: the message names the place without room."""
    store, temporary = places
    wanted = {"store": store, "temporary": temporary}[full]

    def free(path: Path) -> int:
        return 0 if path == wanted else 2**40

    found = explained(OSError(errno.ENOSPC, "No space left on device"), root=store, free=free)
    assert found is not None
    assert (found.code, found.place, found.facts["free_mib"]) == ("disk-full", Place(wanted), 0)


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("store", "choose another store with --store"),
        ("temporary", "set TMPDIR to a folder that you may write"),
        ("corpora", "ask its owner, or name another file"),
    ],
)
@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_missing_permission_is_not_always_the_stores(places, number, inside, says):
    """Another store helps only where it was the store."""
    store, _ = places
    place = store.parent / inside
    place.mkdir(exist_ok=True)
    found = explained(OSError(number, os.strerror(number), str(place / "x")), root=store)
    assert found is not None
    assert found.place is not None
    assert str(found.place.file).startswith(str(place))
    assert says in str(found)
    assert ("--store" in str(found)) == (inside == "store")


def test_other_errors_go_through(places):
    """A file that is gone is no fault of permissions."""
    store, _ = places
    for number in (errno.ENOENT, errno.EIO, errno.EMFILE):
        assert explained(OSError(number, "x", str(store / "x")), root=store) is None


def _request(*, resumable: bool = False) -> Request:
    return Request("prepare", "k1", "n", {}, {}, resumable=resumable)


def _left(store: Path) -> None:
    def fail(workspace: Path) -> dict[str, int]:
        (workspace / "inner").mkdir()
        (workspace / "inner" / "a.txt").write_text("x")
        raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        Store(store).build(_request(), fail)


def in_child(work: Callable[[], str]) -> str:
    """Return what `work` says in a process of another user."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
            os.write(writer, work().encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    text = os.read(reader, 2**16).decode()
    os.close(reader)
    return text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("closed", ["store", "stage", "leftover", "artefact", "manifest", "file"])
def test_what_another_user_closed_is_reported_with_the_owner(closed):
    """Whatever of the store it is, and whatever the system names: owner, chmod and umask."""
    root = Path(tempfile.mkdtemp(prefix="closed-"))
    try:
        root.chmod(0o755)
        store = root / "my store"
        store.mkdir()
        if closed in ("artefact", "manifest", "file"):
            built = Store(store).build(_request(), lambda w: {"n": (w / "a").write_text("x")})
            place = {"artefact": "", "manifest": "manifest.json", "file": "a"}[closed]
            (built.path / place).chmod(0)
        elif closed != "store":
            _left(store)
            for path in [store, *store.glob("*")] if closed == "leftover" else []:
                path.chmod(0o777)
        said = in_child(lambda: _said(store))
    finally:
        shutil.rmtree(root)
    assert "belongs to root" in said, said
    assert f"chmod -R g+rwX '{store}'" in said
    assert "umask 002" in said


def _said(store: Path) -> str:
    from finetune.pipeline.verify import refuse_damaged

    try:
        found = Store(store).build(_request(), lambda _: {})
        refuse_damaged([found])
    except StoreError as error:
        return str(error)
    return "nothing"
