"""Environment of libraries: our settings, and those of people, which win."""

from __future__ import annotations

import pytest

from finetune.launch.environment import wanted

SETTING = "PYTORCH_ALLOC_CONF"


@pytest.mark.parametrize("name", [SETTING, "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF"])
def test_the_allocator_grows_its_segments_unless_people_set_it(name: str) -> None:
    """Memory of a GPU has no gaps between segments; a person's own value is kept, under torch's
    present name or a former one."""
    assert wanted({})[SETTING] == "expandable_segments:True"
    assert SETTING not in wanted({name: "max_split_size_mb:128"})


def test_what_people_set_is_kept() -> None:
    """Every variable that is there already stays as it is, also an empty one."""
    mine = dict.fromkeys(wanted({}), "")
    assert wanted(mine) == {}
