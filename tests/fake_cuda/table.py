"""Factors of the cases on a fake GPU, and a table in which every two values meet."""

from __future__ import annotations

from tests.fake_cuda.pairs import pairwise

MOST_CASES = 24
FACTORS = {
    "kind": ("llama", "qwen3", "gemma3", "mistral", "mixtral"),
    "size": ("135M", "8B", "70B"),
    "quantization": ("none", "4bit"),
    "text": ("short", "long"),
    "feature": ("new tokens", "dropout", "dora", "checkpointing"),
}
TABLE = pairwise(FACTORS)
