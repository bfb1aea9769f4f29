"""One flipped bit, or one odd artefact, in a finished store is found and named; others run."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from finetune.output.small_files import read_bytes
from finetune.pipeline.manifest import MANIFEST, read_manifest
from finetune.pipeline.store import Store
from tests.support.artefacts import finished
from tests.support.flips import RECIPE, STORE, finetune, flip, flips, kind_of, restore
from tests.support.project import write_project
from tests.support.surroundings import Variables

pytestmark = pytest.mark.slow

HOST, USER, HOME = "zq-host-7", "zq-user-7", "zq-home-7"
STAGES = ("base", "prepare", "train", "baseline", "evaluate", "release")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder below a home of its own, on a host of its own, where `finetune run` has finished."""
    home = tmp_path_factory.mktemp(HOME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: HOST)
        for name in ("USER", "LOGNAME", "USERNAME"):
            patch.setenv(name, USER)
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        folder = home / "project"
        folder.mkdir()
        recipe = write_project(folder)
        text = recipe.read_text("utf-8").replace("tensorboard: false", "tensorboard: true")
        recipe.write_text(text, "utf-8")
        code, said = finetune(folder, "run", RECIPE)
        assert code == 0, said
        yield folder


@pytest.fixture
def good(project: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the finished store, from which it is restored afterwards."""
    copy = tmp_path / "good"
    shutil.copytree(project / STORE, copy)
    restore(project / STORE, copy)  # a flipped file belongs to one artefact
    yield copy
    restore(project / STORE, copy)


def adapter_of(project: Path) -> bytes:
    return (project / STORE / "hub/org/tiny-lora/adapter_model.safetensors").read_bytes()


def only(project: Path, stage: str) -> Path:
    (found,) = (p for p in (project / STORE / stage).iterdir() if not p.suffix)
    return found


def test_a_finished_store_names_no_host_user_or_home(project: Path) -> None:
    """Not in the name of a file, nor in any byte of one."""
    assert getpass.getuser() == USER
    store = project / STORE
    assert list(store.glob("train/*/tensorboard/events.out.tfevents.*"))
    for path in store.rglob("*"):
        inside = path.relative_to(store).as_posix().encode()
        content = read_bytes(path) if path.is_file() else b""
        for secret in (HOST, USER, HOME):
            assert secret.encode() not in inside + content, path


def test_a_flipped_bit_of_each_kind_of_file_is_found_before_it_is_used(project: Path) -> None:
    """Weights, tokenizer, packed splits, JSON, pages, adapter, checkpoint, manifest: named, with
    the command that makes the artefact again."""
    files = (p for p in (project / STORE).rglob("*") if p.is_file() and p.stat().st_size)
    names = (p.relative_to(project / STORE).as_posix() for p in files)
    kinds = {kind_of(n) for n in names if n.partition("/")[0] in STAGES}
    seen = set()
    for one in flips(project, seed=0, count=len(kinds)):
        assert one.verdict == "found", one
        seen.add(kind_of(one.file))
    assert seen == kinds


def test_many_flipped_bits_are_found(project: Path) -> None:
    """At other places of the same files; the nightly part `flips` tries hundreds."""
    assert {one.verdict for one in flips(project, seed=1, count=60)} == {"found"}


USED = {
    "base": "model/tokenizer.json",
    "prepare": "train/segments.npy",
    "train": "adapter/adapter_model.safetensors",
    "baseline": "shards/conditions.json",
    "evaluate": MANIFEST,
    "release": "README.md",
}


@pytest.mark.parametrize("stage", STAGES)
def test_the_advised_command_helps(project: Path, good: Path, stage: str) -> None:
    """The commands of the message, then the same command, end with the same adapter."""
    before = adapter_of(project)
    file = f"{stage}/{only(project, stage).name}/{USED[stage]}"
    found = flip(project, good, file=file, bit=999)
    for later in STAGES[STAGES.index(stage) + 1 : -1]:  # only the release is made again as well
        shutil.copytree(good / later, project / STORE / later, dirs_exist_ok=True)
    assert finetune(project, *shlex.split(found.command)[1:])[0] == 0
    code, said = finetune(project, "run", RECIPE)
    assert code == 0, said
    assert said.count("running") == (1 if stage == "release" else 2)
    assert adapter_of(project) == before


VERBS = [
    ("base", "model/model.safetensors", ("chat", RECIPE)),
    ("train", "adapter/adapter_model.safetensors", ("chat", RECIPE)),
    ("base", "model/config.json", ("chat", RECIPE, "--only", "base")),
    ("train", "adapter/adapter_config.json", ("export", RECIPE, "--format", "peft", "--out", "x")),
    ("prepare", "report.html", ("export", RECIPE, "--format", "peft", "--out", "x")),
    ("release", "adapter_config.json", ("publish", RECIPE)),
    ("release", "NOTICE", ("publish", RECIPE, "--dry-run")),
    ("base", "model/config.json", ("estimate", RECIPE)),
    ("evaluate", "report.html", ("runs", "--verify")),
]


@pytest.mark.parametrize(("stage", "name", "verb"), VERBS)
def test_every_verb_that_uses_a_file_compares_it(project, good, stage, name, verb) -> None:
    """Talking, exporting, publishing, reviewing and estimating as well; nothing is written."""
    file = only(project, stage) / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    code, said = finetune(project, *verb)
    assert code == 1, said
    assert name in said
    assert f"--remove {stage}/{file.relative_to(project / STORE).parts[1]}" in said
    assert not list(project.glob("x*"))


def test_nothing_unlisted_is_published(project: Path, good: Path) -> None:
    """A file beside those of a release is refused by name."""
    (only(project, "release") / "LICENSE").write_text("mine")
    code, said = finetune(project, "publish", RECIPE)
    assert code == 1
    assert "LICENSE: is not in the manifest" in said


def put_odd(store: Path) -> int:
    """Put one odd artefact of each kind into a store; return how many."""
    number = 0

    def folder(stage: str = "train") -> Path:
        nonlocal number
        number += 1
        made = store / stage / f"{number:016x}"
        made.parent.mkdir(exist_ok=True)
        return made

    for content in (b"", b"{", b"null", b"{}", b"[]", b"[" * 100_000, b"\xff", b'{"schema": 99}'):
        for stage in ("train", "prepare"):
            made = folder(stage)
            made.mkdir()
            (made / MANIFEST).write_bytes(content)
    folder().mkdir()  # empty
    folder().symlink_to("nowhere")
    folder().write_text("a file")
    made = folder()
    made.symlink_to(made.name)  # to itself
    made = folder()
    made.mkdir()
    os.mkfifo(made / MANIFEST)
    made = folder()
    (made / MANIFEST).mkdir(parents=True)
    shutil.copytree(next(p for p in (store / "train").iterdir() if p.is_dir()), folder())  # copied
    finished(folder("evaluate")).rename(folder("release"))  # moved
    number -= 1
    (store / "corpus").write_text("a file where a folder belongs")
    stray = store / "notes" / "mine"
    stray.mkdir(parents=True)
    (stray / MANIFEST).write_text("{}")
    return number + 2


def test_odd_artefacts_of_others_are_a_warning_line_each(project: Path, good: Path) -> None:
    """`run` up to a new training, `runs`, `plan`, `cards withdraw`, `cards review` go on."""
    odd = put_odd(project / STORE)
    listing = ("runs",)
    verbs = [
        (listing, odd),
        (("cards", "withdraw", "lines", "--dry-run"), odd),
        (("cards", "review", "lines", "left-out.csv"), odd),
        (("plan", RECIPE), 0),
        (("run", RECIPE), 0),
        (("train", RECIPE, "--set", "train.max_steps=5"), odd),
    ]
    for verb, warnings in verbs:
        code, said = finetune(project, *verb)
        assert code == 0, said
        assert "Traceback" not in said
        assert said.count("warning, passed over: ") == warnings, (verb, said)
    assert all(f"{stage}/" in finetune(project, *listing)[1] for stage in STAGES)
    (project / "left-out.csv").unlink()
    assert finetune(project, "runs", "--verify")[0] == 1


OWN = ["empty folder", "dangling link", "file", "stage is a file", "null manifest", "moved here"]


@pytest.mark.parametrize("damage", OWN)
def test_own_damage_is_a_sentence_with_a_way_out_that_works(project, good, damage) -> None:
    """`plan` shows it, `run` stops with it, and what it says helps."""
    place = only(project, "evaluate")
    if damage == "null manifest":
        (place / MANIFEST).write_text("null")
    elif damage == "moved here":
        shutil.rmtree(place)
        shutil.copytree(only(project, "prepare"), place)
    else:
        shutil.rmtree(place.parent if damage == "stage is a file" else place)
        if damage == "empty folder":
            place.mkdir()
        elif damage == "dangling link":
            place.symlink_to("nowhere")
        else:
            (place.parent if damage == "stage is a file" else place).write_text("")
    shutil.rmtree(project / STORE / "release")
    code, said = finetune(project, "plan", RECIPE)
    assert code == 0, said
    assert "damaged" in said
    code, said = finetune(project, "run", RECIPE)
    assert code == 1, said
    assert "Traceback" not in said
    for start in ("finetune runs --store", "rm "):
        if start in said:
            command = said[said.index(start) :].partition(", then the same")[0].strip(")")
            words = shlex.split(command.partition(")")[0])
            break
    if words[0] == "rm":
        Path(words[1]).unlink()
    else:
        assert finetune(project, *words[1:])[0] == 0
    code, said = finetune(project, "run", RECIPE)
    assert code == 0, said


def test_manifests_of_a_finished_store_are_read_back(project: Path) -> None:
    """The model accepts the stages' outputs, without a difference."""
    for artifact, manifest in Store(project / STORE).artifacts():
        assert read_manifest(artifact.path) == manifest


def test_a_bit_of_a_fetched_corpus_or_of_new_tokens_is_found(
    tmp_path: Path, variables: Variables
) -> None:
    """The two stages that not every recipe has: each of their files, and both manifests."""
    variables(XDG_CACHE_HOME=str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    recipe = write_project(folder)
    text = recipe.read_text("utf-8") + "vocabulary: {size: 16, min_count: 2}\n"
    recipe.write_text(text, "utf-8")
    served = tmp_path / "served"
    served.mkdir()
    (folder / "data_cards/lines.txt").rename(served / "lines.txt")
    card = folder / "data_cards/lines.md"
    with serving(served) as address:
        text = card.read_text("utf-8").replace("kind: files", "kind: url")
        at = "path: lines.txt"
        card.write_text(text.replace(at, f"{at}\n        url: {address}/lines.txt"), "utf-8")
        code, said = finetune(folder, "run", RECIPE)
    assert code == 0, said
    good = tmp_path / "good"
    shutil.copytree(folder / STORE, good)
    files = [
        path.relative_to(good).as_posix()
        for stage in ("corpus", "vocabulary")
        for path in sorted((good / stage).rglob("*"))
        if path.is_file()
    ]
    assert {Path(file).name for file in files} >= {"lines.txt", "vocabulary.json", MANIFEST}
    for number, file in enumerate(files):
        bits = 8 * (good / file).stat().st_size
        found = flip(folder, good, file=file, bit=number * 7919 % bits)
        assert found.verdict == "found", found


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; yield its address."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep standard error as the program leaves it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
