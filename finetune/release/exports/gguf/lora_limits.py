"""Parts of adapters that a LoRA GGUF cannot hold, refused with the way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finetune.errors import ReleaseError
from finetune.messages import Place, Problem, Sentence, phrase, problem, sentence
from finetune.sources.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_object
from finetune.sources.safetensors_file import read_header
from finetune.sources.weight_index import named


def refuse_beyond_lora(adapter: Path) -> None:
    """Raise ReleaseError, a problem each, for parts of an adapter that llama.cpp does not apply.

    A LoRA GGUF has matrices A and B of weights and one alpha, and nothing else.
    """
    config = read_object(adapter / ADAPTER_CONFIG)
    tensors = read_header(adapter / ADAPTER_WEIGHTS)
    problems = [
        problem(
            "beyond-lora-gguf",
            "a LoRA GGUF cannot hold {part}; export the whole model instead, with --format gguf "
            "(or --format merged)",
            at=Place(adapter.name + "/" + ADAPTER_CONFIG),
            part=part,
        )
        for part in _parts(config, list(tensors))
    ]
    if problems:
        raise ReleaseError(*problems)


def of_a_shared_weight(name: str) -> Problem:
    """Return the problem of a tensor without a weight of its own in the GGUF of the base."""
    return problem(
        "beyond-lora-gguf",
        "a LoRA GGUF cannot hold {part}; export the whole model instead, with --format gguf "
        "(or --format merged)",
        part=sentence("an update of {name}, which has no weight of its own there", name=name),
    )


def _parts(config: Mapping[str, Any], tensors: list[str]) -> Iterator[Sentence]:
    from finetune.models.rows import is_row, trained_ids  # with torch

    if config.get("use_dora") or any("lora_magnitude" in name for name in tensors):
        yield sentence("DoRA's magnitudes (lora.dora)")
    if trained_ids(config) or any(map(is_row, tensors)):
        yield sentence("the rows of new tokens (vocabulary)")
    if config.get("modules_to_save"):
        yield sentence("modules trained as a whole ({names})", names=_listed(config))
    for setting in ("rank_pattern", "alpha_pattern"):
        if config.get(setting):
            yield sentence("a rank or alpha of single layers ({setting})", setting=setting)
    if config.get("bias", "none") != "none" or config.get("lora_bias"):
        yield sentence("trained biases (bias)")
    known = (".lora_A.weight", ".lora_B.weight", "lora_magnitude_vector")
    others = [n for n in tensors if not any(end in n for end in known) and not is_row(n)]
    others = [n for n in others if not any(m in n for m in config.get("modules_to_save") or ())]
    if others and config.get("bias", "none") == "none":
        yield phrase(named(sorted(others)))


def _listed(config: Mapping[str, Any]) -> str:
    saved = config["modules_to_save"]
    return named(sorted(map(str, saved if isinstance(saved, list) else [saved])))
