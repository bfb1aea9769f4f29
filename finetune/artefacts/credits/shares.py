"""Rows of credits: supervised tokens and shares, with the names that cards permit to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.spec.card import DataCard

WHOLE = 10_000
"""Shares are whole numbers of hundredths of a per cent."""
SHOWN = ("names", "pseudonyms")
"""Values of `consent.credit` with which contributors are shown as the card's column has them."""
Drawn = Mapping[tuple[str, str | None], int]
"""(card, contributor as its column has it, or None) -> supervised tokens."""
By = Literal["card", "licence", "contributor"]


@dataclass(frozen=True, slots=True)
class CreditRow:
    """A row of credits; the rows of each `by` add up to all tokens and to 100 %."""

    by: By
    name: str
    """Title of the card, licence, or contributor; empty: contributors who are not named."""
    card: str
    """Name of the card; empty in rows by licence."""
    licence: str
    people: int | None
    """Different contributors in a row by contributor; None where the card does not have them."""
    supervised_tokens: int
    hundredths: int
    """Share in hundredths of a per cent."""

    @property
    def share(self) -> float:
        """Share, 0 to 1."""
        return self.hundredths / WHOLE

    @property
    def percent(self) -> str:
        """Share in per cent, with two decimals."""
        return f"{self.hundredths // 100}.{self.hundredths % 100:02d}"


def largest_remainder(amounts: Sequence[int], *, whole: int = WHOLE) -> list[int]:
    """Return whole shares that add up to `whole`; the largest remainders are rounded up.

    Of equal remainders the first. Only zeros have no shares. Source: method of Hare and Niemeyer.

    >>> largest_remainder([1, 1, 1], whole=100), largest_remainder([0, 0])
    ([34, 33, 33], [0, 0])
    """
    total = sum(amounts)
    if not total:
        return [0] * len(amounts)
    shares = [amount * whole // total for amount in amounts]
    left = whole - sum(shares)
    by_remainder = sorted(range(len(amounts)), key=lambda i: (-(amounts[i] * whole % total), i))
    for place in by_remainder[:left]:
        shares[place] += 1
    return shares


def credit_rows(
    drawn: Drawn, cards: Mapping[str, DataCard], *, all_names: bool = False
) -> tuple[CreditRow, ...]:
    """Return the rows by card, by licence and by contributor, each from the largest share down.

    A contributor is named where the card's consent permits it (`consent.credit`), or everywhere
    with `all_names`. The same name in two cards may be two people, so that it has two rows.
    """
    by_card: Counter[str] = Counter()
    by_licence: Counter[str] = Counter()
    by_name: Counter[tuple[str, str]] = Counter()
    people: dict[tuple[str, str], set[str]] = {}
    for (card, contributor), tokens in drawn.items():
        shown = all_names or cards[card].corpus.consent.credit in SHOWN
        key = card, (contributor or "") if shown else ""
        by_card[card] += tokens
        by_licence[_licence(cards[card])] += tokens
        by_name[key] += tokens
        people.setdefault(key, set()).update({contributor} if contributor else ())
    return (
        *_shared("card", {(cards[c].pretty_name or c, c): n for c, n in by_card.items()}, cards),
        *_shared("licence", {(licence, ""): n for licence, n in by_licence.items()}, cards),
        *_shared(
            "contributor",
            {(name, card): tokens for (card, name), tokens in by_name.items()},
            cards,
            people={(name, card): len(those) or None for (card, name), those in people.items()},
        ),
    )


def _shared(
    by: By,
    amounts: Mapping[tuple[str, str], int],
    cards: Mapping[str, DataCard],
    *,
    people: Mapping[tuple[str, str], int | None] | None = None,
) -> list[CreditRow]:
    ordered = sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0]))
    shares = largest_remainder([tokens for _, tokens in ordered])
    return [
        CreditRow(
            by=by,
            name=key[0],
            card=key[1],
            licence=_licence(cards[key[1]]) if key[1] else key[0],
            people=(people or {}).get(key),
            supervised_tokens=tokens,
            hundredths=share,
        )
        for (key, tokens), share in zip(ordered, shares, strict=True)
    ]


def _licence(card: DataCard) -> str:
    return (card.license_name or card.license) if card.license == "other" else card.license
