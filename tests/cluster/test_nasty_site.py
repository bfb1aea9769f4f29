"""A chain ends right on a site that has every odd property, and doctor names them beforehand."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cluster.chains import Line
from tests.cluster.nasty import FAILING_LINE, LONGER, live_through, make_nasty
from tests.support.slurm_cluster import REQUIRED, Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def nasty(cluster: Cluster, tmp_path: Path) -> Line:
    """The site, with a project whose base is in the store."""
    allowed = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if allowed.returncode != 0 and not REQUIRED:
        pytest.skip("a container is imitated by a mount namespace, which is not allowed here")
    return make_nasty(tmp_path / "nasty", cluster, settings=LONGER)


NAMED = {
    "setup": ("failed", f"{FAILING_LINE}: exit code 127"),
    "shell": ("ok", "sets errexit, nounset, pipefail; `trap - USR1 TERM ERR`"),
    "launcher": ("ok", "Welcome to the nasty cluster."),
    "sbatch": ("ok", "Your project has 1234 SUs left.; sbatch: charged to research"),
    "environment": ("ok", "--export=NONE"),
    "PATH": ("ok", "no bash on node1, node2"),
    "group": ("warning", "node1: umask 077"),
    "store": ("ok", "site/scratch/group"),
    "job script": ("ok", "start and end were recorded"),
    "compute nodes": ("ok", "2 ranks on node1, node2"),
}


def test_each_lasting_property_is_named_beforehand(nasty):
    """The doctor runs the script of a training job there: one failure, and a word on the rest."""
    done = nasty.finetune("doctor", "--site", "site.yaml", "--json", check=False)
    rows = {row["check"]: row for row in map(json.loads, done.stdout.splitlines())}
    found = {check: (row["state"], row["found"]) for check, row in rows.items()}
    for check, (state, words) in NAMED.items():
        assert check in found, found
        assert (found[check][0], words in found[check][1]) == (state, True), found[check]
    assert [check for check, row in rows.items() if row["state"] == "failed"] == ["setup"]
    assert done.returncode == 1
    assert not list(nasty.store.glob("doctor/*"))


@pytest.mark.parametrize(
    ("requeue", "away_seconds"),
    [
        pytest.param("allowed", 3.0, id="short"),
        pytest.param("allowed", 180.0, id="three minutes", marks=pytest.mark.nightly),
        pytest.param("forbidden", 180.0, id="no requeue", marks=pytest.mark.nightly),
    ],
)
def test_a_chain_ends_right(nasty, requeue, away_seconds):
    """With a port in use, scontrol that fails twice, and no controller at the stop signal."""
    site = nasty.folder / "site.yaml"
    site.write_text(site.read_text("utf-8").replace("requeue: allowed", f"requeue: {requeue}"))
    assert live_through(nasty, away_seconds=away_seconds) == []
