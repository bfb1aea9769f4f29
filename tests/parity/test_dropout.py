"""LoRA dropout depends on step, row and layer, and on nothing else."""

from __future__ import annotations

import pytest
import torch

from finetune.errors import TrainError
from finetune.models.attention.packed_batch import make_batch
from finetune.models.packed_model import PackedModel
from tests.support.packing import assert_same, gradients, pack, random_documents, with_adapter


def test_masks_do_not_depend_on_the_micro_batch() -> None:
    """With dropout, loss and gradients of one batch equal those of its sequences one by one."""
    model = with_adapter(dropout=0.3)
    split = pack(random_documents())
    packed = PackedModel(model)
    together = packed(make_batch(split, range(split.num_rows), device="cpu"), dropout_key=5)
    together.backward()
    wanted = gradients(model)
    total = 0.0
    for row in reversed(range(split.num_rows)):
        loss = packed(make_batch(split, [row], device="cpu"), dropout_key=5)
        loss.backward()
        total += loss.item()
    torch.testing.assert_close(torch.tensor(total), together.detach(), rtol=1e-5, atol=1e-4)
    assert_same(gradients(model), wanted)


def test_masks_depend_on_the_key_and_only_in_training() -> None:
    """Another key gives another loss; in evaluation mode nothing is dropped."""
    model = with_adapter(dropout=0.3)
    batch = make_batch(pack(random_documents()), [0, 1], device="cpu")
    packed = PackedModel(model)
    first, again, other = (packed(batch, dropout_key=k).item() for k in (1, 1, 2))
    assert first == again != other
    packed.eval()
    assert packed(batch, dropout_key=1).item() == packed(batch, dropout_key=2).item()


def test_share_of_dropped_entries_is_right() -> None:
    """About p of the entries are zero, and the others are scaled up so that the mean stays."""
    from finetune.models.dropout import DropoutState, KeyedDropout

    state = DropoutState()
    state.enter(1, (7, 8), (300, 200))
    layer = KeyedDropout(0.25, layer=3, state=state).train()
    out = layer(torch.ones(1, 500, 64))
    assert abs((out == 0).float().mean().item() - 0.25) < 0.01
    assert abs(out.mean().item() - 1) < 0.01


def test_documents_run_one_at_a_time_have_masks_of_their_own() -> None:
    """An architecture that does not pack trains with dropout, whatever the micro-batch; activations
    that would be computed again with the masks of another document are refused."""
    model = with_adapter(dropout=0.3)
    split = pack(random_documents())
    alone = PackedModel(model, isolates=False)
    rows = range(split.num_rows)
    together = alone(make_batch(split, rows, device="cpu"), dropout_key=5)
    parts = [alone(make_batch(split, [row], device="cpu"), dropout_key=5) for row in rows]
    torch.testing.assert_close(torch.stack(parts).sum(), together, rtol=1e-5, atol=1e-4)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    with pytest.raises(TrainError) as refused:
        alone(make_batch(split, [0], device="cpu"), dropout_key=5)
    assert refused.value.codes == ("dropout-recomputed",)
