"""What a recipe says about checks on texts: `prepare.text` and `prepare.personal_data`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from finetune.spec.section import Section

Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Share = Annotated[float, Field(ge=0, le=1)]
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
    damaged: Literal["drop", "keep"] = "drop"
    """Texts with lost letters (U+FFFD, C1 controls) in more than one of 200 characters, or mostly
    in characters without a public meaning, as of an old font."""
    max_markup_share: Share = 0.8
    """Texts and lines of which more is HTML, wikitext, placeholders or code are left out; short
    ones only if no word is left. 1: none are."""
    placeholder_text: Literal["drop", "keep"] = "drop"
    """What typesetters fill pages with (lorem ipsum)."""
    min_letter_share: Share = 0.4
    """Longer texts with fewer letters among their characters are left out, and every text without a
    letter, but not the answers of conversations. 0: none are."""
    max_repetition: Share = 0.5
    """Texts of which more was said before in the same text are left out. 1: none are."""
    repeated_lines: Annotated[int, Field(ge=0)] = 20
    """A line at the head or foot of a text that stood there in this many texts before, such as a
    page header, is removed. Only texts of several lines. 0: none are."""
    length_outliers: Literal["report", "drop"] = "report"
    """Texts far longer or shorter than those of their card, and pairs whose lengths do not fit, by
    a robust z-score."""


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
