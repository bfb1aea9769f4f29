"""Published measurements behind the proposed settings, each with its source.

A setting without evidence keeps its default.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evidence:
    """A finding in a sentence or two, and its source."""

    finding: str
    source: str


REPLAY_OF_TEXT = Evidence(
    "with 20 % of English a Basque Llama 2 answered 34 % of questions and without 29 %, at about "
    "the same perplexity",
    "Elhady et al. 2025, arXiv 2506.00288",
)
UNIMAX = Evidence(
    "19 African languages were trained together by UniMax with at most 4 epochs of each",
    "Lugha-Llama, arXiv 2504.06536; UniMax: Chung et al. 2023, arXiv 2304.09151",
)
EPOCHS = Evidence(
    "up to 4 passes over a text are about as good as new text, then less and less",
    "Muennighoff et al. 2023, arXiv 2305.16264",
)
SHORT_BATCH_TOKENS, SHORT_LEARNING_RATE = 2048, 1e-3
"""Batch and rate of LEARNING_RATE; `init` writes them for the same base."""
LEARNING_RATE = Evidence(
    "recipes of this project trained SmolLM2-135M with a rate of 1e-3 for 24 to 60 steps of 2,048 "
    "tokens on two to eight thousand pairs, and held-out bits per byte fell in every language",
    "recipes/hausa-school.yaml, recipes/africa-school.yaml, recipes/senegal-udhr.yaml",
)
VOCABULARY = Evidence(
    "in Bengali 740 new tokens made 1.48 bytes per token 8.58, held-out bits per byte 0.91 instead "
    "of 1.01 in as many steps, and writing four times as fast in bytes per second; in Yoruba 671 "
    "made 1.68 bytes per token 2.83; the effect on bits per byte was not measured",
    "recipes/bengali-school.yaml (SmolLM2-135M), docs/train/vocabulary.md",
)
QUALITY_UNKNOWN = Evidence(
    "how well a base knew a language before did not predict how well it did after training",
    "AfriqueLLM, arXiv 2601.06395",
)
