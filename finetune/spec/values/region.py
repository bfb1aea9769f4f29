"""Countries and territories, by their codes of ISO 3166-1."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, StringConstraints

from finetune.errors import Unfit
from finetune.messages import phrase, problem, sentence

CODES = frozenset(
    """
    AC AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ
    BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO
    DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU
    GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW
    KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU
    MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW
    PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA TC TD
    TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE
    YT ZA ZM ZW
    """.split()  # noqa: SIM905, a list of strings would take 250 lines
)
"""ISO 3166-1, and AC, TA and XK, which have telephone numbers of their own."""


def _checked(code: object) -> object:
    if isinstance(code, str) and code not in CODES:
        near = code.upper()
        raise Unfit(
            problem(
                "no-region",
                "{value!r} is no country of ISO 3166, which has two capital letters, e.g. SN or "
                "IN{near}",
                value=code[:80],
                near=sentence("; write {code}", code=near) if near in CODES else phrase(""),
            )
        )
    return code


# before the pattern, so that a wrong code has one answer; a code that means nothing would search
# for no telephone number
Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$"), BeforeValidator(_checked)]
"""A code of a country or territory."""
