"""A campaign: which outputs are judged, and whose they are.

The file stays with the engineer. Pages have the ids of campaign and items, which are keyed hashes
(HMAC-SHA256): without the key of the file nothing can be inferred from them, and the side of the
adapter is drawn with the same key.
"""

from __future__ import annotations

import hmac
import json
import math
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from finetune.artefacts.judged.collected import ItemId
from finetune.errors import RecipeError
from finetune.judge.shown_pairs import Pair, Task
from finetune.messages import Place, problem
from finetune.output.durable import make_folder, replace_text
from finetune.output.failures import not_written
from finetune.output.small_files import UnreadableError, read_json

CAMPAIGN = "campaign.json"
MAX_BYTES = 16 * 2**20
ITEMS_PER_ATTENTION = 10
Side = Literal["a", "b"]


class CampaignItem(BaseModel):
    """An item of a campaign."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    item: ItemId
    generation: str
    """Its id in generations.jsonl of the evaluation."""
    adapter: Side
    """The output that is the adapter's."""


class AttentionItem(BaseModel):
    """A source with a person's text for it, and one that belongs to another source."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    item: ItemId
    source: str
    a: str
    b: str
    right: Side
    """The text that belongs to the source."""


class Campaign(BaseModel):
    """The campaign file: the side of the adapter in every item."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["finetune-campaign"] = "finetune-campaign"
    version: Literal[1] = 1
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Secret of the ids."""
    campaign: ItemId
    evaluation: ItemId
    language: str
    other: str
    """`base`, or the name of a model of `evaluate.models`."""
    task: Task
    health: bool = False
    """True if the items are answers to prompts on health."""
    items: Annotated[tuple[CampaignItem, ...], Field(strict=False, min_length=1)]
    """In the order of the page."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Reason -> items that are not shown."""
    attention: Annotated[tuple[AttentionItem, ...], Field(strict=False)] = ()
    """Items that show whether a judge reads, for formats that have such."""


@dataclass(frozen=True, slots=True)
class Blind:
    """An item as the page has it: nothing in it says whose output is whose."""

    item: str
    pair: Pair
    a: str
    b: str


def new_key() -> str:
    """Return a key of 256 bits."""
    return secrets.token_hex(32)


def campaign_of(
    pairs: Sequence[Pair],
    *,
    key: str,
    evaluation: str,
    other: str,
    left_out: dict[str, int] | None = None,
    health: bool = False,
) -> Campaign:
    """Return the campaign of pairs: in an order, and with sides, that only the key knows.

    The adapter is A in half of the items (in one more or less of an odd number). The same key gives
    the same campaign.
    """
    ids = {pair.id: keyed(key, "item", pair.id) for pair in pairs}
    by_side = sorted(ids, key=lambda one: keyed(key, "side", one))
    first = set(by_side[: len(ids) // 2 + _odd(key) * (len(ids) % 2)])
    order = sorted(ids, key=lambda one: keyed(key, "order", one))
    return Campaign(
        key=key,
        campaign=keyed(key, "campaign", evaluation),
        evaluation=evaluation,
        language=pairs[0].language,
        other=other,
        task=pairs[0].task,
        health=health,
        items=tuple(
            CampaignItem(item=ids[one], generation=one, adapter="a" if one in first else "b")
            for one in order
        ),
        left_out=left_out or {},
        attention=_attention(pairs, key=key),
    )


def _attention(pairs: Sequence[Pair], *, key: str) -> tuple[AttentionItem, ...]:
    """Return an attention item for every ten pairs, of pairs with references."""
    texts = {pair.id: pair for pair in pairs if pair.reference}
    order = sorted(texts, key=lambda one: keyed(key, "attention", one))
    found: list[AttentionItem] = []
    for one, other in zip(order, [*order[1:], *order[:1]], strict=True):
        right, wrong = texts[one].reference or "", texts[other].reference or ""
        is_a = int(keyed(key, "attention side", one), 16) % 2 == 0
        if len(found) < math.ceil(len(pairs) / ITEMS_PER_ATTENTION) and right != wrong:
            found.append(
                AttentionItem(
                    item=keyed(key, "attention item", one),
                    source=texts[one].source,
                    a=right if is_a else wrong,
                    b=wrong if is_a else right,
                    right="a" if is_a else "b",
                )
            )
    return tuple(found)


def keyed(key: str, purpose: str, text: str) -> str:
    """Return an id of 64 bits (hex): the HMAC-SHA256 of a text for a purpose.

    >>> keyed("00", "item", "a") == keyed("00", "side", "a")
    False
    """
    message = json.dumps([purpose, text], ensure_ascii=False).encode()
    return hmac.new(bytes.fromhex(key), message, "sha256").hexdigest()[:16]


def _odd(key: str) -> int:
    return int(keyed(key, "odd", ""), 16) % 2


def blinded(campaign: Campaign, pairs: Sequence[Pair]) -> list[Blind]:
    """Return the items in the order of the page, with the texts of A and B."""
    by_id = {pair.id: pair for pair in pairs}
    found = []
    for one in campaign.items:
        pair = by_id[one.generation]
        texts = (pair.adapter, pair.other)
        a, b = texts if one.adapter == "a" else reversed(texts)
        found.append(Blind(one.item, pair, a, b))
    return found


def write_campaign(campaign: Campaign, folder: Path) -> Path:
    """Write the campaign file, readable by its owner alone; return its path.

    Raises RecipeError if another campaign is in the folder: its answers would belong to nothing.
    """
    path = folder / CAMPAIGN
    try:
        make_folder(folder)
        if os.path.lexists(path) and read_campaign(path) != campaign:
            raise RecipeError(
                problem(
                    "another-campaign",
                    "another campaign is here; name another folder with -o, or remove this one if "
                    "no answers to it are awaited",
                    at=Place(folder),
                )
            )
        replace_text(path, campaign.model_dump_json(indent=1) + "\n")
        path.chmod(0o600)
    except OSError as error:
        raise RecipeError(not_written(Path(error.filename or path), error)) from None
    return path


def read_campaign(path: Path) -> Campaign:
    """Return a campaign. Raises RecipeError if the file is none."""
    try:
        return read_json(path, Campaign, max_bytes=MAX_BYTES)
    except (OSError, UnreadableError) as error:
        why = error.why if isinstance(error, UnreadableError) else error.strerror
        raise RecipeError(
            problem(
                "no-campaign",
                "is no campaign ({why}); name the folder that `finetune judge build` wrote",
                at=Place(path),
                why=why,
            )
        ) from None
