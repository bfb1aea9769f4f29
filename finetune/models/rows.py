"""Embedding rows of new tokens: allocation, initialisation, and layers that update only them.

The rows are PEFT's trainable tokens: a matrix of their own beside the frozen one, saved with the
adapter. PEFT's layers put them into a copy of the whole frozen matrix in every forward pass, and
get a gradient as large back. New ids follow each other, so here the frozen matrix is used as it
is, and the new rows beside it. tests/unit/models/test_rows.py compares both.

Legend: V rows of the frozen matrix, N new tokens, E hidden width.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from finetune.errors import RecipeError, StoreError
from finetune.messages import Place, problem, sentence
from finetune.output.small_files import UnreadableError, read_json

FILE = "vocabulary.json"
TOKENIZER = "tokenizer"
"""Folder of the extended tokenizer beside it."""
MAX_FILE_BYTES = 256 * 2**20
_UNEMBEDDED = 1000
"""Tokens that a tokenizer may have beyond the rows of its base (pictures that are not read)."""
_PARAMETER = "trainable_tokens_delta"
_VOCABULARY = Place(key="vocabulary")


@dataclass(frozen=True, slots=True)
class NewRows:
    """New tokens, whose ids follow each other from `first` on."""

    first: int
    weights: tuple[Mapping[int, float], ...]
    """For each, the base's tokens whose rows it starts as a mean of, with their weights."""

    @property
    def ids(self) -> list[int]:
        """The ids of the new tokens."""
        return list(range(self.first, self.first + len(self.weights)))


@dataclass(frozen=True, slots=True)
class _Token:
    id: Annotated[int, Field(ge=0)]
    starts_as: dict[Annotated[int, Field(ge=0)], float]
    token: str = ""


@dataclass(frozen=True, slots=True)
class _Stored:
    """The file of new rows."""

    first: Annotated[int, Field(ge=0)]
    tokens: list[_Token]


class HeadRows(NamedTuple):
    """A head with new rows: the frozen matrix, where they stand in it, and what they are."""

    weight_VE: Tensor
    first: int
    rows_NE: Tensor


def write_rows(folder: Path, rows: NewRows, *, names: list[str]) -> None:
    """Write `vocabulary.json`: what each new token is called and starts as."""
    tokens = [
        {"id": number, "token": name, "starts_as": {str(k): v for k, v in weights.items()}}
        for number, name, weights in zip(rows.ids, names, rows.weights, strict=True)
    ]
    text = json.dumps({"schema": 1, "first": rows.first, "tokens": tokens}, ensure_ascii=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8", newline="\n")


def read_rows(folder: Path) -> NewRows:
    """Read what `write_rows` wrote. Raises StoreError if it is missing or damaged."""
    try:
        stored = read_json(folder / FILE, _Stored, max_bytes=MAX_FILE_BYTES)
    except (OSError, UnreadableError) as error:
        raise StoreError(
            problem(
                "unreadable-rows",
                "cannot be read ({why}); remove this artefact and run again",
                at=Place(folder / FILE),
                why=str(error),
            )
        ) from error
    return NewRows(stored.first, tuple(token.starts_as for token in stored.tokens))


def refuse_distant(model: Any, ids: Sequence[int], *, where: Path) -> None:
    """Raise RecipeError for new tokens that would need more rows than there are new tokens."""
    have = int(model.get_input_embeddings().weight.shape[0])
    if ids and (min(ids) < 0 or max(ids) >= have + len(ids)):
        raise RecipeError(
            problem(
                "adapter-of-another-base",
                "has new tokens from {first:d} to {last:d}, but this base has {rows} embedding "
                "rows: the adapter belongs to another base",
                at=Place(where),
                first=min(ids),
                last=max(ids),
                rows=have,
            )
        )


def make_room(model: Any, count: int) -> None:
    """Give embedding and head of a base at least `count` rows; what is added is 0.

    Bases often have more rows than tokens; then nothing changes.
    """
    have = int(model.get_input_embeddings().weight.shape[0])
    if have >= count:
        return
    model.resize_token_embeddings(count, mean_resizing=False)
    with torch.no_grad():
        for layer in _matrices(model):
            layer.weight[have:] = 0
    model.requires_grad_(False)


@torch.no_grad()
def start_rows(model: Any, rows: NewRows) -> None:
    """Make room for new rows and set them to the means that they start as, in float32 sums.

    Raises RecipeError for a head with a bias, which would need new numbers of its own, and for rows
    of another base.
    """
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear) or head.bias is not None:
        kind = type(head).__name__
        biased = getattr(head, "bias", None) is not None
        raise RecipeError(
            problem(
                "head-takes-no-rows",
                "the head of this base ({head}) cannot get new rows; remove `vocabulary`, or "
                "choose another base",
                at=_VOCABULARY,
                head=sentence("{kind} with a bias", kind=kind) if biased else kind,
            )
        )
    have = int(model.get_input_embeddings().weight.shape[0])
    parts = max((number for weights in rows.weights for number in weights), default=0)
    if rows.first > have + _UNEMBEDDED or parts >= have:
        raise RecipeError(
            problem(
                "vocabulary-of-another-base",
                "new tokens begin at {first:d} and are initialised from tokens up to {last:d}, but "
                "this base has {rows} embedding rows: {file} belongs to another base; remove that "
                "artefact (`finetune runs --remove STAGE/KEY`) and run again",
                at=_VOCABULARY,
                first=rows.first,
                last=parts,
                rows=have,
                file=FILE,
            )
        )
    make_room(model, rows.first + len(rows.weights))
    for layer in _matrices(model):
        weight = layer.weight
        for number, shares in zip(rows.ids, rows.weights, strict=True):
            of = torch.tensor(list(shares.values()), device=weight.device)
            old = weight[torch.tensor(list(shares), device=weight.device)].float()
            weight[number] = ((of / of.sum()) @ old).to(weight.dtype)


def refuse_updates(model: Any, targets: str | Sequence[str]) -> None:
    """Raise RecipeError if a LoRA target is embedding or head, whose rows are trained already."""
    names = {id(module): name for name, module in model.named_modules()}
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        name = names[id(layer)]
        ends = () if isinstance(targets, str) else targets
        for target in ends:
            if name == target or name.endswith(f".{target}"):
                raise RecipeError(
                    problem(
                        "target-with-vocabulary",
                        "{target} cannot be combined with vocabulary, which trains embedding rows "
                        "there; remove one of them",
                        at=Place(key="lora.target_modules"),
                        target=target,
                    )
                )


def trainable_tokens(model: Any, rows: NewRows) -> list[int] | dict[str, list[int]]:
    """Return PEFT's `trainable_token_indices` for a base: of one matrix if its head is tied."""
    if is_tied(model):
        return rows.ids
    names = {id(module): name for name, module in model.named_modules()}
    return {names[id(layer)]: rows.ids for layer in _matrices(model)}


def is_tied(model: Any) -> bool:
    """Return whether the head is the embedding."""
    return len(_matrices(model)) == 1


def trained_ids(config: Mapping[str, Any]) -> list[int]:
    """Return the new tokens of an adapter's configuration, or [].

    >>> trained_ids({"trainable_token_indices": {"embed_tokens": [7], "lm_head": [7]}})
    [7]
    """
    found = config.get("trainable_token_indices") or []
    if isinstance(found, Mapping):
        found = next(iter(found.values()), [])
    return [int(number) for number in found]


def is_row(name: str) -> bool:
    """Return whether a parameter (or a tensor of an adapter) of this name holds new rows."""
    return _PARAMETER in name


def install(model: nn.Module) -> None:
    """Make PEFT's layers of new tokens use the frozen matrix as it is; twice is harmless."""
    for module in model.modules():
        if type(module).__name__ == "TrainableTokensLayer":
            written = type(module).forward.__get__(module)
            module.forward = partial(_forward, module, written)


def head_rows(head: Any) -> HeadRows | None:
    """Return the parts of a plain head with active new rows, else None."""
    layer: Any = getattr(head, "token_adapter", None)
    found = None if layer is None else _active(layer)
    if found is None or type(layer.base_layer) is not nn.Linear:
        return None
    return HeadRows(layer.base_layer.weight, *found)


def _matrices(model: Any) -> list[Any]:
    """Return embedding and head of a plain base; only one of them if they are the same matrix."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    return [embedding] if head.weight is embedding.weight else [embedding, head]


def _active(layer: Any) -> tuple[int, Tensor] | None:
    """Return first id and rows, if one adapter is on and its ids follow each other."""
    active = layer.active_adapters
    if layer.disable_adapters or layer.merged or len(active) != 1:
        return None
    ids = layer.token_indices[active[0]]
    if ids[-1] - ids[0] != len(ids) - 1 or ids != sorted(ids):
        return None
    return ids[0], layer.trainable_tokens_delta[active[0]]


def _forward(
    layer: Any, written: Callable[..., Tensor], x: Tensor, *args: Any, **kwargs: Any
) -> Tensor:
    found, base = _active(layer), layer.base_layer
    if found is None or args or kwargs:
        return written(x, *args, **kwargs)
    first, rows_NE = found
    if isinstance(base, nn.Embedding):
        return _embed(layer, x, first=first, rows_NE=rows_NE)
    if type(base) is not nn.Linear or base.bias is not None:
        return written(x)
    logits = base(x)
    after = first + len(rows_NE)
    new = nn.functional.linear(x, rows_NE.to(x.dtype))
    return torch.cat([logits[..., :first], new, logits[..., after:]], dim=-1)


def _embed(layer: Any, tokens: Tensor, *, first: int, rows_NE: Tensor) -> Tensor:
    out: Tensor = layer.base_layer(tokens)
    is_new = (tokens >= first) & (tokens < first + len(rows_NE))
    new = nn.functional.embedding(torch.where(is_new, tokens - first, 0), rows_NE)
    scale = layer._get_embed_scale()  # Gemma multiplies what it looks up
    if scale is not None:
        new = new * scale.to(new.dtype)
    return torch.where(is_new[..., None], new.to(out.dtype), out)
