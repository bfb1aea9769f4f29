"""Withdrawals recorded in the store, compared with the lists beside the cards.

Every prepared corpus notes which records of which card had been withdrawn. A list that has lost
them, or is missing, would let these texts back in; that is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from finetune.errors import RecipeError, StoreError
from finetune.messages import Place, counted, problem, sentence
from finetune.pipeline.manifest import Manifest, read_manifest
from finetune.pipeline.store import Store
from finetune.pipeline.store_folder import is_default
from finetune.spec.card import ALL, DataCard
from finetune.spec.withdrawn import list_path, read_list, ways_out

_CHANGES = frozenset({"sha256", "revision"})
"""Fields of a source that change when texts are removed from its files."""


def recorded_withdrawals(card: DataCard, store: Store) -> dict[str, str]:
    """Return the withdrawals of a card when corpora were prepared: hash (or `all`) -> artefact.

    A manifest that cannot be read is skipped; `finetune runs` names it.
    """
    return _recorded(card, _prepared(store))


def _prepared(store: Store) -> list[Manifest]:
    """Return the manifests of prepared corpora that can be read."""
    found = []
    for path in sorted((store.root / "prepare").glob("*")):
        with suppress(StoreError):
            found.append(read_manifest(path))
    return found


def _recorded(card: DataCard, prepared: Iterable[Manifest]) -> dict[str, str]:
    found: dict[str, str] = {}
    for manifest in prepared:
        for entry in _withdrawn(manifest.made_of, card):
            found.setdefault(entry, f"prepare/{manifest.key}")
    return found


def refuse_lost_withdrawals(cards: Iterable[DataCard], store: Store) -> None:
    """Raise RecipeError for every card whose list lacks withdrawals that the store remembers."""
    problems = []
    prepared = _prepared(store)
    elsewhere = None if is_default(store.root) else store.root
    for card in cards:
        if card.is_withdrawn:
            continue
        listed = read_list(card.path)
        known = _recorded(card, prepared)
        allowed = listed.withdrawn | listed.restored
        back = [] if ALL in listed.restored else [e for e in known if e not in allowed]
        if back:
            count = counted("{count} of its texts", "{count} of its texts", len(back))
            problems.append(
                problem(
                    "withdrawals-forgotten",
                    "{what} had been withdrawn when {artefact} was prepared, and the list does not "
                    "have it any more; {remedy}",
                    at=Place(list_path(card.path)),
                    what=sentence("the whole card") if ALL in back else count,
                    artefact=known[back[0]],
                    remedy=ways_out(card.path, store=elsewhere),
                )
            )
    if problems:
        raise RecipeError(*problems)


def _withdrawn(made_of: Mapping[str, Any], card: DataCard) -> Iterator[str]:
    """Yield the withdrawn entries of a card of this name and source in the content of a corpus."""
    for part in (made_of, *_parts(made_of.get("beside"))):
        entries = _inside(part, "withdrawn").get(card.name)
        if not isinstance(entries, list):
            continue
        then = _inside(_inside(part, "cards"), card.name)
        same = _identity(_inside(then, "source")) == _identity(
            card.corpus.source.model_dump(mode="json")
        )
        if same:
            yield from (entry for entry in entries if isinstance(entry, str))


def _parts(value: Any) -> list[Mapping[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _inside(value: Any, key: str) -> Mapping[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _identity(value: Any) -> Any:
    """Return a source without the fields that change when texts are removed."""
    if isinstance(value, dict):
        return {key: _identity(part) for key, part in value.items() if key not in _CHANGES}
    return [_identity(part) for part in value] if isinstance(value, list) else value
