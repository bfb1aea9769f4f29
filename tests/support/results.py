"""Results of stages as their manifests hold them: whole ones, to be changed where a test cares."""

from __future__ import annotations

from typing import Any


def base_result(**changes: Any) -> dict[str, Any]:
    """Return the result of the stage `base`."""
    return {
        "hub_id": "org/tiny",
        "revision": None,
        "licence": "apache-2.0",
        "dequantized": False,
        "parameters": 100_000,
        "source": "folder tiny",
    } | changes


def prepare_result(**changes: Any) -> dict[str, Any]:
    """Return the result of the stage `prepare`."""
    size = {"documents": 10, "rows": 2, "tokens": 100, "supervised_tokens": 50}
    return {
        "languages": ["hau_Latn"],
        "cards": ["toy"],
        "counts": {split: dict(size) for split in ("train", "validation", "test")},
        "per_language": {},
        "subsets": [],
        "rejected": {},
        "chat_template": None,
    } | changes


def train_result(**changes: Any) -> dict[str, Any]:
    """Return the result of the stage `train`."""
    return {
        "steps": 4,
        "best_step": 4,
        "tokens": 400,
        "supervised_tokens": 200,
        "precision": "fp32",
        "trainable_parameters": 1000,
    } | changes


def vocabulary_result(**changes: Any) -> dict[str, Any]:
    """Return the result of the stage `vocabulary`."""
    texts = {"texts": 0, "changed": 0, "tokens_before": 0, "tokens_after": 0}
    return {
        "languages": ["hau_Latn"],
        "protect": [],
        "init": "mean",
        "tokens": 10,
        "first": 110,
        "vocabulary": 120,
        "curve": [],
        "bytes_per_token": {},
        "validation_tokens": {"base": 200, "extended": 150},
        "whole_words": False,
        "marks": "",
        "tokens_if_split_the_other_way": None,
        "left_out_to_protect": 0,
        "protected": texts,
        "protected_held_back": texts,
        "samples": [],
    } | changes


def comparison(**changes: Any) -> dict[str, Any]:
    """Return a paired test as `evaluate` records it: the adapter is better."""
    return {
        "metric": "bits_per_byte",
        "language": "hau_Latn",
        "direction": None,
        "base": 2.0,
        "adapter": 1.5,
        "difference": -0.5,
        "low": -0.6,
        "high": -0.4,
        "p_value": 0.001,
        "n": 120,
        "better": "adapter",
        "test": "paired bootstrap, 1000 resamples",
    } | changes
