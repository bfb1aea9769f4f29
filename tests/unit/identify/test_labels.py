from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.identify.labels import Label, assign, read_label, unknown_labels
from finetune.spec.tables.language_table import language_rows

STYLES = {
    "__label__wol_Latn": "wol_Latn",
    "__label__ha": "hau_Latn",
    "sat_Olch": "sat_Olck",
    "tam_Tamil": "tam_Taml",
    "mni_Meti": "mni_Mtei",
    "ori_Orya": "ory_Orya",
    "kok_Deva": "gom_Deva",
    "nep_Deva": "npi_Deva",
    "sat_Olck": "sat_Olck",
    "tam_Taml": "tam_Taml",
    "mni_Mtei": "mni_Mtei",
    "ory_Orya": "ory_Orya",
    "gom_Deva": "gom_Deva",
    "npi_Deva": "npi_Deva",
    "__label__zh": "cmn_Hans",
    "msaind": "ind_Latn",
    "hbssrp": "srp_Cyrl",
    "swa": "swh_Latn",
    "plt": "plt_Latn",
    "mg": "plt_Latn",
    "fil_Latn": "tgl_Latn",
    "san_Deva": "san_Deva",
}


@pytest.mark.parametrize(("label", "language"), STYLES.items())
def test_every_style_of_label_is_joined(label: str, language: str) -> None:
    """A label of any maker's style stands for our code of the same language."""
    assert assign([label], [language]) == {label: (language,)}


def test_a_macrolanguage_goes_to_members_without_a_label_of_their_own() -> None:
    """`ful` is Pulaar where the model names Nigerian Fulfulde separately, and only there."""
    found = assign(["ful_Latn", "fuv_Latn"], ["fuc_Latn", "fuv_Latn"])
    assert found == {"ful_Latn": ("fuc_Latn",), "fuv_Latn": ("fuv_Latn",)}
    assert assign(["kok"], ["gom_Deva", "knn_Deva"]) == {"kok": ("gom_Deva", "knn_Deva")}


def test_a_label_without_a_script_means_the_usual_one() -> None:
    """`ur` states nothing about Urdu in Latin letters, nor `mni_Beng` about Meetei Mayek."""
    assert assign(["ur"], ["urd_Latn"]) == {}
    assert assign(["mni_Beng"], ["mni_Mtei"]) == {}


def test_a_sister_language_is_not_taken_for_another() -> None:
    """A model that knows Nigerian Fulfulde and Tosk Albanian does not know Pulaar or Gheg."""
    assert assign(["fuv", "als_Latn"], ["fuc_Latn", "aln_Latn"]) == {}


def test_wikipedias_names_are_not_iso_codes() -> None:
    """lid.176 writes `als` for Alemannic; OpenLID writes `als_Latn` for Tosk Albanian."""
    assert read_label("__label__als") == Label("gsw")
    assert read_label("__label__als_Latn") == Label("als", "Latn")


def test_labels_that_none_can_read_are_kept_as_unknown() -> None:
    """An unknown label is named; one that says "no language" is none of them."""
    assert unknown_labels(["__label__qqx9", "other", "und", "wo", "klingonish"]) == [
        "__label__qqx9",
        "klingonish",
    ]


CODES = st.sampled_from(
    [f"{row.code}_{(*row.scripts, 'Latn')[0]}" for row in language_rows() if row.is_language]
)


@given(st.text(max_size=20), st.lists(CODES, max_size=4))
def test_no_label_breaks_the_table(label: str, closed: list[str]) -> None:
    """Whatever a model calls its labels, they stand for members of the closed set or for none."""
    for languages in assign([label], closed).values():
        assert set(languages) <= set(closed)
