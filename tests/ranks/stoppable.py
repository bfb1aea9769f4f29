"""One rank that ends as the command line does: on SIGUSR1 with 75, else with a given exit code."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from finetune.errors import Stopped
from finetune.launch import outcome


def main(folder: Path, code: int) -> int:
    """Wait for the signal if the exit code is that of a stop."""

    def stop(number: int, frame: FrameType | None) -> None:
        sys.exit(outcome.note(Stopped.exit_code, "stopped on request"))

    signal.signal(signal.SIGUSR1, stop)
    (folder / f"ready-{os.environ['RANK']}").touch()
    if code == Stopped.exit_code:
        time.sleep(600)
    return outcome.note(code, "the work" if code else "")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
