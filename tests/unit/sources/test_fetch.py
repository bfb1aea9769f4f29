"""External inputs: models, datasets, packages, checksums, the lock."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest

from finetune.errors import FinetuneError, InputError, RecipeError, StoreError
from finetune.sources import checksums
from finetune.sources.checksums import checksum
from finetune.sources.hub_fetch import fetch_model
from finetune.sources.lock_file import read_lock, write_lock
from finetune.sources.packages import package_file
from tests.support.hub_lfs import Large
from tests.support.hub_server import HubServer
from tests.support.problems import raises
from tests.support.surroundings import Variables

MODEL = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": bytes(range(256)) * 8000,
    "tokenizer.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
    "pytorch_model.bin": b"pickle",
    "onnx/model.onnx": b"onnx",
    "original/model.safetensors": b"twice",
    "README.md": b"# x",
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, variables: Variables, tmp_path: Path):
    with HubServer() as server:
        variables(HF_ENDPOINT=server.url, HF_HOME=str(tmp_path / "hf"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


def test_model_is_fetched_without_pickles(hub, tmp_path):
    """Weights, configuration and tokenizer arrive with checksums; pickles and copies do not."""
    sha = hub.add("tiny/base", MODEL)
    got = fetch_model("tiny/base", sha, tmp_path / "model")
    names = {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"}
    assert set(got) == names
    assert {p.name for p in (tmp_path / "model").iterdir()} == names
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == MODEL["model.safetensors"]


def test_large_weights_are_fetched_from_where_they_lie(hub, tmp_path, no_waiting):
    """Weights kept by LFS come through a redirect, also after a cut there, byte by byte."""
    weights = Large(MODEL["model.safetensors"])
    sha = hub.add("tiny/base", MODEL | {"model.safetensors": weights})
    hub.faults += [("/lfs/cdn/", "lose-request")]
    with suppress(FinetuneError):
        fetch_model("tiny/base", sha, tmp_path / "model")
    got = fetch_model("tiny/base", sha, tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == weights
    assert got["model.safetensors"] == weights.pointer()["oid"]
    assert hub.faults == []


def test_old_revision_stays_what_it_was(hub, tmp_path):
    """A pinned revision gives its files, whatever was committed after it."""
    sha = hub.add("tiny/base", MODEL)
    hub.repos["model", "tiny/base"].commit(MODEL | {"config.json": b"{}"}, "newer")
    fetch_model("tiny/base", sha, tmp_path / "model")
    assert (tmp_path / "model" / "config.json").read_bytes() == MODEL["config.json"]


def test_interrupted_model_is_fetched_again(hub, tmp_path, no_waiting):
    """A connection lost in the middle is an error; the next attempt completes the folder."""
    sha = hub.add("tiny/base", MODEL)
    hub.faults += [("model.safetensors", "lose-request")] * 30
    with pytest.raises(FinetuneError):
        fetch_model("tiny/base", sha, tmp_path / "model")
    hub.faults.clear()
    got = fetch_model("tiny/base", sha, tmp_path / "model")
    assert "model.safetensors" in got


def test_pickled_weights_are_refused(hub, tmp_path):
    """A model without safetensors is refused, with what to do."""
    sha = hub.add("tiny/old", {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    with raises(InputError, code="no-safetensors"):
        fetch_model("tiny/old", sha, tmp_path / "model")


@pytest.mark.parametrize(
    ("repo", "revision", "settings", "code"),
    [
        ("tiny/none", "0" * 40, {}, "hub-not-found"),
        ("tiny/base", "0" * 40, {}, "hub-revision"),
        ("tiny/base", None, {"private": True}, "hub-not-found"),
        ("tiny/base", None, {"gated": True}, "hub-access"),
    ],
)
def test_refusals_say_what_to_do(hub, tmp_path, repo, revision, settings, code):
    """Missing, private and gated models and wrong revisions have different messages."""
    sha = hub.add("tiny/base", MODEL, **settings)
    with raises(InputError, code=code):
        fetch_model(repo, revision or sha, tmp_path / "model")


def test_private_model_with_token(hub, tmp_path, variables):
    """The token of its owner opens a private model."""
    sha = hub.add("tiny/base", MODEL, private=True)
    variables(HF_TOKEN=hub.token("tiny"))
    assert "config.json" in fetch_model("tiny/base", sha, tmp_path / "model")


@pytest.mark.parametrize("how", ["no-server", "offline"])
def test_without_network_fetch_says_so(hub, tmp_path, no_waiting, variables, how):
    """No network, or HF_HUB_OFFLINE: a clear error that names `finetune fetch`."""
    if how == "offline":
        variables(HF_HUB_OFFLINE="1")
    else:
        variables(HF_ENDPOINT="http://127.0.0.1:1")
    with raises(StoreError, code="no-network"):
        fetch_model("tiny/base", "0" * 40, tmp_path / "model")


CORPUS = """
import io, sys
from pathlib import Path
from finetune.sources.fetch import run_corpus
from finetune.errors import FinetuneError
from finetune.artefacts.job import Job
from finetune.output.console import Console
from finetune.spec.recipe import Recipe
from tests.support.release_job import RECIPE, card
from tests.support.problems import raises
source = {"kind": "hub", "dataset": "amina/pairs", "revision": sys.argv[1], "split": sys.argv[3]}
recipe = Recipe.model_validate(RECIPE)
workspace = Path(sys.argv[2])
workspace.mkdir()
cards = {"school-hau": card(corpus={"source": source, "format": "parquet"})}
job = Job(recipe, recipe.training_phases[0], cards, {}, workspace, Console(out=io.StringIO()))
try:
    print(run_corpus(job))
except FinetuneError as error:
    print(type(error).__name__, error)
print(sorted(p.name for p in workspace.iterdir()))
"""


def corpus(tmp_path: Path, revision: str, *, split: str = "train", name: str = "c") -> str:
    """Fetch in a fresh process: `datasets` reads HF_ENDPOINT once, when imported."""
    done = subprocess.run(
        [sys.executable, "-c", CORPUS, revision, str(tmp_path / name), split],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": "."},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_dataset_is_fetched_as_parquet(hub, tmp_path):
    """A Hub dataset at a pinned revision becomes data.parquet, the same bytes every time."""
    import pyarrow.parquet as pq

    rows = [{"en": f"word {i}", "ha": f"kalma {i}"} for i in range(50)]
    data = "\n".join(json.dumps(r) for r in rows).encode()
    sha = hub.add("amina/pairs", {"train.jsonl": data, "README.md": b"# x"}, kind="dataset")
    said = corpus(tmp_path, sha)
    assert "['data.parquet']" in said
    assert "'rows': 50" in said
    assert pq.read_table(tmp_path / "c" / "data.parquet").to_pylist() == rows
    corpus(tmp_path, sha, name="d")
    first, second = (tmp_path / n / "data.parquet" for n in "cd")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.slow
def test_missing_dataset_is_explained(hub, tmp_path):
    """A dataset, revision or split that is not there is an InputError that names the card."""
    assert "InputError card 'school-hau'" in corpus(tmp_path, "0" * 40, name="a")
    sha = hub.add("amina/pairs", {"train.jsonl": b'{"en": "a"}'}, kind="dataset")
    assert "there is no such revision" in corpus(tmp_path, "0" * 40, name="b")
    assert "InputError card 'school-hau'" in corpus(tmp_path, sha, split="nope", name="c")


def test_package_file_is_found():
    """A file of an installed package is found, with or without its version."""
    version = metadata.version("pytest")
    for distribution in ("pytest", f"pytest=={version}"):
        assert package_file(distribution, "pytest/__init__.py").is_file()


@pytest.mark.parametrize(
    ("distribution", "path", "code"),
    [
        ("no-such-thing==1.0", "a", "package-missing"),
        ("pytest==0.0.1", "pytest/__init__.py", "package-version"),
        ("pytest", "pytest/none.txt", "no-file"),
        ("pytest", "../../../etc/passwd", "path-outside"),
        ("pytest", "/etc/passwd", "path-outside"),
        ("", "a", "package-missing"),
    ],
)
def test_package_problems_say_what_to_do(distribution, path, code):
    """A missing package or version names the pip command; a path may not leave site-packages."""
    with raises(RecipeError, code=code):
        package_file(distribution, path)


def old(path: Path, text: str, *, seconds: int = 1_700_000_000) -> Path:
    path.write_text(text)
    os.utime(path, (seconds, seconds))
    return path


def test_checksum_is_remembered_until_the_file_changes(tmp_path, constants):
    """The second call reads nothing; another size or time reads the file again."""
    constants(checksums, SETTLED_SECONDS=0.0)
    cache, file = tmp_path / "cache" / "sums.json", old(tmp_path / "a", "x")
    first = checksum(file, cache=cache)
    assert checksum(file, cache=cache) == first
    cache.write_text(cache.read_text().replace(first, "0" * 64))
    assert checksum(file, cache=cache) == "0" * 64  # as it is remembered
    old(file, "y", seconds=1_700_000_001)
    assert checksum(file, cache=cache) != first


def test_fresh_file_is_not_remembered(tmp_path):
    """A file written just now may change within one tick of the clock, so it is hashed again."""
    file, cache = tmp_path / "a", tmp_path / "sums.json"
    file.write_text("x")
    first = checksum(file, cache=cache)
    status = file.stat()
    file.write_text("y")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert checksum(file, cache=cache) != first


@pytest.mark.parametrize("content", ["", "[]", "{", "\x00", '{"a": 1}'])
def test_broken_cache_only_costs_time(tmp_path, content):
    """A torn cache, or one that cannot be written, changes no checksum."""
    file, cache = old(tmp_path / "a", "x"), tmp_path / "sums.json"
    cache.write_text(content)
    first = checksum(file, cache=cache)
    assert checksum(file, cache=file / "not-a-folder" / "sums.json") == first


def test_lock_is_written_once_and_read_back(tmp_path):
    """The lock stands beside the recipe, reads back, and is not touched when nothing changed."""
    recipe = tmp_path / "hausa.yaml"
    entries = {"base": {"kind": "hub", "id": "a/b", "revision": "0" * 40}}
    assert read_lock(recipe) is None
    path = write_lock(recipe, entries)
    assert path == tmp_path / "hausa.lock.json"
    assert read_lock(recipe) == entries
    os.utime(path, (1, 1))
    write_lock(recipe, entries)
    assert path.stat().st_mtime == 1


@pytest.mark.parametrize("content", ["", "[]", "{", '{"lock": 99, "entries": {}}', '{"lock": 1}'])
def test_damaged_lock_is_explained(tmp_path, content):
    """A lock that is none is an error with the command that makes it again."""
    (tmp_path / "r.lock.json").write_text(content)
    with raises(RecipeError, code=("unknown-lock-format", "damaged-lock")):
        read_lock(tmp_path / "r.yaml")
