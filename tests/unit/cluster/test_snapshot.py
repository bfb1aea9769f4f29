"""Snapshots of chains and bundles are copies of files inside the project."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.cluster.bundle import bundle, instructions
from finetune.cluster.bundle.bundle import Contents, write_bundle
from finetune.cluster.bundle.inventory import Facts
from finetune.cluster.bundle.unpack import unpack
from finetune.cluster.chain.snapshot import changed_versions, write_snapshot
from finetune.errors import InputError, RecipeError, StoreError
from finetune.pipeline.gate import Opened, open_project
from finetune.pipeline.plan import Stage, Step
from finetune.pipeline.store import Store
from tests.support.hostile_archives import CONTENT, KEY, as_tar, good
from tests.support.problems import raises
from tests.support.small_model import write_small_model
from tests.support.small_recipe import CARD, RECIPE
from tests.support.surroundings import Inside

TEXT = b"benn\n"
LOCAL = RECIPE.replace("model: org/model", "model: ./model\n  hub_id: org/model")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: Inside) -> Path:
    """A project whose base is a folder, in the working folder; something private lies outside."""
    folder = tmp_path / "here"
    for name in ("data_cards/withdrawn", "recipes"):
        (folder / name).mkdir(parents=True)
    inside(folder)
    Path("data_cards/words.txt").write_bytes(TEXT)
    Path("data_cards/words.md").write_text(CARD.replace("0" * 64, hashlib.sha256(TEXT).hexdigest()))
    Path("data_cards/withdrawn/words.txt").write_text("0" * 64 + "\n")
    Path("recipes/tiny.yaml").write_text(LOCAL)
    write_small_model(Path("model"))
    (tmp_path / "private").write_text("private")
    monkeypatch.setattr(bundle, "packages_of", lambda _: {"torch": "2.0"})
    monkeypatch.setattr(instructions, "training_packages", dict)  # a second each
    return folder


def opened(purpose: str = "submit") -> Opened:
    return open_project(Path("recipes/tiny.yaml"), purpose=purpose)


def snapshot(target: Path) -> None:
    write_snapshot(opened(), target / "project", versions=False)


def packed(target: Path, *steps: Step, store: str = "s") -> None:
    contents = Contents(
        opened("bundle"), steps=steps, store=Store(Path(store)), site=None, wheels=False
    )
    write_bundle(target, contents)


@pytest.mark.parametrize("write", [snapshot, packed])
def test_what_is_taken_along_is_a_copy(here, tmp_path, write):
    """No file shares its inode with one outside; writing a source in place reaches no copy."""
    write(tmp_path / "out")
    sources = [p for p in here.rglob("*") if p.is_file()]
    inodes = {p.stat().st_ino for p in sources}
    copies = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert len(copies) >= 4
    assert not [p for p in copies if p.stat().st_ino in inodes or p.stat().st_nlink > 1]
    before = {p: p.read_bytes() for p in copies}
    for source in sources:
        source.write_bytes(b"other")  # in place: `cp`, `rsync --inplace`, `dd`
    assert {p: p.read_bytes() for p in copies} == before


OUTSIDE: dict[str, Callable[[Path], object]] = {
    "link out": lambda path: path.symlink_to("../../private"),
    "absolute link out": lambda path: path.symlink_to(Path("../private").resolve()),
    "link through a folder": lambda path: path.symlink_to("../data_cards/out/private"),
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path.name),
    "nothing": lambda path: path.symlink_to("nothing"),
}


@pytest.mark.parametrize("kind", OUTSIDE)
@pytest.mark.parametrize(
    "victim", ["data_cards/withdrawn/words.txt", "recipes/tiny.lock.json", "data_cards/words.md"]
)
@pytest.mark.parametrize("write", [snapshot, packed])
def test_no_link_out_of_the_folder_is_followed(here, tmp_path, write, victim, kind):
    """A card, its withdrawal list or the lock that leads elsewhere, or is no file, is refused by
    name after the recipe was opened; the file outside is copied nowhere."""
    project = opened("submit"), opened("bundle")
    Path("data_cards/out").symlink_to("../..")
    path = Path(victim)
    path.unlink(missing_ok=True)
    OUTSIDE[kind](path)
    out = tmp_path / "out"
    contents = Contents(project[1], steps=(), store=Store(Path("s")), site=None, wheels=False)
    codes = ("dangling-link", "link-leaves-folder", "not-a-file")
    with raises(RecipeError, code=codes, at=victim):
        _ = (
            write_snapshot(project[0], out / "project", versions=False)
            if write is snapshot
            else write_bundle(out, contents)
        )
    copies = [p for p in out.rglob("*") if p.is_file()] if out.exists() else []
    assert not [p for p in copies if p.read_bytes() == b"private"]


@pytest.mark.parametrize("kind", ["link out", "absolute link out", "device"])
def test_a_corpus_file_that_leads_elsewhere_is_refused(here, tmp_path, kind):
    """A text that is a link out of the card's folder is named, also when it is the right text."""
    project = opened()
    Path("../private").write_bytes(TEXT)
    Path("data_cards/words.txt").unlink()
    target = "/dev/zero" if kind == "device" else "../../private"
    Path("data_cards/words.txt").symlink_to(target)
    with raises(InputError, code="path-outside", path="words.txt"):
        write_snapshot(project, tmp_path / "out/project", versions=False)


def test_links_inside_are_followed(here, tmp_path):
    """Texts and weights that are links within the folder come along as files."""
    Path("data_cards/words.txt").rename("data_cards/real.txt")
    Path("data_cards/words.txt").symlink_to("real.txt")
    Path("model/model.safetensors").rename("weights")
    Path("model/model.safetensors").symlink_to("../weights")
    packed(tmp_path / "out")
    for name in ("data_cards/words.txt", "model/model.safetensors"):
        copied = tmp_path / "out/project" / name
        assert copied.is_file()
        assert not copied.is_symlink()


@pytest.mark.parametrize(
    ("spoil", "code", "name"),
    [
        (
            lambda: Path("model/x.json").symlink_to("../../private"),
            "link-leaves-folder",
            "model/x.json",
        ),
        (
            lambda: Path("model/.git").mkdir() or Path("model/.git/config").touch(),
            "unfit-for-a-bundle",
            "'model/.git/config'",
        ),
        (
            lambda: Path("model/__init__.py").touch(),
            "unfit-for-a-bundle",
            "'model/__init__.py'",
        ),
        (lambda: Path("model/a\nb").touch(), "unfit-for-a-bundle", r"'model/a\nb'"),
        (lambda: Path("model/a\\b").touch(), "unfit-for-a-bundle", r"'model/a\\b'"),
    ],
)
def test_what_could_not_be_unpacked_is_not_packed(here, tmp_path, spoil, code, name):
    """A model folder with a link out, a repository, a module or an odd name: refused, by name."""
    spoil()
    with raises(RecipeError, code=code, at=name):
        packed(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert {p.name for p in tmp_path.iterdir()} == {"here", "private"}


def test_the_recipe_itself_may_be_called_anything_but(here, tmp_path):
    """A recipe whose file name cannot travel is refused before anything is copied."""
    Path("recipes/tiny.yaml").rename("recipes/ti\x1bny.yaml")
    project = open_project(Path("recipes/ti\x1bny.yaml"), purpose="bundle")
    contents = Contents(project, steps=(), store=Store(Path("s")), site=None, wheels=False)
    with raises(RecipeError, code="unfit-name-for-a-bundle", at=r"'ti\x1bny.yaml'"):
        write_bundle(tmp_path / "out", contents)


def fetched(store: Path) -> Step:
    """Put an artefact into a store, through a bundle; return its step."""
    as_tar(good())(store.parent)
    unpack(store.parent / "tiny.tar", store=Store(store), into=store.parent / "unpacked")
    phase = opened().recipe.training_phases[0]
    return Step(Stage("base", 1, "", needs_network=True), "base", KEY, CONTENT, {}, phase)


def test_only_what_a_manifest_knows_is_packed_and_it_is_compared(here, tmp_path):
    """Litter in an artefact stays behind; a flipped bit is named with the way to mend it."""
    step = fetched(tmp_path / "s")
    shelf = tmp_path / "s/base" / KEY
    (shelf / "manifest.json.123.tmp").write_text("litter")
    packed(tmp_path / "out", step, store=str(tmp_path / "s"))
    assert (tmp_path / "out/store/base" / KEY / "manifest.json").is_file()
    assert not list((tmp_path / "out").rglob("*.tmp"))
    weights = shelf / "model/model.safetensors"
    weights.write_bytes(b"\xff" + weights.read_bytes()[1:])
    damaged = {"code": "damaged-artefact-in-bundle", "at": f"base/{KEY}"}
    with raises(StoreError, **damaged) as caught:
        packed(tmp_path / "other", step, store=str(tmp_path / "s"))
    facts = caught.value.problems[0].facts
    assert str(facts["reason"]).startswith("model/model.safetensors ")
    assert str(facts["command"]).endswith(f"--remove base/{KEY}")
    (shelf / "manifest.json").write_text("[]")
    with raises(StoreError, **damaged):
        packed(tmp_path / "other", step, store=str(tmp_path / "s"))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("suffix", ["", ".tar", ".tar.gz", ".tgz", ".tar.xz"])
def test_what_is_packed_is_unpacked(here, tmp_path, suffix):
    """Every form, with an artefact; in a tar file what a reader must know first comes first."""
    step = fetched(tmp_path / "s")
    out = tmp_path / f"out{suffix}"
    packed(out, step, store=str(tmp_path / "s"))
    if suffix:
        with tarfile.open(out) as made:
            members = made.getmembers()
        assert [m.name for m in members[:2]] == ["tiny/SHA256SUMS", "tiny/bundle.json"]
        assert {(m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, "", "")}
    done = unpack(out, store=Store(tmp_path / "t"), into=tmp_path / "work")
    assert done.added == (f"base/{KEY}",)
    assert (tmp_path / "work/model/config.json").read_bytes() == Path(
        "model/config.json"
    ).read_bytes()


def test_what_a_killed_one_left_is_not_in_the_way(here, tmp_path):
    """Half a bundle under the hidden name is removed, and nothing stays beside the new one."""
    left = tmp_path / "deep/.out.tar.bundle/tiny"
    left.mkdir(parents=True)
    (left / "half").touch()
    packed(tmp_path / "deep/out.tar")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out.tar"]


@pytest.mark.parametrize("there", ["dangling", "file"])
def test_a_target_that_is_there_is_left(here, tmp_path, there):
    """A file, or a link that leads nowhere, is not written over or through."""
    out = tmp_path / "out.tar"
    if there == "file":
        out.write_text("old")
    else:
        out.symlink_to(tmp_path / "elsewhere")
    with raises(RecipeError, code="already-exists", at=str(out)):
        packed(out)
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_is_a_sentence(here, tmp_path, monkeypatch):
    """No room while packing: which file, and what to do; nothing is left."""

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(bundle, "copy_file", full)
    why = "No space left on device"
    with raises(StoreError, code="bundle-not-written", at="recipes/tiny.yaml", reason=why):
        packed(tmp_path / "deep/out.tar")
    assert not (tmp_path / "deep").exists()


def test_a_stick_without_hard_links_will_do(here, tmp_path, monkeypatch):
    """A bundle is written to FAT, which has none."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    packed(tmp_path / "out.tar")
    assert (tmp_path / "out.tar").is_file()


def test_the_readme_is_quoted(here, tmp_path):
    """Names with spaces and overrides with dollars are words of a shell."""
    Path("recipes/tiny.yaml").rename("recipes/my $recipe.yaml")
    project = open_project(Path("recipes/my $recipe.yaml"), purpose="bundle")
    Path("my site.yaml").write_text("name: here")
    contents = Contents(
        project,
        steps=(),
        store=Store(Path("s")),
        site=Path("my site.yaml"),
        wheels=False,
        overrides=("release.repo=$(id)",),
    )
    write_bundle(tmp_path / "out", contents)
    text = (tmp_path / "out/README.md").read_text()
    assert "finetune check 'recipes/my $recipe.yaml' --set 'release.repo=$(id)'" in text
    assert "--site 'slurm/sites/my site.yaml'" in text
    facts = Facts.model_validate_json((tmp_path / "out/bundle.json").read_bytes())
    assert facts.overrides == ["release.repo=$(id)"]


@pytest.mark.parametrize("text", ["", "[]", "null", '{"torch": 3}', "x" * 10])
def test_odd_versions_of_a_chain_are_a_word_and_no_traceback(tmp_path, text):
    """An unreadable record of the submission is reported when versions are compared."""
    (tmp_path / "versions.json").write_text(text)
    [said] = changed_versions(tmp_path)
    assert "versions.json" in said


def test_a_chain_of_a_linked_card_is_refused_by_the_verb(here, capsys):
    """`submit` states which link, with exit code 2 and without a traceback."""
    Path("site.yaml").write_text(
        'name: here\ndescription: A cluster.\nsbatch: ["#SBATCH --partition=batch"]\n'
    )
    Path("data_cards/withdrawn/words.txt").unlink()
    Path("data_cards/withdrawn/words.txt").symlink_to("../../../private.txt")
    Path("../private.txt").write_text("0" * 64 + "\n")
    arguments = ["bundle", "recipes/tiny.yaml", "--without-wheels", "-o", "b", "--store", "s"]
    assert main(arguments) == 2
    assert "link that leaves" in capsys.readouterr().err
