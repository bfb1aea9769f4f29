"""Once at real scale: `make run`'s recipe on the real model, killed in the middle, ends the same.

Not in any default run (minutes on two cores): `make test-real`.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.training_job import adapter_digest

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes/hausa-school.yaml"
STEPS = 5
SHORT = (
    *("--set", f"train.max_steps={STEPS}"),
    *("--set", "train.validate_every_steps=2"),
    *("--set", "train.validation_documents=20"),
    *("--set", "run.checkpoint_every_steps=1"),
    *("--set", "lora.dropout=0.1"),
)


def command(verb: str, store: Path) -> list[str]:
    """Return what a user types for the short training."""
    program = [sys.executable, "-m", "finetune", verb, str(RECIPE), *SHORT]
    return [*program, "--store", str(store)]


def trained(store: Path) -> Path:
    """Return the folder of the one finished training of a store."""
    (found,) = (p.parent for p in store.glob("train/*/manifest.json") if not p.parent.suffix)
    return found


@pytest.mark.real
@pytest.mark.timeout(3600)
def test_killed_at_real_scale_the_same_command_ends_with_the_same_adapter(tmp_path: Path) -> None:
    """SIGKILL at a random instant after the first checkpoint; SmolLM2-135M, rank 16, dropout."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    prepared = subprocess.run(
        command("prepare", straight), capture_output=True, text=True, check=False
    )
    assert prepared.returncode == 0, prepared.stderr
    shutil.copytree(straight, killed)
    begun = time.monotonic()
    assert subprocess.run(command("train", straight), cwd=ROOT, check=False).returncode == 0
    step_seconds = (time.monotonic() - begun) / (STEPS + 2)

    with subprocess.Popen(command("train", killed), cwd=ROOT) as process:
        while not list(killed.glob("train/*.partial/checkpoints/step-*/state.json")):
            assert process.poll() is None, "the training ended before its first checkpoint"
            time.sleep(0.05)
        time.sleep(random.SystemRandom().uniform(0, (STEPS - 2) * step_seconds))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the training had ended before the kill"
    (partial,) = killed.glob("train/*.partial")
    lines = (partial / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line)["step"] for line in lines if line.endswith("}")]
    print(f"killed after step {max(steps)} of {STEPS}", file=sys.stderr)

    done = subprocess.run(
        command("train", killed), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "resuming from the checkpoint at step" in done.stdout
    assert adapter_digest(trained(killed)) == adapter_digest(trained(straight))
    print(f"adapter sha256 {adapter_digest(trained(killed))[0]}, both", file=sys.stderr)
