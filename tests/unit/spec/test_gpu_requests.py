"""GPUs that a site's lines request for training, in every spelling of Slurm, and what is odd."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.cli import main
from finetune.spec.values.gpu_requests import gpu_request, gpu_warnings


@pytest.mark.parametrize(
    ("line", "per_node"),
    [
        ("--gres=gpu:4", 4),
        ("--gres=gpu:h100:4", 4),
        ("--gres=gpu:h100:4(S:0-1)", 4),
        ("--gres=gpu", 1),
        ("--gres=shard:1,gpu:1", 1),
        ("--gres=gpu:a100:1,gpu:v100:2", 3),
        ("--gpus-per-node=8", 8),
        ("--gpus=8", 4),
        ("-G 8", 4),
        ("-G h100:8", 4),
        ("--gpus-per-task=1", 2),
        ("--gres=nvme:100", None),
        ("--gres=shard:2", None),
        ("--gpu-bind=single:1", None),
        ("--gpu-freq=medium", None),
    ],
)
def test_every_spelling_of_a_request_is_read(line, per_node):
    """Two nodes with two ranks each: totals are divided, numbers per task multiplied."""
    assert gpu_request([f"#SBATCH {line}"], nodes=2, ranks_per_node=2).per_node == per_node


@pytest.mark.parametrize(
    ("line", "ranks", "declared", "said"),
    [
        ("--gres=gpu:8", 1, 8, "7 would be idle; set ranks_per_node to 8"),
        ("--gpus=8", 1, 8, "7 would be idle"),
        ("--gpus-per-task=8", 1, 8, "7 would be idle"),
        ("-G 2", 4, 4, "each rank needs one"),
        ("--gres=gpu:4", 4, 8, "gpus_per_node is 8"),
        ("--gpus-per-node=4", 4, 0, "gpus_per_node is 0"),
        ("--gres=shard:1,gpu:1", 1, 1, "a share of a GPU"),
    ],
)
def test_check_warns_of_gpus_that_do_not_fit_the_ranks(
    tmp_path, capsys, line, ranks, declared, said
):
    """Idle GPUs, too few, another number than gpus_per_node, shares of one."""
    site = tmp_path / "site.yaml"
    train = f'train: {{sbatch: ["#SBATCH {line}"], ranks_per_node: {ranks}}}'
    site.write_text(f"name: s\ndescription: x\n{train}\ngpus_per_node: {declared}\n", "utf-8")
    assert main(["check", "--site", str(site)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "warning: " in out
    assert said in out


@pytest.mark.parametrize("line", ["--gres=gpu:h100:4", "--gpus-per-node=4", "--gpus-per-task=1"])
def test_a_request_that_fits_is_not_warned_of(line):
    """One GPU for each rank."""
    assert not gpu_warnings([f"#SBATCH {line}"], nodes=1, ranks_per_node=4, gpus_per_node=4)


def test_no_shipped_site_is_warned_of(capsys):
    """The files in slurm/sites ask for as many GPUs as they have ranks."""
    for site in sorted((Path(__file__).parents[3] / "slurm/sites").glob("*.yaml")):
        assert main(["check", "--site", str(site)]) == 0
    assert "warning" not in capsys.readouterr().out
