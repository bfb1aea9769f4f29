"""Train in forked children that are killed: `python killed_training.py INPUTS OUT PLAN...`.

The heavy imports are paid once; every child is a process of its own with its own files. PLAN is a
list of kills, one child each: `random:SECONDS` (by the parent, so long after the first step) or
`write:N` (its own, just before the Nth sync or rename, or just after it for `write:N+`).
A last child finishes; its OUT is the artefact. With `every-write:N` as PLAN there is one training
run for each Nth write, in OUT/N, killed there once; plans with `next` between them are each tried
in OUT/N. `steps:N` before all of it is how long the training is.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from finetune.artefacts.job import Artifact
from finetune.train.run import run
from tests.support.results import base_result, prepare_result
from tests.support.training_job import CARDS, LANGUAGES, make_job

SETTINGS: dict[str, Any] = {
    "lora": {"dropout": 0.1},
    "train": {"max_steps": 12, "validate_every_steps": 3},
    "run": {"checkpoint_every_steps": 2},
}


def artefacts(directory: Path) -> dict[str, Artifact]:
    prepared = prepare_result(languages=list(LANGUAGES), cards=list(CARDS))
    return {
        "base": Artifact(stage="base", key="b", path=directory / "base", result=base_result()),
        "prepare": Artifact(stage="prepare", key="p", path=directory / "prepare", result=prepared),
    }


def die_at_write(number: int, *, after: bool) -> None:
    """Let this process kill itself at its nth sync or rename."""
    calls = 0

    def counted(original: Any) -> Any:
        def call(*args: Any, **settings: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*args, **settings)
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    os.fsync = counted(os.fsync)
    Path.rename = counted(Path.rename)  # type: ignore[method-assign]


def child(inputs: Path, out: Path, kill: str | None) -> int:
    """Start one training run in a child; return its exit status (9: killed)."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if kill is not None and kill.startswith("write:"):
                number = kill.removeprefix("write:")
                die_at_write(int(number.rstrip("+")), after=number.endswith("+"))
            run(make_job(out, artefacts(inputs), **SETTINGS))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if kill is not None and kill.startswith("random:"):
        metrics = out / "metrics.jsonl"
        begun = metrics.stat().st_mtime_ns if metrics.exists() else 0
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if metrics.exists() and metrics.stat().st_mtime_ns > begun:
                time.sleep(float(kill.removeprefix("random:")))
                os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.0005)
        else:
            return 0
    return os.waitpid(pid, 0)[1]


def main() -> None:
    torch.set_num_threads(1)
    inputs, out = map(Path, sys.argv[1:3])
    words = sys.argv[3:]
    if words and words[0].startswith("steps:"):
        SETTINGS["train"]["max_steps"] = int(words.pop(0).removeprefix("steps:"))
    with tempfile.TemporaryDirectory() as warm:  # what a run imports late is imported once
        run(make_job(Path(warm) / "out", artefacts(inputs), **SETTINGS))
    kills, killed = 0, True
    if words and words[0].startswith("every-write:"):
        every = int(words[0].removeprefix("every-write:"))
        while killed:
            at = kills * every
            after = "+" if at % 2 else ""
            killed = train(inputs, out / str(kills), [f"write:{at // 2 + 1}{after}"]) == 1
            kills += killed
    elif "next" in words:
        plans = " ".join(words).split(" next ")
        kills = sum(train(inputs, out / str(n), plan.split()) for n, plan in enumerate(plans))
    else:
        kills = train(inputs, out, words)
    print(f"{kills} kills")


def train(inputs: Path, out: Path, plan: list[str]) -> int:
    """Train to the end, killed as planned on the way; return how many kills there were."""
    for number, kill in enumerate(plan):
        status = child(inputs, out, kill)
        if status not in (0, signal.SIGKILL):
            sys.exit(f"{kill}: exit status {status}")
        if status == 0:
            return number
    if child(inputs, out, None) != 0:
        sys.exit("the last start failed")
    return len(plan)


if __name__ == "__main__":
    main()
