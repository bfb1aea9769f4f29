"""Languages of texts that may be in any: open choice, byte n-gram models, script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from finetune.evaluate.descriptions.everyday import TEXTS
from finetune.identify.models import load_models
from finetune.identify.naming import NO_WORDS, Namer, by_byte_ngrams, namers
from finetune.spec.sections.identify import Identify

MODELS = load_models(Identify())
HAUSA = "Ina so in je kasuwa da safe domin in sayi abinci da ruwa ga iyalina."
ENGLISH = "I would like to go to the market in the morning to buy food and water."
SERER = [f"o kiin {n} a gari no saate nuu xam fop {n} yo ke a mbug" for n in range(40)]
TEXTS_AT_HAND = {**TEXTS, "srr_Latn": SERER}


def _first(language: str, texts: Mapping[str, Sequence[str]] = TEXTS_AT_HAND) -> Namer:
    return next(namers(language, models=MODELS, texts=lambda: texts))


def test_a_model_that_knows_the_language_chooses_among_all_of_its_own():
    """A wrong language is named that is in no card."""
    way = _first("hau_Latn")
    assert way.how.startswith("py3langid ")
    found = way.name(
        [HAUSA, ENGLISH, "Jag vill gärna gå till marknaden imorgon bitti.", "{0} 12 %"]
    )
    assert found == ["hau_Latn", "eng_Latn", "swe_Latn", NO_WORDS]


def test_without_a_model_byte_n_gram_models_of_the_texts_at_hand_choose():
    """Serer, English and French are separated; the way is stated with its languages."""
    way = _first("srr_Latn")
    assert way.how == "byte n-gram models, choosing among eng_Latn, fra_Latn, srr_Latn"
    texts = ["O KIIN a gari no saate", ENGLISH, "Nous irons au marché demain matin.", "", "..."]
    assert way.name(texts) == ["srr_Latn", "eng_Latn", "fra_Latn", NO_WORDS, NO_WORDS]


@pytest.mark.parametrize("texts", [{}, {"srr_Latn": SERER}, {**TEXTS, "srr_Latn": SERER[:2]}])
def test_too_few_texts_make_no_model(texts):
    """Without 1,000 bytes in the language and in another one there is nothing to choose."""
    assert by_byte_ngrams(texts, "srr_Latn") is None


def test_models_of_last_resort_come_after_the_texts_at_hand():
    """Wolof: no good model knows it, so that own texts choose before franc does."""
    own = {
        **TEXTS,
        "wol_Latn": [f"Nanga def {n}, mangi fi rekk, ana waa kër ga" for n in range(40)],
    }
    ways = list(namers("wol_Latn", models=MODELS, texts=lambda: own))
    assert [way.how.split()[0] for way in ways] == ["byte", "franc"]


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("sat_Olck", "ᱡᱚᱦᱟᱨ ᱜᱚᱛᱮ", "sat_Olck"),
        ("sat_Olck", "Good morning to all", "und_Latn"),
        ("guj_Gujr", "તમે કેમ છો? બધું બરાબર છે.", "guj_Gujr"),
        ("guj_Gujr", "Good morning to all of you, friends", "eng_Latn"),
    ],
)
def test_a_text_in_another_script_is_not_in_the_language(language, text, found):
    """Also where the script alone tells the language."""
    assert _first(language, {}).name([text]) == [found]
