from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.job import Artifact
from finetune.errors import DataError
from finetune.messages import Place
from finetune.sources.checksums import checksum
from finetune.sources.files import resolve_files
from finetune.spec.card import DataCard
from tests.support.prepare_job import make_card


def _package_card(tmp_path: Path, package: str, path: str, sha256: str) -> DataCard:
    source: dict[str, Any] = {
        "kind": "package",
        "package": package,
        "files": [{"path": path, "sha256": sha256}],
    }
    return make_card(tmp_path, "card", "", source=source)


def test_another_checksum_is_refused(tmp_path: Path) -> None:
    """A file that changed since the card was written is an error with both checksums."""
    card = make_card(tmp_path, "card", "one\n")
    (tmp_path / "card.text").write_text("two\n")
    actual = checksum(tmp_path / "card.text")
    with pytest.raises(DataError) as caught:
        resolve_files(card, inputs={})
    [problem] = caught.value.problems
    assert (problem.code, problem.facts["actual"]) == ("wrong-checksum", actual)


def test_all_problems_of_a_card_come_at_once(tmp_path: Path) -> None:
    """Every missing file is named, not only the first."""
    card = make_card(tmp_path, "card", {"a": "1", "b": "2", "c": "3"})
    (tmp_path / "a").unlink()
    (tmp_path / "c").unlink()
    with pytest.raises(DataError) as caught:
        resolve_files(card, inputs={})
    assert caught.value.codes == ("no-file", "no-file")
    assert caught.value.problems[1].place == Place(card.path, key="corpus.source.files[2]")


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "sub/../../secret", "link"])
def test_a_path_may_not_leave_the_folder_of_the_card(tmp_path: Path, path: str) -> None:
    """Neither `..`, nor an absolute path, nor a symbolic link reads outside the folder."""
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "cards"
    card = make_card(folder, "card", "one")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "sub").mkdir()
    file = card.corpus.source.files[0].model_copy(update={"path": path})  # type: ignore[union-attr]
    source = card.corpus.source.model_copy(update={"files": [file]})
    card = card.model_copy(update={"corpus": card.corpus.model_copy(update={"source": source})})
    with pytest.raises(DataError) as caught:
        resolve_files(card, inputs={})
    assert caught.value.codes == ("path-outside",)


def test_a_file_in_a_package_is_found_at_the_exact_version(tmp_path: Path) -> None:
    """A package card reads from site-packages, and another version is refused."""
    import jinja2

    path = Path(str(jinja2.__file__))
    version = __import__("importlib.metadata").metadata.version("jinja2")
    card = _package_card(tmp_path, f"Jinja2=={version}", "jinja2/__init__.py", checksum(path))
    assert resolve_files(card, inputs={})[0].path.samefile(path)
    card = _package_card(tmp_path, "Jinja2==0.0.1", "jinja2/__init__.py", checksum(path))
    with pytest.raises(DataError) as caught:
        resolve_files(card, inputs={})
    [problem] = caught.value.problems
    assert problem.code == "package-version"
    assert (problem.facts["installed"], problem.facts["stated"]) == (version, "0.0.1")


@pytest.mark.parametrize(
    ("package", "path", "code"),
    [
        ("no-such-package-here==1", "x", "package-missing"),
        ("jinja2==VERSION", "jinja2/nothing.txt", "no-file"),
    ],
)
def test_a_wrong_package_card_is_refused(
    tmp_path: Path, package: str, path: str, code: str
) -> None:
    """A missing package and a missing file are errors."""
    from importlib.metadata import version

    package = package.replace("VERSION", version("jinja2"))
    with pytest.raises(DataError) as caught:
        resolve_files(_package_card(tmp_path, package, path, "0" * 64), inputs={})
    assert caught.value.codes == (code,)


def test_a_hub_card_reads_what_was_fetched(tmp_path: Path) -> None:
    """The Parquet file comes from the input `corpus:NAME`; without it, fetch is named."""
    source = {"kind": "hub", "dataset": "org/data", "revision": "0" * 40}
    card = make_card(tmp_path, "far", "", source=source)
    with pytest.raises(DataError) as caught:
        resolve_files(card, inputs={})
    assert caught.value.codes == ("not-fetched",)
    (tmp_path / "data.parquet").write_bytes(b"")
    fetched = {"corpus:far": Artifact("corpus", "key", tmp_path, {})}
    assert resolve_files(card, inputs=fetched)[0].path == tmp_path / "data.parquet"
