"""Sharded weights and an old torch are refused where training would wait forever or not run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from finetune.errors import MachineError, RecipeError
from finetune.models import load
from finetune.spec.sections.training import Sharding
from finetune.train.model import refuse_unequal_forwards
from finetune.train.sharding import Sharing


def _refuse(sharding: Sharding, *, isolates: bool) -> None:
    model: Any = SimpleNamespace(isolates=isolates, note=None)
    sharing = Sharing(sharding, "none", "bf16", 1.0)
    refuse_unequal_forwards(model, sharing=sharing, model_type="odd")


@pytest.mark.parametrize("sharding", ["zero3", "fsdp"])
def test_documents_that_run_one_at_a_time_cannot_gather_weights(sharding: Sharding) -> None:
    """Ranks would run unequal numbers of passes; the error names the base and what works."""
    with pytest.raises(RecipeError) as refused:
        _refuse(sharding, isolates=False)
    assert refused.value.codes == ("unequal-forwards",)
    assert refused.value.problems[0].facts["model_type"] == "odd"
    assert "ddp or zero2" in str(refused.value)
    _refuse(sharding, isolates=True)


@pytest.mark.parametrize("sharding", ["none", "ddp", "zero2"])
def test_whole_weights_take_any_architecture(sharding: Sharding) -> None:
    """They are there without a collective."""
    _refuse(sharding, isolates=False)


def test_a_gpu_and_an_old_torch_are_refused_in_a_sentence() -> None:
    """It names both versions; newer ones pass."""
    with pytest.raises(MachineError) as refused:
        load._refuse_old_torch("2.11.0+cu128")
    assert "torch 2.12 or later" in str(refused.value)
    assert "2.11.0+cu128" in str(refused.value)
    load._refuse_old_torch("2.12.1")
