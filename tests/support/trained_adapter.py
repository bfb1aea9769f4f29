"""Adapters as after some training, by the product's own functions: plain, DoRA, with new tokens."""

from __future__ import annotations

from pathlib import Path

import torch

from finetune.models.load import attach_lora, load_base
from finetune.models.rows import NewRows
from finetune.spec.sections.base_model import Base
from finetune.spec.sections.training import Lora
from finetune.tokenizer.folder import write_tokenizer
from finetune.tokenizer.start import means
from finetune.train.adapter import save_adapter
from tests.support.new_tokens import EXTENDED
from tests.support.tiny import write_tiny_model


def write_trained(
    root: Path,
    *,
    kind: str = "llama",
    tied: bool = True,
    lora: Lora | None = None,
    new_tokens: bool = True,
    moved: float = 0.05,
) -> tuple[Path, Path]:
    """Write `base/model` and `train/adapter` below `root`; return both folders.

    `moved`: standard deviation of what training added to each number.
    """
    base = write_tiny_model(root / "base" / "model", kind=kind, tie_word_embeddings=tied)
    rows, tokenizer = None, None
    if new_tokens:
        tokenizer = root / "tokenizer"
        write_tokenizer(base, tokenizer, extended=EXTENDED.extended)
        tokens = EXTENDED.extended.tokens
        rows = NewRows(tokens[0].id, means(tokens))
    lora = lora or Lora(rank=4)
    model = attach_lora(load_base(base, precision="fp32"), lora, seed=0, new_rows=rows)
    torch.manual_seed(1)
    tensors = {n: p for n, p in model.named_parameters() if p.requires_grad}
    start = {n: p.detach().clone() for n, p in tensors.items()} if lora.init == "pissa" else None
    with torch.no_grad():
        for tensor in tensors.values():
            tensor.add_(moved * torch.randn_like(tensor))
    released = Base(model="./base", hub_id="org/base", licence="mit")
    adapter = root / "train" / "adapter"
    adapter.parent.mkdir(exist_ok=True)
    save_adapter(
        adapter, model, tensors=tensors, base=released, pissa_start=start, tokenizer=tokenizer
    )
    return base, adapter
