"""A store that two users of a group share: what umask 002 allows, and what 022 and 077 prevent.

These run as root only, for each user is another user id here.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.flips import RECIPE, finetune
from tests.support.project import write_project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users"),
]
AMINA, MUSA, GROUP = 61001, 61002, 62000


@pytest.fixture(scope="module")
def projects() -> Iterator[Path]:
    """A folder of each user with the same project; all that a run imports has been imported."""
    root = Path(tempfile.mkdtemp(prefix="shared-"))  # that of pytest is closed to others
    root.chmod(0o755)
    for user in (AMINA, MUSA):
        folder = root / str(user)
        folder.mkdir()
        if user == AMINA:
            write_project(folder)
            assert finetune(folder, "run", RECIPE)[0] == 0
            assert finetune(folder, "runs", "--verify")[0] == 0
            shutil.rmtree(folder / ".finetune")
        else:
            shutil.copytree(root / str(AMINA), folder, dirs_exist_ok=True)
    for user in (AMINA, MUSA):
        for path in [root / str(user), *(root / str(user)).rglob("*")]:
            os.chown(path, user, GROUP)
            path.chmod(0o775 if path.is_dir() else 0o664)
    yield root
    shutil.rmtree(root)


@pytest.fixture
def store(projects: Path) -> Iterator[Path]:
    """An empty store that belongs to the group."""
    folder = projects / "store"
    folder.mkdir()
    os.chown(folder, 0, GROUP)
    folder.chmod(0o2775)
    yield folder
    shutil.rmtree(folder)


def as_user(
    user: int,
    projects: Path,
    *arguments: str,
    umask: int,
    first: Callable[[], None] = lambda: None,
) -> tuple[int, str]:
    """Run the command line as a user of the group, in a child process; return code and output."""
    folder = projects / str(user)
    said = folder / "said.txt"
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            os.setgroups([GROUP])
            os.setgid(GROUP)
            os.setuid(user)
            os.umask(umask)
            os.environ |= {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
            first()
            code, text = finetune(folder, *arguments, "--store", str(projects / "store"))
            said.write_text(text, "utf-8")
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    text = said.read_text("utf-8") if said.exists() else ""
    said.unlink(missing_ok=True)
    return os.waitstatus_to_exitcode(status), text


def killed_in(stage: str) -> Callable[[], None]:
    """Return what makes a child kill itself in the middle of a stage."""

    def prepare() -> None:
        if stage == "train":
            from finetune.train.metrics import Metrics

            before = Metrics.train_step

            def step(self: Metrics, step: int, **values: float) -> None:
                before(self, step, **values)
                if step == 2:
                    os.kill(os.getpid(), signal.SIGKILL)

            Metrics.train_step = step  # type: ignore[method-assign]
        else:
            import finetune.prepare.run as preparing

            def killed(*_: object, **__: object) -> None:
                os.kill(os.getpid(), signal.SIGKILL)

            preparing.write_split = killed  # type: ignore[assignment]

    return prepare


def modes_of(store: Path) -> set[str]:
    return {stat.filemode(p.stat().st_mode) for p in [store, *store.rglob("*")]}


@pytest.mark.parametrize("left", ["finished", "train", "prepare"])
def test_with_umask_002_each_goes_on_from_what_the_other_left(projects, store, left):
    """Finished, half-trained and half-prepared: the second user reuses it and ends well; every
    file is open to the group, and both can remove what the other made."""
    first = killed_in(left) if left != "finished" else lambda: None
    code, said = as_user(AMINA, projects, "run", RECIPE, umask=0o002, first=first)
    assert code == (0 if left == "finished" else -signal.SIGKILL), said
    code, said = as_user(MUSA, projects, "run", RECIPE, umask=0o002)
    assert code == 0, said
    assert said.count(": cached (") == {"finished": 6, "train": 2, "prepare": 1}[left]
    assert modes_of(store) <= {"drwxrwsr-x", "-rw-rw-r--"}
    made = next((store / "base").iterdir()).name
    remove = ("runs", "--remove", f"base/{made}")
    assert as_user(MUSA, projects, *remove, umask=0o002)[0] == 0
    code, said = as_user(AMINA, projects, "run", RECIPE, umask=0o002)
    assert code == 0, said


@pytest.mark.parametrize(
    ("umask", "left"), [(0o022, "train"), (0o022, "prepare"), (0o077, "train")]
)
def test_a_narrower_umask_is_reported_with_the_owner_and_the_command_that_helps(
    projects, store, umask, left
):
    """A file closed to the group is a message with its owner and a command that works."""
    as_user(AMINA, projects, "run", RECIPE, umask=umask, first=killed_in(left))
    code, said = as_user(MUSA, projects, "run", RECIPE, umask=0o002)
    assert code == 1, said
    assert "Traceback" not in said
    assert f"user {AMINA}" in said
    command = f"chmod -R g+rwX {store}"
    assert command in said
    assert "umask 002" in said
    assert os.system(command) == 0
    code, said = as_user(MUSA, projects, "run", RECIPE, umask=0o002)
    assert code == 0, said


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_a_finished_store_that_one_may_only_read_is_enough(projects, store, umask):
    """Nothing is to be done, so nothing has to be written; `runs` and `plan` work as well."""
    assert as_user(AMINA, projects, "run", RECIPE, umask=umask)[0] == 0
    for verb in (("run", RECIPE), ("runs",), ("plan", RECIPE), ("runs", "--verify")):
        code, said = as_user(MUSA, projects, *verb, umask=0o002)
        assert code == 0, said
    assert "already up to date" in as_user(MUSA, projects, "run", RECIPE, umask=0o002)[1]


def test_what_one_may_not_even_read_is_reported(projects, store):
    """With umask 077 every command that reads names the owner to the other user."""
    assert as_user(AMINA, projects, "run", RECIPE, umask=0o077)[0] == 0
    for verb in (("run", RECIPE), ("runs", "--verify"), ("runs",), ("plan", RECIPE)):
        _, said = as_user(MUSA, projects, *verb, umask=0o002)
        assert "Traceback" not in said
        assert f"user {AMINA}" in said
        assert f"chmod -R g+rwX {store}" in said
