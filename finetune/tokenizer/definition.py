"""A tokenizer.json with tokens appended, so that existing ids do not change.

New tokens of a BPE tokenizer are real merges at the end of its list: they act on what the base's
own merges leave, so a text without their parts side by side is tokenized exactly as before. Those
of a Unigram tokenizer are pieces with a score: a text that does not contain them has the same
segmentations to choose from as before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tokenizers import Tokenizer

from finetune.errors import RecipeError
from finetune.messages import Place, problem

UNREACHABLE = -1e6
"""Score of a Unigram piece that only holds the place of a control mark's id."""


VOCABULARY = Place(key="vocabulary")
"""Section of a recipe that asks for new tokens."""


@dataclass(frozen=True, slots=True)
class Step:
    """One addition. Several may spell one token; a token that the base has costs no row."""

    token: str
    """As the vocabulary writes it (`Ġna`, `▁na`)."""
    parts: tuple[int, ...]
    """The base's tokens that it stands in place of, in order."""
    pair: tuple[str, str] | None = None
    """The two tokens that BPE joins; None for a character that had no token, and for Unigram."""
    score: float | None = None
    """Log-probability of a Unigram piece."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that has a row of its own in the model."""

    id: int
    token: str
    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Extended:
    """A tokenizer with additions."""

    definition: str
    """The content of its tokenizer.json."""
    tokens: tuple[NewToken, ...]
    """In the order of their ids, which follow each other."""

    def tokenizer(self) -> Any:
        """Return it as `opened` does."""
        return opened(self.definition)


@lru_cache(maxsize=4)
def opened(definition: str) -> Any:
    """Return the tokenizer of a definition, without truncation and padding; read-only."""
    tokenizer = Tokenizer.from_str(definition)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def algorithm_of(definition: str) -> str:
    """Return `bpe` or `unigram`.

    Raises RecipeError for a tokenizer to which nothing can be added in such a way.
    """
    model = json.loads(definition)["model"]
    kind = str(model.get("type"))
    affixed = model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
    if kind not in ("BPE", "Unigram") or affixed:
        whole_kind = f"{kind} ({affixed})" if affixed else kind
        raise RecipeError(
            problem(
                "tokenizer-kind",
                "the base's tokenizer is {kind}; tokens can be added to BPE and Unigram tokenizers "
                "without prefixes and suffixes only: remove `vocabulary`, or choose another base",
                at=VOCABULARY,
                kind=whole_kind,
            )
        )
    return "bpe" if kind == "BPE" else "unigram"


def add(definition: str, steps: Sequence[Step]) -> Extended:
    """Put additions into a tokenizer, in their order.

    Raises RecipeError for a tokenizer whose ids cannot be kept.
    """
    algorithm = algorithm_of(definition)
    parts = json.loads(definition)
    before = opened(definition).get_vocab(with_added_tokens=True)
    tokens = tuple(_numbered(steps, known=before))
    if algorithm == "bpe":
        _add_merges(parts, steps, tokens, before=before)
    else:
        _add_pieces(parts, steps, tokens, before=before)
    found = Extended(json.dumps(parts, ensure_ascii=False), tokens)
    after = found.tokenizer().get_vocab(with_added_tokens=True)
    moved = [token for token, number in before.items() if after.get(token) != number]
    if moved or len(after) != len(before) + len(tokens):
        raise RecipeError(
            problem(
                "moved-ids",
                "the ids of this base's tokenizer cannot be kept ({count} would move: "
                "{tokens!r}): remove `vocabulary`, or choose another base",
                at=VOCABULARY,
                count=len(moved),
                tokens=moved[:3],
            )
        )
    return found


def _numbered(steps: Iterable[Step], *, known: dict[str, int]) -> Iterable[NewToken]:
    number = max(known.values()) + 1
    seen: set[str] = set()
    for step in steps:
        if step.token not in known and step.token not in seen:
            seen.add(step.token)
            yield NewToken(number, step.token, step.parts)
            number += 1


def _add_merges(
    parts: dict[str, Any],
    steps: Sequence[Step],
    tokens: Sequence[NewToken],
    *,
    before: dict[str, int],
) -> None:
    model = parts["model"]
    # Control marks get their place in the vocabulary: the library numbers those that have none
    # behind it, and it grows.
    model["vocab"] |= before
    model["vocab"] |= {new.token: new.id for new in tokens}
    pairs = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
    there = {tuple(pair) for pair in pairs}
    model["merges"] = pairs + [
        list(s.pair) for s in steps if s.pair is not None and s.pair not in there
    ]


def _add_pieces(
    parts: dict[str, Any],
    steps: Sequence[Step],
    tokens: Sequence[NewToken],
    *,
    before: dict[str, int],
) -> None:
    pieces = parts["model"]["vocab"]  # a piece's id is its place in this list
    by_id = {number: token for token, number in before.items()}
    holes = [number for number in range(len(by_id)) if number not in by_id]
    if holes:
        raise RecipeError(
            problem(
                "hole-in-ids",
                "the base's tokenizer has no token {number:d}; choose another base",
                at=VOCABULARY,
                number=holes[0],
            )
        )
    pieces += [[by_id[number], UNREACHABLE] for number in range(len(pieces), len(by_id))]
    scores = {step.token: step.score for step in steps}
    pieces += [[new.token, scores[new.token]] for new in tokens]
