"""vLLM's rules for LoRA adapters, applied to an adapter's configuration and names of tensors.

Source: vLLM, vllm/config/lora.py (ranks, default), vllm/lora/peft_helper.py (settings) and
vllm/lora/lora_model.py with vllm/lora/utils.py (names of tensors), read in December 2026. vLLM
itself was not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.messages import Sentence, joined, sentence
from finetune.sources.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_object
from finetune.sources.safetensors_file import read_header

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Values of --max-lora-rank."""
DEFAULT_RANK = 16
_LORA = (".lora_A.weight", ".lora_B.weight", ".lora_embedding_A", ".lora_embedding_B")


@dataclass(frozen=True, slots=True)
class Served:
    """Result of the rules for one adapter."""

    obstacles: tuple[Sentence, ...]
    """Reasons for which it does not load as an adapter, or would compute something else: merge it.
    Empty: it loads."""
    max_lora_rank: int | None = None
    """Value that --max-lora-rank needs; None: the default is enough."""


def served_by_vllm(config: Mapping[str, Any], tensors: Iterable[str]) -> Served:
    """Return how vLLM serves an adapter with this adapter_config.json and these tensors.

    >>> served_by_vllm({"r": 16}, ["base_model.model.q_proj.lora_A.weight"])
    Served(obstacles=(), max_lora_rank=None)
    >>> served_by_vllm({"r": 40}, []).max_lora_rank
    64
    """
    obstacles = []
    if config.get("modules_to_save"):
        obstacles.append(sentence("whole modules were trained (modules_to_save)"))
    if config.get("use_dora"):
        obstacles.append(sentence("it was trained with DoRA"))
    if config.get("bias", "none") != "none":
        obstacles.append(sentence("biases were trained"))
    if config.get("rank_pattern") or config.get("alpha_pattern"):
        obstacles.append(
            sentence("layers have ranks or alphas of their own, which vLLM passes over")
        )
    rows = bool(config.get("trainable_token_indices"))
    if rows or any(not name.endswith(_LORA) for name in tensors):
        obstacles.append(sentence("it has tensors beside the LoRA matrices, such as new tokens"))
    rank = int(config["r"])
    needed = next((step for step in RANKS if step >= rank), None)
    if needed is None:
        obstacles.append(
            sentence("its rank is {rank}, and vLLM takes at most {most}", rank=rank, most=RANKS[-1])
        )
    beyond = needed if needed is not None and needed > DEFAULT_RANK else None
    return Served(tuple(obstacles), beyond)


def said_of_vllm(folder: Path) -> Sentence | None:
    """Return how vLLM serves the adapter in a folder, in words; None if no adapter is there.

    Raises OSError or UnreadableError for files that cannot be read.
    """
    if not (folder / ADAPTER_CONFIG).is_file() or not (folder / ADAPTER_WEIGHTS).is_file():
        return None
    found = served_by_vllm(
        read_object(folder / ADAPTER_CONFIG), read_header(folder / ADAPTER_WEIGHTS)
    )
    if found.obstacles:
        return sentence(
            "vLLM, by the rules in its source (it was not run), does not take this adapter: "
            "{reasons}. Merge it into its base: `finetune export --format merged`.",
            reasons=joined(found.obstacles, between="; "),
        )
    if found.max_lora_rank is not None:
        return sentence(
            "vLLM, by the rules in its source (it was not run), takes this adapter with "
            "`--max-lora-rank {rank}`.",
            rank=found.max_lora_rank,
        )
    return sentence(
        "vLLM, by the rules in its source (it was not run), takes this adapter with its default "
        "settings for LoRA."
    )
