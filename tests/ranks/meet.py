"""One task of a step: meet the others through a file, add up the ranks, print the sum."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import torch

from finetune.errors import FinetuneError
from finetune.launch.environment import configure_libraries
from finetune.launch.ranks import take_step
from finetune.train.processes import join
from finetune.train.stop import StopFlag


def main(folder: Path, seconds: float) -> int:
    """Return the exit code: 1 if the ranks did not meet."""
    configure_libraries(verbose=False)
    take_step()
    try:
        processes = join(
            torch.device("cpu"),
            stop=StopFlag(),
            folder=folder,
            say=print,
            timeout=timedelta(seconds=seconds),
        )
    except FinetuneError as error:
        print(error)
        return error.exit_code
    total = processes.total(torch.tensor([processes.ranks.rank + 1]))
    print(f"{processes.count} ranks, sum {int(total)}, at {os.environ['MASTER_ADDR']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2])))
