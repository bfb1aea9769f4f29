"""The model for training and scoring: packed sequences -> loss of the supervised tokens.

Rows are flattened into one sequence without padding; attention runs document by document, the
head only where a token is supervised, and the loss in chunks. Documents in a row never see each
other and their positions restart, on every device.

Legend: B rows, T tokens per row, S tokens that are no padding, E hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from finetune.artefacts.packed_split import PackedSplit, segment_positions
from finetune.models import attention, dropout, fused, head, rows
from finetune.models.load import kind_of_device
from finetune.sizing import policy


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Some rows of a split, on the device."""

    tokens_BT: Tensor
    positions_BT: Tensor
    segments_BT: Tensor
    supervised_BT: Tensor
    rows: tuple[int, ...]
    """Global row numbers; they key dropout, so that a batch split changes nothing."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Dimensions from a model's configuration on which the memory of a sequence depends."""

    layers: int
    hidden: int
    """Width of a layer's input."""
    vocabulary: int


def make_batch(
    split: PackedSplit, rows: Sequence[int], *, device: torch.device | str
) -> PackedBatch:
    """Read rows of a split onto the device."""
    index = np.asarray(rows, dtype=np.int64)
    segments_BT = np.asarray(split.segments_NT[index])
    return PackedBatch(
        tokens_BT=torch.from_numpy(split.tokens_NT[index].astype(np.int64)).to(device),
        positions_BT=torch.from_numpy(segment_positions(segments_BT)).to(device),
        segments_BT=torch.from_numpy(segments_BT.astype(np.int64)).to(device),
        supervised_BT=torch.from_numpy(split.supervised_NT[index].astype(bool)).to(device),
        rows=tuple(int(r) for r in rows),
    )


def idle_batch(device: torch.device | str) -> PackedBatch:
    """Return a dummy one-token batch; ranks without rows run it to keep collectives matched."""
    one = torch.zeros(1, 1, dtype=torch.int64, device=device)
    nothing = torch.zeros(1, 1, dtype=torch.bool, device=device)
    return PackedBatch(one, one, one, nothing, rows=(0,))


class PackedModel(nn.Module):
    """A causal language model, with or without adapter, that takes packed batches."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._dropout = dropout.install(model)
        self._isolates: bool | None = None
        attention.register()
        kind = kind_of_device(_device(self._causal))
        if policy.attends_by_document(self._causal.config.model_type, device=kind):
            self._causal.set_attn_implementation(attention.NAME)
            fused.install(self._causal)
            self._isolates = True

    def forward(
        self, batch: PackedBatch, *, dropout_key: int = 0, each_token: bool = False
    ) -> Tensor:
        """Return the sum of the nll (nats, float32) over the supervised tokens, differentiable.

        `dropout_key` must be new for every step; with rows and layers it decides the masks.
        `each_token` omits the sum.
        """
        nll = self._nll(batch, dropout_key)
        return nll if each_token else nll.sum()

    @torch.no_grad()
    def score(self, batch: PackedBatch) -> Tensor:
        """Return the nll (nats, float32) of every supervised token, in row-major order."""
        # by a call of the module, whose hooks gather the weights if they are sharded
        nll: Tensor = self(batch, each_token=True)
        return nll

    @property
    def layers(self) -> list[nn.Module]:
        """The model's decoder layers, in order."""
        children = self._causal.get_decoder().children()
        lists = [list(m) for m in children if isinstance(m, nn.ModuleList)]
        return max(lists, key=len, default=[])

    @property
    def _causal(self) -> Any:  # an attribute would list every parameter under a second name
        return causal_lm_of(self.model)

    def _nll(self, batch: PackedBatch, dropout_key: int) -> Tensor:
        flat = _flatten(batch)
        self._dropout.enter(dropout_key, batch.rows, flat.row_lengths)
        if self._isolates is None:
            self._isolates = _isolates_documents(self._causal)
        if not self._isolates:
            return self._one_document_at_a_time(flat)
        hidden_SE = self._hidden(flat)
        before = flat.targets_at - 1
        # An index of nothing still leaves a graph to every parameter: idle ranks need one.
        return self._head(hidden_SE.index_select(0, before), flat.tokens_S[flat.targets_at])

    def _hidden(self, flat: _Flat) -> Tensor:
        settings: dict[str, Any] = {}
        if self._causal.config._attn_implementation == attention.NAME:
            # A 4-d mask is passed through unread; this one fails loudly if attention touches it.
            settings["attention_mask"] = flat.tokens_S.new_zeros(1, 1, 0, 0, dtype=torch.float32)
            settings["segment_lengths"] = flat.lengths
        backbone = self._causal.get_decoder()
        out = backbone(
            input_ids=flat.tokens_S[None],
            position_ids=flat.positions_S[None],
            use_cache=False,
            **settings,
        )
        hidden_SE: Tensor = out.last_hidden_state[0]
        return hidden_SE

    def _head(self, hidden_SE: Tensor, targets_S: Tensor) -> Tensor:
        layer = self._causal.get_output_embeddings()
        cap = getattr(self._causal.config, "final_logit_softcapping", None)
        if cap is None and head.is_plain_head(layer):
            return head.chunked_nll(hidden_SE, layer.weight, targets_S)
        extended = rows.head_rows(layer) if cap is None else None
        if extended is not None:
            return head.chunked_nll_with_rows(hidden_SE, extended, targets_S)

        def logits_of(hidden: Tensor) -> Tensor:
            logits = layer(hidden)
            return logits if cap is None else torch.tanh(logits / cap) * cap

        size = int(self._causal.config.get_text_config().vocab_size)
        return head.head_nll(hidden_SE, logits_of, targets_S, vocabulary=size)

    def _one_document_at_a_time(self, flat: _Flat) -> Tensor:
        """Return the same through the model's own forward, for architectures not known here."""
        pieces, start = [], 0
        supervised_S = torch.zeros_like(flat.tokens_S, dtype=torch.bool)
        supervised_S[flat.targets_at] = True
        for length in flat.lengths:
            tokens = flat.tokens_S[start : start + length]
            logits = self._causal(input_ids=tokens[None], use_cache=False).logits[0, :-1].float()
            nll = nn.functional.cross_entropy(logits, tokens[1:], reduction="none")
            pieces.append(nll[supervised_S[start + 1 : start + length]])
            start += length
        return torch.cat(pieces)


@dataclass(frozen=True, slots=True)
class _Flat:
    """A batch without its padding, as one sequence."""

    tokens_S: Tensor
    positions_S: Tensor
    lengths: tuple[int, ...]  # tokens of each document, in order
    row_lengths: tuple[int, ...]  # tokens of each row, in order
    targets_at: Tensor  # where in S the supervised tokens are


def _flatten(batch: PackedBatch) -> _Flat:
    real_BT = batch.segments_BT > 0
    if not bool(real_BT.any()):  # rows of nothing (idle ranks) still need one token to run
        real_BT[0, 0] = True
    positions_S = batch.positions_BT[real_BT]
    begins = torch.nonzero(positions_S == 0)[:, 0].tolist()
    ends = [*begins[1:], len(positions_S)]
    return _Flat(
        tokens_S=batch.tokens_BT[real_BT],
        positions_S=positions_S,
        lengths=tuple(end - begin for begin, end in zip(begins, ends, strict=True)),
        row_lengths=tuple(real_BT.sum(1).tolist()),
        targets_at=torch.nonzero(batch.supervised_BT[real_BT])[:, 0],
    )


def causal_lm_of(model: Any) -> Any:
    """Return the transformers model inside a PackedModel or PEFT model, adapter layers included."""
    if isinstance(model, PackedModel):
        model = model.model
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def sizes_of(model: Any) -> Sizes:
    """Return the sizes of a causal language model, with or without adapter."""
    text = causal_lm_of(model).config.get_text_config()
    return Sizes(int(text.num_hidden_layers), int(text.hidden_size), int(text.vocab_size))


@torch.no_grad()
def _isolates_documents(causal: Any) -> bool:
    """Return whether restarting positions keep two documents apart, and head(hidden) is the logits.

    Tried once on a model whose architecture is not in DOCUMENT_ATTENTION, or on a GPU.
    """
    device = _device(causal)
    size = int(causal.config.get_text_config().vocab_size)
    first, second = (torch.arange(n, n + 6, device=device) % size for n in (7, 29))
    positions = torch.arange(6, device=device)
    was_training = causal.training
    causal.eval()
    try:
        alone = causal(input_ids=second[None], use_cache=False).logits[0].float()
        out = causal.get_decoder()(
            input_ids=torch.cat([first, second])[None],
            position_ids=torch.cat([positions, positions])[None],
            use_cache=False,
        )
        packed = causal.get_output_embeddings()(out.last_hidden_state[0, 6:]).float()
    finally:
        causal.train(was_training)
    cap = getattr(causal.config, "final_logit_softcapping", None)
    if cap is not None:
        packed = torch.tanh(packed / cap) * cap
    tolerance = 1e-3 if causal.dtype == torch.float32 else 5e-2
    return bool((packed - alone).abs().max() <= tolerance * alone.abs().max())


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
