"""States of translations: which are read, and the reason for each that is not."""

from __future__ import annotations

from collections.abc import Collection, Mapping

UNTRANSLATED, UNREVIEWED, MACHINE = "untranslated-state", "unreviewed", "machine-translated"
STATES: Mapping[str, str | None] = {
    # XLIFF 1.2
    "new": UNTRANSLATED,
    "needs-translation": UNTRANSLATED,
    "needs-adaptation": UNTRANSLATED,
    "needs-l10n": UNTRANSLATED,
    "needs-review-translation": UNREVIEWED,
    "needs-review-adaptation": UNREVIEWED,
    "needs-review-l10n": UNREVIEWED,
    "translated": None,
    "signed-off": None,
    "final": None,
    # XLIFF 2
    "initial": UNTRANSLATED,
    "reviewed": None,
    # the segments of Trados (sdlxliff)
    "draft": UNREVIEWED,
    "rejectedtranslation": UNREVIEWED,
    "rejectedsignoff": UNREVIEWED,
    "approvedtranslation": None,
    "approvedsignoff": None,
}
"""State -> reason that it is not read, or None. No state, or one of a program's own, is read."""
APPROVED = frozenset({"signed-off", "final", "reviewed", "approvedtranslation", "approvedsignoff"})
"""States in which a person answers for the text, wherever it comes from."""
QUALIFIERS: Mapping[str, str] = {
    "leveraged-mt": MACHINE,
    "mt-suggestion": MACHINE,
    "fuzzy-match": UNREVIEWED,
    "rejected-grammar": UNREVIEWED,
    "rejected-inaccurate": UNREVIEWED,
    "rejected-length": UNREVIEWED,
    "rejected-spelling": UNREVIEWED,
    "tip": UNREVIEWED,
}
"""`state-qualifier` of XLIFF 1.2 -> reason. The other ones are read."""
MACHINES = frozenset(
    {
        *("mt", "mt!", "nmt", "amt", "at", "machine", "machinetranslation", "machinetranslated"),
        *("automatictranslation", "automatedtranslation", "leveragedmt", "mtsuggestion"),
        *("googletranslate", "googletranslation", "deepl", "microsofttranslator", "bingtranslator"),
        *("amazontranslate", "modernmt", "apertium", "libretranslate", "systran"),
    }
)
"""Origins, authors and tools that are machine translation; without spaces, hyphens and case."""
ADMITTED: Mapping[str, str] = {"unreviewed": UNREVIEWED, "machine": MACHINE}
"""Word of the card's key `admit` -> the reason that no longer holds."""


def is_machine(*origins: str | None) -> bool:
    """Return whether one of the origins, authors or tools of a text is machine translation.

    >>> is_machine("alice", "Google Translate"), is_machine(None, "bob")
    (True, False)
    """
    names = ("".join(c for c in one.lower() if c not in " -_") for one in origins if one)
    return any(name.rpartition(":")[2] in MACHINES for name in names)


def reason_of(
    *,
    state: str | None = None,
    qualifier: str | None = None,
    origins: Collection[str | None] = (),
    approved: bool = False,
) -> str | None:
    """Return the reason not to read a translation in a state; None if it is read.

    >>> reason_of(state="translated"), reason_of(state="translated", qualifier="leveraged-mt")
    (None, 'machine-translated')
    >>> reason_of(state="final", qualifier="leveraged-mt"), reason_of(state="new")
    (None, 'untranslated-state')
    """
    known = (state or "").lower()
    if approved or known in APPROVED:
        return None
    if (qualifier or "").lower() in ("leveraged-mt", "mt-suggestion") or is_machine(*origins):
        return MACHINE
    return STATES.get(known) or QUALIFIERS.get((qualifier or "").lower())


def admitted(reason: str | None, admit: Collection[str]) -> bool:
    """Return whether a card reads a translation in spite of a reason; `admit`: its key."""
    return reason is None or any(ADMITTED[word] == reason for word in admit)
