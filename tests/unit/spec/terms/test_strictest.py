"""Terms of several cards: the strictest of each kind, with its owners."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from finetune.messages import ENGLISH, available
from finetune.spec.card import DataCard
from finetune.spec.licence import NON_COMMERCIAL
from finetune.spec.permission import adapter_terms
from finetune.spec.sections.community_terms import (
    NAMED_USES,
    Adapters,
    CommunityTerms,
    Label,
    Rehosting,
)
from finetune.spec.terms.community_licences import LICENCES
from finetune.spec.terms.strictest import ADAPTERS, REHOSTING, StrictestTerms, strictest_terms
from finetune.spec.terms.term_sentences import said_of_terms
from tests.support.problems import codes_of
from tests.support.release_job import card

COUNCIL = {"who": "Council of elders", "contact": "council@example.org"}
LABEL = {
    "id": "6f0f9d1e-1111-4222-8333-444455556666",
    "url": "https://example.org/projects/1",
    "name": "TK Attribution",
    "text": "Name the storytellers.",
    "text_source": "https://example.org/projects/1",
    "text_date": "2026-11-30",
}


def with_terms(name: str = "radio", *, licence_name: str = "", **terms: Any) -> DataCard:
    """Return a card with terms, and with a licence of its own where one is named."""
    own = {"license_name": licence_name, "license_link": "https://example.org/licence"}
    corpus = {"terms": terms} if terms else {}
    return card(
        name,
        licence="other" if licence_name else "mit",
        corpus=corpus,
        **own if licence_name else {},
    )


def together(*cards: DataCard) -> StrictestTerms:
    found = strictest_terms({one.name: one for one in cards})
    assert found is not None
    return found


USES = st.lists(st.sampled_from([*NAMED_USES, "training of voices"]), max_size=2)
GROUPS = st.fixed_dictionaries(
    {
        "who": st.sampled_from(["schools", "companies"]),
        "may": st.sampled_from(["use", "ask", "not-use"]),
        "conditions": st.sampled_from(["", "only in class"]),
    }
)
TERMS = st.fixed_dictionaries(
    {},
    optional={
        "authority": st.just(COUNCIL),
        "users": st.lists(GROUPS, max_size=2),
        "reinvestment": st.sampled_from(["", "a tenth of the income, to the school"]),
        "forbidden_uses": USES,
        "rehosting": st.sampled_from(get_args(Rehosting)),
        "adapters": st.sampled_from(get_args(Adapters)),
        "labels": st.just([LABEL]),
        "granted": st.just({"by": "the council", "on": "2026-11-30", "statement": "agreed"}),
    },
)
CARDS = st.lists(
    st.tuples(TERMS, st.sampled_from(["", "NOODL 1.0", "Kaitiakitanga", "Esethu Framework"])),
    min_size=1,
    max_size=4,
).map(
    lambda several: [
        with_terms(f"card-{number}", licence_name=name, **terms)
        for number, (terms, name) in enumerate(several)
    ]
)


def _weight(terms: StrictestTerms | None) -> tuple[int, int, dict[str, set[str]]]:
    """Return ordered terms as numbers, and each list as the set of what it holds."""
    if terms is None:
        return 0, 0, {}
    lists = {
        name: {str({k: v for k, v in one.items() if k != "owners"}) for one in several}
        for name, several in asdict(terms).items()
        if isinstance(several, tuple)
    }
    return ADAPTERS.index(terms.adapters.what), REHOSTING.index(terms.rehosting.what), lists


@settings(max_examples=60, deadline=None)
@given(CARDS)
def test_a_card_more_never_loosens_terms(cards: list[DataCard]) -> None:
    """Recipients and copies get no freer, no use, group, return, label or licence is lost, and what
    was not for everyone stays so."""
    fewer = strictest_terms({one.name: one for one in cards[:-1]})
    more = strictest_terms({one.name: one for one in cards})
    (adapters, copies, lists), (adapters_more, copies_more, lists_more) = map(
        _weight, (fewer, more)
    )
    assert adapters <= adapters_more
    assert copies <= copies_more
    assert all(held <= lists_more[name] for name, held in lists.items())
    today = date(2026, 12, 1)
    free, bound = (
        adapter_terms("apache-2.0", {one.name: one for one in part}, wanted=wanted, today=today)
        for part, wanted in ((_open(cards[:-1]), "other"), (_open(cards), "other"))
    )
    assert not (free.community and free.community.is_gated) or (
        bound.community and bound.community.is_gated
    )


def _open(cards: list[DataCard]) -> list[DataCard]:
    """Return the cards as a release wants them: community licences ask for agreement."""
    return [
        one.model_copy(update={"corpus": one.corpus.model_copy(update={"access": _AGREE})})
        for one in cards
    ]


_AGREE = card(corpus={"access": {"kind": "agree"}}).corpus.access


def test_the_strictest_of_each_kind_is_named_with_its_owners() -> None:
    """Two cards with different terms: the release states whose the strict one is."""
    found = together(
        with_terms("radio", adapters="agree", rehosting="forbidden", authority=COUNCIL),
        with_terms("books", adapters="private", rehosting="allowed"),
    )
    assert (found.adapters.what, found.adapters.owners) == (
        "private",
        ("School software in Hausa (books)",),
    )
    assert (found.rehosting.what, found.rehosting.owners) == (
        "forbidden",
        ("Council of elders (radio)",),
    )
    said = [str(one) for one in said_of_terms(found)]
    assert "Not to be made public (School software in Hausa (books))." in said
    assert "The texts may not be copied to other places (Council of elders (radio))." in said


def test_all_else_holds_at_once_and_verbatim() -> None:
    """Uses, groups, returns, authority and the text of a label stand in the sentences."""
    found = together(
        with_terms(
            authority=COUNCIL,
            users=[{"who": "Companies abroad", "may": "ask", "conditions": "a share of income"}],
            reinvestment="One tenth of the income, to the village school",
            forbidden_uses=["health", "Voices of the dead."],
            labels=[LABEL],
        ),
        with_terms("books", forbidden_uses=["health"]),
    )
    text = "\n".join(map(str, said_of_terms(found)))
    both = "School software in Hausa (books), Council of elders (radio)"
    assert f"Not permitted: advice on health ({both})." in text
    assert "Not permitted: Voices of the dead (Council of elders (radio))." in text
    assert "Companies abroad: have to ask first; a share of income" in text
    assert "Asked in return: One tenth of the income, to the village school" in text
    assert "Council of elders decides on School software in Hausa (radio): council@" in text
    assert "“Name the storytellers.” (copied from https://example.org/projects/1 on" in text
    assert found.adapters.what == "ask"  # a group has to ask, so the adapter is not for everyone


def test_nothing_said_is_nothing() -> None:
    """Cards without terms, and withdrawn ones, leave a release as it was."""
    gone = with_terms("gone", adapters="private").model_copy(update={"withdrawn": {"all"}})
    assert strictest_terms({"radio": with_terms(), "gone": gone}) is None
    assert together(with_terms(labels=[LABEL])).is_gated is False


@pytest.mark.parametrize("name", LICENCES)
def test_a_named_licence_holds_without_a_line_in_the_card(name: str) -> None:
    """Its terms are in the release with page and day; no such licence lets an adapter be public."""
    found = together(with_terms(licence_name=f"The {name} licence"))
    row = LICENCES[name]
    assert (found.adapters.what, found.rehosting.what) == (row.adapters, row.rehosting)
    assert found.is_gated
    [said] = [str(one) for one in said_of_terms(found) if row.page in str(one)]
    assert row.read_on.isoformat() in said
    assert ("could not be read" in said) == (not row.is_text)
    assert row.is_text or (row.adapters, row.rehosting) == ("private", "forbidden")


def test_only_a_permission_makes_a_licence_freer() -> None:
    """A card alone makes it stricter; with who granted what and when, its own lines count."""
    freer = {"adapters": "public", "rehosting": "allowed", "forbidden_uses": []}
    granted = {"by": "the guardians", "on": "2026-11-30", "statement": "yes, for schools"}
    alone = together(with_terms(licence_name="Kaitiakitanga", **freer))
    assert (alone.adapters.what, alone.rehosting.what) == ("private", "ask")
    assert [use.what for use in alone.forbidden_uses] == ["commercial"]
    asked = together(with_terms(licence_name="Kaitiakitanga", granted=granted, **freer))
    assert (asked.adapters.what, asked.rehosting.what) == ("public", "allowed")
    assert asked.forbidden_uses == ()
    assert "Permission of the guardians, 2026-11-30: yes" in "".join(map(str, said_of_terms(asked)))
    half = together(with_terms(licence_name="Kaitiakitanga", granted=granted, adapters="public"))
    assert half.rehosting.what == "ask"  # not mentioned, so it stays as the licence has it


def test_owners_who_forbid_commerce_make_the_adapter_non_commercial() -> None:
    """`forbidden_uses: [commercial]` counts like a non-commercial licence, and names its card."""
    radio = with_terms(forbidden_uses=["commercial"])
    found = adapter_terms("mit", {"radio": radio}, wanted="auto", today=date(2026, 12, 1))
    assert found.licence in NON_COMMERCIAL
    assert "radio: forbidden_uses with commercial" in str(found.reasons[0])
    assert not (found.community and found.community.is_gated)


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"forbidden_uses": ["helth"]}, "unknown-use"),
        ({"labels": [{**LABEL, "text_date": None}]}, "label-text-without-source"),
        ({"labels": [{**LABEL, "url": "javascript:alert(1)"}]}, "no-page"),
        ({"authority": {"who": "us", "page": "council"}}, "no-page"),
    ],
)
def test_what_a_card_cannot_say_is_an_error(terms: dict[str, Any], code: str) -> None:
    """A misspelt use, a label's text without source and day, and pages that are none."""
    with pytest.raises(ValidationError) as refused:
        CommunityTerms.model_validate(terms)
    assert codes_of(refused.value) == [code]


def test_every_sentence_is_there_in_every_language() -> None:
    """Each kind of term has a translation, so that the card's French paragraph is French."""
    every = [
        with_terms(licence_name=name, **terms)
        for name in LICENCES
        for terms in (
            {"adapters": "agree", "rehosting": "forbidden", "labels": [LABEL]},
            {"authority": COUNCIL, "users": [{"who": "Schools"}], "reinvestment": "x y"},
        )
    ]
    for one in every:
        for said in said_of_terms(together(one)):
            english = said.in_language(ENGLISH)
            others = {lang: said.in_language(lang) for lang in available() if lang != ENGLISH}
            assert others
            assert english not in others.values()


def test_a_label_without_text_needs_no_day() -> None:
    """Identifier and page are enough, and the text stays where the community can change it."""
    bare = {"id": LABEL["id"], "url": LABEL["url"]}
    assert Label.model_validate(bare).text == ""
    [said] = map(str, said_of_terms(together(with_terms(labels=[bare]))))
    assert said.startswith(f"Local Contexts label {LABEL['id']}")
