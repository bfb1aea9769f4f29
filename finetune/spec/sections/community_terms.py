"""Terms of a community that no generic licence states: authority, user groups, returns, labels."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from finetune.errors import Unfit, suggestion
from finetune.messages import Place, Sentence, problem, sentence
from finetune.spec.section import Section
from finetune.spec.values.web_address import is_page

Adapters = Literal["public", "agree", "ask", "private"]
"""Recipients of an adapter, from the freest to the strictest."""
Rehosting = Literal["allowed", "ask", "forbidden"]
"""Copies of the texts elsewhere, from the freest to the strictest."""
NAMED_USES: Mapping[str, Sentence] = {
    "commercial": sentence("commercial use"),
    "health": sentence("advice on health"),
    "legal": sentence("legal advice"),
    "surveillance": sentence("surveillance of people"),
    "military": sentence("military use"),
    "advertising": sentence("advertising"),
    "politics": sentence("political campaigns"),
    "religion": sentence("religious use"),
    "imitation": sentence("imitation of a person's speech or writing"),
}
"""Uses with a name, which rules can compute with; any other is a sentence of the owners."""


def _page(text: str) -> str:
    if not is_page(text):
        raise Unfit(
            problem(
                "no-page", "{address!r} is no address of a web page (https://...)", address=text
            )
        )
    return text


def _use(text: str) -> str:
    """Refuse a single word that is no named use: it is a misspelt one."""
    if text not in NAMED_USES and " " not in text.strip():
        raise Unfit(
            problem(
                "unknown-use",
                "{use!r} is no named use ({known}){hint}; write another use as a sentence",
                use=text,
                known=list(NAMED_USES),
                hint=suggestion(text, NAMED_USES),
            )
        )
    return text


Page = Annotated[str, AfterValidator(_page)]
ForbiddenUse = Annotated[str, StringConstraints(min_length=1), AfterValidator(_use)]


class Authority(Section):
    """Person, council or organisation that speaks for the community."""

    who: Annotated[str, StringConstraints(min_length=1)]
    """Its name, as it wants to be named in releases."""
    contact: str = ""
    """Address for requests; default: `corpus.contact`."""
    page: Page | None = None
    """Web page."""


class UserGroup(Section):
    """Conditions for one group of users."""

    who: Annotated[str, StringConstraints(min_length=1)]
    """The group, in a sentence."""
    may: Literal["use", "ask", "not-use"] = "use"
    """`use`: under the conditions; `ask`: after the authority agreed; `not-use`: not at all."""
    conditions: str = ""
    """Conditions for this group, in a sentence."""


class Label(Section):
    """Label or notice of the Local Contexts Hub."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z-]{1,63}$")]
    """Its identifier there (`unique_id`), or that of the project that carries it."""
    url: Page
    """Page of the label or project."""
    name: str = ""
    """Its name."""
    text: str = ""
    """Its text in the words of the community, unchanged; with `text_source` and `text_date`."""
    text_source: Page | None = None
    """Page that the text was copied from."""
    text_date: date | None = None
    """Day on which it was copied."""

    @model_validator(mode="after")
    def _text_has_a_source(self) -> Label:
        if self.text and not (self.text_source and self.text_date):
            raise Unfit(
                problem(
                    "label-text-without-source",
                    "the text of a label needs `text_source` and `text_date`, because the "
                    "community may change it; add both, or leave the text out",
                    at=Place(key="text"),
                )
            )
        return self


class Permission(Section):
    """Permission of the authority, in place of its licence."""

    by: Annotated[str, StringConstraints(min_length=1)]
    """Person or body that gave it."""
    on: date
    """Day of the permission."""
    statement: Annotated[str, StringConstraints(min_length=1)]
    """The permission, in a sentence."""


class CommunityTerms(Section):
    """Terms of the community behind a corpus; each holds beside the licence."""

    authority: Authority | None = None
    """Person, council or organisation that speaks for the community."""
    users: list[UserGroup] = Field(default_factory=list)
    """Groups of users with conditions of their own."""
    reinvestment: str = ""
    """Return asked of users, and its recipients, in a sentence."""
    forbidden_uses: list[ForbiddenUse] = Field(default_factory=list)
    """Uses that are not permitted: `commercial`, `health`, `legal`, `surveillance`, `military`,
    `advertising`, `politics`, `religion`, `imitation`, or a sentence. A recipe whose
    `intended_use` is one of them is refused."""
    rehosting: Rehosting | None = None
    """Copies of the texts on other servers. Default: that of the licence."""
    adapters: Adapters | None = None
    """Recipients of adapters trained on the texts. `public`: everyone; `agree`: those who accept
    the terms; `ask`: those whose request the authority granted; `private`: the project
    alone. Default: that of the licence."""
    labels: list[Label] = Field(default_factory=list)
    """Labels and notices of the Local Contexts Hub."""
    granted: Permission | None = None
    """Permission of the authority; `adapters`, `rehosting` and `forbidden_uses` then count before
    those of a named community licence."""
