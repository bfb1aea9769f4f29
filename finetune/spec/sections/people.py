"""The people behind a corpus: who they are, what they agreed to, and on which conditions."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from finetune.spec.section import Section
from finetune.spec.sections.source import Sha256


class People(Section):
    """People who spoke, wrote, translated or labelled, as far as they agreed to be named."""

    who: str
    """In a sentence: who they are, their first language, how they were found."""
    number: Annotated[int, Field(ge=0)] | None = None
    """Number of people."""
    compensation: str = ""
    """Payment, if any."""


class Consent(Section):
    """Basis on which the texts may be used, and its end."""

    basis: Literal["written", "spoken", "community", "licence", "public-domain", "not-stated"] = (
        "not-stated"
    )
    """`written` or `spoken`: every contributor agreed. `community`: its council did. `licence`:
    published under a licence, without asking the contributors."""
    statement: str = ""
    """The agreement, in a sentence."""
    withdrawal: str = ""
    """Right to withdraw texts, and the way to ask for it."""
    credit: Literal["not-stated", "names", "pseudonyms", "none"] = "not-stated"
    """Naming of contributors in credits, as the column `contributor` has them. `names`: they agreed
    to be named; `pseudonyms`: the column has pseudonyms, which may be shown. Otherwise no
    contributor is named."""
    expires: date | None = None
    """Last day on which it holds; after it nothing is trained or released."""

    @property
    def sentence(self) -> str:
        """All of it in one line for people; empty if nothing is stated."""
        parts = [f"{self.basis}: {self.statement}".removeprefix("not-stated: ").removesuffix(": ")]
        parts += [f"withdrawal: {self.withdrawal}"] if self.withdrawal else []
        parts += [f"until {self.expires}"] if self.expires else []
        return "; ".join(part for part in parts if part not in ("", "not-stated"))


class Access(Section):
    """Conditions of access to the texts."""

    kind: Literal["open", "agree", "ask", "internal"] = "open"
    """`agree`: users accept the conditions. `ask`: the owner decides on each request. `internal`:
    the owner's own machines and servers only; neither the texts nor an adapter trained on them go
    to the public Hub, or to everyone."""
    conditions: str = ""
    """Conditions that users accept."""


class Withdrawals(Section):
    """Count and checksum of the withdrawal list, so that a lost list is noticed."""

    entries: Annotated[int, Field(ge=1)]
    """Number of entries."""
    sha256: Sha256
    """Checksum of the entries."""
