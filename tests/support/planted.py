"""Personal data planted in corpora of tests, and the search for it in everything that is written.

No number is anybody's: each is an example of phonenumbers, or is made of zeros and ones with its
check digit computed.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from pathlib import Path

import phonenumbers
from stdnum import luhn, verhoeff
from stdnum.iso7064 import mod_97_10

_FORMS = phonenumbers.PhoneNumberFormat
_ZEROS = {"hin_Deva": 0x966, "ben_Beng": 0x9E6, "urd_Arab": 0x6F0, "wol_Arab": 0x660}
"""Language and script -> their digit zero."""


def _mobile(region: str, form: int) -> str:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    return str(phonenumbers.format_number(number, form))


def _in_script(number: str, language: str) -> str:
    zero = _ZEROS[language]
    return "".join(chr(zero + int(c)) if c in "0123456789" else c for c in number)


_CARD = "411111111111111" + luhn.calc_check_digit("411111111111111")
_IBAN = "FR" + mod_97_10.calc_check_digits("20041010050500013M02606FR") + "20041010050500013M02606"
_AADHAAR = "20000000001" + verhoeff.calc_check_digit("20000000001")
_AADHAAR_4 = " ".join((_AADHAAR[:4], _AADHAAR[4:8], _AADHAAR[8:]))
EVERYWHERE = (
    "awa.planted@host.sn",
    "awa.planted.two@mail.host.co.in",
    "https://facebook.com/planted.person",
    "41.82.130.7",
    _CARD,
    " ".join((_CARD[:4], _CARD[4:8], _CARD[8:12], _CARD[12:])),
    _IBAN,
    _mobile("SN", _FORMS.INTERNATIONAL),
    _mobile("NG", _FORMS.E164),
)
"""Found whatever the language."""
PLANTED: dict[str, tuple[str, ...]] = {
    "wol_Latn": (*EVERYWHERE, _mobile("SN", _FORMS.NATIONAL), "1-000-1990-00001"),
    "wol_Arab": (*EVERYWHERE, _in_script(_mobile("SN", _FORMS.NATIONAL), "wol_Arab")),
    "hin_Deva": (
        *EVERYWHERE,
        _mobile("IN", _FORMS.NATIONAL),
        _in_script(_mobile("IN", _FORMS.NATIONAL), "hin_Deva"),
        _AADHAAR_4,
        _in_script(_AADHAAR_4, "hin_Deva"),
        "AAAPA0001A",
    ),
    "urd_Arab": (
        *EVERYWHERE,
        _mobile("PK", _FORMS.NATIONAL),
        _in_script(_mobile("PK", _FORMS.NATIONAL), "urd_Arab"),
    ),
}
"""Language of a card -> personal data that is found in its texts."""
NAME = "Planta Nomdefille"
"""A person in the texts, named in the column `names`."""
HIDDEN = _mobile("SN", _FORMS.NATIONAL).replace(" ", "\u200b ", 1)
"""A number with an invisible sign in it, which `prepare` removes."""


def found(text: str, data: Iterable[str]) -> list[str]:
    """Return the planted data that a text holds, as it is or as JSON or HTML writes it."""
    plain = text.replace("\u200b", "")
    return [
        one
        for one in (datum.replace("\u200b", "") for datum in data)
        if any(form in plain for form in (one, json.dumps(one)[1:-1], html.escape(one)))
    ]


def found_in(folder: Path, data: Iterable[str], *, copies: Iterable[Path] = ()) -> dict[str, list]:
    """Return file -> planted data in it, of all files in a folder but copies of the corpus."""
    data, known = list(data), {path.read_bytes() for path in copies}
    hits = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        content = path.read_bytes()
        held = found(content.decode("utf-8", "replace"), data) if content not in known else []
        if held:
            hits[path.relative_to(folder).as_posix()] = held
    return hits
