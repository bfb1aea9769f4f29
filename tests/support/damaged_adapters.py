"""Adapters damaged in one place each, as `damaged_bases` does it for bases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tests.support.damaged_bases import POINTER, Damage, cut, settings, without, write

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PART = "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    """Return a change of the tensors of an adapter."""

    def rewrite(folder: Path) -> None:
        held = load_file(folder / WEIGHTS)
        change(held)
        save_file(held, folder / WEIGHTS, metadata={"format": "pt"})

    return rewrite


def rename(held: dict[str, torch.Tensor]) -> None:
    """Change the names of all tensors."""
    for name in list(held):
        held[name.replace("self_attn", "attention")] = held.pop(name)


def no_layer(held: dict[str, torch.Tensor]) -> None:
    """Take a layer away."""
    for name in [name for name in held if ".layers.1." in name]:
        del held[name]


DAMAGED_ADAPTERS = (
    Damage("no weights", without(WEIGHTS), (WEIGHTS,)),
    Damage("no config", without(CONFIG), (CONFIG,)),
    Damage("pointer of Git LFS", write(WEIGHTS, POINTER), (WEIGHTS, "git lfs pull")),
    Damage("half of the weights", cut(WEIGHTS), (WEIGHTS, "cut off")),
    Damage("empty weights", write(WEIGHTS, b""), (WEIGHTS, "empty")),
    Damage("torn config", cut(CONFIG), (CONFIG, "JSON")),
    Damage("null as config", write(CONFIG, "null"), (CONFIG, "JSON object")),
    Damage("no tensor", tensors(lambda held: held.pop(PART)), (PART, "missing")),
    Damage("no layer", tensors(no_layer), (".layers.1.", "missing")),
    Damage("other names", tensors(rename), ("attention", "no place")),
    Damage(
        "a stranger",
        tensors(lambda held: held.update({PART.replace("layers.1", "layers.5"): held[PART] + 0})),
        ("layers.5", "no place"),
    ),
    Damage(
        "a short tensor", tensors(lambda held: held.update({PART: held[PART][:2] + 0})), (PART,)
    ),
    Damage(
        "a narrow tensor",
        tensors(lambda held: held.update({PART: held[PART][:, :8].clone()})),
        (PART, "shape"),
    ),
    Damage(
        "whole numbers",
        tensors(lambda held: held.update({PART: held[PART].to(torch.int8)})),
        (PART, "integer"),
    ),
    Damage("another kind", settings(CONFIG, peft_type="LOHA"), (CONFIG, "LOHA")),
    Damage("no kind", without(CONFIG, "peft_type"), (CONFIG,)),
    Damage("another task", settings(CONFIG, task_type="SEQ_CLS"), (CONFIG, "SEQ_CLS")),
    Damage("rank 8", settings(CONFIG, r=8), ("rank", "8")),
    Damage("rank 2", settings(CONFIG, r=2), ("shape",)),
    Damage("rank 10**9", settings(CONFIG, r=10**9), (CONFIG, "rank")),
    Damage("rank 0", settings(CONFIG, r=0), (CONFIG, "rank")),
    Damage("a word as rank", settings(CONFIG, r="x"), (CONFIG, "rank")),
    Damage("ranks by name", settings(CONFIG, rank_pattern={"q_proj": 10**9}), (CONFIG, "rank")),
    Damage("alpha of nothing", settings(CONFIG, lora_alpha=None), (CONFIG, "lora_alpha")),
    Damage("alpha of words", settings(CONFIG, lora_alpha="x"), (CONFIG, "lora_alpha")),
    Damage("fewer targets", settings(CONFIG, target_modules=["q_proj"]), ("no place",)),
    Damage("no such targets", settings(CONFIG, target_modules=["x"]), ("x",)),
    Damage(
        "an expression as target", settings(CONFIG, target_modules="(a+)+$"), ("target_modules",)
    ),
    Damage("dora", settings(CONFIG, use_dora=True), ("missing", "magnitude")),
    Damage(
        "a module to import",
        settings(CONFIG, megatron_config={"x": 1}, megatron_core="antigravity"),
        (CONFIG, "megatron_config"),
    ),
    Damage("copied layers", settings(CONFIG, layer_replication=[[0, 10**9]]), ("replication",)),
    Damage("a start that changes the base", settings(CONFIG, init_lora_weights="pissa"), (CONFIG,)),
    Damage("new tokens", settings(CONFIG, trainable_token_indices=[600]), ("new tokens",)),
    Damage(
        "10**9 new tokens",
        settings(CONFIG, trainable_token_indices={"embed_tokens": [10**9]}),
        ("new tokens",),
    ),
    Damage("odd new tokens", settings(CONFIG, trainable_token_indices="x"), ("indices",)),
)
