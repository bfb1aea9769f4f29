"""One rank of a launch: run the trainings of `trainings.json` one after the other.

Each is {"workspace", "inputs", "train", "lora", "run", "mix", "stop_at"}: the arguments of
tests.support.training_job.make_job, and the step in whose gradients SIGTERM comes to the last rank.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact
from finetune.errors import FinetuneError
from finetune.launch.environment import configure_libraries
from finetune.train import loop
from finetune.train.run import run
from tests.support.training_job import CARDS, LANGUAGES, make_job


def main(folder: Path) -> None:
    """Run all; rank 0 writes `results.json`."""
    configure_libraries(verbose=False)
    trainings = json.loads((folder / "trainings.json").read_text())
    last = os.environ["RANK"] == str(int(os.environ["WORLD_SIZE"]) - 1)
    results = [outcome(training, stops=last) for training in trainings]
    if os.environ["RANK"] == "0":
        (folder / "results.json").write_text(json.dumps(results))


def outcome(training: dict[str, Any], *, stops: bool) -> dict[str, Any]:
    """Run one training; an error of ours is an outcome too. `stops`: here SIGTERM comes."""
    inputs = Path(training["inputs"])
    prepared = {"languages": list(LANGUAGES), "cards": list(CARDS)}
    artifacts = {
        "base": Artifact("base", "b", inputs / "base", {"parameters": 100_000}),
        "prepare": Artifact("prepare", "p", inputs / "prepare", prepared),
    }
    if (inputs / "vocabulary").is_dir():
        artifacts["vocabulary"] = Artifact("vocabulary", "v", inputs / "vocabulary", {})
    changes = {k: training.get(k) for k in ("train", "lora", "run", "mix")}
    job = make_job(Path(training["workspace"]), artifacts, **changes)
    original = loop.key_of_step
    if stops and "stop_at" in training:

        def key_of_step(seed: int, step: int) -> int:
            if step == training["stop_at"]:
                os.kill(os.getpid(), signal.SIGTERM)
            return original(seed, step)

        loop.key_of_step = key_of_step
    try:
        return run(job)
    except FinetuneError as error:
        return {"error": type(error).__name__, "message": str(error)}
    finally:
        loop.key_of_step = original


if __name__ == "__main__":
    main(Path(sys.argv[1]))
