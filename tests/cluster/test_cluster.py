"""The development cluster does to jobs what clusters do."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.cluster.slurm import commands as slurm
from finetune.spec.site import load_site
from tests.cluster.waiting import wait_for

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def test_a_job_on_two_nodes_sees_two_hosts_and_ends_well(cluster, tmp_path):
    """srun starts one task on each node, under the node's own host name."""
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/bash\n#SBATCH -N2\n#SBATCH -o out.txt\nsrun hostname\n")
    job_id = slurm.submit(script, folder=tmp_path).job_id
    wait_for(lambda: not slurm.jobs([job_id])[job_id].is_active)
    assert slurm.jobs([job_id])[job_id].state == "COMPLETED"
    assert sorted((tmp_path / "out.txt").read_text().split()) == ["node1", "node2"]


def test_a_rebooted_node_puts_its_job_back_into_the_queue(cluster, tmp_path):
    """The job runs again under its id and knows that it was restarted."""
    script = tmp_path / "job.sh"
    script.write_text(
        "#!/bin/bash\n#SBATCH -o out.txt\n#SBATCH --open-mode=append\n"
        "echo start ${SLURM_RESTART_COUNT:-0}\n"
        "[ ${SLURM_RESTART_COUNT:-0} = 1 ] || sleep 120\n"
    )
    job_id = slurm.submit(script, folder=tmp_path).job_id
    wait_for((tmp_path / "out.txt").exists)
    wait_for(lambda: "start 0" in (tmp_path / "out.txt").read_text())
    cluster.control("reboot", slurm.jobs([job_id])[job_id].nodes)
    wait_for(lambda: slurm.jobs([job_id])[job_id].state == "COMPLETED")
    assert slurm.jobs([job_id])[job_id].restarts == 1
    assert (tmp_path / "out.txt").read_text().split() == ["start", "0", "start", "1"]


def test_a_database_refuses_an_account_that_does_not_exist(accounted_cluster, tmp_path, variables):
    """With accounting a wrong account is refused when submitting, and Slurm's words are shown."""
    variables(SLURM_CONF=accounted_cluster.environment["SLURM_CONF"])
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/bash\n#SBATCH --account=unknown\ntrue\n")
    refused = slurm.refusal(script, folder=tmp_path)
    assert refused is not None
    assert "Invalid account" in refused
    script.write_text("#!/bin/bash\n#SBATCH --account=research\ntrue\n")
    assert slurm.refusal(script, folder=tmp_path) is None


def test_the_site_of_this_cluster_is_accepted_by_it(cluster, tmp_path):
    """Every line of slurm/sites/dev.yaml is one that the cluster takes."""
    site = load_site(ROOT / "slurm/sites/dev.yaml", overlay=None)
    for lines in (site.sbatch, site.debug.sbatch):
        script = tmp_path / "job.sh"
        script.write_text("\n".join(["#!/bin/bash", *lines, "true", ""]))
        assert slurm.refusal(script, folder=tmp_path) is None
