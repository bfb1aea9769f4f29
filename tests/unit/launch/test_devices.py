"""The device of a process, and devices without which it must not start."""

from __future__ import annotations

import os

import pytest

from finetune.errors import TrainError
from finetune.launch.devices import GPUS, LOCAL_RANK, local_rank_of_device, takes_gpu

CPU_BUILD = "2.13.0+cpu (CPU only)"


@pytest.mark.parametrize(
    ("wanted", "visible", "site", "taken"),
    [
        ("auto", 0, "", False),
        ("auto", 0, "0", False),
        ("auto", 1, "", True),
        ("auto", 1, "8", True),  # each rank sees its own GPU only
        ("gpu", 8, "", True),
        ("cpu", 0, "8", False),
        ("cpu", 8, "8", False),
    ],
)
def test_a_visible_gpu_is_taken_unless_the_recipe_wants_the_cpu(wanted, visible, site, taken):
    """Recipe first, then what is visible."""
    environment = {GPUS: site}
    assert takes_gpu(wanted, visible=visible, build="", environment=environment) is taken


@pytest.mark.parametrize(("wanted", "site", "who"), [("gpu", "", "gpu"), ("auto", "8", GPUS)])
def test_no_gpu_where_one_is_expected_is_an_error(wanted, site, who):
    """A CPU build of torch on a GPU node does not train on the CPU for a day."""
    with pytest.raises(TrainError) as refused:
        takes_gpu(wanted, visible=0, build=CPU_BUILD, environment={GPUS: site})
    assert refused.value.codes == ("no-gpu-visible",)
    message = str(refused.value)
    assert who in message
    assert CPU_BUILD in message


def test_libraries_see_the_index_of_the_gpu_as_local_rank(variables):
    """Rank 3 of a node that shows each rank one GPU is LOCAL_RANK 0 to DeepSpeed, and 3 after."""
    variables(LOCAL_RANK="3")
    with local_rank_of_device(0):
        assert os.environ[LOCAL_RANK] == "0"
    assert os.environ[LOCAL_RANK] == "3"
    with local_rank_of_device(None):  # a CPU has no index
        assert os.environ[LOCAL_RANK] == "3"


def test_one_process_gets_no_local_rank():
    """A process without a launcher stays one: a LOCAL_RANK would make it look like a launch."""
    with local_rank_of_device(0):
        assert LOCAL_RANK not in os.environ
