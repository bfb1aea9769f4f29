"""Sections `prepare.text` and `prepare.personal_data` of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from finetune.spec.section import Section
from finetune.spec.values.region import Region

Share = Annotated[float, Field(ge=0, le=1)]
Action = Literal["mask", "drop", "keep"]


class TextChecks(Section):
    """Checks and repairs of texts; docs/data/text-checks.md explains each of them."""

    mojibake: bool = False
    """Repair text that was decoded with the wrong encoding (`Ã©` for `é`) with ftfy (no other
    repair of ftfy). Off: such texts are counted and shown in the report."""
    escapes: bool = False
    """Replace HTML entities (`&eacute;`, `&#39;`, `&amp;amp;`) and escapes of Moses (`&apos;`,
    `@-@`) by their characters. Off: such texts are counted and shown in the report."""
    presentation_forms: bool = False
    """Replace presentation forms, as PDF files hold them (U+FB00-FDEF, U+FE70-FEFC), by letters.
    Off: such texts are counted and shown in the report."""
    visual_order: bool = False
    """Turn lines round whose presentation forms show that they are stored in the order of display,
    from the last letter to the first. Off: such texts are counted and shown in the report."""
    look_alikes: bool = True
    """Repair Greek, Cyrillic or wrongly hooked letters inside words, for languages whose published
    orthography is known here (finetune/text/letters.py)."""
    invisible: Literal["remove", "keep"] = "remove"
    """Soft hyphens, word joiners, stray zero width spaces, tag characters. Joiners (ZWJ, ZWNJ),
    direction marks and what a script needs are always kept."""
    direction_controls: Literal["remove", "drop", "keep"] = "remove"
    """Embeddings and isolates (U+202A-202C, U+2066-2069); removal loses no letter."""
    direction_overrides: Literal["drop", "remove", "keep"] = "drop"
    """Overrides (U+202D, U+202E): the stored text differs from the displayed one, so the text is
    rejected."""
    other_script: Literal["keep", "drop"] = "keep"
    """Texts with most letters in another script than the card declares. They are counted and shown
    in any case."""
    damaged: Literal["drop", "keep"] = "drop"
    """Texts with lost letters (U+FFFD, C1 controls) in more than one of 200 characters, or mostly
    in private-use characters, as of an old font."""
    max_markup_share: Share = 0.8
    """Maximum fraction of HTML, wikitext, placeholders or code in a text or line; short ones are
    rejected only if no word is left. 1: off."""
    placeholder_text: Literal["drop", "keep"] = "drop"
    """Placeholder text (lorem ipsum)."""
    placeholders: Literal["drop", "keep"] = "drop"
    """Pairs whose source and target have different placeholders (`%s`, `{0}`, `{{name}}`), as
    strings of software have."""
    min_letter_share: Share = 0.4
    """Minimum fraction of letters in longer texts; texts without any letter are rejected too,
    except answers of conversations. 0: off."""
    max_repetition: Share = 0.5
    """Maximum fraction of repeated content within a text. 1: off."""
    repeated_lines: Annotated[int, Field(ge=0)] = 20
    """Number of texts after which a repeated first or last line, such as a page header, is removed
    (texts of several lines only). 0: off."""
    length_outliers: Literal["report", "drop"] = "report"
    """Length outliers of a card, and pairs with an unusual length ratio (robust z-score)."""


class PersonalData(Section):
    """Personal data that a pattern finds: `mask`, `drop` (reject the text) or `keep`."""

    email: Action = "mask"
    """E-mail addresses become `name@example.org`."""
    phone: Action = "mask"
    """Telephone numbers, international or in a format of `regions`; digits become zeros."""
    national_id: Action = "mask"
    """Numbers of identity cards: Aadhaar, PAN, NIN, CNI, CNIC, ... with their check digits; digits
    become zeros and letters X."""
    bank_account: Action = "mask"
    """IBANs with a valid check number."""
    payment_card: Action = "mask"
    """Payment card numbers with a valid prefix and check digit."""
    ip_address: Action = "mask"
    """Public IP addresses become `192.0.2.0` or `2001:db8::`."""
    account_url: Action = "mask"
    """Account names in web addresses become `name`."""
    names: Action = "mask"
    """Names of people, from the card's column `names`; no name is guessed. They become
    `N. N.`."""
    regions: list[Region] | Literal["auto"] = "auto"
    """Countries (ISO 3166: `SN`, `IN`) whose number formats are searched; `auto`: those where the
    languages of the cards are spoken."""

    def action(self, kind: str) -> Action:
        """Return the treatment of a kind of personal data."""
        found: Action = getattr(self, kind)
        return found

    @property
    def kept(self) -> tuple[str, ...]:
        """Kinds that stay in the texts."""
        return tuple(kind for kind in KINDS if self.action(kind) == "keep")


KINDS = tuple(name for name in PersonalData.model_fields if name != "regions")
"""Kinds of personal data, in the order of the recipe."""
