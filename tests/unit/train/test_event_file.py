"""TensorBoard's event files: read by TensorBoard, and silent about the machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from finetune.train.curves.event_file import EventFile
from finetune.train.metrics import METRICS, Metrics, read_metrics
from finetune.train.state import Progress


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    """Return (step, value) of a tag, as TensorBoard reads the files of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(folder))
    board.Reload()
    return [(e.step, round(e.value, 3)) for e in board.Scalars(tag)]


def test_tensorboard_reads_what_was_written_over_a_resume(tmp_path: Path) -> None:
    """Steps after the checkpoint of a resumed run count once."""
    first = EventFile(tmp_path, purge_step=None)
    for step in (1, 2, 3):
        first.scalar("train/loss", 10.0 - step, step)
    first.sync()
    first.close()
    again = EventFile(tmp_path, purge_step=3)
    again.scalar("train/loss", 5.5, 3)
    again.close()
    assert scalars(tmp_path, "train/loss") == [(1, 9.0), (2, 8.0), (3, 5.5)]


def test_no_name_holds_host_or_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that a former version left in a half-built training are renamed as well."""
    monkeypatch.setattr(socket, "gethostname", lambda: "zq-host-7.example")
    old = tmp_path / "tensorboard"
    old.mkdir()
    (old / "events.out.tfevents.1700000000.zq-host-7.example.4711.0").write_bytes(b"")
    with Metrics(tmp_path, resumed=Progress(), tensorboard=True) as metrics:
        metrics.train_step(1, loss=2.0)
        metrics.sync()
    names = sorted(path.name for path in old.iterdir())
    assert names[0] == "events.out.tfevents.1700000000.0"
    assert len(names) == 2
    assert not [name for name in names if "zq-host" in name or name.count(".") != 4]


ODD = [
    "null",
    "[]",
    "3",
    '{"step": 2}',
    '{"kind": "train"}',
    '{"kind": "x", "step": 2}',
    "[" * 10**5,
]


@pytest.mark.parametrize("line", [*ODD, '{"kind": "train", "step": "two"}', "\xff"])
def test_an_odd_line_of_metrics_ends_what_is_read(tmp_path: Path, line: str) -> None:
    """It is taken for torn: what stands before it is kept."""
    path = tmp_path / METRICS
    sound = '{"kind": "train", "step": 1, "loss": 2.0}\n'
    path.write_bytes(sound.encode() + line.encode("latin-1") + b"\n" + sound.encode())
    assert [record["step"] for record in read_metrics(path, until=Progress(step=9))] == [1]
