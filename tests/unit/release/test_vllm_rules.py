"""vLLM's rules: each setting that it refuses or passes over is an obstacle, and ours are none."""

from __future__ import annotations

import json

import pytest

from finetune.release.exports.vllm_rules import RANKS, said_of_vllm, served_by_vllm
from finetune.sources.safetensors_file import read_header
from finetune.spec.sections.training import Lora
from tests.support.trained_adapter import write_trained

LORA = ["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"]


@pytest.mark.parametrize(
    ("rank", "flag"),
    [(1, None), (4, None), (16, None), (17, 32), (32, 32), (300, 320), (512, 512)],
)
def test_the_flag_is_the_next_rank_that_vllm_has(rank, flag) -> None:
    """Beyond the default of 16."""
    found = served_by_vllm({"r": rank}, LORA)
    assert (found.obstacles, found.max_lora_rank) == ((), flag)
    assert flag is None or flag in RANKS


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "biases"),
        ({"rank_pattern": {"q_proj": 4}}, "passes over"),
        ({"alpha_pattern": {"q_proj": 4}}, "passes over"),
        ({"trainable_token_indices": [1, 2]}, "new tokens"),
        ({"r": 513}, "at most 512"),
    ],
)
def test_what_vllm_refuses_is_an_obstacle(setting, said) -> None:
    """One each, named."""
    [obstacle] = served_by_vllm({"r": 16} | setting, LORA).obstacles
    assert said in str(obstacle)


def test_a_tensor_that_is_no_lora_matrix_is_an_obstacle() -> None:
    """vLLM raises on its name."""
    delta = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"
    assert served_by_vllm({"r": 16}, [*LORA, delta]).obstacles


@pytest.mark.parametrize(
    ("lora", "new_tokens", "loads", "flag"),
    [
        (Lora(rank=16), False, True, None),
        (Lora(rank=16, rslora=True), False, True, None),
        (Lora(rank=16, init="pissa"), False, True, 32),
        (Lora(rank=4), True, False, None),
    ],
)
def test_adapters_of_ours_by_these_rules(tmp_path, lora, new_tokens, loads, flag) -> None:
    """Plain and rsLoRA ones load; PiSSA doubles the rank; new tokens have to be merged."""
    _, adapter = write_trained(tmp_path, lora=lora, new_tokens=new_tokens)
    config = json.loads((adapter / "adapter_config.json").read_text())
    found = served_by_vllm(config, read_header(adapter / "adapter_model.safetensors"))
    assert (not found.obstacles, found.max_lora_rank) == (loads, flag)
    said = str(said_of_vllm(adapter))
    assert ("format merged" in said) == (not loads)
    assert (f"--max-lora-rank {flag}" in said) == (flag is not None)
