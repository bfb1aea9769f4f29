"""What owners permit: each clause has an outcome, and its message names card and clause."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from finetune.errors import RecipeError, ReleaseError
from finetune.spec.card import DataCard
from finetune.spec.permission import Terms, adapter_terms, refuse_training, standing
from tests.support.release_job import card

TODAY = date(2026, 11, 25)
NOODL = {"license_name": "Nwulite Obodo Open Data", "license_link": "https://example.org/noodl"}


def terms(*cards: DataCard, base: str = "apache-2.0", wanted: str = "auto") -> Terms:
    """Return what an adapter of these cards may be."""
    named = {made.name: made for made in cards}
    return adapter_terms(base, named, wanted=wanted, today=TODAY)


def radio(
    licence: str = "mit", *, name: str = "radio", more: Any = None, **corpus: Any
) -> DataCard:
    """Return a card with a licence and other facts of its block."""
    return card(name, licence=licence, corpus=corpus, **(more or {}))


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ([radio("cc-by-4.0")], "apache-2.0"),
        ([radio("cc-by-sa-4.0")], "cc-by-sa-4.0"),
        ([radio("cc-by-nc-4.0")], "cc-by-nc-4.0"),
        ([radio("cc-by-nc-4.0", permitted_uses=["publish-models"])], "cc-by-nc-4.0"),
        ([radio("mit", permitted_uses=["train-models", "publish-models"])], "cc-by-nc-4.0"),
        ([radio("mit", permitted_uses=["publish-models", "commercial"])], "apache-2.0"),
        ([radio("mit"), radio("cc-by-nd-4.0", name="gone", status="withdrawn")], "apache-2.0"),
        ([radio("mit", consent={"basis": "written", "expires": TODAY})], "apache-2.0"),
    ],
)
def test_the_licence_follows_from_licences_and_uses(cards: list[DataCard], expected: str) -> None:
    """Uses without `commercial` make an adapter non-commercial; withdrawn cards do not count."""
    found = terms(*cards)
    assert found.licence == expected
    assert found.reasons
    assert found.gate == ()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (radio("cc-by-nd-4.0"), ["'radio'", "cc-by-nd-4.0", "forbids passing on derivatives"]),
        (radio("my-licence"), ["'radio'", "'my-licence'", "not one whose terms are known"]),
        (
            radio(consent={"expires": "2026-11-24"}),
            ["'radio'", "consent.expires", "ended on 2026-11-24"],
        ),
        (
            radio(permitted_uses=["train-models", "research"]),
            ["'radio'", "permitted_uses", "not publish-models", "Ask the translators"],
        ),
        (
            radio(not_established=["license"]),
            ["'radio'", "license: 'mit' was not established"],
        ),
        (
            radio("other", more=NOODL, access={"kind": "agree"}),
            ["license_name: 'Nwulite Obodo Open Data'", "https://example.org", "licence: other"],
        ),
        (
            radio("other", more={**NOODL, "license_name": "Kaitiakitanga"}),
            ["'radio'", "access: the licence 'Kaitiakitanga'", "kind: agree", "the community"],
        ),
        (
            radio("other", more={**NOODL, "license_name": "Esethu Framework"}),
            ["'radio'", "access: the licence 'Esethu Framework'"],
        ),
    ],
)
def test_what_forbids_a_release_names_card_and_clause(made: DataCard, words: list[str]) -> None:
    """ND, unknown, expired, not permitted, not established and community terms are refused."""
    with pytest.raises(ReleaseError) as refused:
        terms(made)
    for word in words:
        assert word in str(refused.value)


def test_all_refusals_come_at_once() -> None:
    """Two cards with one problem each give two lines."""
    with pytest.raises(ReleaseError) as refused:
        terms(
            radio(name="one", consent={"expires": "2026-01-01"}),
            radio(name="two", permitted_uses=["research"]),
        )
    lines = str(refused.value).splitlines()
    assert [line.split("'")[1] for line in lines] == ["one", "two"]


def test_owners_who_permit_no_commerce_clash_with_share_alike() -> None:
    """No licence keeps both, and the message names both cards and the clause."""
    with pytest.raises(ReleaseError) as refused:
        terms(
            radio("cc-by-sa-4.0", name="wiki"), radio(name="shy", permitted_uses=["publish-models"])
        )
    for word in ("'wiki'", "share-alike", "'shy: permitted_uses without commercial'", "commercial"):
        assert word in str(refused.value)


def test_access_is_carried_on() -> None:
    """A gated corpus gives a gated adapter: conditions, contact and licence go with it."""
    shy = radio(access={"kind": "ask", "conditions": "no advertising"})
    assert terms(shy).gate == (
        "School software in Hausa: Ask its owners first; no advertising; contact: the translators",
    )
    noodl = radio("other", more=NOODL, access={"kind": "agree"})
    found = terms(noodl, wanted="other")
    assert found.licence == "other"
    assert "licence: Nwulite Obodo Open Data, https://example.org/noodl" in found.gate[0]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (radio(consent={"expires": "2026-11-24"}), "'radio': consent.expires"),
        (radio(permitted_uses=["research"]), "not train-models"),
        (radio(status="withdrawn"), r"every card was withdrawn \(radio\)"),
    ],
)
def test_what_forbids_training_stops_it_before_it_starts(made: DataCard, words: str) -> None:
    """Consent that ended, training that is not permitted, and nothing left are refused."""
    with pytest.raises(RecipeError, match=words):
        refuse_training({made.name: made}, today=TODAY)


def test_publishing_is_no_condition_of_training() -> None:
    """Owners may permit training alone; then only the release is refused."""
    refuse_training({"radio": radio(permitted_uses=["train-models"])}, today=TODAY)


def test_a_list_that_says_all_withdraws_a_card() -> None:
    """`all` on the list counts like `status: withdrawn`."""
    gone = radio().model_copy(update={"withdrawn": frozenset(["all"])})
    assert standing({"radio": gone, "other": radio(name="other")}).keys() == {"other"}
