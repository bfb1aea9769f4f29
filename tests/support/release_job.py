"""A finished run without running it: the inputs that `release` gets, with a real tiny adapter."""

from __future__ import annotations

import io
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.output.console import Console
from finetune.spec.card import DataCard
from finetune.spec.recipe import Recipe
from finetune.spec.sections.mixture import DataMixture
from tests.support.results import comparison
from tests.support.tiny import write_tiny_model

RECIPE: dict[str, Any] = {
    "name": "hausa",
    "base": {"model": "./base", "hub_id": "tiny/base", "licence": "apache-2.0"},
    "corpora": [{"card": "school-hau", "source": "eng_Latn", "target": "hau_Latn"}],
    "train": {"max_steps": 20},
    "release": {"repo": "amina/hausa-lora", "summary": "English to Hausa school software."},
}


def card(name: str = "school-hau", *, licence: str = "mit", **changes: Any) -> DataCard:
    """Return a parallel English-Hausa card."""
    corpus: dict[str, Any] = {
        "kind": "parallel",
        "languages": ["eng_Latn", "hau_Latn"],
        "source": {
            "kind": "files",
            "files": [{"path": "pairs.tsv", "sha256": "0" * 64}],
        },
        "format": "tsv",
        "columns": {"eng_Latn": "en", "hau_Latn": "ha"},
        "consent": "published by its translators | reviewed",
        "contact": "the translators",
    }
    return DataCard(
        name=name,
        path=Path("/srv/cards") / f"{name}.md",
        language=["en", "ha"],
        license=licence,
        pretty_name="School software in Hausa",
        corpus=corpus | changes.pop("corpus", {}),
        **{"body": ""} | changes,
    )


def score(system: str, value: float, *, metric: str = "bits_per_byte", **changes: Any) -> dict:
    """Return a score as `evaluate` records it."""
    return {
        "metric": metric,
        "language": "hau_Latn",
        "direction": None,
        "system": system,
        "value": value,
        "low": value - 0.05,
        "high": value + 0.05,
        "n": 120,
        "signature": f"{metric}|n:120",
    } | changes


def write_adapter(root: Path, *, rank: int = 4) -> tuple[Path, Path]:
    """Write a tiny base and a PEFT adapter with non-zero update; return (base, adapter)."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = write_tiny_model(root / "base" / "model")
    model = AutoModelForCausalLM.from_pretrained(base)
    config = LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM")
    torch.manual_seed(1)
    peft_model = get_peft_model(model, config)
    for name, parameter in peft_model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    adapter = root / "train" / "adapter"
    peft_model.save_pretrained(adapter)
    return base, adapter


def seen(language: str, *, tokens: int, unique: int, epochs: float) -> dict[str, Any]:
    """Return what a training records of a language and card."""
    facts = {"language": language, "card": "school-hau", "replay": False, "epochs": epochs}
    return facts | {"tokens": tokens, "unique_tokens": unique}


def release_job(root: Path, *, recipe: dict[str, Any] | None = None, **results: Any) -> Job:
    """Return the job of a release; `root/train/adapter` must be there (`write_adapter`).

    `results` override the result of an input by role; `cards` overrides the cards.
    """
    cards = results.pop("cards", None) or {"school-hau": card()}
    recorded: dict[str, dict[str, Any]] = {
        "base": {
            "hub_id": "tiny/base",
            "revision": None,
            "licence": "apache-2.0",
            "dequantized": True,
            "parameters": 100,
            "source": "package llm-tiny 1.0, tiny.gguf",
        },
        "prepare": {
            "languages": ["hau_Latn"],
            "cards": list(cards),
            "counts": {
                "train": {
                    "documents": 1500,
                    "rows": 90,
                    "tokens": 42000,
                    "supervised_tokens": 21000,
                },
                "validation": {
                    "documents": 60,
                    "rows": 5,
                    "tokens": 2000,
                    "supervised_tokens": 1000,
                },
                "test": {"documents": 120, "rows": 9, "tokens": 4000, "supervised_tokens": 2000},
            },
            "per_language": {"hau_Latn": {"documents": 1620}},
            "rejected": {"duplicate": 12, "placeholder": 3},
            "chat_template": "model",
        },
        "train": {
            "steps": 20,
            "best_step": 15,
            "tokens": 42000,
            "supervised_tokens": 21000,
            "precision": "fp32",
            "micro_batch_rows": 4,
            "trainable_parameters": 1234,
            "seconds": 120.5,
            "tokens_per_second": 350.0,
            "validation_bits_per_byte": {"hau_Latn": 1.5},
            "history": [],
            "mixture": {"settings": DataMixture(max_epochs=3).model_dump(mode="json")},
            "seen": [seen("hau_Latn", tokens=31000, unique=31000, epochs=0.5)],
            "loss_first": 5.0,
            "loss_last": 3.0,
            "energy": None,
        },
        "evaluate": {
            "scores": [score("base", 2.0), score("adapter", 1.5)],
            "comparisons": [comparison()],
        },
    }
    inputs = {}
    for role, result in recorded.items():
        folder = root / role
        folder.mkdir(parents=True, exist_ok=True)
        inputs[role] = Artifact(role, "0" * 16, folder, result | results.get(role, {}))
    write_records(root)
    workspace = root / "release"
    workspace.mkdir(exist_ok=True)
    parsed = Recipe.model_validate(RECIPE | (recipe or {}))
    return Job(
        recipe=parsed,
        phase=parsed.training_phases[-1],
        cards=cards,
        inputs=inputs,
        workspace=workspace,
        console=Console(out=io.StringIO()),
    )


def write_records(root: Path) -> None:
    """Write what the store and `prepare` leave beside their results."""
    weights = sorted((root / "base" / "model").glob("*.safetensors"))
    sums = {f"model/{p.name}": {"sha256": sha256(p.read_bytes()).hexdigest()} for p in weights}
    (root / "base" / "manifest.json").write_text(json.dumps({"files": sums}))
    manifest = {
        "inputs": {"base": f"base/{'0' * 16}"},
        "version": "0.1.0",
        "environment": {"python": "3.11.2", "packages": {"torch": "2.13.0", "peft": "0.21.2"}},
    }
    (root / "train" / "manifest.json").write_text(json.dumps(manifest))
    row = {
        "card": "school-hau",
        "language": "hau_Latn",
        "read": 1635,
        "rejected": {"duplicate": 12, "placeholder": 3},
        "kept": {"train": 1440, "validation": 60, "test": 120},
    }
    (root / "prepare" / "report.json").write_text(json.dumps({"funnel": [row]}))
    write_drawn_texts(root / "prepare" / "train")


def write_drawn_texts(split: Path) -> None:
    """Write what credits are counted from: two rows, a document in each."""
    import numpy as np

    from finetune.artefacts.packed_split import DOCUMENT_DTYPE

    split.mkdir(exist_ok=True)
    for name in ("tokens", "segments", "supervised"):
        np.save(split / f"{name}.npy", np.ones((2, 512), np.uint32))
    records = [(n, n, 0, 512, 300, 900, 0, 0) for n in range(2)]
    np.save(split / "documents.npy", np.array(records, DOCUMENT_DTYPE))
