"""TensorBoard event files without host name and process id in their names.

The library's own writer puts both into the name, and a finished artefact names no machine.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

_NAME = re.compile(r"(events\.out\.tfevents\.\d+)\..*\.(\d+)")
"""Of the library: time, host, process, number."""


class EventFile:
    """Owns an open event file of scalars."""

    def __init__(self, folder: Path, *, purge_step: int | None) -> None:
        """Open a new file in `folder`; readers forget what others say of `purge_step` and after."""
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        _forget_hosts(folder)
        name = f"events.out.tfevents.{int(time.time()):010d}.{len(list(folder.iterdir()))}"
        self._file = (folder / name).open("xb")
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        if purge_step is not None:
            self._write(step=purge_step, session_log=SessionLog(status=SessionLog.START))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write a value of a step."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=float(value))]
        self._write(step=step, summary=Summary(value=values))

    def sync(self) -> None:
        """Wait until all is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write what is left."""
        self._file.close()

    def _write(self, **facts: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(wall_time=time.time(), **facts)
        self._records.write(event.SerializeToString())


def _forget_hosts(folder: Path) -> None:
    """Rename the files of former versions, so that they name no machine."""
    for path in sorted(folder.iterdir()):
        if match := _NAME.fullmatch(path.name):
            path.rename(path.with_name(f"{match[1]}.{match[2]}"))
