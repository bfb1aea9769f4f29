"""What a recipe says about checks on texts: `prepare.text` and `prepare.personal_data`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from finetune.spec.section import Section

Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Action = Literal["mask", "drop", "keep"]


class TextChecks(Section):
    """What happens to single texts; docs/text-checks.md explains each check."""

    mojibake: bool = False
    """Repair text that was decoded with the wrong encoding (`Ã©` for `é`) with ftfy, and nothing
    else of what ftfy does. Off: such texts are counted, and the report shows them."""
    look_alikes: bool = True
    """Repair Greek, Cyrillic or wrongly hooked letters inside words, for languages whose published
    orthography is known here (finetune/text/letters.py)."""
    invisible: Literal["remove", "keep"] = "remove"
    """Soft hyphens, word joiners, stray zero width spaces, tag characters. Joiners (ZWJ, ZWNJ),
    direction marks and what a script needs are always kept."""
    direction_controls: Literal["remove", "drop", "keep"] = "remove"
    """Embeddings and isolates (U+202A-202C, U+2066-2069), which no letter is lost with."""
    direction_overrides: Literal["drop", "remove", "keep"] = "drop"
    """Overrides (U+202D, U+202E): what is stored is not what people read, so the text is
    left out."""
    other_script: Literal["keep", "drop"] = "keep"
    """Texts most letters of which are in another script than the card says. They are counted and
    shown in any case."""


class PersonalData(Section):
    """Personal data that a pattern finds: `mask`, `drop` (leave the text out) or `keep`."""

    email: Action = "mask"
    """E-mail addresses become `name@example.org`."""
    phone: Action = "mask"
    """Telephone numbers, international or as the countries of the languages write them; digits
    become zeros."""
    national_id: Action = "mask"
    """Numbers of identity cards: Aadhaar, PAN, NIN, CNI, CNIC, ... with their check digits; digits
    become zeros and letters X."""
    bank_account: Action = "mask"
    """IBANs with a right check number."""
    payment_card: Action = "mask"
    """Card numbers with a right beginning and check digit."""
    ip_address: Action = "mask"
    """Public IP addresses become `192.0.2.0` or `2001:db8::`."""
    account_url: Action = "mask"
    """The part of a web address that names somebody's account becomes `name`."""
    names: Action = "mask"
    """Names of people, from the card's column `names`; no name is guessed. They become `N. N.`."""
    regions: list[Region] | Literal["auto"] = "auto"
    """Countries (ISO 3166: `SN`, `IN`) whose numbers are looked for; `auto`: those where the
    languages of the recipe's cards are spoken."""

    def action(self, kind: str) -> Action:
        """Return what happens to a kind of personal data."""
        found: Action = getattr(self, kind)
        return found

    @property
    def kept(self) -> tuple[str, ...]:
        """Kinds that stay in the texts."""
        return tuple(kind for kind in KINDS if self.action(kind) == "keep")


KINDS = tuple(name for name in PersonalData.model_fields if name != "regions")
"""Kinds of personal data, in the order of the recipe."""
