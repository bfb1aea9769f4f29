"""A release whose list of checksums does not hold is refused, by the names of its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.errors import InputError
from finetune.release.provenance.checksum_list import LIST, read_sums, refuse_changed
from tests.support.problems import raises
from tests.support.provenance_folder import provenance_job, written


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return written(provenance_job(tmp_path))


def test_a_whole_release_is_taken(release: Path) -> None:
    """Also through links, as the Hub's client keeps it; a file of others beside it is no harm."""
    (release / "LICENSE-of-others").write_text("x")
    weights = release / "adapter_model.safetensors"
    weights.rename(release.parent / "blob")
    weights.symlink_to(release.parent / "blob")
    assert set(refuse_changed(release)) >= {"adapter_model.safetensors", "training_data.json"}


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "provenance/recipe.json"])
def test_a_changed_file_is_named(release: Path, name: str) -> None:
    """One more byte."""
    with (release / name).open("ab") as file:
        file.write(b" ")
    with raises(InputError, code="file-changed", at=name):
        refuse_changed(release)


def test_every_fault_is_named_at_once(release: Path) -> None:
    """A lost file, a changed one, and one that was slipped into the folder."""
    (release / "training_data.json").unlink()
    (release / "adapter_model.safetensors").write_bytes(b"other")
    (release / "provenance/data_cards/more.md").write_text("---\n")
    with pytest.raises(InputError) as refused:
        refuse_changed(release)
    found = {(p.code, Path(str(p.place)).name) for p in refused.value.problems}
    assert found == {
        ("file-lost", "training_data.json"),
        ("file-changed", "adapter_model.safetensors"),
        ("file-not-listed", "more.md"),
    }


def test_a_list_without_the_recipe_is_refused(release: Path) -> None:
    """Each needed file has to be on the list."""
    lines = (release / LIST).read_text().splitlines(keepends=True)
    (release / LIST).write_text("".join(x for x in lines if "recipe.json" not in x))
    with raises(InputError, code="file-not-listed", at="recipe.json"):
        refuse_changed(release)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "words",
        f"{'0' * 64}  ../outside",
        f"{'0' * 64}  /etc/passwd",
        f"{'0' * 64}  a\\b",
        f"{'0' * 63}  short",
    ],
)
def test_no_line_leads_out_of_the_folder(tmp_path: Path, line: str) -> None:
    """The line is named, and nothing is opened."""
    path = tmp_path / "SHA256SUMS"
    path.write_text(f"{'1' * 64}  fine\n{line}\n")
    with raises(InputError, code="odd-checksum-line", at="SHA256SUMS:2"):
        read_sums(path)


def test_a_release_of_before_says_so(tmp_path: Path) -> None:
    """It has no list."""
    with raises(InputError, code="no-checksum-list"):
        refuse_changed(tmp_path)
