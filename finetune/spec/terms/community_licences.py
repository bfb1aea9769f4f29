"""Named licences of communities, and what was established of their terms.

None is in the Hub's list. A licence whose text was not read counts as restrictive: nothing trained
under it is public, and its texts are not copied, before the authority's permission stands in the
card. No text of a licence is included here; each row names the page that was read and the day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from finetune.messages import Sentence, sentence
from finetune.spec.sections.community_terms import Adapters, Rehosting


@dataclass(frozen=True, slots=True)
class CommunityLicence:
    """One named licence."""

    name: str
    words: tuple[str, ...]
    """Words of `license_name` that name it."""
    page: str
    """Page of the licence, or of its owners where the text has none."""
    read: str
    """Address of what was read."""
    read_on: date
    is_text: bool
    """True if that is the text of the licence; otherwise others tell of it."""
    adapters: Adapters
    rehosting: Rehosting
    forbidden_uses: tuple[str, ...]
    says: tuple[Sentence, ...]
    """Its terms, in our words."""


_READ_ON = date(2026, 12, 1)
LICENCES = {
    row.name: row
    for row in (
        CommunityLicence(
            name="NOODL-1.0",
            words=("noodl", "nwulite"),
            page="https://licensingafricandatasets.com/nwulite-obodo-license",
            read="https://github.com/dsfsi/za-mafoko/blob/"
            "1208ef52ced79b232c268c9d477f8f7ef0bb5012/data/statssa/LICENSE",
            read_on=_READ_ON,
            is_text=True,
            adapters="ask",
            rehosting="ask",
            forbidden_uses=(),
            says=(
                sentence(
                    "Models are adapted material (section 1); creators are named and the licence "
                    "is linked (3.1)."
                ),
                sentence(
                    "Users of countries that the World Bank does not class as high-income: without "
                    "royalties, under the same licence, and passed on only to recipients who are "
                    "verified to be in such a country, collaborations aside (3.2)."
                ),
                sentence(
                    "All other users, subsidiaries of international companies included: first give "
                    "the owners the benefit or value that they name (3.3)."
                ),
            ),
        ),
        CommunityLicence(
            name="Kaitiakitanga",
            words=("kaitiakitanga",),
            page="https://github.com/TeHikuMedia/Kaitiakitanga-License",
            read="https://github.com/TeHikuMedia/Kaitiakitanga-License/blob/"
            "3f0caa1b6dbd85ca31aa31f536cf9a07dd2966f5/LICENSE.md",
            read_on=_READ_ON,
            is_text=True,
            adapters="private",
            rehosting="ask",
            forbidden_uses=("commercial",),
            says=(
                sentence("Access and use only with the permission of the guardians (term 1)."),
                sentence("No commercial use unless they grant it explicitly (term 2)."),
                sentence("What is derived from it, or uses it, is under this licence (3, 4)."),
            ),
        ),
        CommunityLicence(
            name="Esethu",
            words=("esethu",),
            page="https://arxiv.org/abs/2502.15916",
            read="https://www.itweb.co.za/article/"
            "lelapa-ai-intros-framework-prioritising-african-languages/6GxRKMYQKX5Mb3Wj",
            read_on=_READ_ON,
            is_text=False,
            adapters="private",
            rehosting="forbidden",
            forbidden_uses=(),
            says=(
                sentence(
                    "Its owners say: commercial use is open to African entities; revenue from "
                    "companies elsewhere pays for new data of the community."
                ),
            ),
        ),
    )
}
"""Name -> licence."""


def licence_named(name: str | None) -> CommunityLicence | None:
    """Return the licence that a `license_name` means, or None.

    >>> licence_named("Nwulite Obodo Open Data License - Version 1.0").name
    'NOODL-1.0'
    >>> licence_named("unicode-3.0")
    """
    small = (name or "").lower()
    return next((row for row in LICENCES.values() if any(w in small for w in row.words)), None)
