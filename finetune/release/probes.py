"""Token rows on which two models are compared, and how far their logits differ."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from finetune.errors import ReleaseError
from finetune.messages import Place, problem
from finetune.sources.model_folder import ADAPTER_WEIGHTS

if TYPE_CHECKING:
    import torch

PROBE_TOKENS = 64
_TEXT = "The merged model says the same. 12 + 30 = 42\n"


def probes(tokenizer: Any) -> list[torch.Tensor]:
    """Return token rows (1, T): a text, all over the vocabulary, and its last tokens."""
    import torch

    size = len(tokenizer)
    spread = torch.linspace(0, size - 1, PROBE_TOKENS).long().tolist()
    last = list(range(max(0, size - PROBE_TOKENS), size))
    rows = (tokenizer(_TEXT)["input_ids"], spread, last)
    return [torch.tensor([ids[:PROBE_TOKENS]]) for ids in rows]


def logits_of(model: Any, probe: torch.Tensor) -> torch.Tensor:
    """Return the logits (1, T, V) of a model for a token row, in float32 on the CPU."""
    import torch

    with torch.no_grad():
        tokens_BT = probe.to(model.get_input_embeddings().weight.device)
        logits_BTV: torch.Tensor = model(input_ids=tokens_BT, use_cache=False).logits
    return logits_BTV.float().cpu()


def difference(found: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor]) -> float:
    """Return the largest difference of a logit, as a share of the largest wanted one.

    Infinite for other shapes, and where a logit is no number.
    """
    most = 0.0
    for one, other in zip(found, wanted, strict=True):
        if one.shape != other.shape:
            return float("inf")
        share = float((one - other).abs().max() / other.abs().max())
        most = max(most, float("inf") if isnan(share) else share)
    return most


def distances(found: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor]) -> dict[str, float]:
    """Return `difference`, mean `kl` to the wanted next token in nats, share of equal `argmax`."""
    import torch

    most = difference(found, wanted)
    if most == float("inf"):
        return {"difference": most, "kl": most, "argmax": 0.0}
    one = torch.cat([x.flatten(0, 1) for x in found]).double().log_softmax(-1)
    other = torch.cat([x.flatten(0, 1) for x in wanted]).double().log_softmax(-1)
    kl = float((other.exp() * (other - one)).sum(-1).mean())
    same = float((one.argmax(-1) == other.argmax(-1)).double().mean())
    return {"difference": most, "kl": kl, "argmax": same}


def without_effect() -> ReleaseError:
    """Return the error of an adapter with which a model computes what its base does."""
    return ReleaseError(
        problem(
            "no-effect",
            "with this adapter the model computes exactly what its base does, so nothing is "
            "written: it was hardly trained (raise train.learning_rate or train.max_steps), or its "
            "layers are not used by this base",
            at=Place(ADAPTER_WEIGHTS),
        )
    )
