"""Floating-point operations of a token of LoRA training.

Two for each multiplication and addition: 4 N (forward, and backward to activations; a frozen weight
gets no gradient), 6 for each parameter of the adapter, 6 L d t for causal attention in a document
of t tokens, half of a square of scores. Gradient checkpointing runs the forward pass again.
"""

from __future__ import annotations

from finetune.sizing.shape import ModelShape, adapter_parameters, linear_parameters
from finetune.spec.sections.training import Lora


def flops_per_token(
    shape: ModelShape, lora: Lora, *, document_tokens: float, gradient_checkpointing: bool = False
) -> float:
    """Return the floating-point operations of training on one token.

    `document_tokens`: the length of the document that a token is in, on average over tokens.
    """
    experts = shape.experts_per_token * 3 * shape.hidden * shape.inner
    used = shape.layers * (linear_parameters(shape) + experts) + shape.head.parameters
    trained = sum(adapter_parameters(shape, lora).values())
    attention = shape.layers * document_tokens * shape.heads * shape.head_width
    again = 2 * used + 2 * trained + 2 * attention if gradient_checkpointing else 0
    return 4 * used + 6 * trained + 6 * attention + again
