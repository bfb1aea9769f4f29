"""A tiny project on the development cluster: submitted as a user does, and watched."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.cluster.chain.chain import AttemptEvent, Chain, find_chain, job_ids, read_events
from finetune.cluster.slurm import commands as slurm
from tests.cluster.waiting import wait_for
from tests.support.project import write_project
from tests.support.slurm_cluster import Cluster

SITE = """\
name: test
description: The development cluster, with short times.
sbatch: ["#SBATCH --partition={partition}"]
environment: {{OMP_NUM_THREADS: "1"}}
train: {{nodes: {nodes}, time_limit: "00:20:00"}}
grace_seconds: 60
max_restarts: 2
requeue: {requeue}
"""
RECIPE = "recipes/tiny.yaml"
SETTINGS = {
    "max_steps: 4": "max_steps: 60",
    "checkpoint_every_steps: 1": "checkpoint_every_steps: 5",
}
"""Of the recipe, for training runs that are long enough to be stopped."""


@dataclass(frozen=True, slots=True)
class Line:
    """A project whose recipe was, or will be, submitted."""

    folder: Path
    cluster: Cluster
    own_store: Path | None = None

    @property
    def store(self) -> Path:
        return self.own_store or self.folder / ".finetune"

    @property
    def chain(self) -> Chain:
        return find_chain(self.store)

    def finetune(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Type a finetune command in the project's folder."""
        own = {"PYTHONPATH": str(Path(__file__).parents[2]), "PWD": str(self.folder)}
        done = subprocess.run(
            [sys.executable, "-m", "finetune", *arguments],
            cwd=self.folder,
            env=self.cluster.environment | own,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def submit(self, *options: str) -> Chain:
        """Submit the recipe; return the chain."""
        self.finetune("submit", RECIPE, "--site", "site.yaml", *options)
        return self.chain

    def state(self, name: str) -> slurm.JobState:
        """Return what Slurm says of the newest submission of a job."""
        job_id = job_ids(self.chain)[name]
        return slurm.jobs([job_id])[job_id]

    def events(self, name: str) -> list[AttemptEvent]:
        return read_events(self.chain, name)

    def log(self, name: str) -> str:
        """Return everything that a job has said, over all its submissions."""
        logs = sorted(self.chain.folder.glob(f"logs/{name}-*.log"))
        return "".join(log.read_text(errors="replace") for log in logs)

    def wait_for_step(self, step: int, *, seconds: float = 90) -> None:
        """Wait until the training has reported a step."""
        wait_for(lambda: self.newest_step() >= step, seconds=seconds)

    def newest_step(self) -> int:
        """Return the last step in the metrics of a running training job, 0 without one."""
        steps = [0]
        for path in self.store.glob("train/*.partial/metrics.jsonl"):
            for line in path.read_text().splitlines():
                record = json.loads(line) if line.endswith("}") else {}
                if record.get("kind") == "train":
                    steps.append(record["step"])
        return max(steps)

    def wait_until_over(self, name: str = "release", *, seconds: float = 180) -> slurm.JobState:
        """Wait until a job, and so what is before it, is over."""
        wait_for(lambda: not self.state(name).is_active, seconds=seconds)
        return self.state(name)

    def products(self) -> dict[str, str]:
        """Return checksums of adapter, optimizer state and release, by path."""
        patterns = (
            "train/*/adapter/*",
            "train/*/state/*.safetensors",
            "release/*/**/*.safetensors",
        )
        paths = [path for pattern in patterns for path in sorted(self.store.glob(pattern))]
        assert paths
        return {
            path.relative_to(self.store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in paths
        }


def make_line(
    folder: Path,
    cluster: Cluster,
    *,
    nodes: int = 1,
    partition: str = "batch",
    requeue: str = "allowed",
    settings: dict[str, Any] | None = None,
) -> Line:
    """Write a tiny project with a site; get its base into the store."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = write_project(folder)
    text = recipe.read_text(encoding="utf-8")
    for old, new in (settings or {}).items():
        assert old in text
        text = text.replace(old, str(new))
    recipe.write_text(text, encoding="utf-8")
    site = SITE.format(partition=partition, nodes=nodes, requeue=requeue)
    (folder / "site.yaml").write_text(site, encoding="utf-8")
    line = Line(folder, cluster)
    line.finetune("fetch", RECIPE)
    return line


def jobs_of(line: Line) -> dict[str, dict[str, Any]]:
    """Return what `status` says of each job, and of the chain."""
    said = line.finetune("status", "--json").stdout.splitlines()
    return {job.get("job", "chain"): job for job in map(json.loads, said)}


def adapters_of(line: Line) -> dict[Path, str]:
    """Return checksums of the adapters, by path."""
    return {
        path.relative_to(line.store): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in line.store.glob("train/*/adapter/*")
    }
