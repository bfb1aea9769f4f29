"""Nodes, GPUs and a time limit asked for at a submission: what they change, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.cluster.chain.size import Size, sized
from finetune.cluster.job.batch_script import expected_gpus, ranks_of, request_of
from finetune.errors import RecipeError
from finetune.spec.load import validate
from finetune.spec.site import Site, load_site
from finetune.spec.values.sbatch_lines import gpus_of
from finetune.spec.yaml_file import Document
from tests.support.every import assert_every

ROOT = Path(__file__).parents[3]
SITES = sorted((ROOT / "slurm/sites").glob("*.yaml"))
NO_OVERLAY = ROOT / "tests/golden/no-overlay.yaml"


def site_of(**changes) -> Site:
    train = {"sbatch": ["#SBATCH --gres=gpu:h100:4"], "nodes": 1, "ranks_per_node": 4}
    values = {"name": "here", "description": "x", "gpus_per_node": 4, "train": train} | changes
    return validate(Site, values, Document(values=values, places={}, source="here.yaml"))


def codes(site: Site, size: Size) -> list[str]:
    with pytest.raises(RecipeError) as refused:
        sized(site, size)
    return [problem.code for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("size", "nodes", "per_node"),
    [
        (Size(gpus=1), 1, 1),
        (Size(gpus=3), 1, 3),
        (Size(gpus=8), 2, 4),
        (Size(gpus=6), 2, 3),
        (Size(nodes=2, gpus=2), 2, 1),
        (Size(nodes=3), 3, 4),
    ],
)
def test_gpus_are_those_of_all_nodes_together(size, nodes, per_node):
    """As few nodes as hold them, each with the same number, one rank per GPU, and its type kept."""
    asked = sized(site_of(), size)
    assert asked.train.nodes == nodes
    assert asked.train.ranks_per_node == asked.gpus_per_node == per_node
    assert asked.train.sbatch == [f"#SBATCH --gres=gpu:h100:{per_node}"]
    assert ranks_of("train", asked) == nodes * per_node
    assert expected_gpus("train", asked) == per_node


def test_a_line_of_all_jobs_is_replaced_for_training_only():
    """Training gets a line of its own if all jobs request GPUs in one line."""
    site = site_of(sbatch=["#SBATCH --gpus-per-node=4"], train={"ranks_per_node": 4})
    asked = sized(site, Size(gpus=2))
    assert asked.sbatch == ["#SBATCH --gpus-per-node=4"]
    assert asked.train.sbatch == ["#SBATCH --gpus-per-node=2"]


def test_the_debug_run_gets_no_more_than_training():
    """Its own lines and nodes are cut to what was asked for."""
    debug = {"sbatch": ["#SBATCH --gres=gpu:4", "#SBATCH --qos=dev"], "nodes": 2}
    asked = request_of("debug", sized(site_of(debug=debug), Size(nodes=1, gpus=1)))
    assert (asked.nodes, asked.ranks_per_node) == (1, 1)
    assert gpus_of(asked.sbatch) == 1


def test_a_time_limit_is_that_of_training():
    """Other jobs keep theirs."""
    asked = sized(site_of(), Size(time_limit="8:00:00"))
    assert (asked.train.time_limit, asked.prepare.time_limit) == ("8:00:00", "01:00:00")


def test_nothing_asked_changes_nothing():
    """The site is what it was."""
    site = site_of()
    assert sized(site, None) is sized(site, Size()) is site


def test_what_a_site_cannot_give_is_refused():
    """No GPUs, more than a node has, an uneven number, or lines that do not say how many."""
    assert codes(site_of(gpus_per_node=0), Size(gpus=1)) == ["site-without-gpus"]
    assert codes(site_of(), Size(nodes=1, gpus=5)) == ["gpus-do-not-fit"]
    assert codes(site_of(), Size(gpus=7)) == ["gpus-do-not-fit"]
    assert codes(site_of(), Size(nodes=4, gpus=2)) == ["gpus-do-not-fit"]
    assert codes(site_of(train={"sbatch": []}), Size(gpus=1)) == ["gpus-not-in-lines"]


def test_every_site_gives_one_gpu_or_says_that_it_has_none():
    """The sites of this repository: one GPU of a node is one number in one line."""

    def one_gpu(path: Path) -> None:
        site = load_site(path, overlay=NO_OVERLAY)
        if not site.gpus_per_node:
            assert codes(site, Size(gpus=1)) == ["site-without-gpus"]
            return
        asked = sized(site, Size(gpus=1))
        assert gpus_of([*asked.sbatch, *asked.train.sbatch]) == ranks_of("train", asked) == 1

    assert_every(SITES, one_gpu)
