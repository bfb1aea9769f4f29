"""Random tiny models that an evaluation shows beside base and adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.spec.sections.compared_model import role_of
from tests.support.results import base_result


def write_translation_model(folder: Path) -> Path:
    """Write an encoder-decoder of random weights with NLLB's tokenizer class and codes."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    words = ["<s>", "<pad>", "</s>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyzT0123456789"]
    tokenizer = NllbTokenizer(vocab={word: n for n, word in enumerate(words)}, merges=[])
    torch.manual_seed(0)
    size: dict[str, Any] = {f"{part}_layers": 1 for part in ("encoder", "decoder")}
    size |= {f"{part}_ffn_dim": 16 for part in ("encoder", "decoder")}
    size |= {f"{part}_attention_heads": 2 for part in ("encoder", "decoder")}
    config = M2M100Config(vocab_size=len(tokenizer), d_model=16, max_position_embeddings=64, **size)
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def with_models(job: Job, *, adapters: Sequence[str] = (), **folders: Path) -> Job:
    """Return a job whose recipe names these models, of the folders `PATH/model`.

    `adapters` have a folder `PATH/adapter`; without `PATH/model` they are adapters of the base.
    """
    named: list[dict[str, Any]] = [
        {"name": name, "model": "./m", "hub_id": f"org/{name}", "licence": "cc-by-nc-4.0"}
        if (folder / "model").exists()
        else {"name": name}
        for name, folder in folders.items()
    ]
    for one in named:
        if one["name"] in adapters:
            one["adapter"] = "./a"
    content = job.recipe.model_dump(exclude_unset=True)
    content["evaluate"]["models"] = named
    inputs = {
        role_of(name): Artifact("base", name, folder, base_result(hub_id=f"org/{name}"))
        for name, folder in folders.items()
    }
    recipe = type(job.recipe).model_validate(content)
    return replace(job, recipe=recipe, inputs={**job.inputs, **inputs})
