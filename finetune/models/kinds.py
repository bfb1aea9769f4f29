"""Kinds of base: the interface for training, scoring and generation, and a table of kinds.

The training loop, validation, evaluation and chat ask a row of `KINDS` and the two protocols
`TrainableModel` and `PreparedItems`, never an architecture. An encoder-decoder or a speech base is
a new row with functions of its own; causal language models are the one that exists. LoRA by PEFT
is common to all. Translation models that are compared and not trained are no kind
(finetune/models/decode/translation_models.py).

Beside its row a new kind needs a writer of its items (finetune/prepare/packing writes packed
sequences, which finetune/tokenizer/run.py reads, too), its counts in finetune/sizing/shape.py, for
`finetune estimate`, `zero3` and `fsdp`, and in finetune/release/exports/merged.py a comparison of
its logits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from finetune.artefacts.packed_split import open_split
from finetune.artefacts.prepared_items import PreparedItems
from finetune.errors import RecipeError
from finetune.messages import Place, Sentence, problem
from finetune.models.attention.packed_batch import idle_batch, make_batch
from finetune.models.decode.divergence import divergence
from finetune.models.generate import Decoding, context_tokens, generate
from finetune.models.load import attach_lora, load_adapter, load_base
from finetune.models.packed_model import PackedModel, Sizes, causal_lm_of, sizes_of
from finetune.models.score import score_documents
from finetune.output.small_files import UnreadableError
from finetune.sources.model_folder import read_config, reason_of

Batch = Any
"""Some items of a split on a device; only the functions of their kind look inside."""


class TrainableModel(Protocol):
    """A base, with or without adapter, as training and scoring see it; it is a torch module, too.

    Engines call the module and not its methods, so that the hooks of DDP, FSDP and DeepSpeed run.
    """

    training: bool
    isolates: bool
    """True if each batch is one forward pass, whatever it holds."""

    @property
    def note(self) -> Sentence | None:
        """Return a fact for the user of how it runs, or None."""

    def forward(self, batch: Batch, *, dropout_key: int = 0) -> Tensor:
        """Return the sum of the nll (nats, float32) over the supervised tokens, differentiable.

        An idle batch gives 0 and a graph to every parameter. `dropout_key`, new for every step, and
        the numbers of the items decide all that is random, so that micro-batches change nothing.
        """

    def score(self, batch: Batch) -> Tensor:
        """Return the nll (nats, float32) of every supervised token, in the order of the items."""

    @property
    def layers(self) -> list[nn.Module]:
        """The layers that FSDP shards one by one."""

    @property
    def tables(self) -> list[nn.Module]:
        """Large modules beside the layers that FSDP shards one by one, too."""

    def train(self, mode: bool = True) -> Any:  # torch's own signature
        """Turn training mode (dropout) on or off."""


class Score(Protocol):
    """Scores documents."""

    def __call__(
        self,
        model: Any,
        split: Any,
        *,
        records: NDArray[Any],
        batch_rows: int,
        device: torch.device | str,
        marks: Sequence[int] = (),
        on_progress: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float64]:
        """Return the nll (nats) of each record, an index into `split.documents_D`, shape (N, 2).

        First that of its text, then that of `marks`, ids of tokens that spell no text.
        """


class Generate(Protocol):
    """Answers prompts."""

    def __call__(
        self,
        model: Any,
        tokenizer: Any,
        prompts: list[str],
        *,
        decoding: Decoding,
        batch_size: int,
        on_progress: Callable[[float, int], None] | None = None,
        on_text: Callable[[int, str], None] | None = None,
    ) -> list[str]:
        """Return what a model, wrapped or not, writes for each prompt.

        `on_text` is called with (prompt, text so far) meanwhile; None: the answers alone.
        """


class Diverge(Protocol):
    """Compares an adapter with its base."""

    def __call__(
        self,
        model: Any,
        tokenizer: Any,
        prompts: list[str],
        *,
        new_tokens: int,
        batch_size: int,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[tuple[float, int]]:
        """Return for each prompt the sum of KL(base || adapter) in nats, and of how many tokens."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of base: how it is loaded and trained, how it is scored, and how it writes."""

    name: str
    takes: Callable[[Mapping[str, Any]], bool]
    """True if a base with this config.json is of the kind."""
    load_base: Callable[..., Any]
    """The base in a folder, frozen; arguments are those of finetune.models.load.load_base."""
    attach_lora: Callable[..., Any]
    """A fresh adapter on a base; as finetune.models.load.attach_lora."""
    load_adapter: Callable[..., Any]
    """A saved adapter on a base; as finetune.models.load.load_adapter."""
    wrap: Callable[[nn.Module], TrainableModel]
    open_split: Callable[..., PreparedItems]
    """The items in a folder; as finetune.artefacts.packed_split.open_split."""
    make_batch: Callable[..., Batch]
    """Items on a device, from (split, rows, device=)."""
    idle_batch: Callable[[torch.device | str], Batch]
    """A batch of nothing: ranks without items run it, so that collectives stay matched."""
    score: Score
    generate: Generate
    context_tokens: Callable[[Any], int | None]
    """Most tokens of prompt and answer together; None if the model has no limit."""
    sizes: Callable[[Any], Sizes]
    """Of a base with its adapter; on a CPU `run.micro_batch_size: auto` depends on them."""
    unwrapped: Callable[[Any], Any] = causal_lm_of
    """The transformers model inside, adapter layers included, for libraries that ask it."""
    divergence: Diverge | None = None
    """None: not measured."""


def _is_causal(config: Mapping[str, Any]) -> bool:
    return not config.get("is_encoder_decoder", False)


CAUSAL = Kind(
    name="causal language model",
    takes=_is_causal,
    load_base=load_base,
    attach_lora=attach_lora,
    load_adapter=load_adapter,
    wrap=PackedModel,
    open_split=open_split,
    make_batch=make_batch,
    idle_batch=idle_batch,
    score=score_documents,
    generate=generate,
    context_tokens=context_tokens,
    sizes=sizes_of,
    divergence=divergence,
)
KINDS: tuple[Kind, ...] = (CAUSAL,)
"""All kinds; the first that takes a base is its own."""


def kind_of(directory: Path) -> Kind:
    """Return the kind of the base in a folder. RecipeError if there is none for it."""
    path = directory / "config.json"
    if not path.is_file():
        return CAUSAL  # its loader reports the missing parts
    try:
        config = read_config(path)
    except (OSError, UnreadableError) as error:
        raise RecipeError(
            problem("unreadable-config", "{why}", at=Place(path), why=reason_of(error))
        ) from error
    for kind in KINDS:
        if kind.takes(config):
            return kind
    raise RecipeError(
        problem(
            "unknown-kind",
            "a {model_type} base is of no kind that can be trained here ({kinds}); choose another "
            "base",
            at=Place(key="base.model"),
            model_type=config.get("model_type", "model"),
            kinds=[kind.name for kind in KINDS],
        )
    )
