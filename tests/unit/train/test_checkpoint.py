"""Checkpoints on disk: whole or absent, identified when damaged, safe on a full disk."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.errors import StoreError
from finetune.train import checkpoint as module
from finetune.train.checkpoint import Checkpoint, newest_checkpoint, read_checkpoint
from finetune.train.checkpoint import save_checkpoint as save
from finetune.train.state import Layout, Progress

LAYOUT = Layout(precision="fp32", micro_batch_rows=3, memory_gib=None, gradient_checkpointing=False)


def of_step(step: int) -> Checkpoint:
    progress = Progress(step=step, loss_last=0.1 + step, history=({"step": step},))
    tensors = {"adapter.a": torch.full((3, 2), float(step)), "exp_avg.a": torch.arange(6.0)}
    return Checkpoint(progress=progress, layout=LAYOUT, tensors=tensors)


def test_what_is_saved_is_read_exactly(tmp_path: Path) -> None:
    """Numbers and tensors come back as they were."""
    folder = save(tmp_path, of_step(7))
    found = read_checkpoint(folder)
    assert (found.progress, found.layout) == (of_step(7).progress, LAYOUT)
    assert torch.equal(found.part("adapter")["a"], torch.full((3, 2), 7.0))


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    """Checkpoints beyond `keep` are removed, the oldest first."""
    for step in (8, 9, 10, 100):
        save(tmp_path, of_step(step), keep=2)
    assert [p.name[:13] for p in sorted(tmp_path.iterdir())] == ["step-00000010", "step-00000100"]


def test_checkpoints_stay_within_their_space(tmp_path: Path) -> None:
    """The newest that fit together are kept, whatever `keep` says."""
    size_bytes = sum(file.stat().st_size for file in save(tmp_path, of_step(1)).iterdir())
    for step in (2, 3, 4, 5):
        save(tmp_path, of_step(step), keep=10, keep_gib=3.5 * size_bytes / 2**30)
    assert [p.name[:13] for p in sorted(tmp_path.iterdir())] == [
        "step-00000003",
        "step-00000004",
        "step-00000005",
    ]


def test_the_newest_checkpoint_stays_also_if_it_is_too_large(tmp_path: Path) -> None:
    """A limit that none fits into removes the others, never the last one."""
    for step in (1, 2):
        save(tmp_path, of_step(step), keep_gib=1e-9)
    (kept,) = tmp_path.iterdir()
    assert read_checkpoint(kept).progress.step == 2


def test_a_damaged_later_checkpoint_does_not_push_out_a_sound_one(tmp_path: Path) -> None:
    """Gone back behind a damaged checkpoint, the one written next is kept and that one is not."""
    save(tmp_path, of_step(40))
    damaged = save(tmp_path, of_step(50))
    (damaged / "state.safetensors").write_bytes(b"")
    assert newest_checkpoint(tmp_path)[0] is not None
    save(tmp_path, of_step(45), keep=1)
    (kept,) = tmp_path.iterdir()
    assert read_checkpoint(kept).progress.step == 45


def test_a_changed_number_among_the_tensors_is_found(tmp_path: Path) -> None:
    """The file can still be read; only its checksum is wrong, and the previous one is used."""
    save(tmp_path, of_step(1))
    file = save(tmp_path, of_step(2)) / "state.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    found, problems = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.progress.step == 1
    assert len(problems) == 1


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), name=st.sampled_from(["state.safetensors", "state.json"]))
def test_any_changed_or_missing_byte_falls_back(tmp_path: Path, data: Any, name: str) -> None:
    """With one bit turned, or cut short, a checkpoint is named and the one before is used."""
    directory = tmp_path / str(data.draw(st.integers(0, 10**9)))
    save(directory, of_step(1))
    file = save(directory, of_step(2)) / name
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        file.write_bytes(content[:place])
    else:
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(content)
    found, problems = newest_checkpoint(directory)
    if found is not None and found.progress.step == 2:
        # A blank of the JSON turned into another one: nothing was lost.
        assert found.progress == of_step(2).progress
        assert name == "state.json"
    else:
        assert found is not None
        assert found.progress.step == 1
        assert "damaged checkpoint" in problems[0]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("file", ["state.safetensors", "state.json"])
def test_a_full_disk_is_a_clear_error_and_the_checkpoint_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, file: str
) -> None:
    """The message states what to do; the checkpoint before is whole and no half one is left."""
    save(tmp_path, of_step(1), keep=1)
    write = module.write_synced

    def full(path: Path, content: bytes) -> None:
        write(path, content[:5])
        if path.name == file:
            raise OSError(number, "no space")

    monkeypatch.setattr(module, "write_synced", full)
    with pytest.raises(StoreError) as refused:
        save(tmp_path, of_step(2), keep=1)
    assert refused.value.codes == ("disk-full",)
    assert len(list(tmp_path.iterdir())) == 1
    found, problems = newest_checkpoint(tmp_path)
    assert found is not None
    assert (found.progress.step, problems) == (1, [])


def test_other_errors_of_the_disk_are_not_called_full(tmp_path: Path) -> None:
    """A folder that may not be written keeps its own error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        save(tmp_path / "file" / "below", of_step(1))


def test_a_half_written_folder_is_no_checkpoint(tmp_path: Path) -> None:
    """Files of a save killed before the rename are ignored, and the next save removes them."""
    folder = save(tmp_path, of_step(2))
    folder.rename(folder.with_name(folder.name + ".tmp"))
    assert newest_checkpoint(tmp_path) == (None, [])
    save(tmp_path, of_step(2))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_validated_step_is_newer_than_the_same_step_before(tmp_path: Path) -> None:
    """A stop inside a validation and the checkpoint after it do not replace each other."""
    save(tmp_path, of_step(5))
    validated = of_step(5)
    save(tmp_path, replace(validated, progress=replace(validated.progress, validated_step=5)))
    found, _ = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.progress.validated_step == 5
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "content",
    ["", "null", "[]", "3", "{}", '{"progress": [], "layout": {}, "sha256": {}}', "[" * 10**5],
)
def test_odd_numbers_of_a_checkpoint_fall_back(tmp_path: Path, content: str) -> None:
    """Whatever JSON stands there, the checkpoint before it is used, and the damage is reported."""
    save(tmp_path, of_step(1))
    (save(tmp_path, of_step(2)) / "state.json").write_text(content)
    found, problems = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.progress.step == 1
    assert len(problems) == 1
    assert "damaged checkpoint" in problems[0]


@pytest.mark.parametrize("name", ["state.json", "state.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to itself"])
def test_what_is_no_file_in_a_checkpoint_is_not_read(tmp_path: Path, name: str, kind: str) -> None:
    """A pipe is not waited for and a device not read to its end, which it has not."""
    save(tmp_path, of_step(1))
    place = save(tmp_path, of_step(2)) / name
    place.unlink()
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("/dev/zero" if kind == "device" else place)
    found, problems = newest_checkpoint(tmp_path)
    assert found is not None
    assert (found.progress.step, len(problems)) == (1, 1)


def test_a_full_disk_is_reported_also_where_a_folder_is_written_aside(tmp_path: Path) -> None:
    """The name that the system gives is then that of the folder beside."""
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "adapter.tmp" / "x"))
    with (
        pytest.raises(StoreError) as refused,
        module.full_disk_explained(tmp_path / "adapter", what="the adapter"),
    ):
        raise error
    assert refused.value.codes == ("disk-full",)


def test_a_full_folder_for_temporary_files_is_not_called_the_training_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes through to the caller that knows that folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "temporary" / "x"))
    with (
        pytest.raises(OSError, match="No space left") as caught,
        module.full_disk_explained(tmp_path / "store" / "train", what="files"),
    ):
        raise error
    assert caught.value is error


def test_a_checkpoint_holds_the_versions_that_wrote_it(tmp_path: Path) -> None:
    """Of this program, Python and the packages; one of an older finetune has none and is read."""
    folder = save(tmp_path, of_step(7))
    found = read_checkpoint(folder).versions
    assert found["torch"] == torch.__version__
    assert {"finetune", "python", "transformers", "peft", "deepspeed"} <= found.keys()
    numbers = json.loads((folder / "state.json").read_text())
    del numbers["versions"], numbers["sha256"]["versions"]
    (folder / "state.json").write_text(json.dumps(numbers))
    assert read_checkpoint(folder).versions == {}


def test_changed_versions_are_damage_like_any_other(tmp_path: Path) -> None:
    """Editing them does not make a checkpoint resume."""
    folder = save(tmp_path, of_step(7))
    text = (folder / "state.json").read_text()
    (folder / "state.json").write_text(text.replace(torch.__version__, "9.9"))
    with pytest.raises(StoreError):
        read_checkpoint(folder)
