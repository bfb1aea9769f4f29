"""Languages by code and name: the tables are the authorities', and each spelling has one answer."""

from __future__ import annotations

import pytest

from finetune.errors import RecipeError
from finetune.spec.language import (
    MOST_LANGUAGES,
    bcp47,
    find_languages,
    hub_code,
    hub_codes,
    hub_problem,
    is_language,
    language_given,
    language_name,
    language_problem,
)
from finetune.spec.language_search import fold
from finetune.spec.tables.language_table import language_row, language_rows

ALL = [row for row in language_rows() if row.is_language]
CODES = [f"{row.code}_{(*row.scripts, 'Latn')[0]}" for row in ALL]


def test_the_tables_are_those_of_the_authorities() -> None:
    """The files are what is written from the tables that python-iso639, Babel and others pack."""
    from tests.support import code_tables  # its sources take a second to import

    written = "python -m tests.support.code_tables writes the tables"
    for name, made in (("languages", code_tables.languages), ("scripts", code_tables.scripts)):
        stored = (code_tables.TABLES / f"{name}.tsv").read_text(encoding="utf-8")
        assert stored == made(), written


@pytest.mark.parametrize("shown_in", ["en", "fr"])
def test_no_two_languages_have_one_name(shown_in: str) -> None:
    """Prompts, cards and reports can tell every two languages of ISO 639-3 apart."""
    by_name: dict[str, list[str]] = {}
    for code in CODES:
        by_name.setdefault(language_name(code, shown_in).casefold(), []).append(code)
    assert len(CODES) > 7800
    assert not {name: codes for name, codes in by_name.items() if len(codes) > 1}
    assert "" not in by_name
    assert not [name for name in by_name if "unknown" in name or "[" in name]


@pytest.mark.parametrize(
    ("code", "english", "french"),
    [
        ("swh_Latn", "Swahili", "Swahili"),
        ("swc_Latn", "Congo Swahili", "swahili du Congo"),
        ("prs_Arab", "Dari", "dari"),
        ("pes_Arab", "Iranian Persian", "Iranian Persian"),
        ("cnr_Latn", "Montenegrin", "Montenegrin"),
        ("wol_Latn", "Wolof", "wolof"),
    ],
)
def test_relatives_have_names_of_their_own(code: str, english: str, french: str) -> None:
    """Names tell what a macrolanguage joins; where CLDR has no French name, the English one."""
    assert (language_name(code), language_name(code, "fr")) == (english, french)


def test_every_language_is_known_to_the_hub_and_comes_back() -> None:
    """A code for Hub metadata is one of ISO 639-1 or -3, has no region, and means the language."""
    for code in CODES:
        short = hub_code(code)
        assert hub_problem(short) is None
        assert short.isascii()
        assert short.isalpha()
        assert language_row(short) is not None
        assert find_languages(short)[0].partition("_")[0] == code.partition("_")[0]
        assert hub_codes(code)[0] == short
        assert bcp47(code) == f"{short}-{code.partition('_')[2]}"


def test_every_language_is_found_by_its_names() -> None:
    """English, French and own name of each language lead to it."""
    names = [(row.code, name) for row in ALL for name in {row.english, row.french, row.own}]
    missed = [
        (code, name)
        for code, name in names
        if fold(name)
        and not (name.islower() and language_row(name))  # it is a code
        and not any(found.startswith(code) for found in find_languages(name))
    ]
    assert not missed


@pytest.mark.parametrize(
    ("typed", "codes"),
    [
        ("wolof", "wol_Latn"),
        ("  WOLOF ", "wol_Latn"),
        ("Wolof (latin)", "wol_Latn"),
        ("wolof en caractères arabes", ""),
        ("wolof arabe", "wol_Arab"),
        ("français", "fra_Latn"),
        ("Francais", "fra_Latn"),
        ("ᱥᱟᱱᱛᱟᱲᱤ", "sat_Olck"),
        ("pulaar", "fuc_Latn"),
        ("oromo", "gaz_Latn gax_Latn hae_Latn orc_Latn"),
        ("arabe standard", "arb_Arab"),
        ("Modern Standard Arabic", "arb_Arab"),
        ("malais standard", "zsm_Latn zsm_Arab"),
        ("pendjabi", "pan_Guru pan_Arab"),
        ("Sereer", "srr_Latn"),
        ("N'Ko", "nqo_Nkoo"),
        ("hausa ajami", "hau_Arab"),
        ("hindi (latin)", "hin_Latn"),
        ("Serbe cyrillique", "srp_Cyrl"),
        ("Swahili", "swh_Latn swc_Latn"),
        ("Kela", "kcl_Latn kel_Latn"),
        ("moldave", "ron_Latn"),
        ("wo-SN", "wol_Latn"),
        ("fr_FR.UTF-8", "fra_Latn"),
        ("sr-Cyrl", "srp_Cyrl"),
        ("pa-PK", "pan_Arab"),
        ("fa-AF", "prs_Arab"),
        ("iw", "heb_Hebr"),
        ("tib", "bod_Tibt"),
        ("per", "pes_Arab prs_Arab"),
        ("tshiluba", "lua_Latn"),
        ("langue wolof", "wol_Latn"),
        ("The Yoruba language", "yor_Latn"),
        ("हिंदी", "hin_Deva"),
        ("Gourmantché", "gux_Latn"),
        ("ho", "hmo_Latn hoc_Deva"),
        ("fur", "fur_Latn fvr_Latn"),
        ("nko", "nko_Latn nqo_Nkoo"),
        ("bih", ""),
        ("Bih", "ibh_Latn"),
        ("oraon", "kru_Deva"),
        ("nubian", ""),
        ("nothing at all", ""),
        ("", ""),
    ],
)
def test_a_language_is_found_as_people_write_it(typed: str, codes: str) -> None:
    """Names in English, French and the language itself, codes of every part, tags and scripts."""
    assert " ".join(find_languages(typed)) == codes


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        *((chinese, "cmn_Hans") for chinese in ("zh", "zh-CN", "zh-Hans", "chinois", "Chinese")),
        ("zh-TW", "cmn_Hant"),
        ("chinois traditionnel", "cmn_Hant"),
        ("arabe", "arb_Arab"),
        ("malais", "zsm_Latn"),
    ],
)
def test_the_standard_comes_before_the_other_languages_of_a_name(typed: str, first: str) -> None:
    """Of a macrolanguage the one that most texts are in stands first, and a message lists eight."""
    found = find_languages(typed)
    assert found[0] == first
    unfit = language_problem(typed)
    assert unfit is not None
    assert str(unfit).count(" (") == MOST_LANGUAGES
    assert f"or {len(found) - MOST_LANGUAGES} others" in str(unfit)


@pytest.mark.parametrize(
    ("written", "code", "proposed"),
    [
        ("fre_Latn", "library-code", "fra_Latn"),
        ("ger_Latn", "library-code", "deu_Latn"),
        ("mao_Latn", "library-code", "mri_Latn"),
        ("chi_Hans", "macrolanguage", "cmn_Hans"),
        ("per_Arab", "macrolanguage", "prs_Arab"),
        ("alb_Latn", "macrolanguage", "als_Latn"),
        ("ful_Adlm", "macrolanguage", "fuc_Adlm"),
        ("ff", "macrolanguage", "fuc_Latn"),
        ("ppr_Latn", "retired-code", "lcq_Latn"),
        ("drh_Mong", "retired-code", "khk_Mong"),
        ("sic_Latn", "retired-code", "sdk_Latn"),
        ("mol_Latn", "retired-code", "ron_Latn"),
        ("mja_Latn", "retired-code", "language of the texts"),
        ("iw_Hebr", "retired-code", "heb_Hebr"),
        ("und_Latn", "special-code", "mis"),
        ("ber_Latn", "language-group", "Berber languages"),
        ("bih", "language-group", "Bihari languages"),
        ("bh", "language-group", "Bihari languages"),
        ("Wolof (Sénégal)", "no-language-code", "wol_Latn (Wolof)"),
        ("mul_Latn", "special-code", "mis"),
        ("qqq_Latn", "no-language-code", "wol_Latn"),
        ("qaa_Latn", "no-language-code", "wol_Latn"),
        ("xyz_Latn", "no-language-code", "wol_Latn"),
        ("hau_Lath", "no-script", "Latn"),
        ("wol_Abcd", "no-script", "wol_Latn (Wolof)"),
        ("hau_Zyyy", "no-script", "hau_Arab (Hausa)"),
        ("fr", "no-language-code", "fra_Latn"),
        ("fr-Latn", "no-language-code", "fra_Latn"),
        ("fr_FR", "no-language-code", "fra_Latn"),
        ("wo-SN", "no-language-code", "wol_Latn"),
        ("wol", "no-language-code", "wol_Latn"),
        ("Wol_latn", "no-language-code", "wol_Latn"),
        ("eng_Latin", "no-language-code", "eng_Latn"),
        ("wolof", "no-language-code", "wol_Latn"),
        ("wollofe", "no-language-code", "wol_Latn (Wolof)"),
        ("hausa", "several-languages", "hau_Arab"),
        ("kir", "script-needed", "kir_Cyrl"),
    ],
)
def test_a_wrong_code_is_answered_with_the_right_one(
    written: str, code: str, proposed: str
) -> None:
    """Any other spelling is refused, with the code to write."""
    found = language_problem(written)
    assert found is not None
    assert found.code == code
    assert proposed in str(found)
    assert not is_language(written)


@pytest.mark.parametrize(
    "code", ["wol_Latn", "fuc_Adlm", "san_Deva", "wol_Deva", "mis_Latn", "mis_Zzzz", "hin_Latn"]
)
def test_languages_in_use_pass(code: str) -> None:
    """Any script may be declared, and `mis` and `Zzzz` stand for what has no code."""
    assert language_problem(code) is None
    assert is_language(code)


def test_an_option_takes_a_name() -> None:
    """A name of one language is its code; of several, the one that is known to be meant."""
    assert language_given("wolof", option="--language") == "wol_Latn"
    assert language_given("hausa", option="--language", among=["hau_Arab"]) == "hau_Arab"
    with pytest.raises(RecipeError) as refused:
        language_given("hausa", option="--language")
    [one] = refused.value.problems
    assert (one.code, one.place.key) == ("several-languages", "--language")


@pytest.mark.parametrize(
    ("code", "advice"),
    [("sw-CD", "swc"), ("fa-AF", "prs"), ("fre", "fr"), ("xx", "639-3"), ("ber", "639-3")],
)
def test_hub_metadata_takes_codes_only(code: str, advice: str) -> None:
    """A tag with a region is refused, with the code of the language."""
    found = hub_problem(code)
    assert found is not None
    assert found.code == "no-hub-language"
    assert str(found).endswith(advice)
