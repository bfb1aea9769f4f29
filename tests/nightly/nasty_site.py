"""A chain on the nasty site, as a trial: submitted, stopped while the controller is away, done."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.cluster.nasty import LONGER, live_through, make_nasty
from tests.nightly.verdict import Verdict
from tests.support.slurm_cluster import slurm_cluster

AWAY_SECONDS = 180.0
NODES = 4


def trials(seed: int, count: int) -> Iterator[Verdict]:
    """Yield a verdict per chain; those of odd seeds are on a site that forbids requeueing."""
    with slurm_cluster(nodes=NODES) as cluster:
        conf = {"SLURM_CONF": cluster.environment["SLURM_CONF"]}
        for number in range(seed, seed + count):
            requeue = "forbidden" if number % 2 else "allowed"
            with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, conf):
                cluster.tidy()
                line = make_nasty(Path(folder) / "nasty", cluster, requeue=requeue, settings=LONGER)
                try:
                    problems = live_through(line, away_seconds=AWAY_SECONDS)
                except (AssertionError, subprocess.SubprocessError) as error:
                    problems = [f"{type(error).__name__}: {error}"]
                cluster.tidy()
            yield Verdict(f"requeueing {requeue}", tuple(problems), seed=number)
