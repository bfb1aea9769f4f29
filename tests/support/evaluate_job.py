"""An evaluation on tiny artefacts: translations into Hausa and plain Urdu texts."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.packed_split import DOCUMENT_DTYPE
from finetune.output.console import Console
from finetune.spec.recipe import Recipe
from tests.support.results import base_result, prepare_result, train_result
from tests.support.tiny import tiny_model, tiny_tokenizer

LANGUAGES = ("hau_Latn", "urd_Arab")
SEQUENCE = 64


def document_of(tokenizer: Any, number: int) -> dict[str, Any]:
    """Even numbers are translations into Hausa, odd ones plain Urdu text."""
    if number % 2 == 0:
        prompt = f"<|im_start|>user\nThe cat {number}<|im_end|>\n<|im_start|>assistant\n"
        answer = f"Na gode {number}"
        head = tokenizer.encode(prompt)
        tail = [*tokenizer.encode(answer), tokenizer.eos_token_id]
        item = {"prompt": prompt, "reference": answer, "source": f"The cat {number}"}
        item |= {"direction": "eng_Latn>hau_Latn"}
        language, text_bytes = 0, len(answer.encode())
    else:
        text = f"شکریہ {number} <b>"
        head, tail = [], [*tokenizer.encode(text), tokenizer.eos_token_id]
        item = {"prompt": None, "reference": None, "source": None, "direction": None}
        language, text_bytes = 1, len(text.encode())
    item |= {"id": f"d{number}", "card": "toy", "language": LANGUAGES[language]}
    flags = [0] * len(head) + [1] * len(tail)
    flags[0] = 0
    return {
        "tokens": head + tail,
        "flags": flags,
        "item": item,
        "language": language,
        "bytes": text_bytes,
    }


def write_split(directory: Path, documents: list[dict[str, Any]]) -> None:
    """Pack documents greedily into rows of SEQUENCE tokens."""
    directory.mkdir(parents=True)
    rows: list[list[dict[str, Any]]] = [[]]
    for number, document in enumerate(documents):
        document["number"] = number
        if sum(len(d["tokens"]) for d in rows[-1]) + len(document["tokens"]) > SEQUENCE:
            rows.append([])
        rows[-1].append(document)
    shape = (len(rows), SEQUENCE)
    tokens, segments = np.zeros(shape, np.uint32), np.zeros(shape, np.int32)
    supervised, records = np.zeros(shape, np.uint8), []
    for r, row in enumerate(rows):
        start = 0
        for s, document in enumerate(row):
            length = len(document["tokens"])
            span = slice(start, start + length)
            tokens[r, span], segments[r, span] = document["tokens"], s + 1
            supervised[r, span] = document["flags"]
            count = sum(document["flags"])
            where = (document["number"], r, start, length, count)
            records.append((*where, document["bytes"], document["language"], 0))
            start += length
    np.save(directory / "tokens.npy", tokens)
    np.save(directory / "segments.npy", segments)
    np.save(directory / "supervised.npy", supervised)
    np.save(directory / "documents.npy", np.array(records, dtype=DOCUMENT_DTYPE))
    lines = [json.dumps(d["item"], ensure_ascii=False) + "\n" for row in rows for d in row]
    (directory / "items.jsonl").write_text("".join(lines), encoding="utf-8")


def write_adapter(directory: Path, *, scale: float) -> None:
    """Write a LoRA adapter whose B is random times `scale` (0: it changes nothing)."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear")
    adapted = get_peft_model(tiny_model(), config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data = scale * torch.randn_like(parameter)
    adapted.save_pretrained(directory)


def make_job(
    root: Path,
    base: Path,
    *,
    scale: float,
    documents: int = 30,
    trained: int = 30,
    **evaluate: Any,
) -> Job:
    """Return the evaluate job of a recipe on tiny artefacts under `root`."""
    tokenizer = tiny_tokenizer()
    numbers = {"test": range(documents), "train": range(documents, documents + trained)}
    for split, those in numbers.items():
        write_split(root / "prepare" / split, [document_of(tokenizer, n) for n in those])
    write_adapter(root / "train/adapter", scale=scale)
    (root / "train/loss.png").write_bytes(b"\x89PNG picture")
    (root / "evaluate").mkdir()
    return job_of(root, base, **evaluate)


def job_of(root: Path, base: Path, **evaluate: Any) -> Job:
    """Return the job of what `make_job` wrote under `root`."""
    recipe = Recipe.model_validate(
        {
            "name": "toy",
            "base": {"model": "./model", "hub_id": "org/tiny", "licence": "apache-2.0"},
            "corpora": [{"card": "toy"}],
            "prepare": {"sequence_tokens": SEQUENCE},
            "train": {"max_steps": 1, "batch_tokens": SEQUENCE},
            "evaluate": {
                **{"resamples": 200, "max_new_tokens": 8, "samples": 2},
                **{"control_items": 0, "kl_prompts": 0},
                **evaluate,
            },
            "release": {"repo": "org/toy"},
        }
    )
    adapter = train_result(best_step=1, steps=1, supervised_tokens=10)
    prepared = prepare_result(languages=list(LANGUAGES), cards=["toy"], chat_template="model")
    inputs = {
        "base": Artifact("base", "b", base, base_result(parameters=90_000)),
        "prepare": Artifact("prepare", "p", root / "prepare", prepared),
        "train": Artifact("train", "t", root / "train", adapter),
    }
    return Job(
        recipe=recipe,
        phase=recipe.training_phases[0],
        cards={},
        inputs=inputs,
        workspace=root / "evaluate",
        console=Console(out=io.StringIO()),
    )
