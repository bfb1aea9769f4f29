"""Commit and licence of a repository of models, asked of the Hub."""

from __future__ import annotations

import re

from finetune.messages import sentence
from finetune.sources.hub_fetch import endpoint, explained

COMMIT = re.compile(r"[0-9a-f]{40}")
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")


def commit_of(repo: str, revision: str | None) -> str:
    """Return the commit of a branch or tag; None: the newest. A commit is returned unasked.

    Raises InputError: no such repository or revision, no access; StoreError: no network.
    """
    from huggingface_hub import HfApi

    if revision is not None and COMMIT.fullmatch(revision):
        return revision

    def ask() -> str:
        return str(HfApi(endpoint=endpoint()).model_info(repo, revision=revision).sha)

    return explained(ask, what=sentence("model {repo!r}", repo=repo), page=f"{endpoint()}/{repo}")


def hub_licence(repo: str, revision: str) -> str | None:
    """Return the licence that the card of a repository states; None: it states none."""
    from huggingface_hub import HfApi

    def ask() -> str | None:
        card = HfApi(endpoint=endpoint()).model_info(repo, revision=revision).card_data
        stated = card.get("license") if card is not None else None
        return stated if isinstance(stated, str) and _LICENCE.fullmatch(stated) else None

    return explained(ask, what=sentence("model {repo!r}", repo=repo), page=f"{endpoint()}/{repo}")
