"""Shares of languages: from sizes, by the method of the recipe."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import islice, product
from string import ascii_lowercase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.mix.allocate import Subset
from finetune.mix.mixture_plan import MixturePlan, plan_mixture, rows_of_an_epoch
from finetune.mix.mixture_plan import groups_of as groups_of_subsets
from finetune.spec.card import DataCard
from finetune.spec.language import is_language
from finetune.spec.recipe import Phase

ROW = 512
CODES = ("".join(letters) for letters in product("abc", ascii_lowercase, ascii_lowercase))
LANGUAGES = tuple(islice((f"{c}_Latn" for c in CODES if is_language(f"{c}_Latn")), 64))


@cache
def card(name: str, language: str, *, kind: str = "text") -> DataCard:
    """Return a card of one language; its files are never opened."""
    block: dict[str, Any] = {
        "kind": kind,
        "languages": [language],
        "source": {"kind": "files", "files": [{"path": "a", "sha256": "0" * 64}]},
        "format": "jsonl",
        "columns": {"text": "text"} if kind == "text" else {"messages": "messages"},
    }
    facts = {"language": ["wo"], "license": "mit", "pretty_name": name, "body": "", "path": name}
    return DataCard.model_validate({"name": name, "corpus": block} | facts)


def plan(
    subsets: list[Subset],
    *,
    rows: int,
    replay: tuple[str, ...] = (),
    kind: str = "text",
    train: dict[str, Any] | None = None,
    **mixture: Any,
) -> MixturePlan:
    """Return the plan of a run of `rows` rows, one per step; `replay`: cards of replay data."""
    mixture |= {"replay": mixture.pop("replay_")} if "replay_" in mixture else {}
    phase = Phase.model_validate(
        {
            "name": "train",
            "corpora": [{"card": c.card, "replay": c.card in replay} for c in subsets],
            "mixture": mixture,
            "train": {"max_steps": rows, "batch_tokens": ROW} | (train or {}),
        }
    )
    cards = {c.card: card(c.card, c.language, kind=kind) for c in subsets}
    return plan_mixture(phase, cards, subsets, steps=rows, row_tokens=ROW)


def subsets_of(*rows: int, fill: float = 1.0, bytes_per_token: int = 3) -> list[Subset]:
    """Return a subset a language, of so many rows."""
    tokens = [max(1, round(n * ROW * fill)) for n in rows]
    return [
        Subset(LANGUAGES[i], f"card-{i}", rows=n, tokens=t, bytes=t * bytes_per_token)
        for i, (n, t) in enumerate(zip(rows, tokens, strict=True))
    ]


def unimax(sizes: list[int], *, budget: Fraction, epochs: Fraction) -> list[Fraction]:
    """Algorithm 1 of Chung et al. (2023), as it is printed there: what each language gets."""
    given_to = {}
    left = budget
    ordered = sorted(range(len(sizes)), key=lambda i: sizes[i])
    for place, i in enumerate(ordered):
        even = left / (len(sizes) - place)
        given_to[i] = min(even, epochs * sizes[i])
        left -= given_to[i]
    return [given_to[i] for i in range(len(sizes))]


@settings(deadline=None)
@given(
    rows=st.lists(st.integers(1, 10**6), min_size=1, max_size=8),
    fill=st.sampled_from([1.0, 0.7]),
    epochs=st.sampled_from([1.0, 2.5, 4.0]),
    part=st.floats(0.001, 1.0),
)
def test_unimax_is_the_algorithm_of_the_paper(
    rows: list[int], fill: float, epochs: float, part: float
) -> None:
    """For any sizes, cap and budget every language gets what Algorithm 1 gives it."""
    subsets = subsets_of(*rows, fill=fill)
    budget_rows = max(1, int(sum(rows) * epochs * part))
    found = plan(subsets, rows=budget_rows, max_epochs=epochs)
    assert found.problems == ()
    drawn = [p.epochs * c.tokens for p, c in zip(found.drawn, subsets, strict=True)]
    expected = unimax(
        [c.tokens for c in subsets], budget=Fraction(sum(drawn)), epochs=Fraction(epochs)
    )
    total = float(sum(expected))
    for a, b in zip(drawn, expected, strict=True):
        assert a == pytest.approx(float(b), abs=1e-9 * total)
    assert all(p.epochs <= epochs * (1 + 1e-4) for p in found.drawn)


@given(rows=st.lists(st.integers(1, 10**6), min_size=2, max_size=8))
def test_temperature_lies_between_proportional_and_even(rows: list[int]) -> None:
    """Temperature 1 is by size, a million is the same for each, and between it is monotone."""
    subsets = subsets_of(*rows)
    total = sum(c.tokens for c in subsets)

    def shares(temperature: float) -> list[float]:
        mixture = {"method": "temperature", "temperature": temperature}
        return [p.share for p in plan(subsets, rows=1000, **mixture).drawn]

    assert shares(1) == pytest.approx([c.tokens / total for c in subsets], abs=1e-6)
    assert shares(1e6) == pytest.approx([1 / len(subsets)] * len(subsets), abs=1e-4)
    smallest = min(range(len(rows)), key=lambda i: rows[i])
    rising = [shares(t)[smallest] for t in (1, 2, 5, 100)]
    assert rising == sorted(rising)


def test_temperature_is_the_exponent_of_the_papers() -> None:
    """3.33 gives mT5's shares: sizes to the power of 0.3."""
    subsets = subsets_of(10, 1000)
    mixture = {"method": "temperature", "temperature": 1 / 0.3}
    first, second = (p.share for p in plan(subsets, rows=500, **mixture).drawn)
    assert first / second == pytest.approx((10 / 1000) ** 0.3, rel=1e-6)


@given(
    rows=st.lists(st.integers(1, 1000), min_size=1, max_size=6),
    fill=st.sampled_from([1.0, 0.31]),
    steps=st.integers(1, 10**5),
    method=st.sampled_from(["temperature", "fixed"]),
)
def test_the_plan_fills_the_rows_of_the_training(
    rows: list[int], fill: float, steps: int, method: str
) -> None:
    """Epochs times rows of a pass sum to the rows of the training; unique and repeated to all."""
    subsets = subsets_of(*rows, fill=fill)
    weights = {c.language: i + 1 for i, c in enumerate(subsets)}
    more = {"weights": weights} if method == "fixed" else {}
    found = plan(subsets, rows=steps, method=method, **more)
    drawn = sum(p.epochs * c.rows for p, c in zip(found.drawn, subsets, strict=True))
    assert drawn == pytest.approx(steps, rel=1e-9)
    assert sum(p.share for p in found.drawn) == pytest.approx(1)
    for p, c in zip(found.drawn, subsets, strict=True):
        assert p.unique_tokens <= c.tokens
        assert p.unique_tokens + p.repeated_tokens == p.tokens


def test_fixed_weights_count_by_their_ratio() -> None:
    """2:1:0 are two thirds, one third and nothing, whatever the sizes."""
    names = LANGUAGES[:3]
    mixture = {"method": "fixed", "weights": dict(zip(names, (2, 1, 0), strict=True))}
    found = plan(subsets_of(5, 800, 70), rows=300, **mixture)
    assert [p.share for p in found.drawn] == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-8)


def test_bytes_are_fair_where_tokens_are_not() -> None:
    """A language with three times the fertility gets three times as many tokens by bytes."""
    cut, whole = subsets_of(100, 100)
    cut = Subset(cut.language, cut.card, rows=100, tokens=cut.tokens, bytes=cut.bytes // 3)
    found = plan([cut, whole], rows=60, unit="bytes")
    assert [p.share for p in found.drawn] == pytest.approx([0.5, 0.5])
    assert found.drawn[0].tokens == pytest.approx(3 * found.drawn[1].tokens, rel=1e-6)


def test_by_card_or_by_language() -> None:
    """Two cards of a language share its share by size, or have one each."""
    one, two, three = subsets_of(30, 10, 10)
    subsets = [one, Subset(one.language, "other", 10, two.tokens, two.bytes), three]
    by_language = plan(subsets, rows=8)
    assert [p.share for p in by_language.drawn] == pytest.approx([0.5, 0.5])
    by_card = plan(subsets, rows=6, by="card")
    assert [p.share for p in by_card.drawn] == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(("kind", "share"), [("text", 0.2), ("chat", 0.1)])
def test_replay_has_its_default_share(kind: str, share: float) -> None:
    """A fifth with plain text, a tenth with conversations; other weights keep their ratios."""
    subsets = subsets_of(100, 50, 5000)
    found = plan(subsets, rows=60, replay=("card-2",), kind=kind)
    shares = {p.name: p.share for p in found.drawn}
    assert shares[subsets[2].language] == pytest.approx(share)
    assert shares[subsets[0].language] == pytest.approx((1 - share) / 2)


def test_replay_is_switched_off_or_set() -> None:
    """`off` draws nothing of it; a number is its share. Several corpora share it by size."""
    subsets = subsets_of(100, 3000, 1000)
    marked = ("card-1", "card-2")
    off = plan(subsets, rows=60, replay=marked, replay_="off")
    assert [p.tokens for p in off.drawn if p.replay] == [0, 0]
    half = plan(subsets, rows=60, replay=marked, replay_=0.5)
    assert [p.share for p in half.drawn] == pytest.approx([0.5, 0.375, 0.125])


def test_unimax_does_not_repeat_replay_beyond_its_cap() -> None:
    """A replay corpus that is too small has less than its share, and the plan reports it."""
    found = plan(subsets_of(1000, 1), rows=400, replay=("card-1",))
    small = found.drawn[1]
    assert small.epochs == pytest.approx(4)
    assert small.share == pytest.approx(4 / 400, rel=0.01)
    (note,) = found.notes
    assert note.facts["planned"] == 0.2
    assert note.facts["reached"] == pytest.approx(0.01, rel=0.01)


def test_what_cannot_be_had_says_what_could() -> None:
    """More rows than four passes give: how many steps there are, and which cap it would take."""
    found = plan(subsets_of(10, 20), rows=240)
    ((path, why),) = found.problems
    assert path == ("train", "max_steps")
    assert why.code == "too-little-text"
    assert (why.facts["most"], why.facts["needed"]) == (120, 8)
    assert plan(subsets_of(10, 20), rows=120).problems == ()
    assert plan(subsets_of(10, 20), rows=240, max_epochs=8).problems == ()


def test_stages_change_shares_and_keep_the_cap() -> None:
    """Even first, then by weight: each part has its own shares, and the whole is their sum."""
    a, b = LANGUAGES[:2]
    stages = [
        {"until": 0.5, "method": "temperature", "temperature": 1e6},
        {"method": "fixed", "weights": {a: 1, b: 3}},
    ]
    found = plan(subsets_of(100, 100), rows=80, method="proportional", curriculum=stages)
    assert [s.end for s in found.intervals] == [40, 80]
    assert [p.share for p in found.drawn] == pytest.approx([0.375, 0.625], abs=1e-5)
    twice = plan(
        subsets_of(10, 1000), rows=400, curriculum=[{"until": 0.5}, {"replay": "off"}], max_epochs=4
    )
    assert twice.drawn[0].epochs == pytest.approx(4), "the cap is over all stages"
    assert twice.intervals[1].weights[0] == 0


def test_a_budget_keeps_the_shares_of_a_longer_training() -> None:
    """With budget_tokens the intervals do not depend on max_steps; beyond it the cap is broken."""
    subsets = subsets_of(10, 1000)
    settings_ = {"budget_tokens": 400 * ROW}
    short, full = (plan(subsets, rows=n, **settings_) for n in (50, 400))
    assert short.intervals == full.intervals
    assert short.intervals != plan(subsets, rows=50).intervals
    assert full.problems == ()
    ((path, why),) = plan(subsets, rows=800, **settings_).problems
    assert path == ("mixture", "budget_tokens")
    assert why.code == "longer-than-budget"
    assert why.facts["epochs"] == pytest.approx(8)


def test_epochs_count_what_is_not_replay() -> None:
    """One epoch of ten rows with a fifth of replay is 12.5 rows, however large the replay is."""
    subsets = subsets_of(10, 100_000)
    corpora = [{"card": "card-0"}, {"card": "card-1", "replay": True}]
    phase = Phase.model_validate({"name": "a", "corpora": corpora, "train": {"epochs": 1}})
    cards = {c.card: card(c.card, c.language) for c in subsets}
    assert phase.active_mixture is not None
    replayed = {(subsets[1].language, "card-1")}
    groups = groups_of_subsets(subsets, mixture=phase.active_mixture, replayed=replayed)
    assert rows_of_an_epoch(phase, cards, groups) == 13


def test_what_was_lost_leaves_its_share_to_the_others() -> None:
    """A card that was withdrawn, or of which nothing is left, breaks no recipe, and is named."""
    subsets = subsets_of(10, 10, 10)
    weights = {c.language: 1 for c in subsets}
    phase = Phase.model_validate(
        {
            "name": "a",
            "corpora": [{"card": c.card} for c in subsets],
            "mixture": {"method": "fixed", "weights": weights},
            "train": {"max_steps": 8, "batch_tokens": ROW},
        }
    )
    cards = {c.card: card(c.card, c.language) for c in subsets}
    found = plan_mixture(phase, cards, subsets[:2], steps=8, row_tokens=ROW)
    assert [p.share for p in found.drawn] == pytest.approx([0.5, 0.5])
    assert [note.facts for note in found.notes] == [{"name": subsets[2].language}]


def test_weights_are_the_same_on_every_machine() -> None:
    """Golden integers: roots and divisions give these on any processor and Python."""
    subsets = subsets_of(7, 1234, 99_999, fill=0.97)
    found = plan(subsets, rows=5000, method="temperature", temperature=3.33, replay=("card-1",))
    assert found.intervals[0].weights == GOLDEN


GOLDEN = (47062361953, 832546940268, 219902325555)
