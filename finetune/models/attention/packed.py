"""Attention within documents of a packed sequence, registered with transformers.

Which kernel runs is decided in each call by what the layer is (finetune/sizing/attention_paths.py).
Without `packed` among a call's settings (generation) it is passed on to transformers' own SDPA.

Legend: B=1 batch, S tokens of all documents, H query heads, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from finetune.errors import TrainError
from finetune.messages import problem
from finetune.models.arithmetic import DTYPES
from finetune.models.attention.documents import attend_by_document
from finetune.models.attention.grouped import Groups, attend_by_group, capped_attention
from finetune.models.attention.packed_batch import Documents
from finetune.models.attention.softmax import Scores
from finetune.models.attention.varlen import attend_by_varlen
from finetune.sizing.attention_paths import CPU, AttentionPath, Chip, attention_path
from finetune.spec.sections.training import Precision

NAME = "finetune_packed"
PRECISIONS: dict[torch.dtype, Precision] = {dtype: name for name, dtype in DTYPES.items()}
_UNSUPPORTED = ("position_bias", "s_aux")


@dataclass(frozen=True)
class Packed:
    """A packed sequence as attention sees it; the same object in all layers of a pass."""

    documents: Documents
    chip: Chip
    path: AttentionPath | None = None
    """None: what the table states for each layer."""
    _elsewhere: dict[torch.device, Packed] = field(default_factory=dict, init=False)

    def on(self, device: torch.device) -> Packed:
        """Return the same on the device of a layer; those of a model may be on several."""
        starts = self.documents.starts
        if starts.device == device:
            return self
        if device not in self._elsewhere:
            documents = replace(self.documents, starts=starts.to(device))
            self._elsewhere[device] = replace(self, documents=documents)
        return self._elsewhere[device]

    @cached_property
    def groups(self) -> Groups:
        """The documents by length, made when the first layer asks."""
        return Groups.of(self.documents.lengths, device=self.documents.starts.device)


def register() -> None:
    """Make the implementation known to transformers; doing it twice is harmless."""
    AttentionInterface.register(NAME, packed_attention_forward)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def chip_of(device: torch.device) -> Chip:
    """Return the facts of a device on which its kernels depend."""
    if device.type == "cpu":
        return CPU
    if torch.version.hip:
        return Chip("gpu")
    return Chip("gpu", torch.cuda.get_device_capability(device))


def packed_attention_forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Attend within documents; query is (1,H,S,D), the result (1,S,H,D).

    `packed` (Packed) comes through the model's keyword arguments. The mask is then not looked at.
    """
    packed: Packed | None = settings.pop("packed", None)
    if packed is None:
        if settings.get("softcap") is not None:
            return capped_attention(query, key, value, attention_mask, Scores.of(query, settings))
        return sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
    packed = packed.on(query.device)
    _refuse(module, settings)
    scores = Scores.of(query, settings)
    path = _path(packed, query, value, scores)
    if path == "varlen":
        return attend_by_varlen(query, key, value, packed.documents, scores), None
    if path == "documents":
        return attend_by_document(query, key, value, packed.documents.lengths, scores), None
    return attend_by_group(query, key, value, packed.groups, scores), None


def _path(packed: Packed, query: Tensor, value: Tensor, scores: Scores) -> AttentionPath:
    width = query.shape[-1]
    path = attention_path(
        packed.chip,
        precision=PRECISIONS[value.dtype],
        head_width=width,
        soft_capped=scores.cap is not None,
    )
    if packed.path is not None and scores.cap is None:
        path = packed.path
    # keys wider than values (multi-head latent attention) have no flash kernel on a GPU
    return "grouped" if path == "varlen" and value.shape[-1] != width else path


def _refuse(module: torch.nn.Module, settings: dict[str, Any]) -> None:
    unknown = [name for name in _UNSUPPORTED if settings.get(name) is not None]
    unknown += ["dropout"] if settings.get("dropout") else []
    if unknown:
        raise TrainError(
            problem(
                "unsupported-attention",
                "attention per document does not support {settings} of {module}; choose another "
                "base",
                settings=unknown,
                module=type(module).__name__,
            )
        )
