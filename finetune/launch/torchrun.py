"""torchrun with exit codes that a script can use: `python -m finetune.launch.torchrun ...`.

The arguments are those of torchrun. torchrun takes a rank that ends with 75 (stopped on request)
for one that failed, and itself ends with a traceback and 1, also when it is sent SIGTERM. Here
SIGTERM, SIGUSR1 and SIGINT go to the ranks, which agree, write their state and note how they ended
(`finetune.launch.outcome`); then the exit code is 75 if they were stopped, 0 if the work is done,
and else that of the first rank that failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

from finetune.errors import Stopped
from finetune.launch import outcome

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


def main(arguments: Sequence[str]) -> int:
    """Run torchrun; return the exit code of the work."""
    with tempfile.TemporaryDirectory(prefix="finetune-ranks-") as folder:
        environment = os.environ | {outcome.VARIABLE: folder}
        command = [sys.executable, "-m", "torch.distributed.run", *arguments]
        # a session of its own: an interrupt by keyboard would also end torchrun
        process = subprocess.Popen(command, env=environment, start_new_session=True)

        def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001, as Python calls it
            _signal_ranks(process.pid)

        for number in _SIGNALS:
            signal.signal(number, stop)
        code = process.wait()
        return code_of(outcome.read(Path(folder)), torchrun=code)


def code_of(ranks: Sequence[outcome.Outcome], *, torchrun: int) -> int:
    """Return the exit code of a launch from the exit records of the ranks of this node.

    >>> stop, failed = outcome.Outcome(0, 75, ""), outcome.Outcome(1, 2, "bad recipe")
    >>> code_of([stop, stop], torchrun=0), code_of([stop, failed], torchrun=1)
    (75, 2)
    """
    codes = [rank.exit_code for rank in ranks]
    failed = [code for code in codes if code not in (0, Stopped.exit_code)]
    if failed:
        return failed[0]
    if torchrun != 0:
        return torchrun if torchrun > 0 else 128 - torchrun
    return Stopped.exit_code if Stopped.exit_code in codes else 0


def _signal_ranks(torchrun: int) -> None:
    """Ask the ranks to stop; before there are any, torchrun itself is ended."""
    with suppress(psutil.NoSuchProcess):
        ranks = psutil.Process(torchrun).children()
        if not ranks:
            os.kill(torchrun, signal.SIGTERM)
        for rank in ranks:
            with suppress(ProcessLookupError, psutil.NoSuchProcess):
                rank.send_signal(signal.SIGUSR1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
