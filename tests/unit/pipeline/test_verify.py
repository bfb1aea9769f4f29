"""Files are compared with their manifest, byte by byte, once or anew."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.artefacts.job import Artifact
from finetune.cli import main
from finetune.errors import StoreError
from finetune.pipeline.manifest import key_of
from finetune.pipeline.store import Request, Store
from finetune.pipeline.verify import damage_of, refuse_damaged
from finetune.sources import checksums
from tests.support.artefacts import as_of_schema_1
from tests.support.problems import raises
from tests.support.surroundings import Variables


@pytest.fixture
def built(tmp_path: Path, variables: Variables) -> Artifact:
    variables(XDG_CACHE_HOME=str(tmp_path / "cache"))
    content = {"content": {"a": 1}}

    def run(workspace: Path) -> dict[str, int]:
        (workspace / "model").mkdir()
        (workspace / "model" / "weights").write_bytes(bytes(range(256)) * 100)
        (workspace / "report.html").write_text("<p>ƙ</p>", "utf-8")
        return {"n": 1}

    request = Request("base", key_of(content), "tiny", content, {})
    return Store(tmp_path / "my store").build(request, run)


def flip(path: Path, *, place: int = 77) -> None:
    """Flip a bit and put the times back, as a failing disk or a careful hand does."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[::-1])
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.rename(path)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def linked(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def foldered(path: Path) -> None:
    path.unlink()
    path.mkdir()


WAYS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "flipped": (flip, ()),
    "replaced": (replaced, ()),
    "cut": (lambda p: os.truncate(p, 5), ("5", "25600")),
    "longer": (lambda p: p.write_bytes(b"x" * 25601), ("25601", "25600")),
    "gone": (Path.unlink, ()),
    "a pipe": (pipe, ()),
    "a dangling link": (linked, ()),
    "a folder": (foldered, ()),
}


@pytest.mark.parametrize("schema", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_each_damage_is_named_with_the_command_that_helps(built, way, schema) -> None:
    """File, what is wrong, and what to type; also where checksums were remembered before."""
    if schema == 1:
        as_of_schema_1(built.path)
    refuse_damaged([built])
    damage, sizes = WAYS[way]
    damage(built.path / "model" / "weights")
    with raises(StoreError, code="damaged-artefact", at=str(built.path)) as error:
        refuse_damaged([built])
    files = str(error.value.problems[0].facts["files"])
    assert files.startswith("model/weights: ")
    assert all(number in files for number in sizes)
    assert "report.html" not in files
    command = str(error.value).partition("make it again: ")[2].partition(", then")[0]
    assert main(shlex.split(command)[1:]) == 0
    assert not built.path.exists()


@pytest.mark.parametrize("name", ["model/more.safetensors", "x", "new/y"])
def test_what_is_not_in_the_manifest_is_not_used(built, name) -> None:
    """An added file would be loaded with the others; hidden ones of desktops are not."""
    (built.path / ".DS_Store").write_text("x")
    refuse_damaged([built])
    place = built.path / name
    place.parent.mkdir(exist_ok=True)
    place.write_text("x")
    with raises(StoreError, code="damaged-artefact", at=str(built.path)) as error:
        refuse_damaged([built])
    assert str(error.value.problems[0].facts["files"]).startswith(f"{name}: ")
    refuse_damaged([built], names={"report.html"})


def test_a_file_is_read_once_and_then_remembered(built, tmp_path, variables, constants) -> None:
    """Until something states that it changed; `anew` reads it all the same."""
    constants(checksums, SETTLED_SECONDS=-1.0)
    variables(XDG_CACHE_HOME=str(tmp_path / "user-cache"))
    refuse_damaged([built])
    (cache,) = (tmp_path / "user-cache/finetune").glob("*.json")
    remembered, count = re.subn(r'"[0-9a-f]{64}"', f'"{"0" * 64}"', cache.read_text())
    assert count == 2
    cache.write_text(remembered)  # so that what was not read is seen
    with pytest.raises(StoreError) as damaged:
        refuse_damaged([built])
    assert all(name in str(damaged.value) for name in ("model/weights", "report.html"))
    refuse_damaged([built], anew=True)
    (built.path / "report.html").chmod(0o600)  # may come with a change of its bytes
    refuse_damaged([built], names={"report.html"})
    with raises(StoreError, code="damaged-artefact") as damaged:
        refuse_damaged([built], names={"model/weights"})
    assert str(damaged.value.problems[0].facts["files"]).startswith("model/weights: ")


def test_a_content_that_does_not_give_the_key_is_damage(built) -> None:
    """Also where no digest protects the manifest."""
    as_of_schema_1(built.path, content={"content": {"a": 2}})
    damage = damage_of(built.path)
    assert damage is not None
    assert damage.files == {"manifest.json": "its content does not give its key"}


def test_runs_verify_reads_all_and_ends_with_1_if_one_is_damaged(built, capsys) -> None:
    """All, or those that are named; what is not there or not finished is a mistake of typing."""
    store = built.path.parents[1]
    verb = ["runs", "--store", str(store), "--verify"]
    assert main(verb) == 0
    assert "1 artefact" in capsys.readouterr().out
    flip(built.path / "report.html", place=1)
    name = f"base/{built.key}"
    for named in ([], [name]):
        assert main([*verb, *named]) == 1
        out = capsys.readouterr().out
        assert "report.html: its bytes are not those" in out
        assert f"--remove {name}" in out
    for wrong in ("base/none", "../x", "base/.."):
        assert main([*verb, wrong]) == 2
    (store / "train" / "k.partial").mkdir(parents=True)
    assert main([*verb, "train/k"]) == 2
    assert "no checksums yet" in capsys.readouterr().err
