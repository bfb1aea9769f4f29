"""Packages that the light half of `finetune` never imports."""

from pathlib import Path

HEAVY = {
    "torch",
    "transformers",
    "datasets",
    "peft",
    "accelerate",
    "deepspeed",
    "numpy",
    "huggingface_hub",
    "pyarrow",
    "matplotlib",
}

ROOT = Path(__file__).parents[2]
