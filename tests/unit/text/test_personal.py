"""Personal data: what is found, what is not, and what stands there afterwards.

No number here is anybody's: each is built from zeros and ones with its check digit computed, or is
the example that the number's own authority or phonenumbers publishes.
"""

from __future__ import annotations

import json
import unicodedata
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn, verhoeff
from stdnum.iso7064 import mod_97_10

from finetune.spec.sections.text_checks import KINDS
from finetune.text.personal import Found, covered, find, hidden_shape, replaced
from finetune.text.regions import REGIONS, regions_of
from tests.support.linear_time import flood, within_cpu_seconds

ALL = ("SN", "GM", "ML", "GN", "MR", "IN", "PK", "BD", "LK", "NG", "GH", "KE", "ZA", "FR")
DIGITS = {
    "Deva": 0x966,
    "Beng": 0x9E6,
    "Arab": 0x660,
    "Nkoo": 0x7C0,
    "Olck": 0x1C50,
    "Mtei": 0xABF0,
}


def kinds(text: str, *, regions: tuple[str, ...] = ALL, names: tuple[str, ...] = ()) -> list[str]:
    return [one.kind for one in find(text, regions=regions, names=names)]


def masked(text: str, *, regions: tuple[str, ...] = ALL, names: tuple[str, ...] = ()) -> str:
    return replaced(text, find(text, regions=regions, names=names), lambda one: one.mask)


def aadhaar() -> str:
    return "20000000001" + verhoeff.calc_check_digit("20000000001")


def card(beginning: str, length: int) -> str:
    number = beginning.ljust(length - 1, "1")
    return number + luhn.calc_check_digit(number)


def iban(country: str, account: str) -> str:
    check = mod_97_10.calc_check_digits(account + country)
    return country + check + account


def other_digit(number: str) -> str:
    """Return a number whose last digit is another one."""
    return number[:-1] + str((int(number[-1]) + 1) % 10)


def grouped(number: str, *sizes: int, by: str = " ") -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(number[at : at + size])
        at += size
    return by.join(parts)


def mobile(region: str, form: int) -> str:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    return phonenumbers.format_number(number, form)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("awa@host.sn", "email"),
        ("a.b+c@mail.host.co.in", "email"),
        ("\u0909\u0928@\u0921\u093e\u0915.\u092d\u093e\u0930\u0924", "email"),
        ("\u0987\u09ae\u09c7\u0987\u09b2:a@b.in\u0964", "email"),
        (aadhaar(), "national_id"),
        (grouped(aadhaar(), 4, 4, 4), "national_id"),
        (grouped(aadhaar(), 4, 4, 4, by="-"), "national_id"),
        ("AAAPA0001A", "national_id"),
        ("1-000-1990-00001", "national_id"),
        ("NIN: 1000199000001", "national_id"),
        ("GHA-000000000-1", "national_id"),
        (card("4", 16), "payment_card"),
        (grouped(card("5", 16).replace("51", "51", 1), 4, 4, 4, 4), "payment_card"),
        (grouped(card("34", 15), 4, 6, 5), "payment_card"),
        (grouped(card("60", 16), 4, 4, 4, 4, by="-"), "payment_card"),
        (iban("FR", "20041010050500013M02606"), "bank_account"),
        (grouped(iban("FR", "20041010050500013M02606"), 4, 4, 4, 4, 4, 4, 3), "bank_account"),
        (iban("FR", "20041010050500013M02606").lower(), "bank_account"),
        (grouped(iban("SN", "SN0100152000048500003035"), 4, 4, 4, 4, 4, 4, 4), "bank_account"),
        (iban("CM", "10002000300277976315008"), "bank_account"),
        ("awa (at) host (dot) sn", "email"),
        ("awa[at]host.co.in", "email"),
        ("06-12-34-56-78", "phone"),
        ("77-123-45-70", "phone"),
        ("Appelez le 771 234 570", "phone"),
        ("http://u:p@host.sn/", "account_url"),
        ("https://facebook.com/some.one", "account_url"),
        ("youtube.com/user/some_one", "account_url"),
        ("https://host.sn/~some", "account_url"),
        ("https://host.sn/a?user=some", "account_url"),
        ("https://sn.wikipedia.org/wiki/User:Some", "account_url"),
        ("9.9.99.99", "ip_address"),
        ("2620:fe::99", "ip_address"),
    ],
)
def test_what_is_personal_is_found(text: str, kind: str) -> None:
    """Each kind is found alone and in a sentence, and its mask hides it for good."""
    for sentence in (text, f"x {text}.", f"({text}), x"):
        assert kinds(sentence) == [kind]
        hidden = masked(sentence)
        assert text not in hidden
        assert kinds(hidden) == []
        assert "\u2588" in covered(sentence, find(sentence, regions=ALL))


@pytest.mark.parametrize("region", ALL)
@pytest.mark.parametrize(
    "form",
    [
        phonenumbers.PhoneNumberFormat.INTERNATIONAL,
        phonenumbers.PhoneNumberFormat.E164,
        phonenumbers.PhoneNumberFormat.NATIONAL,
    ],
)
def test_telephones_are_found_as_countries_write_them(region: str, form: int) -> None:
    """The example number of each country is found in each form; short ones need the word."""
    number = mobile(region, form)
    digits = "".join(filter(str.isdigit, number))
    text = number if number.startswith("+") or len(digits) >= 8 else f"Tel. {number}"
    assert kinds(text) == ["phone"]
    assert set(filter(str.isdigit, masked(text))) == {"0"}
    assert kinds(masked(text)) == []


@pytest.mark.parametrize("script", DIGITS)
def test_digits_of_every_script_are_digits(script: str) -> None:
    """A number in Devanagari, Bengali, Arabic-Indic, N'Ko, Ol Chiki or Meetei digits is found, and
    its mask has zeros of the same script."""
    zero = DIGITS[script]
    number = grouped(aadhaar(), 4, 4, 4)
    text = "".join(chr(zero + int(c)) if c.isdigit() else c for c in number)
    assert unicodedata.decimal(chr(zero)) == 0
    assert kinds(text) == ["national_id"]
    assert set(masked(text)) == {chr(zero), " "}


@pytest.mark.parametrize(
    "text",
    [
        other_digit(aadhaar()),
        grouped(other_digit(aadhaar()), 4, 4, 4),
        other_digit(card("4", 16)),
        grouped(aadhaar(), 3, 3, 3, 3),
        "AAAXA0001A",
        "1000199000001",
        *(
            "12,345,678",
            "1 234 567 890",
            "12.345.678",
            "770 123 456",
            "144 000 000",
            "3.14159265358",
        ),
        *("2026-11-25", "25.11.2026", "25/11/2026", "1990-2020", "20261125", "20261125103000"),
        *("10:30:00", "119:105-112", "1:1-31", "Ps 119 1 2 3 4 5 6 7 8", "12 34 56 78 90 12 34"),
        *("v1.2.3.40", "10.0.19041.1110", "1.2.3.4", "2.10.11.4", "version 9.9.99.99", "127.0.0.1"),
        *("10.0.0.99", "192.0.2.0", "2001:db8::", "::1", "fe80::1", "12::34"),
        *(
            "ISBN 978-3-16-148410-0",
            "81-7525-766-0",
            "978-0-306-40615-7",
            iban("FR", "20041010050500013M02607")[:-1] + "9",
            "list(at) the end",
            "arr{at}foo.bar",
            "ISSN 1234-5679",
            "10000000000",
            "7 000 000 F CFA",
        ),
        *("70 000 00 00 FCFA", "Rs 9000000001", "\u20b99000000001", "$9000000001", "100 %"),
        *(
            "a @ b",
            "@name",
            "x@example.com",
            "user@localhost",
            "{a}@{b}",
            "3 @ 5",
            "name@example.org",
        ),
        *(
            "https://facebook.com/share?x=1",
            "https://host.sn/a/b",
            "http://host.sn:80/",
            "www.host.sn",
        ),
        *(
            "0000 0000 0000",
            "#12345678901234",
            "a1b2c3d4e5f60718",
            "deadbeef1234567890",
            "ab12cd34ef56",
        ),
        *(
            "[text/shared/02/01140000.xhp#tit]",
            "shared/02/01140000.xhp",
            "C:\\x\\33889000.txt",
            "https://host.sn/news/770000001",
            "www.host.sn/33/889/00/00",
            "0123456789",
            "68881/68882",
            "68000/68010/5200",
        ),
    ],
)
def test_what_is_not_personal_is_left(text: str) -> None:
    """Wrong check digits, quantities, dates, verses, versions, ISBNs, private addresses."""
    assert kinds(text) == []
    assert kinds(f"x {text} y") == []


@pytest.mark.parametrize(
    "text",
    ["Tél/77/000/00/01", "Awa/770000001/Dakar", "33/889/00/00", "https://host.sn +221770000001"],
)
def test_a_slash_hides_no_telephone_number(text: str) -> None:
    """A number between slashes is one where nothing marks it as a part of a path."""
    assert kinds(text, regions=("SN",)) == ["phone"]


def test_countries_decide_which_numbers_are_looked_for() -> None:
    """A national number is none elsewhere; one with a plus sign is one everywhere."""
    number = grouped(aadhaar(), 4, 4, 4)
    assert kinds(number, regions=("IN",)) == ["national_id"]
    assert kinds(number, regions=("SN",)) == []
    assert kinds(mobile("SN", phonenumbers.PhoneNumberFormat.E164), regions=()) == ["phone"]


def test_two_numbers_side_by_side_are_both_found() -> None:
    """A slash or a space between two numbers joins them to nothing longer."""
    number = mobile("SN", phonenumbers.PhoneNumberFormat.NATIONAL)
    assert kinds(f"{number} / {number}") == ["phone", "phone"]
    assert kinds(f"{number} {number}") == ["phone", "phone"]
    assert kinds(f"2026 {number}") == ["phone"]


def test_names_are_masked_only_as_declared() -> None:
    """A declared name is masked as a whole word, in any script and case; none is guessed."""
    text = "Awa ak awa, Awaat; \u0905\u0935\u093e \u0905\u0935"
    assert (
        masked(text, names=("Awa", "\u0905\u0935"))
        == "N. N. ak N. N., Awaat; \u0905\u0935\u093e N. N."
    )
    assert kinds(text) == []


def test_every_kind_has_its_switch() -> None:
    """Every detected kind is one that the recipe can mask, drop or keep."""
    text = f"a@b.sn {aadhaar()} {card('4', 16)} +221 70 123 45 67 9.9.99.99 https://t.me/some Awa"
    found = set(kinds(text, names=("Awa",))) | {"bank_account"}
    assert found == set(KINDS)


@given(st.text(st.sampled_from("0123456789 +-.()/@:a\u0966\u0661\u00a0NIN"), max_size=60))
def test_a_masked_text_has_nothing_to_mask(text: str) -> None:
    """Masks are final, whatever digits and signs are strung together, and nothing overlaps."""
    found = find(text, regions=ALL)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    hidden = replaced(text, found, lambda one: one.mask)
    assert [
        one for one in find(hidden, regions=ALL) if one.mask != hidden[one.start : one.end]
    ] == []


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.text(max_size=5), max_size=3))
def test_looking_never_fails_and_loses_nothing(text: str, names: list[str]) -> None:
    """Any text and any names: what is not found stays as it is."""
    found = find(text, regions=ALL, names=names)
    assert replaced(text, found, lambda one: text[one.start : one.end]) == text


def test_a_shape_is_kept() -> None:
    """Digits become zeros of their script, letters X, the rest stays."""
    assert hidden_shape("+1 (2)-a\u0967") == "+0 (0)-X\u0966"
    assert replaced("abc", [Found("email", 1, 2, "-")], lambda one: one.mask) == "a-c"


def test_languages_lead_to_countries() -> None:
    """Every entry is a country; other languages are looked up; English leads nowhere."""
    assert all(len(r) == 2 and r.isupper() for regions in REGIONS.values() for r in regions)
    assert regions_of(["sat_Olck", "mni_Mtei"]) == ("IN",)
    assert regions_of(["eng_Latn"]) == ()
    assert regions_of(["qaa_Latn"]) == ()


@pytest.mark.parametrize(
    "piece",
    [
        *("1", "1 ", "12 34 ", "1 12 ", "a@", "@a", "a@a.", "a.a@", "http://", "https://a/@b"),
        *("A1B2", "1.", "12:", "::", "\u0967", "FR76 1234 ", "9.9.9.", "+", "AAAPA0001A"),
        *("facebook.com/", "70 123 45 67 "),
    ],
)
def test_hostile_texts_are_searched_in_linear_time(piece: str) -> None:
    """A long text of what begins like personal data takes seconds."""
    with within_cpu_seconds():
        find(flood(piece, letters=50_000), regions=("IN", "SN"), names=("a",))


@pytest.mark.skipif(find_spec("kolibri") is None, reason="the package kolibri is not installed")
def test_plain_texts_of_software_hold_none() -> None:
    """In every string of Kolibri in Hausa, Hindi, Bengali and Urdu nothing is found."""
    spec = find_spec("kolibri")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent / "locale"
    texts = 0
    for folder in ("ha", "hi_IN", "bn_BD", "ur_PK", "sw_TZ"):
        for file in sorted((root / folder / "LC_MESSAGES").glob("*.json")):
            for text in json.loads(file.read_text(encoding="utf-8")).values():
                texts += 1
                assert kinds(str(text)) == []
    assert texts > 5000


def test_numbers_of_a_territory_with_the_same_country_code_are_masked() -> None:
    """A mobile number of Guernsey in a Welsh text, as it is written in both."""
    from finetune.text.shown import shown

    assert shown("Ffoniwch 07911 123456 neu", regions=("GB",)) == "Ffoniwch 00000 000000 neu"
