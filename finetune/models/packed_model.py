"""The model for training and scoring: packed sequences -> loss of the supervised tokens.

Rows come as one sequence without padding (finetune/models/attention/packed_batch.py); attention
keeps its documents apart, the head runs only where a token is supervised, and the loss in chunks.
Documents never see each other and their positions restart, on every device. Nothing here asks a GPU
for a number, so that it is never waited for.

Legend: S tokens, N supervised tokens, E hidden width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from finetune.errors import TrainError
from finetune.messages import Sentence, problem, sentence
from finetune.models import arithmetic, dropout, fused, head, rows
from finetune.models.attention.isolation import keeps_documents_apart
from finetune.models.attention.packed import NAME, Packed, chip_of, register
from finetune.models.attention.packed_batch import PackedBatch
from finetune.models.layer_devices import beside, layers_of
from finetune.sizing import policy
from finetune.sizing.attention_paths import AttentionPath


@dataclass(frozen=True, slots=True)
class Sizes:
    """Dimensions from a model's configuration on which the memory of a sequence depends."""

    layers: int
    hidden: int
    """Width of a layer's input."""
    vocabulary: int


class PackedModel(nn.Module):
    """A causal language model, with or without adapter, that takes packed batches."""

    def __init__(
        self,
        model: nn.Module,
        *,
        path: AttentionPath | None = None,
        isolates: bool | None = None,
    ) -> None:
        """Prepare a base or PEFT model.

        `path` asks for a kernel of attention (None: the table's), `isolates` states whether packed
        documents stay apart (None: known of the architecture, or tried).
        """
        super().__init__()
        self.model = model
        self._path = path
        self._dropout = dropout.install(model)
        arithmetic.install(model)
        known = self._causal.config.model_type in policy.DOCUMENT_ATTENTION
        self._tried = isolates is None and not known
        if isolates is None:
            isolates = known or keeps_documents_apart(self._causal, _packed_nll)
        self.isolates = isolates
        """True if packed documents stay apart; else they are run one at a time."""
        if self.isolates:
            register()
            self._causal.set_attn_implementation(NAME)
        if known:
            fused.install(self._causal)

    def forward(
        self, batch: PackedBatch, *, dropout_key: int = 0, each_token: bool = False
    ) -> Tensor:
        """Return the sum of the nll (nats, float32) over the supervised tokens, differentiable.

        `dropout_key` must be new for every step; with rows and layers it decides the masks.
        `each_token` omits the sum.
        """
        with arithmetic.autocast(self._causal, device=batch.tokens_S.device):
            nll = self._nll(batch, dropout_key)
        return nll if each_token else nll.sum()

    @torch.no_grad()
    def score(self, batch: PackedBatch) -> Tensor:
        """Return the nll (nats, float32) of every supervised token, in row-major order."""
        # by a call of the module, whose hooks gather the weights if they are sharded
        with arithmetic.tf32(batch.tokens_S.device):
            nll: Tensor = self(batch, each_token=True)
        return nll

    @property
    def note(self) -> Sentence | None:
        """Return the result of the trial of an architecture that is not known; None if it is."""
        kind = self._causal.config.model_type
        if not self._tried:
            return None
        if self.isolates:
            return sentence(
                "{kind} is not known here; a trial on a small copy kept packed documents apart",
                kind=kind,
            )
        return sentence(
            "{kind} is not known here; a trial on a small copy did not keep packed documents "
            "apart, so that they run one at a time, which is slower",
            kind=kind,
        )

    @property
    def layers(self) -> list[nn.Module]:
        """The model's decoder layers, in order."""
        return list(layers_of(self._causal))

    @property
    def tables(self) -> list[nn.Module]:
        """The embedding and the head if both are frozen and each has a matrix of its own."""
        embedding, layer = self._causal.get_input_embeddings(), self._causal.get_output_embeddings()
        tied = layer is None or not head.is_plain_head(layer) or layer.weight is embedding.weight
        return [] if tied else [embedding, layer]

    @property
    def _causal(self) -> Any:  # an attribute would list every parameter under a second name
        return causal_lm_of(self.model)

    def _nll(self, batch: PackedBatch, dropout_key: int) -> Tensor:
        if not self.isolates:
            return self._one_document_at_a_time(batch, dropout_key)
        self._dropout.enter(dropout_key, batch.rows, batch.row_lengths)
        hidden_SE = self._hidden(batch)
        # An index of nothing still leaves a graph to every parameter: idle ranks need one.
        hidden_NE = hidden_SE.index_select(0, batch.before_N.to(hidden_SE.device))
        # where layers are on several devices, the head may be elsewhere than the last of them
        hidden_NE = beside(hidden_NE, self._causal.get_output_embeddings(), of=self._causal)
        with head.whole(self._causal.get_output_embeddings()) as layer:
            return self._head(layer, hidden_NE, batch.targets_N.to(hidden_NE.device))

    def _hidden(self, batch: PackedBatch) -> Tensor:
        tokens_S = batch.tokens_S
        out = self._causal.get_decoder()(
            input_ids=tokens_S[None],
            position_ids=batch.positions_S[None],
            use_cache=False,
            # A 4-d mask is passed through unread; this one fails loudly if attention touches it.
            attention_mask=tokens_S.new_zeros(1, 1, 0, 0, dtype=torch.float32),
            packed=Packed(batch.documents, chip_of(tokens_S.device), self._path),
        )
        hidden_SE: Tensor = out.last_hidden_state[0]
        return hidden_SE

    def _head(self, layer: Any, hidden_SE: Tensor, targets_S: Tensor) -> Tensor:
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

    def _one_document_at_a_time(self, batch: PackedBatch, dropout_key: int) -> Tensor:
        """Return the same through the model's own forward, for architectures that pack badly."""
        self._refuse_recomputing()
        targets = torch.zeros_like(batch.tokens_S, dtype=torch.bool)
        targets[batch.before_N + 1] = True
        lengths = batch.documents.lengths
        parts = zip(batch.tokens_S.split(lengths), targets.split(lengths), strict=True)
        keys = _keys_of_documents(batch)
        pieces = []
        for (tokens, is_target), key in zip(parts, keys, strict=True):
            self._dropout.enter(dropout_key, (key,), (len(tokens),))
            logits = self._causal(input_ids=tokens[None], use_cache=False).logits[0, :-1].float()
            nll = nn.functional.cross_entropy(logits, tokens[1:], reduction="none")
            pieces.append(nll[is_target[1:]])
        return torch.cat(pieces)

    def _refuse_recomputing(self) -> None:
        """Masks of one document would be drawn again for the gradient of another."""
        if not (self.training and self._dropout.layers):
            return
        if any(getattr(m, "gradient_checkpointing", False) for m in self._causal.modules()):
            raise TrainError(
                problem(
                    "dropout-recomputed",
                    "one document of {kind} is run at a time; gradient checkpointing cannot be "
                    "combined with dropout there. Set lora.dropout: 0 or "
                    "run.gradient_checkpointing: false",
                    kind=self._causal.config.model_type,
                )
            )


def _packed_nll(causal: Any, batch: PackedBatch) -> Tensor:
    return PackedModel(causal, isolates=True).score(batch)


def _keys_of_documents(batch: PackedBatch) -> list[int]:
    """Return a number for each document, made of its row and its place in it."""
    keys: list[int] = []
    lengths = iter(batch.documents.lengths)
    for row, tokens in zip(batch.rows, batch.row_lengths, strict=True):
        left, number = tokens, 0
        while left > 0:
            left -= next(lengths)
            keys.append(row | number << 40)
            number += 1
    return keys


def causal_lm_of(model: Any) -> Any:
    """Return the transformers model inside a PackedModel or PEFT model, adapter layers included."""
    if isinstance(model, PackedModel):
        model = model.model
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def sizes_of(model: Any) -> Sizes:
    """Return the sizes of a causal language model, with or without adapter."""
    text = causal_lm_of(model).config.get_text_config()
    return Sizes(int(text.num_hidden_layers), int(text.hidden_size), int(text.vocab_size))
