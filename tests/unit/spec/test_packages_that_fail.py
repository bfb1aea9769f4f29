"""Errors of a package's code name the package."""

from __future__ import annotations

import errno
from itertools import islice
from pathlib import Path

import pytest

from finetune.errors import DataError, PackageError
from finetune.spec import formats
from finetune.spec.entry_points import blamed
from tests.support.installed_package import install
from tests.support.problems import raises

READERS = """\
def some(files, *, corpus):
    yield 1
    raise KeyError("no such tier")


def none(*_, **__):
    return None


def others():
    return []
"""


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that adds readers, and the export `radio`."""
    (tmp_path / "radio_that_fails.py").write_text(READERS)
    readers = {f"radio-{name}": f"radio_that_fails:{name}" for name in ("some", "none", "others")}
    points = {"finetune.readers": readers, "finetune.exports": {"radio": "radio_that_fails:X"}}
    install(tmp_path, "radio-tools", points)
    monkeypatch.syspath_prepend(tmp_path)


NAMED = {"name": "radio", "package": "radio-tools 1.2"}


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        TypeError("x"),
        RecursionError("x"),
        AssertionError(),
        NotImplementedError("x"),
        FileNotFoundError(2, "No such file", "x"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
        StopIteration("x"),
        SystemExit(3),
    ],
)
def test_whatever_a_package_raises_names_it(error: BaseException) -> None:
    """The kind of the error and its first line stand in the sentence, and the cause is kept."""
    named = raises(PackageError, code="package-failed", **NAMED)
    with named as caught, blamed("radio", group="finetune.exports", known=["peft"]):
        raise error
    assert caught.value.problems[0].facts["error"].startswith(type(error).__name__)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [DataError("a.txt:3: odd"), MemoryError(), OSError(errno.ENOSPC, "No space left")]
)
def test_what_is_not_of_the_package_passes(error: Exception) -> None:
    """Data that is wrong, and a machine without room, are reported as ever."""
    with pytest.raises(type(error)) as caught, blamed("radio", group="x", known=[]):
        raise error
    assert caught.value is error


def test_ours_passes_as_it_is() -> None:
    """A mistake in what comes with finetune is ours."""
    with pytest.raises(KeyError), blamed("peft", group="finetune.exports", known=["peft"]):
        raise KeyError("x")


@pytest.mark.parametrize(("name", "count"), [("some", 1), ("none", 0), ("others", 0)])
def test_a_reader_that_fails_is_named_wherever_it_does(name: str, count: int) -> None:
    """At once, after some records, or because it gives none: records before it are kept."""
    records = formats.reader(f"radio-{name}")([], corpus=None)
    assert list(islice(records, count)) == [1] * count
    named = {"name": f"radio-{name}", "package": "radio-tools 1.2"}
    with raises(PackageError, code="package-failed", **named):
        next(records)
