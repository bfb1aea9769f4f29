"""Licence arithmetic."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.errors import ReleaseError
from finetune.spec import licence as licences
from finetune.spec.licence import allowed_licence, check_name, obligations
from tests.support.problems import raises

ANY = st.sampled_from(sorted(licences.KNOWN))


@pytest.mark.parametrize(
    ("base", "cards", "expected"),
    [
        ("apache-2.0", [], "apache-2.0"),
        ("apache-2.0", ["mit"], "apache-2.0"),
        ("mit", ["cc-by-4.0", "cc0-1.0"], "mit"),
        ("cc0-1.0", ["cc-by-4.0"], "cc-by-4.0"),
        ("cc0-1.0", ["unlicense"], "cc0-1.0"),
        ("apache-2.0", ["cc-by-sa-4.0", "mit"], "cc-by-sa-4.0"),
        ("apache-2.0", ["cc-by-sa-3.0", "cc-by-sa-4.0"], "cc-by-sa-4.0"),
        ("apache-2.0", ["cc-by-sa-4.0", "gpl-3.0"], "gpl-3.0"),
        ("apache-2.0", ["mpl-2.0", "gpl-2.0"], "gpl-2.0"),
        ("apache-2.0", ["gpl-3.0", "agpl-3.0"], "agpl-3.0"),
        ("apache-2.0", ["cc-by-nc-4.0", "mit"], "cc-by-nc-4.0"),
        ("apache-2.0", ["cc-by-nc-4.0", "cc-by-nc-sa-4.0"], "cc-by-nc-sa-4.0"),
        ("cc-by-nc-4.0", ["cc-by-4.0"], "cc-by-nc-4.0"),
        ("gemma", ["cc-by-4.0"], "gemma"),
        ("llama3.2", ["mit"], "llama3.2"),
        ("gemma", ["cc-by-nc-4.0"], "other"),
        ("gemma", ["llama3.1"], "other"),
    ],
)
def test_licence_follows_from_base_and_data(base, cards, expected):
    """The release gets the freest licence that keeps every condition of base and data."""
    named = {f"card{i}": licence for i, licence in enumerate(cards)}
    found, reasons = allowed_licence(base, named)
    assert found == expected
    assert reasons


BY_CARD1 = {"other": "data card 'card1'"}


@pytest.mark.parametrize(
    ("base", "cards", "code", "facts"),
    [
        ("apache-2.0", ["cc-by-nd-4.0"], "no-derivatives", {"licence": "cc-by-nd-4.0"}),
        ("cc-by-nc-nd-4.0", ["mit"], "no-derivatives", {"licence": "cc-by-nc-nd-4.0"}),
        ("apache-2.0", ["cc-by-sa-4.0", "cc-by-nc-4.0"], "licences-contradict", BY_CARD1),
        ("apache-2.0", ["gpl-3.0", "cc-by-nc-sa-4.0"], "licences-contradict", BY_CARD1),
        ("apache-2.0", ["gpl-2.0", "gpl-3.0"], "licences-contradict", BY_CARD1),
        ("gemma", ["cc-by-sa-4.0"], "licences-contradict", {"its": "gemma"}),
        ("apache-2.0", ["other"], "unknown-terms", {}),
        ("apache-2.0", ["aparche-2.0"], "unknown-licence", {"licence": "aparche-2.0"}),
        ("apache-2.0", ["unknown"], "unknown-licence", {"licence": "unknown"}),
        ("apache-2.0", ["cc"], "unknown-licence", {"licence": "cc"}),
    ],
)
def test_conflict_names_card_and_clause(base, cards, code, facts):
    """A release that licences forbid is refused, and the message names card and clause."""
    named = {f"card{i}": licence for i, licence in enumerate(cards)}
    at = "base model" if base == "cc-by-nc-nd-4.0" else "data card 'card0'"
    with raises(ReleaseError, code=code, at=at, **facts):
        allowed_licence(base, named)


def test_an_unknown_licence_gets_the_nearest():
    """A misspelt licence is an error that states what was meant."""
    with raises(ReleaseError, code="unknown-licence") as refused:
        allowed_licence("apache-2.0", {"card": "aparche-2.0"})
    assert refused.value.problems[0].facts["hint"].facts == {"near": "apache-2.0"}


@pytest.mark.parametrize(
    ("base", "card", "wanted", "code"),
    [
        ("apache-2.0", "cc-by-sa-4.0", "apache-2.0", "licence-too-free"),
        ("apache-2.0", "cc-by-nc-4.0", "cc-by-4.0", "licence-too-free"),
        ("apache-2.0", "mit", "cc0-1.0", "licence-too-free"),
        ("gemma", "mit", "apache-2.0", "licence-too-free"),
        ("llama3.2", "mit", "cc-by-nc-4.0", "licence-too-free"),
        ("apache-2.0", "gpl-3.0", "cc-by-nc-4.0", "licence-too-free"),
        ("apache-2.0", "gpl-3.0", "other", "licence-too-free"),
        ("apache-2.0", "mit", "cc-by-nd-4.0", "no-derivatives"),
        ("apache-2.0", "mit", "my-licence", "unknown-licence"),
    ],
)
def test_freer_choice_is_refused(base, card, wanted, code):
    """A licence in the recipe that is freer than the inputs allow is refused."""
    with raises(ReleaseError, code=code, at="release.licence", licence=wanted):
        allowed_licence(base, {"card": card}, wanted=wanted)


@pytest.mark.parametrize("wanted", ["mit", "apache-2.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "other"])
def test_stricter_choice_is_kept(wanted):
    """A licence in the recipe that is as strict or stricter is used."""
    assert allowed_licence("apache-2.0", {"card": "mit"}, wanted=wanted)[0] == wanted


def test_other_needs_a_person():
    """`other` data is released only when the recipe confirms that its terms were read."""
    assert allowed_licence("apache-2.0", {"card": "other"}, wanted="other")[0] == "other"


@given(base=ANY, cards=st.lists(ANY, max_size=4))
def test_result_is_no_freer_than_any_input(base, cards):
    """Whatever is allowed keeps every condition, in whatever order the cards stand."""
    named = {f"card{i}": licence for i, licence in enumerate(cards)}
    try:
        found, _ = allowed_licence(base, named)
    except ReleaseError:
        return
    inputs = {base, *cards}
    assert found in licences.KNOWN
    assert not inputs & licences.NO_DERIVATIVES
    if inputs & set(licences.MODEL_TERMS):
        assert found == "other" or found in inputs & set(licences.MODEL_TERMS)
    if inputs & licences.NON_COMMERCIAL or inputs & set(licences.NON_COMMERCIAL_SHARE_ALIKE):
        assert "-nc" in found or found == "other"
    if inputs & set(licences.SHARE_ALIKE):
        assert found in licences.SHARE_ALIKE
    backwards, _ = allowed_licence(base, dict(reversed(named.items())))
    assert backwards == found or {backwards, found} <= licences.PERMISSIVE | licences.PUBLIC


@given(base=ANY, cards=st.lists(ANY, max_size=3), wanted=ANY)
def test_choice_never_escapes_a_condition(base, cards, wanted):
    """A licence chosen by the recipe never drops a condition of an input."""
    named = {f"card{i}": licence for i, licence in enumerate(cards)}
    try:
        found, _ = allowed_licence(base, named, wanted=wanted)
    except ReleaseError:
        return
    inputs = {base, *cards}
    assert found == wanted
    if inputs & licences.NON_COMMERCIAL:
        assert "-nc" in found or found == "other"
    if inputs & set(licences.SHARE_ALIKE):
        assert found in licences.SHARE_ALIKE


def test_llama_name_is_asked_for():
    """An adapter of a Llama 3 base must carry Llama in front of its name; others need not."""
    check_name("llama3.2", "org/Llama-wolof")
    check_name("apache-2.0", "org/wolof")
    with raises(ReleaseError, code="name-without-llama", allowed="Llama-wolof"):
        check_name("llama3.2", "org/wolof")


def test_notices_of_model_terms():
    """The notice of Llama and Gemma is carried on; permissive licences ask for none here."""
    assert "Built with Llama" in obligations(["llama3.2"])[0]
    assert "Gemma Terms of Use" in obligations(["gemma"])[0]
    assert obligations(["mit", "apache-2.0"]) == ()


def test_import_is_light():
    """`finetune check` can ask for the licence without a heavy import."""
    code = (
        "import sys, finetune.spec.licence, finetune.sources.fetch;"
        "print({'torch','huggingface_hub','datasets','jinja2','numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
