"""Decoder layers that ZeRO-3 gathers together; several ranks are in tests/ranks."""

from __future__ import annotations

from deepspeed.utils import z3_leaf_module

from finetune.models.kinds import CAUSAL
from finetune.train.engine_deepspeed import gather_whole_layers
from tests.support.packing import assert_same, gradients, pack, random_documents, with_adapter


def test_layers_are_gathered_whole_and_the_gradients_stay() -> None:
    """Every decoder layer is one unit, and the first one's input needs a gradient though the
    embedding is frozen: the backward hook that reduces its gradients comes after them."""
    found = []
    for together in (False, True):
        peft = with_adapter()
        model = CAUSAL.wrap(peft)
        if together:
            gather_whole_layers(model.layers)
            assert all(map(z3_leaf_module, model.layers))
        reduced: list[bool] = []
        if together:  # otherwise torch warns that the hook comes before the gradients
            trained = [p for p in model.layers[0].parameters() if p.requires_grad]
            model.layers[0].register_full_backward_hook(
                lambda *_, seen=reduced, own=trained: seen.append(
                    all(p.grad is not None for p in own)
                )
            )
        batch = CAUSAL.make_batch(pack(random_documents()), [0, 1], device="cpu")
        model(batch, dropout_key=1).backward()  # type: ignore[operator]
        assert reduced == [True] * together
        found.append(gradients(peft))
    assert_same(found[1], found[0])
