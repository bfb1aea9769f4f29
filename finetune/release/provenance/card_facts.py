"""Data cards in a release: what they state, as a file that the reader of cards takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from finetune.spec.card import DataCard
from finetune.spec.permission import may_be_passed_on
from finetune.spec.resolved import as_text
from finetune.spec.withdrawn import read_list, seal_of


def card_facts(card: DataCard) -> dict[str, Any]:
    """Return the front matter of a card as finetune reads it, without what is a default."""
    facts: dict[str, Any] = card.model_dump(
        mode="json",
        include={
            *("language", "license", "license_name", "license_link", "pretty_name", "corpus"),
        },
        exclude_defaults=True,
    )
    source = facts["corpus"]["source"]
    return facts | {
        "corpus": facts["corpus"] | {"source": {"kind": card.corpus.source.kind} | source}
    }


def card_sha256(card: DataCard) -> str:
    """Return a checksum of what a card states; neither layout nor text below count."""
    text = json.dumps(card_facts(card), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def card_text(facts: Mapping[str, Any], body: str) -> str:
    """Return a card: its facts as JSON, which is YAML, and the text below."""
    return f"---\n{as_text(facts)}---\n{body}"


def left_out(card: DataCard) -> Literal["restricted", "withdrawn"] | None:
    """Return why a card is not included in a release, None if it is."""
    if card.is_withdrawn:
        return "withdrawn"
    return None if may_be_passed_on(card) else "restricted"


def list_text(card: DataCard) -> str | None:
    """Return the withdrawal list of a card, without the comments in it; None if it has none."""
    entries = read_list(card.path).entries
    if not entries:
        return None
    seal = seal_of(entries)
    return "\n".join([f"# {seal.entries} entries, sha256 {seal.sha256}", *entries]) + "\n"
