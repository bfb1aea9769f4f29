"""An evaluation that kills itself: before the n-th shard of its start, or while that is written.

python -m tests.support.killed_evaluation FOLDER BASE SHARDS before|within
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from finetune.evaluate import base_and_adapter, measurement
from finetune.evaluate.measuring.shards import write_answers
from finetune.evaluate.run import run
from finetune.output import durable
from tests.support.evaluate_job import job_of

SETTINGS = {"generate_items": 6, "max_new_tokens": 4}
SHARD_ITEMS = {"cpu": 4, "cuda": 4}


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _half(path: Path, content: bytes) -> None:
    path.write_bytes(content[: len(content) // 2])
    _kill()


def main(folder: Path, base: Path, *, shards: int, moment: str) -> None:
    """Evaluate until `shards` shards are written."""
    written = 0

    def write(*given: Any) -> None:
        nonlocal written
        if written == shards and moment == "before":
            _kill()
        if written == shards:
            with patch.object(durable, "write_synced", _half):
                write_answers(*given)
        write_answers(*given)
        written += 1

    with (
        patch.object(measurement, "write_answers", write),
        patch.object(base_and_adapter, "SHARD_ITEMS", SHARD_ITEMS),
    ):
        run(job_of(folder, base, **SETTINGS))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), shards=int(sys.argv[3]), moment=sys.argv[4])
