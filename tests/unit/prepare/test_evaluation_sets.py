"""Files of evaluation sets are pinned by their checksum, and travel with the recipe."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.cluster.bundle.bundle import Contents, write_bundle
from finetune.cluster.chain.snapshot import absolute
from finetune.errors import DataError, InputError
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.prepare.overlap.fingerprints import read_fingerprint, texts_of_file
from finetune.readers.tabular import table_rows
from finetune.sources import lock as outside
from finetune.sources.lock import check_files
from finetune.spec.load import Project, load_project
from tests.support.problems import raises
from tests.support.small_recipe import CARD, RECIPE
from tests.support.surroundings import Constants, Inside


@pytest.fixture
def project(tmp_path: Path, inside: Inside) -> Callable[..., Project]:
    """Return a function from the path of a set to a project whose recipe names it."""
    inside(tmp_path)
    Path("data_cards").mkdir()
    Path("data_cards/words.txt").write_text("benn\n")
    Path("data_cards/words.md").write_text(
        CARD.replace("0" * 64, hashlib.sha256(b"benn\n").hexdigest())
    )

    def made(path: str, sha256: str | None = None, overlap: float = 0.5) -> Project:
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text("the text of a set\n")
        actual = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        one = f"{{name: held, path: {path}, sha256: '{sha256 or actual}', overlap: {overlap}}}"
        Path("tiny.yaml").write_text(f"{RECIPE}prepare: {{evaluation_sets: [{one}]}}\n")
        return load_project(Path("tiny.yaml"))

    return made


def prepare_key(project: Project) -> str:
    [step] = [s for s in steps_of(project) if s.stage.name == "prepare"]
    return step.key


def test_a_key_holds_the_checksum_and_not_the_path(project: Callable[..., Project]) -> None:
    """The same set in another place gives the same keys; another overlap gives others."""
    assert prepare_key(project("one/a.txt")) == prepare_key(project("two/b.txt"))
    assert prepare_key(project("one/a.txt")) != prepare_key(project("one/a.txt", overlap=0.6))


def test_another_file_than_the_recipe_says_is_refused_early(
    project: Callable[..., Project],
) -> None:
    """`check` says checksum or absence before anything starts; the lock holds the checksum."""
    place = "tiny.yaml: prepare.evaluation_sets[0]"
    with raises(InputError, code="wrong-checksum", at=place, stated="1" * 64):
        check_files(project("sets/a.txt", "1" * 64))
    loaded = project("sets/a.txt")
    [entry] = outside.evaluation_entries(loaded).values()
    assert entry["sha256"] == hashlib.sha256(b"the text of a set\n").hexdigest()
    Path("sets/a.txt").unlink()
    with raises(InputError, code="no-file", at=place, path="sets/a.txt"):
        check_files(loaded)


def test_the_file_travels_with_the_recipe(project: Callable[..., Project], tmp_path: Path) -> None:
    """A snapshot names it where it is, and a bundle carries it at the same relative path."""
    loaded = project("sets/a.txt")
    [one] = absolute(loaded.recipe).prepare.evaluation_sets
    assert Path(one.path) == tmp_path / "sets/a.txt"
    opened = open_project(loaded.path, purpose="bundle")
    contents = Contents(opened, steps=(), store=Store(tmp_path / "s"), site=None, wheels=False)
    write_bundle(tmp_path / "bundle", contents)
    assert (tmp_path / "bundle/project/sets/a.txt").read_text() == "the text of a set\n"


def test_a_table_needs_columns_and_a_text_has_none(project: Callable[..., Project]) -> None:
    """A set whose texts could not be found is answered when the recipe is read."""
    with pytest.raises(InputError) as caught:
        project("sets/a.csv")
    assert caught.value.codes == ("no-columns",)


def test_an_evaluation_set_is_read_in_bounded_memory(tmp_path: Path, constants: Constants) -> None:
    """A quotation mark that is never closed ends with its line; a pipe or device is no file."""
    constants(table_rows, MAX_RECORD_LINES=100)
    open_mark = tmp_path / "set.csv"
    open_mark.write_text('text\nfirst\n"' + "a\n" * 200)
    with pytest.raises(DataError) as caught:
        list(texts_of_file(open_mark, columns=["text"]))
    [problem] = caught.value.problems
    assert (problem.code, str(problem.place)) == ("too-much", "set.csv:3")
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    with raises(DataError, code="no-regular-file", at="pipe.txt"):
        list(texts_of_file(pipe, columns=[]))
    with raises(DataError, code="unreadable-fingerprint", at="pipe.txt"):
        read_fingerprint(pipe)
