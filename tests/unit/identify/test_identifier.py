from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.identify.closed import closed_set
from finetune.identify.identifier import (
    OWN_TEXTS,
    Identifier,
    make_identifier,
    probabilities,
    to_learn,
)
from finetune.identify.ngrams import learn
from finetune.spec.sections.identify import FastTextModel, Identify
from tests.support.fasttext_file import write_model
from tests.support.identify_texts import ENGLISH, FIRST, FRENCH, HAUSA, SECOND, made_up

DEVANAGARI = "".join(chr(code) for code in range(0x0905, 0x0939))
OL_CHIKI = "".join(chr(code) for code in range(0x1C5A, 0x1C78))


@pytest.fixture(scope="module")
def hausa() -> Identifier:
    """Return an identifier for Hausa texts with the models that come with finetune."""
    return make_identifier(["hau_Latn"], settings=Identify())


@pytest.fixture(scope="module")
def wolof() -> Identifier:
    """Return an identifier for Hausa and Wolof, so that both packaged models are asked."""
    return make_identifier(["hau_Latn", "wol_Latn"], settings=Identify())


def test_a_line_is_what_it_claims_or_what_it_looks_like(hausa: Identifier) -> None:
    """A Hausa line fits, an English one and a French one are found, with who said so."""
    assert hausa.judge(HAUSA, claimed="hau_Latn").kind == "fits"
    for line, language in ((ENGLISH, "eng_Latn"), (FRENCH, "fra_Latn")):
        found = hausa.judge(line, claimed="hau_Latn")
        assert (found.kind, found.found, found.by) == ("other-language", language, "py3langid")
        assert found.confidence is not None
        assert found.confidence > 0.9


def test_another_script_is_found_without_any_model() -> None:
    """The script check needs no model, no length and no knowledge of the language."""
    no_model = make_identifier(["fuc_Latn"], settings=Identify(models=()))
    found = no_model.judge(DEVANAGARI[:4], claimed="fuc_Latn")
    assert (found.kind, found.found) == ("other-script", "Deva")


def test_placeholders_and_addresses_are_in_no_script(hausa: Identifier) -> None:
    """Markup is no text: it neither makes a line Latin nor gives it letters."""
    hindi = make_identifier(["hin_Deva"], settings=Identify())
    assert hindi.judge(f"{DEVANAGARI[:3]} {{userName}} <b>x</b>", claimed="hin_Deva").kind != (
        "other-script"
    )
    assert hausa.judge("{name} 12 https://example.org", claimed="hau_Latn").kind == "no-letters"


def test_a_language_that_none_knows_is_not_covered() -> None:
    """No model knows Pulaar: the English line is not judged, and the reason names each model."""
    identifier = make_identifier(["fuc_Latn"], settings=Identify())
    assert identifier.judge(ENGLISH, claimed="fuc_Latn").kind == "not-covered"
    coverage = identifier.coverage["fuc_Latn"]
    assert not coverage.covered
    assert "py3langid does not know it" in coverage.reason
    assert "franc does not know it" in coverage.reason


def test_a_model_has_no_say_on_a_language_it_does_not_know() -> None:
    """py3langid knows neither Wolof nor Serer, so only franc is asked about them."""
    identifier = make_identifier(["wol_Latn"], settings=Identify())
    assert [v.model for v in identifier.coverage["wol_Latn"].voters] == ["franc"]
    only = make_identifier(["wol_Latn"], settings=Identify(models=("py3langid",)))
    assert only.judge(ENGLISH, claimed="wol_Latn").kind == "not-covered"


def test_a_later_model_finds_only_what_the_first_does_not_know() -> None:
    """For isiXhosa, py3langid separates isiZulu; franc covers isiNdebele and siSwati."""
    first, second = make_identifier(["xho_Latn"], settings=Identify()).coverage["xho_Latn"].voters
    assert (first.model, second.model) == ("py3langid", "franc")
    assert "zul_Latn" in first.finds
    assert set(second.finds) == {"xho_Latn", "nbl_Latn", "ssw_Latn"}


def test_what_was_learned_goes_before_the_model_of_last_resort() -> None:
    """With a classifier of the texts at hand, franc is only left what that does not know."""
    learned = learn({"wol_Latn": FIRST, "eng_Latn": SECOND})
    identifier = make_identifier(["wol_Latn", "eng_Latn"], settings=Identify(), learned=learned)
    voters = identifier.coverage["wol_Latn"].voters
    assert [voter.model for voter in voters] == [OWN_TEXTS, "franc"]
    assert "eng_Latn" in voters[0].finds
    assert "eng_Latn" not in voters[1].finds
    [stray] = made_up("opqrstuwxyzɗƙ", lines=1, seed=9)
    found = identifier.judge(stray, claimed="wol_Latn")
    assert (found.found, found.by) == ("eng_Latn", OWN_TEXTS)


def test_it_is_learned_only_where_no_good_model_knows_a_language() -> None:
    """Pulaar and Wolof need a classifier; Hausa is supported, Santali has its own script."""
    claimed = ["hau_Latn", "fuc_Latn", "wol_Latn", "sat_Olck", "eng_Latn"]
    assert to_learn(claimed, settings=Identify()) == ["fuc_Latn", "wol_Latn"]


def test_a_script_of_one_language_tells_the_language() -> None:
    """A line in Ol Chiki is Santali without any model, and one in Latin letters is not."""
    identifier = make_identifier(["sat_Olck"], settings=Identify(models=()))
    assert identifier.judge(OL_CHIKI, claimed="sat_Olck").kind == "fits"
    assert identifier.judge(ENGLISH, claimed="sat_Olck").kind == "other-script"


def test_alone_in_its_script_a_known_language_fits() -> None:
    """py3langid knows Gujarati, and nothing that could have strayed in is written like it."""
    identifier = make_identifier(["guj_Gujr"], settings=Identify())
    letters = "".join(chr(code) for code in range(0x0A95, 0x0AB8))
    assert identifier.judge(letters, claimed="guj_Gujr").kind == "fits"
    assert "nothing it is compared with is in its script" in identifier.coverage["guj_Gujr"].reason


def test_thresholds_are_by_language_claimed(hausa: Identifier) -> None:
    """Under a threshold that nothing reaches, an English line leaves doubt and is not called."""
    strict = Identify.model_validate({"thresholds": {"hau_Latn": 0.999999999}})
    doubt = make_identifier(["hau_Latn"], settings=strict).judge(ENGLISH[:30], claimed="hau_Latn")
    assert (doubt.kind, doubt.found) == ("unsure", "eng_Latn")
    assert hausa.judge(ENGLISH[:30], claimed="hau_Latn").kind == "other-language"


def test_short_lines_are_not_judged(hausa: Identifier) -> None:
    """Fewer letters than `min_letters` are too short, whatever they look like."""
    assert hausa.judge("The cat sat", claimed="hau_Latn").kind == "too-short"
    loose = make_identifier(["hau_Latn"], settings=Identify(min_letters=5))
    assert loose.judge("The cat sat on the mat", claimed="hau_Latn").kind == "other-language"


def test_a_model_of_the_user_is_asked_first(tmp_path: Path) -> None:
    """A fastText file that knows Pulaar covers it, under the name of the file."""
    pytest.importorskip("fasttext", reason="the extra `fasttext` is not installed")
    words = {"__label__fuc_Latn": ["jam", "tan"], "__label__eng_Latn": ["the", "right", "to"]}
    path = tmp_path / "mine.bin"
    mine = FastTextModel(fasttext=str(path), sha256=write_model(path, words))
    identifier = make_identifier(["fuc_Latn"], settings=Identify(models=(mine, "py3langid")))
    assert [v.model for v in identifier.coverage["fuc_Latn"].voters] == ["mine.bin"]
    assert identifier.judge("jam tan jam tan jam tan jam tan", claimed="fuc_Latn").kind == "fits"
    found = identifier.judge(ENGLISH, claimed="fuc_Latn")
    assert (found.found, found.by) == ("eng_Latn", "mine.bin")


def test_a_shared_label_fits_each_that_it_stands_for(tmp_path: Path) -> None:
    """A macrolanguage's label does not say which member a line is in, and calls none wrong."""
    pytest.importorskip("fasttext", reason="the extra `fasttext` is not installed")
    words = {"__label__ful_Latn": ["jam", "tan"], "__label__eng_Latn": ["the", "right", "to"]}
    path = tmp_path / "macro.bin"
    mine = FastTextModel(fasttext=str(path), sha256=write_model(path, words))
    identifier = make_identifier(["fuc_Latn", "fuf_Latn"], settings=Identify(models=(mine,)))
    for claimed in ("fuc_Latn", "fuf_Latn"):
        assert identifier.judge("jam tan jam tan jam tan jam tan", claimed=claimed).kind == "fits"


def test_probabilities_sum_to_one(hausa: Identifier) -> None:
    """A model's vote is a distribution over its candidate languages."""
    [voter, *_] = hausa.coverage["hau_Latn"].voters
    shares = probabilities(HAUSA, voter)
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) == set(voter.finds)
    assert hausa.distribution(HAUSA, claimed="hau_Latn") == shares


def test_the_closed_set_holds_claims_contrast_and_neighbours() -> None:
    """Neighbours come in the script of the text that they may have strayed into."""
    found = closed_set(["hin_Deva", "wol_Latn"], contrast=["eng_Latn"])
    assert found[:3] == ("hin_Deva", "wol_Latn", "eng_Latn")
    assert {"mai_Deva", "srr_Latn"} <= set(found)
    assert len(set(found)) == len(found)


@given(text=st.text(max_size=200).filter(lambda text: "\n" not in text))
def test_no_line_breaks_it(wolof: Identifier, text: str) -> None:
    """Any text that a file can hold gets a verdict, with a probability if there is one."""
    identifier = wolof
    for claimed in ("hau_Latn", "wol_Latn", "eng_Latn"):
        found = identifier.judge(text, claimed=claimed)
        assert found.confidence is None or 0 <= found.confidence <= 1
