"""One rank of a launch: run the runs of `runs.json` one after the other.

Each is {"workspace", "inputs", "train", "lora", "run", "mixture", "base", "stop_at", "hang_at",
"attention"}: the arguments of tests.support.training_job.make_job, the step in whose gradients
SIGTERM comes to the last rank, the step after which it hangs for a while, and a path of
finetune/sizing/attention_paths.py if it is not that of a CPU.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch.distributed as dist

from finetune.artefacts.job import Artifact
from finetune.errors import FinetuneError
from finetune.launch import pulse
from finetune.launch.environment import configure_libraries
from finetune.launch.ranks import take_step
from finetune.models import kinds
from finetune.models.packed_model import PackedModel
from finetune.train.run import run
from tests.support.results import base_result, prepare_result, vocabulary_result
from tests.support.stopping_console import sleeping_console, stopping_console
from tests.support.training_job import CARDS, LANGUAGES, make_job


def main(folder: Path) -> None:
    """Run all; rank 0 writes `results.json`."""
    configure_libraries(verbose=False)
    take_step()
    runs = json.loads((folder / "runs.json").read_text())
    last = os.environ["RANK"] == str(int(os.environ["WORLD_SIZE"]) - 1)
    gathers = count_gathers()
    results = []
    for training in runs:
        before = gathers.total()
        found = outcome(training, stops=last)
        results.append(found | {"gathers": gathers.total() - before})
    if os.environ["RANK"] == "0":
        (folder / "results.json").write_text(json.dumps(results))


def count_gathers() -> Counter[str]:
    """Count from now on how often weights are gathered; before DeepSpeed is imported."""
    counted: Counter[str] = Counter()
    written = dist.all_gather_into_tensor

    def gather(*args: Any, **kwargs: Any) -> Any:
        counted["all_gather_into_tensor"] += 1
        return written(*args, **kwargs)

    dist.all_gather_into_tensor = gather
    return counted


def outcome(training: dict[str, Any], *, stops: bool) -> dict[str, Any]:
    """Run one of them; an error of ours is an outcome too. `stops`: here SIGTERM comes."""
    inputs = Path(training["inputs"])
    prepared = prepare_result(languages=list(LANGUAGES), cards=list(CARDS))
    artifacts = {
        "base": Artifact("base", "b", inputs / "base", base_result()),
        "prepare": Artifact("prepare", "p", inputs / "prepare", prepared),
    }
    if (inputs / "vocabulary").is_dir():
        artifacts["vocabulary"] = Artifact(
            "vocabulary", "v", inputs / "vocabulary", vocabulary_result()
        )
    changes = {k: training.get(k) for k in ("train", "lora", "run", "mixture", "base")}
    job = make_job(Path(training["workspace"]), artifacts, **changes)
    if stops and "stop_at" in training:
        job = replace(job, console=stopping_console(training["stop_at"]))
    if "hang_at" in training:
        for name in ("BEAT_SECONDS", "FLOOR_SECONDS", "SILENT_SECONDS"):
            setattr(pulse, name, getattr(pulse, name) / 50)
        if stops:
            job = replace(job, console=sleeping_console(training["hang_at"], seconds=8))
    try:
        with _attention(training.get("attention")):
            return run(job)
    except FinetuneError as error:
        return {"error": type(error).__name__, "codes": error.codes, "message": str(error)}


@contextmanager
def _attention(path: Any) -> Iterator[None]:
    """Let bases attend by a path of another device; None: by that of this one."""
    chosen = tuple(replace(kind, wrap=partial(PackedModel, path=path)) for kind in kinds.KINDS)
    with mock.patch.object(kinds, "KINDS", chosen if path else kinds.KINDS):
        yield


if __name__ == "__main__":
    main(Path(sys.argv[1]))
