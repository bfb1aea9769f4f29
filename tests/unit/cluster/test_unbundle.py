"""A bundle of a stranger is put into use whole, or refused with what is wrong, and nothing else."""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.cluster.bundle import scratch, unpack
from finetune.cluster.bundle.instructions import argument, shell_word
from finetune.cluster.bundle.inventory import manifest_in
from finetune.errors import FinetuneError, StoreError
from finetune.pipeline.store import Store
from tests.support.artefacts import as_of_schema_1
from tests.support.file_size import largest_file
from tests.support.hostile_archives import (
    KEY,
    SHELF,
    as_folder,
    as_tar,
    changed,
    good,
    hostile_bundles,
    listed,
    mutants,
    packed,
    run_case,
)
from tests.support.problems import raises
from tests.support.surroundings import Inside

ROOT = Path(__file__).parents[3]
COMMAND = ["unbundle", "tiny.tar", "--store", "store", "--into", "into"]


@pytest.fixture
def here(tmp_path: Path, inside: Inside) -> Path:
    """A folder with a sound bundle, `tiny.tar`, in which the command is typed."""
    folder = tmp_path / "here"
    folder.mkdir()
    inside(folder)
    as_tar(good())(folder)
    return folder


def exit_code(*words: str) -> int:
    """Return the exit code of a command, also of one that the parser refuses."""
    try:
        return main(words)
    except SystemExit as stopped:
        return int(stopped.code or 0)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def whole(folder: Path = Path()) -> bool:
    """Return whether project and artefact are there, byte for byte, and nothing else."""
    wanted = {n.replace("project/", "into/"): d for n, d in good().items() if "/" in n}
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for place in ("into", "store")
        for path in (folder / place).rglob("*")
        if path.is_file()
    }
    return found == wanted


def test_every_bundle_made_by_a_stranger_is_refused(tmp_path):
    """Each of 250 is refused with exit code 2 and a message that names the entry; nothing is
    written inside or outside, and nothing is run."""
    verdicts = [run_case(case, tmp_path / str(n)) for n, case in enumerate(hostile_bundles())]
    assert {v.label: v.faults for v in verdicts if v.faults} == {}
    assert len(verdicts) > 200


def test_mutants_of_a_bundle_are_refused_or_give_the_same_bytes(tmp_path):
    """Bits, blocks, members and files changed at random, in folders and tar files of every kind."""
    verdicts = [run_case(case, tmp_path / str(n)) for n, case in enumerate(mutants(3, 60))]
    assert {v.label: v.faults for v in verdicts if v.faults} == {}
    assert {v.outcome for v in verdicts} == {"taken", "refused"}


@pytest.mark.slow
def test_four_hundred_mutants(tmp_path):
    """The same with 400 others."""
    verdicts = [run_case(case, tmp_path / str(n)) for n, case in enumerate(mutants(4, 400))]
    assert {v.label: v.faults for v in verdicts if v.faults} == {}


def test_the_canary_and_the_look_outside_can_fail(tmp_path):
    """The harness of the archives detects executed code and files written elsewhere."""

    class Evil:
        label, said, sound, kind, into = "evil", "", True, "bundle", True

        @staticmethod
        def make(folder: Path) -> Path:
            made = as_tar(good())(folder)
            (folder / "code.py").write_text("x = 1")
            return made

    def run(arguments: list[str]) -> int:
        code = compile("x = 1", f"{tmp_path}/case/made/code.py", "exec")
        exec(code, {})
        Path("../outside/evil.txt").touch()
        return main(arguments)

    verdict = run_case(Evil(), tmp_path / "case", command=run)  # type: ignore[arg-type]
    assert any("code.py" in fault for fault in verdict.faults)
    assert any("outside/evil.txt" in fault for fault in verdict.faults)


@pytest.mark.parametrize("form", ["folder", "tar", "tgz", "tar.gz", "tar.xz", "no suffix", "gnu"])
def test_a_sound_bundle_is_taken_in_every_form(here, form, capsys):
    """However it was packed; what is there afterwards is what was in it, and nothing else."""
    bundle = Path(f"b.{form}")
    if form == "folder":
        shutil.move(as_folder(good())(here), bundle)
    elif form in ("tgz", "tar.gz"):
        bundle.write_bytes(gzip.compress(packed(good())))
    else:
        mode = "w:xz" if form == "tar.xz" else "w"
        kind = tarfile.GNU_FORMAT if form == "gnu" else tarfile.PAX_FORMAT
        with tarfile.open(bundle, mode, format=kind) as made:
            made.add(as_folder(good())(here), arcname="./tiny" if form == "gnu" else "tiny")
    shutil.rmtree("tiny", ignore_errors=True)
    assert main(["unbundle", str(bundle), "--store", "store", "--into", "into"]) == 0
    assert whole()
    assert {path.name for path in here.iterdir()} == {"tiny.tar", bundle.name, "into", "store"}
    said = capsys.readouterr().out
    assert f"base/{KEY}: added to {here}/store" in said
    check = "finetune check recipes/tiny.yaml --set train.max_steps=3"
    assert f"next: cd into && {check}\n" in said


def test_modes_follow_the_umask(here):
    """Files of another user's archive are readable for the group if the umask allows it."""
    before = os.umask(0o002)
    try:
        assert main(COMMAND) == 0
    finally:
        os.umask(before)
    for path in (*Path("into").rglob("*"), *Path("store").rglob("*"), Path("into")):
        assert path.stat().st_mode & 0o777 == (0o775 if path.is_dir() else 0o664), path


def test_an_artefact_that_is_there_is_compared(here, capsys):
    """The same files are reported to be there; other files are left as they are, with a word."""
    assert main(COMMAND) == 0
    assert main([*COMMAND[:-1], "again"]) == 0
    assert f"base/{KEY}: already in the store\n" in capsys.readouterr().out
    shelf = Path("store/base") / KEY
    (shelf / "model/config.json").write_text("[]")
    files = json.loads((shelf / "manifest.json").read_text())["files"]
    files["model/config.json"]["sha256"] = "0" * 64
    as_of_schema_1(shelf, files=files)
    assert main([*COMMAND[:-1], "third"]) == 0
    said = capsys.readouterr().out
    assert "already in the store with other files, unchanged" in said
    assert (shelf / "model/config.json").read_text() == "[]"
    [advice] = [line for line in said.splitlines() if "--remove" in line]
    command = shlex.split(advice.partition("bundle: ")[2].partition(", then")[0])
    assert main(command[1:]) == 0
    assert main([*COMMAND[:-1], "fourth"]) == 0
    assert (shelf / "model/config.json").read_text() == "{}"


def test_a_damaged_artefact_of_the_store_is_named(here, capsys):
    """It is not taken for the bundle's, and nothing is written."""
    assert main(COMMAND) == 0
    manifest = Path("store/base") / KEY / "manifest.json"
    sound = manifest.read_text()
    for damaged in ("{}", "[]", "null", "", sound[:50], None):
        manifest.unlink()
        if damaged is not None:
            manifest.write_text(damaged)
        assert main([*COMMAND[:-1], "again"]) == 1
        assert f"--remove base/{KEY}" in capsys.readouterr().err
        assert not Path("again").exists()
        manifest.write_text(sound)
    (manifest.parent / "model/config.json").unlink()
    assert main([*COMMAND[:-1], "again"]) == 1
    assert "files are missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--store", "store", "--into", "there"], "there: already exists"),
        (["--store", "store", "--into", "dangling"], "dangling: already exists"),
        (["--store", "into/store", "--into", "into"], "contains the store"),
        (["--store", "loop", "--into", "into"], "leads in a circle"),
        (["--store", "store", "--into", "loop/x"], "leads in a circle"),
        (["--store", "b/.finetune", "--into", "into"], "inside the bundle itself.* --store"),
        (["--store", "store", "--into", "b/x/work"], "inside the bundle itself.* --into"),
    ],
)
def test_places_that_cannot_be_are_refused(here, options, words, capsys):
    """A folder that is there, a store in the project, or either of them in the bundle."""
    shutil.move(as_folder(good())(here), "b")
    Path("there").mkdir()
    Path("dangling").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    before = names(here)
    assert exit_code("unbundle", "b", *options) == 2
    assert re.search(words, capsys.readouterr().err)
    assert names(here) == before


def test_no_room_is_said_before_and_while_writing(here, capsys):
    """A disk that is too small is named with what is needed; one that fills up leaves nothing."""
    before = names(here)
    with pytest.raises(StoreError) as refused:
        unpack.unpack(
            Path("tiny.tar"), store=Store(here / "store"), into=Path("into"), free=lambda _: 10
        )
    assert refused.value.codes == ("full-disk",)
    assert names(here) == before
    with largest_file(1500):  # less than the weights, more than all before
        assert main(COMMAND) == 1
    said = capsys.readouterr().err
    assert "no space for the bundle" in said
    assert "Traceback" not in said
    assert names(here) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_one_may_not_write_is_named(here, capsys):
    """The folder and the options that choose another one."""
    here.chmod(0o555)
    try:
        assert main(COMMAND) == 1
    finally:
        here.chmod(0o755)
    assert "--store and --into" in capsys.readouterr().err


def test_a_file_where_a_stage_belongs_is_a_sentence(here, capsys):
    """The store's folder of a stage is a file, a dangling link, or the store itself is a file."""
    Path("store").mkdir()
    Path("store/base").write_text("x")
    assert main(COMMAND) == 1
    Path("store/base").unlink()
    Path("store/base").symlink_to("nowhere")
    assert main(COMMAND) == 1
    shutil.rmtree("store")
    Path("store").write_text("x")
    assert exit_code(*COMMAND) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert names(here) == {"store", "tiny.tar"}


def test_what_an_interrupt_leaves_is_nothing(here, monkeypatch):
    """Ctrl-C in the middle of writing removes what was written, and the folders made for it."""
    before = names(here)
    write = unpack.write_member

    def stopped(member, target, **options):
        if target.name == "model.safetensors":
            raise KeyboardInterrupt
        return write(member, target, **options)

    monkeypatch.setattr(unpack, "write_member", stopped)
    with pytest.raises(KeyboardInterrupt):
        unpack.unpack(Path("tiny.tar"), store=Store(here / "a/b/store"), into=Path("x/y/into"))
    assert names(here) == before


def test_what_changes_between_the_two_readings_is_noticed(here, monkeypatch):
    """A bundle that is replaced after it was looked through is not taken."""
    other = packed(changed("bundle.json", name="other"))
    examined = unpack.examined

    def replaced(source):
        found = examined(source)
        source.write_bytes(other)
        return found

    monkeypatch.setattr(unpack, "examined", replaced)
    with raises(FinetuneError, code="changed-while-read", at="'bundle.json'"):
        unpack.unpack(Path("tiny.tar"), store=Store(here / "store"), into=Path("into"))
    assert names(here) == {"tiny.tar"}


def test_what_another_made_meanwhile_stays(here, monkeypatch):
    """An artefact that was built while the bundle was read is left to its builder."""
    write = unpack._write

    def slow(source, inventory, places):
        write(source, inventory, places)
        shutil.copytree(places[f"base/{KEY}"], here / "store/base" / KEY)
        (here / "store/base" / KEY / "mark").touch()

    monkeypatch.setattr(unpack, "_write", slow)
    unpack.unpack(Path("tiny.tar"), store=Store(here / "store"), into=Path("into"))
    assert (here / "store/base" / KEY / "mark").exists()
    assert not (here / "store/.unbundle").exists()


def test_litter_of_a_killed_one_is_not_in_the_way(here):
    """Half a project and half an artefact under the names that a killed one used, links too."""
    for place in (".into.unbundle", "store/.unbundle"):
        (here / place / "base").mkdir(parents=True)
        (here / place / "base/half").write_text("half")
    assert main(COMMAND) == 0
    assert whole()
    shutil.rmtree("into")
    outside = here / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (here / ".into.unbundle").symlink_to(outside)
    assert main(COMMAND) == 0
    assert names(outside) == {"kept"}
    assert whole()


def test_a_stick_without_hard_links_will_do(here, monkeypatch):
    """FAT has no hard links, which leases are made of: it is written to all the same."""

    def refused(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    assert main(COMMAND) == 0
    assert whole()


def test_two_at_once_take_turns(here):
    """The second waits and says for whom; what the first has made is then not written over."""
    said: list[str] = []
    errors: list[str] = []

    def second() -> None:
        try:
            unpack.unpack(
                Path("tiny.tar"), store=Store(here / "s"), into=Path("into"), waiting=said.append
            )
        except FinetuneError as error:
            errors.append(str(error))

    thread = threading.Thread(target=second)
    with scratch.scratch_folder(here / ".into.unbundle", waiting=said.append) as first:
        thread.start()
        while not said:
            time.sleep(0.01)
        (first / "first").touch()
        first.rename("into")
    thread.join()
    assert "waiting" in said[0]
    assert "already exists" in errors[0]
    assert names(here) == {"tiny.tar", "into", "into/first"}


def killed(folder: Path, *, every: int) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_unbundle", str(folder), str(every)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_kill_leaves_nothing_that_looks_complete(tmp_path):
    """SIGKILL before every fifth change to the disk; the same command then ends well."""
    result = killed(tmp_path / "kills", every=5)
    assert result["faults"] == []
    assert result["kills"] > 5


@pytest.mark.slow
def test_a_kill_before_any_change(tmp_path):
    """The same before every single one."""
    result = killed(tmp_path / "kills", every=1)
    assert result["faults"] == []
    assert result["kills"] > 30


def test_a_new_folder_that_is_needed_stays_and_others_go(tmp_path):
    """Only folders that were made for the purpose, and are empty, are removed."""
    (tmp_path / "old").mkdir()
    with scratch.new_folders(tmp_path / "old/a/b"):
        pass
    assert names(tmp_path) == {"old"}
    with scratch.new_folders(tmp_path / "old/a/b"):
        (tmp_path / "old/a/x").touch()
    assert names(tmp_path) == {"old", "old/a", "old/a/x"}


@pytest.mark.parametrize(
    "text",
    ["a b", "$(touch x)", "`x`", "a'b", 'a"b', "a\nb", "\x1b[2J", "ɗ\u202e", "", "-x", "a\\b"],
)
def test_a_shell_takes_a_word_as_it_is(text):
    """In bash the word is the text again, and nothing in it moves the cursor or is run."""
    word = shell_word(text)
    assert word.isprintable()
    said = subprocess.run(
        ["bash", "-c", f"printf %s {word}"],
        capture_output=True,
        check=True,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
    assert said.stdout.decode() == text
    assert not argument(text).startswith("-")


def test_the_next_step_is_quoted(here, capsys):
    """Folder, recipe and overrides of a stranger come out as words of a shell."""
    files = changed("bundle.json", recipe="recipes/a b.yaml", overrides=["x=$(id)", "y=\x1b[2J"])
    files["project/recipes/a b.yaml"] = files.pop("project/recipes/tiny.yaml")
    as_tar(listed(files))(here)
    assert main([*COMMAND[:-1], "in to"]) == 0
    step = capsys.readouterr().out.splitlines()[-1]
    check = "finetune check 'recipes/a b.yaml' --set 'x=$(id)' --set $'y=\\x1b[2J'"
    assert step == f"next: cd 'in to' && {check}"


def test_the_manifest_of_a_real_artefact_is_understood(here):
    """An unpacked artefact is compared with the store's own format."""
    assert main(COMMAND) == 0
    manifest = manifest_in(Path("store/base") / KEY)
    assert set(manifest.files) == {"model/config.json", "model/model.safetensors"}
    assert f"{SHELF}/manifest.json" in good()


def test_what_one_left_that_was_killed_at_its_end_is_cleared(here, capsys):
    """The project is there and refused once more; the lease and the hidden folder are gone."""
    assert main(COMMAND) == 0
    Path(".into.unbundle").mkdir()
    Path(".into.unbundle/half").touch()
    before = names(Path("into"))
    assert main(COMMAND) == 2
    assert "already exists" in capsys.readouterr().err
    assert names(Path("into")) == before
    assert {path.name for path in here.iterdir()} == {"into", "store", "tiny.tar"}
