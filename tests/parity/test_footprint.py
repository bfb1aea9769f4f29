"""The bytes that a forward pass keeps, counted from config.json, are those autograd keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from finetune.models import packed_model
from finetune.models.attention.packed_batch import PackedBatch, pack_rows
from finetune.models.load import attach_lora
from finetune.models.packed_model import PackedModel
from finetune.models.rows import NewRows
from finetune.sizing import policy
from finetune.sizing.footprint import (
    MeasuredRow,
    Work,
    allocator_bytes,
    kept_bytes,
    measured_bytes,
    temporary_bytes,
)
from finetune.sizing.shape import ModelShape, adapter_parameters, model_shape
from finetune.spec.sections.training import Lora
from finetune.train.micro_batch import saved_bytes
from tests.support.model_shapes import SMOLLM2_135M
from tests.support.tiny import tiny_model

PATHS = ("fused", "peft")
FORMS = {
    "plain": Lora(rank=4),
    "two targets": Lora(rank=4, target_modules=["q_proj", "v_proj"]),
    "dropout": Lora(rank=4, dropout=0.1),
    "dora": Lora(rank=4, dora=True),
}


def _batch(*, rows: int, tokens: int, documents: int) -> PackedBatch:
    """Rows of `documents` documents of the same length; all but each first token is supervised."""
    length = tokens // documents
    at = np.arange(tokens, dtype=np.int32)[None].repeat(rows, axis=0)
    drawn = np.random.default_rng(0).integers(5, 300, (rows, tokens))
    return pack_rows(
        drawn, at // length + 1, at % length > 0, rows=tuple(range(rows)), device="cpu"
    )


def _model(kind: str, *, path: str, precision: str, lora: Lora, patch: Any) -> PackedModel:
    model = tiny_model(kind, layers=4).requires_grad_(False)
    model = model.to(torch.float32 if precision == "fp32" else torch.bfloat16)
    if path != "fused":
        patch.setattr(packed_model.fused, "install", lambda _: None)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return PackedModel(attach_lora(model, lora, seed=0)).train()


CASES = [
    (kind, form)
    for kind in ("llama", "qwen3", "gemma3")  # the other dense ones keep what llama keeps
    for form in FORMS
] + [
    ("mixtral", "plain"),  # PEFT has neither dropout nor DoRA on experts
    ("mixtral", "two targets"),
    ("gpt2", "plain"),  # DoRA at this size is mostly constants of transposed weights
    ("gpt2", "dropout"),
]


@pytest.mark.parametrize(("kind", "form"), CASES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("path", PATHS)
def test_kept_bytes_are_what_autograd_keeps(
    kind: str, path: str, precision: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every architecture, path, precision and form of LoRA the count is within 4 %."""
    lora = FORMS[form]
    model = _model(kind, path=path, precision=precision, lora=lora, patch=monkeypatch)
    batch = _batch(rows=2, tokens=128, documents=4)
    kept = saved_bytes(lambda: model(batch, dropout_key=0), frozen=model.model)
    work = Work(
        lora=lora,
        rows=2,
        sequence_tokens=128,
        precision="fp32" if precision == "fp32" else "bf16",
        fused=path == "fused" and precision == "fp32" and not (lora.dropout or lora.dora),
        supervised_share=0.0,  # the hooks do not see the gradient that the head holds
    )
    shape = model_shape(model._causal.config.to_dict())
    assert kept_bytes(shape, work) == pytest.approx(kept, rel=0.04)


def test_new_tokens_keep_their_probabilities() -> None:
    """Rows of new tokens add what the head keeps for their gradient, within 4 % of autograd's."""
    rows = NewRows(512, tuple({5: 1.0} for _ in range(100)))
    model = tiny_model("llama", layers=4).requires_grad_(False)
    model = PackedModel(attach_lora(model, Lora(rank=4), seed=0, new_rows=rows)).train()
    kept = saved_bytes(
        lambda: model(_batch(rows=2, tokens=128, documents=4), dropout_key=0), frozen=model.model
    )
    shape = replace(model_shape(model._causal.config.to_dict()), new_tokens=100)
    work = Work(Lora(rank=4), rows=2, sequence_tokens=128, precision="fp32", fused=True)
    held = 2 * 128 * shape.hidden * 4  # the hooks do not see the gradient that the head holds
    assert kept_bytes(shape, work) - held == pytest.approx(kept, rel=0.04)
    assert sum(adapter_parameters(shape, Lora(rank=4)).values()) == sum(
        p.numel() for p in model.parameters() if p.requires_grad
    )


WORK = st.builds(
    Work,
    lora=st.sampled_from(list(FORMS.values())),
    rows=st.integers(1, 8),
    sequence_tokens=st.sampled_from([16, 256, 512, 4096]),
    precision=st.sampled_from(["fp32", "bf16", "fp16"]),
    quantization=st.sampled_from(["none", "8bit", "4bit"]),
    gradient_checkpointing=st.booleans(),
    fused=st.just(False),
    attention=st.sampled_from(["documents", "varlen", "grouped"]),
)


def _peak(shape: ModelShape, work: Work) -> int:
    return kept_bytes(shape, work) + temporary_bytes(shape, work)


@given(work=WORK)
@settings(max_examples=200, deadline=None)
def test_more_work_needs_more_memory(work: Work) -> None:
    """Memory grows with rows, length and rank, and never by checkpointing."""
    shape = model_shape(SMOLLM2_135M)
    here = _peak(shape, work)
    bigger = work.lora.model_copy(update={"rank": 2 * work.lora.rank})
    assert _peak(shape, replace(work, rows=work.rows + 1)) > here
    assert _peak(shape, replace(work, sequence_tokens=2 * work.sequence_tokens)) > here
    assert _peak(shape, replace(work, lora=bigger)) > here
    assert _peak(shape, replace(work, gradient_checkpointing=True)) <= here


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("tokens", [256, 512, 2048])
def test_the_peak_from_kept_bytes_of_a_row_is_the_counted_one(
    again: bool, fused: bool, tokens: int
) -> None:
    """The sum that training makes of the bytes of one sequence is, within 4 %, that of `estimate`
    counts for a micro-batch: one model of memory, measured or counted at its root."""
    shape = model_shape(SMOLLM2_135M)
    work = Work(
        Lora(),
        rows=1,
        sequence_tokens=tokens,
        precision="fp32",
        fused=fused,
        gradient_checkpointing=again,
    )
    row = MeasuredRow(
        kept=kept_bytes(shape, replace(work, gradient_checkpointing=False)),
        layers=shape.layers,
        input_bytes=tokens * shape.hidden * 4,
        tokens=tokens,
        vocabulary=shape.vocabulary,
    )
    for rows in (1, 2, 4):
        several = replace(work, rows=rows)
        counted = _peak(shape, several) + allocator_bytes(shape, several)
        found = measured_bytes(row, rows=rows, gradient_checkpointing=again)
        assert found == pytest.approx(counted, rel=0.04)


@pytest.mark.parametrize(("kind", "form"), [c for c in CASES if c[0] in ("gemma3", "gpt2")])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_rule_of_fused_layers_is_what_the_layers_do(
    kind: str, precision: Any, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the rule states that layers are fused, every adapted layer of the model is, and if it
    states that they are not, none is."""
    model = _model(kind, path="fused", precision=precision, lora=FORMS[form], patch=monkeypatch)
    adapted = [m for m in model.modules() if hasattr(m, "lora_A") and hasattr(m, "base_layer")]
    installed = [m for m in adapted if "forward" in vars(m)]
    says = policy.fuses_layers(
        model._causal.config.model_type,
        lora=FORMS[form],
        device="cpu",
        precision=precision,
        quantization="none",
        sharding="none",
    )
    does = {bool(installed) and packed_model.fused.lora_parts(m) is not None for m in adapted}
    assert adapted
    assert does == {says}


def test_layers_are_fused_under_fsdp_and_not_under_zero3(tmp_path: Path) -> None:
    """As the rule says: FSDP hands a layer its whole weights, ZeRO-3 only the written modules."""
    seen: list[bool] = []
    model = _model("llama", path="fused", precision="fp32", lora=FORMS["plain"], patch=None)
    batch = _batch(rows=1, tokens=16, documents=2)
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        for layer in [*model.layers, model]:
            fully_shard(layer, mesh=mesh)
        assert all(hasattr(p, "device_mesh") for p in model.parameters())
        written = packed_model.fused.lora_parts

        def noted(layer: Any) -> Any:
            parts = written(layer)
            seen.append(parts is not None)
            return parts

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packed_model.fused, "lora_parts", noted)
            model(batch, dropout_key=0).backward()
    finally:
        torch.distributed.destroy_process_group()
    assert seen
    assert set(seen) == {_says("fsdp")}
    layer = next(
        m
        for m in _model(
            "llama", path="fused", precision="fp32", lora=FORMS["plain"], patch=None
        ).modules()
        if hasattr(m, "lora_A")
    )
    layer.base_layer.weight.ds_id = 1  # what DeepSpeed marks a weight with that it has split
    assert (packed_model.fused.lora_parts(layer) is not None) == _says("zero3")


def _says(sharding: Any) -> bool:
    return policy.fuses_layers(
        "llama",
        lora=FORMS["plain"],
        device="cpu",
        precision="fp32",
        quantization="none",
        sharding=sharding,
    )
