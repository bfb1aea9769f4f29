"""Permissions of owners: each clause has an outcome, and its message names card and clause."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from finetune.errors import RecipeError, ReleaseError
from finetune.spec.card import DataCard
from finetune.spec.permission import Terms, adapter_terms, refuse_training, standing
from tests.support.problems import raises
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
    ("made", "code", "key", "facts"),
    [
        (radio("cc-by-nd-4.0"), "no-derivatives", "", {"licence": "cc-by-nd-4.0"}),
        (radio("my-licence"), "unknown-licence", "", {"licence": "my-licence"}),
        (
            radio(consent={"expires": "2026-11-24"}),
            "consent-ended",
            "consent.expires",
            {"day": "2026-11-24"},
        ),
        (
            radio(permitted_uses=["train-models", "research"]),
            "use-not-permitted",
            "permitted_uses",
            {"use": "publish-models", "contact": "the translators"},
        ),
        (
            radio(not_established=["license"]),
            "licence-not-established",
            "license",
            {"licence": "mit"},
        ),
        (
            radio("other", more=NOODL, access={"kind": "agree"}),
            "licence-of-own-terms",
            "license_name",
            {"licence": "Nwulite Obodo Open Data", "link": "https://example.org/noodl"},
        ),
        *(
            (
                radio("other", more={**NOODL, "license_name": name}),
                "open-community-licence",
                "access",
                {"licence": name, "agree": "`access: {kind: agree, conditions: ...}`"},
            )
            for name in ("Kaitiakitanga", "Esethu Framework")
        ),
    ],
)
def test_what_forbids_a_release_names_card_and_clause(
    made: DataCard, code: str, key: str, facts: dict[str, str]
) -> None:
    """ND, unknown, expired, not permitted, not established and community terms are refused."""
    at = "data card 'radio'" + (key and f": {key}")
    with raises(ReleaseError, code=(code, "licence-of-own-terms"), at=at, **facts) as refused:
        terms(made)
    assert refused.value.codes[0] == code


def test_all_refusals_come_at_once() -> None:
    """Two cards with one problem each give two lines."""
    with pytest.raises(ReleaseError) as refused:
        terms(
            radio(name="one", consent={"expires": "2026-01-01"}),
            radio(name="two", permitted_uses=["research"]),
        )
    assert refused.value.codes == ("consent-ended", "use-not-permitted")
    assert [str(p.place).split("'")[1] for p in refused.value.problems] == ["one", "two"]


def test_owners_who_permit_no_commerce_clash_with_share_alike() -> None:
    """No licence keeps both, and the message names both cards and the clause."""
    shy = "data card 'shy: permitted_uses without commercial'"
    at = "data card 'wiki'"
    with raises(ReleaseError, code="licences-contradict", at=at, other=shy) as refused:
        terms(
            radio("cc-by-sa-4.0", name="wiki"), radio(name="shy", permitted_uses=["publish-models"])
        )
    assert refused.value.problems[0].facts["licence"] == "cc-by-sa-4.0"


def test_access_is_carried_on() -> None:
    """A gated corpus gives a gated adapter: conditions, contact and licence go with it."""
    shy = radio(access={"kind": "ask", "conditions": "no advertising"})
    assert list(map(str, terms(shy).gate)) == [
        "School software in Hausa: Ask its owners first; no advertising; contact: the translators"
    ]
    noodl = radio("other", more=NOODL, access={"kind": "agree"})
    found = terms(noodl, wanted="other")
    assert found.licence == "other"
    assert "licence: Nwulite Obodo Open Data, https://example.org/noodl" in str(found.gate[0])


@pytest.mark.parametrize(
    ("made", "code", "facts"),
    [
        (radio(consent={"expires": "2026-11-24"}), "consent-ended", {"day": "2026-11-24"}),
        (radio(permitted_uses=["research"]), "use-not-permitted", {"use": "train-models"}),
        (radio(status="withdrawn"), "all-withdrawn", {"names": ("radio",)}),
    ],
)
def test_what_forbids_training_stops_it_before_it_starts(
    made: DataCard, code: str, facts: dict[str, Any]
) -> None:
    """Consent that ended, training that is not permitted, and nothing left are refused."""
    with raises(RecipeError, code=code, **facts):
        refuse_training({made.name: made}, today=TODAY)


def test_publishing_is_no_condition_of_training() -> None:
    """Owners may permit training alone; then only the release is refused."""
    refuse_training({"radio": radio(permitted_uses=["train-models"])}, today=TODAY)


def test_a_list_that_says_all_withdraws_a_card() -> None:
    """`all` on the list counts like `status: withdrawn`."""
    gone = radio().model_copy(update={"withdrawn": frozenset(["all"])})
    assert standing({"radio": gone, "other": radio(name="other")}).keys() == {"other"}
