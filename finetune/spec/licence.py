"""Licence arithmetic: licences of base and data, and those of an adapter that they allow.

The table speaks Hub licence ids. An adapter is treated as a derivative of its base and of every
corpus it was trained on, which is the cautious reading; it is arithmetic on labels, not legal
advice. Imports nothing heavy, because `finetune check` calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from finetune.errors import ReleaseError, suggestion
from finetune.messages import Place, Sentence, joined, phrase, problem, sentence

PUBLIC = frozenset({"0bsd", "cc0-1.0", "mit-0", "pddl", "unlicense", "wtfpl"})
"""No condition at all."""

PERMISSIVE = frozenset(
    {
        *("afl-3.0", "apache-2.0", "artistic-2.0", "bsd", "bsd-2-clause", "bsd-3-clause"),
        *("bsd-3-clause-clear", "bsl-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0"),
        *("cc-by-4.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "ecl-2.0", "etalab-2.0"),
        *("isc", "lppl-1.3c", "mit", "ms-pl", "ncsa", "odc-by", "ofl-1.1", "postgresql"),
        *("unicode-3.0", "unicode-dfs-2016", "zlib"),
    }
)
"""Name the authors, keep the notice."""

SHARE_ALIKE: Mapping[str, frozenset[str]] = {
    # licence -> licences that work under it may be passed on under instead
    "agpl-3.0": frozenset(),
    "cc-by-sa-2.0": frozenset({"cc-by-sa-3.0", "cc-by-sa-4.0"}),
    "cc-by-sa-3.0": frozenset({"cc-by-sa-4.0"}),
    "cc-by-sa-4.0": frozenset({"gpl-3.0"}),  # declared one-way compatible by Creative Commons
    "cdla-sharing-1.0": frozenset(),
    "epl-1.0": frozenset(),
    "epl-2.0": frozenset(),
    "eupl-1.1": frozenset({"eupl-1.2", "gpl-2.0"}),
    "eupl-1.2": frozenset({"agpl-3.0", "cc-by-sa-3.0", "gpl-2.0", "gpl-3.0", "mpl-2.0"}),
    "gfdl": frozenset(),
    "gpl-2.0": frozenset(),  # the Hub id does not say "or later"
    "gpl-3.0": frozenset({"agpl-3.0"}),
    "lgpl-2.1": frozenset({"gpl-2.0", "gpl-3.0"}),
    "lgpl-3.0": frozenset({"gpl-3.0", "agpl-3.0"}),
    "mpl-2.0": frozenset({"agpl-3.0", "gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0"}),
    "odbl": frozenset(),
    "osl-3.0": frozenset(),
}
"""Derivatives carry the same licence."""

NON_COMMERCIAL = frozenset({"cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"})
"""No commercial use."""

NON_COMMERCIAL_SHARE_ALIKE: Mapping[str, frozenset[str]] = {
    "cc-by-nc-sa-2.0": frozenset({"cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"}),
    "cc-by-nc-sa-3.0": frozenset({"cc-by-nc-sa-4.0"}),
    "cc-by-nc-sa-4.0": frozenset(),
}
"""No commercial use, and derivatives carry the same licence."""

NO_DERIVATIVES = frozenset(
    {"cc-by-nd-2.0", "cc-by-nd-3.0", "cc-by-nd-4.0"}
    | {"cc-by-nc-nd-2.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"}
)
"""No derivatives may be passed on."""

MODEL_TERMS: Mapping[str, str] = {
    "bigcode-openrail-m": "https://huggingface.co/spaces/bigcode/bigcode-model-license-agreement",
    "bigscience-bloom-rail-1.0": "https://huggingface.co/spaces/bigscience/license",
    "bigscience-openrail-m": "https://huggingface.co/spaces/bigscience/license",
    "creativeml-openrail-m": "https://huggingface.co/spaces/CompVis/stable-diffusion-license",
    "gemma": "https://ai.google.dev/gemma/terms",
    "llama2": "https://ai.meta.com/llama/license/",
    "llama3": "https://llama.meta.com/llama3/license/",
    "llama3.1": "https://llama.meta.com/llama3_1/license/",
    "llama3.2": "https://www.llama.com/llama3_2/license/",
    "llama3.3": "https://www.llama.com/llama3_3/license/",
    "llama4": "https://www.llama.com/llama4/license/",
    "openrail": "https://huggingface.co/blog/open_rail",
    "openrail++": "https://huggingface.co/blog/open_rail",
}
"""Terms of a model publisher that bind every derivative; where to read them."""

_NAMED_LLAMA = frozenset({"llama3", "llama3.1", "llama3.2", "llama3.3", "llama4"})
_COMMERCIAL_WARNING = "no commercial use"

KNOWN = frozenset(
    PUBLIC
    | PERMISSIVE
    | set(SHARE_ALIKE)
    | NON_COMMERCIAL
    | set(NON_COMMERCIAL_SHARE_ALIKE)
    | NO_DERIVATIVES
    | set(MODEL_TERMS)
    | {"other"}
)
"""Every licence id that the arithmetic understands."""


def allowed_licence(
    base_licence: str, card_licences: Mapping[str, str], *, wanted: str = "auto"
) -> tuple[str, tuple[Sentence, ...]]:
    """Return the licence of a release and the reasons.

    `card_licences` maps the name of a data card to its licence id. `wanted` is the recipe's
    `release.licence`; one that is stricter than needed is fine. The id is `other` where terms of
    several owners hold at once (say Gemma's and a non-commercial corpus).

    Raises:
        ReleaseError: an input forbids derivatives or is not understood, two inputs contradict
            each other, or `wanted` is freer than the inputs allow.

    >>> allowed_licence("apache-2.0", {"kolibri-hau": "mit"})[0]
    'apache-2.0'
    >>> allowed_licence("apache-2.0", {"wiki-wol": "cc-by-sa-4.0"})[0]
    'cc-by-sa-4.0'
    """
    terms = {sentence("base model"): base_licence}
    terms |= {sentence("data card {name!r}", name=n): lic for n, lic in card_licences.items()}
    for owner, licence in terms.items():
        _refuse_unusable(owner, licence, others_accepted=wanted == "other")
    licence, reasons = _meet(terms)
    if wanted in ("auto", licence):
        return licence, reasons
    _refuse_freer(wanted, terms=terms, needed=licence, reasons=reasons)
    chosen = sentence(
        "the recipe chooses {chosen}, where {licence} would do", chosen=wanted, licence=licence
    )
    return wanted, (*reasons, chosen)


def allowed_name(base_licence: str, name: str) -> str:
    """Return a model's name as the base's terms allow it (Llama 3 and later, section 1.b.i).

    >>> allowed_name("llama3.1", "wolof"), allowed_name("apache-2.0", "wolof")
    ('Llama-wolof', 'wolof')
    """
    needed = base_licence in _NAMED_LLAMA and not name.lower().startswith("llama")
    return f"Llama-{name}" if needed else name


def check_name(base_licence: str, repo: str) -> None:
    """Refuse a repository name that the base's terms forbid."""
    name = repo.rpartition("/")[2]
    allowed = allowed_name(base_licence, name)
    if name != allowed:
        raise ReleaseError(
            problem(
                "name-without-llama",
                "{repo!r}: the base's licence {licence} requires that the names of derived models "
                "begin with 'Llama'; call it for example {allowed!r}",
                at=Place(key="release.repo"),
                repo=repo,
                licence=base_licence,
                allowed=allowed,
            )
        )


def obligations(licences: Iterable[str]) -> tuple[str, ...]:
    """Return the sentences that the NOTICE of a release must carry for these licences."""
    found = []
    for licence in sorted(set(licences)):
        if licence in _NAMED_LLAMA or licence == "llama2":
            number = licence.removeprefix("llama")
            found.append(
                f"Built with Llama. Llama {number} is licensed under the Llama {number} Community "
                "License, Copyright (c) Meta Platforms, Inc. All Rights Reserved. "
                f"{MODEL_TERMS[licence]}"
            )
        elif licence == "gemma":
            found.append(
                "Gemma is provided under and subject to the Gemma Terms of Use found at "
                f"{MODEL_TERMS[licence]}; its prohibited-use policy binds everyone who receives "
                "this adapter."
            )
        elif licence in MODEL_TERMS:
            found.append(
                f"The use restrictions of {licence} bind everyone who receives this adapter: "
                f"{MODEL_TERMS[licence]}"
            )
        elif licence in NON_COMMERCIAL or licence in NON_COMMERCIAL_SHARE_ALIKE:
            found.append(f"{licence}: {_COMMERCIAL_WARNING}.")
    return tuple(found)


def _refuse_unusable(owner: Sentence, licence: str, *, others_accepted: bool) -> None:
    if licence in NO_DERIVATIVES:
        raise ReleaseError(
            problem(
                "no-derivatives",
                "licence {licence} forbids passing on derivatives, and an adapter trained on it is "
                "one. Take it out of the recipe or ask its owner for another licence",
                at=Place(part=owner),
                licence=licence,
            )
        )
    if licence == "other" and not others_accepted:
        raise ReleaseError(
            problem(
                "unknown-terms",
                "the terms of licence 'other' are in no table. Read them; if they allow the "
                "release of an adapter, set release.licence: other, and the release keeps them",
                at=Place(part=owner),
            )
        )
    if licence not in KNOWN:
        raise ReleaseError(
            problem(
                "unknown-licence",
                "licence {licence!r} is not in the table of licences; use 'other' with "
                "license_name and license_link{hint}",
                at=Place(part=owner),
                licence=licence,
                hint=suggestion(licence, KNOWN),
            )
        )


def _meet(terms: Mapping[Sentence, str]) -> tuple[str, tuple[Sentence, ...]]:
    """Return the freest licence that keeps every condition in `terms`, owner by owner."""
    alike = {o: lic for o, lic in terms.items() if _partners(lic) is not None}
    non_commercial = {o: lic for o, lic in terms.items() if lic in NON_COMMERCIAL}
    special = {o: lic for o, lic in terms.items() if lic in MODEL_TERMS or lic == "other"}
    shared = _common_share_alike(alike) if alike else None
    if shared in SHARE_ALIKE and (clash := non_commercial | special):
        _clash(alike, clash)
    if shared is not None and special:
        _clash(alike, special)
    if special:
        return _several(special, non_commercial)
    if shared is not None:
        return shared, tuple(
            sentence("{owner} ({licence}) requires the same licence", owner=owner, licence=lic)
            for owner, lic in alike.items()
        )
    if non_commercial:
        return max(non_commercial.values()), _non_commercial_reasons(non_commercial)
    for owner, lic in terms.items():  # the base stands first
        if lic in PERMISSIVE:
            why = sentence(
                "{owner} is {licence}, and no other input requires more than naming its authors",
                owner=owner,
                licence=lic,
            )
            return lic, (why,)
    first = next(iter(terms.values()))
    return first, (sentence("no input sets a condition"),)


def _non_commercial_reasons(inputs: Mapping[Sentence, str]) -> tuple[Sentence, ...]:
    return tuple(
        sentence("{owner} ({licence}) allows no commercial use", owner=owner, licence=licence)
        for owner, licence in inputs.items()
    )


def _partners(licence: str) -> frozenset[str] | None:
    """Return what a share-alike licence may turn into, or None for another kind of licence."""
    return SHARE_ALIKE.get(licence, NON_COMMERCIAL_SHARE_ALIKE.get(licence))


def _common_share_alike(alike: Mapping[Sentence, str]) -> str:
    for candidate in sorted(set(alike.values())):
        if all(lic == candidate or candidate in (_partners(lic) or ()) for lic in alike.values()):
            return candidate
    owners = list(alike.items())
    first = owners[0]
    second = next(pair for pair in owners if pair[1] != first[1])
    return _clash(dict([first]), dict([second]))


def _clash(alike: Mapping[Sentence, str], other: Mapping[Sentence, str]) -> str:
    (owner, licence), (against, its) = next(iter(alike.items())), next(iter(other.items()))
    if its in NON_COMMERCIAL or its in NON_COMMERCIAL_SHARE_ALIKE:
        clause = sentence("forbids commercial use")
    elif _partners(its) is not None:
        clause = sentence("requires that licence and no other")
    else:
        clause = sentence("binds derivatives to terms of its own")
    raise ReleaseError(
        problem(
            "licences-contradict",
            "licence {licence} requires that derivatives carry the same licence (share-alike), but "
            "{other} ({its}) {clause}. No licence satisfies both: take one of the two out of the "
            "recipe, or ask an owner for another licence",
            at=Place(part=owner),
            licence=licence,
            other=against,
            its=its,
            clause=clause,
        )
    )


def _several(
    special: Mapping[Sentence, str], non_commercial: Mapping[Sentence, str]
) -> tuple[str, tuple[Sentence, ...]]:
    why = [
        sentence("{owner} ({licence}): its terms bind derivatives", owner=owner, licence=lic)
        for owner, lic in special.items()
    ]
    ids = set(special.values())
    licence = ids.pop() if len(ids) == 1 and not non_commercial else "other"
    return licence, (*why, *_non_commercial_reasons(non_commercial))


def _refuse_freer(
    wanted: str, *, terms: Mapping[Sentence, str], needed: str, reasons: tuple[Sentence, ...]
) -> None:
    if wanted not in KNOWN or wanted in NO_DERIVATIVES:
        _refuse_unusable(phrase("release.licence"), wanted, others_accepted=True)
    if wanted == "other" and _partners(needed) is None:
        return
    try:
        combined = _meet({**terms, phrase("release.licence"): wanted})[0]
    except ReleaseError:
        combined = None
    same_kind = {wanted, needed} <= PERMISSIVE
    if combined != wanted and not same_kind:
        raise ReleaseError(
            problem(
                "licence-too-free",
                "{licence} is not allowed, because {reasons}. Use {needed}, or auto",
                at=Place(key="release.licence"),
                licence=wanted,
                reasons=joined(reasons, between="; "),
                needed=needed,
            )
        )
