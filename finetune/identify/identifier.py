"""One interface over all models: is this line in the language that it is said to be in?

Who is asked: a model speaks about a claimed language only if it knows it (py3langid calls Wolof
Fula, so it has no say on a line said to be Wolof). The first model of the list that knows the
claimed language chooses among the languages of the closed set that it knows; a later one is asked
too where it knows further languages of the closed set, and can only find those. Where no good
model knows a claimed language, a classifier is learned from the texts at hand and asked in the
same way, before the models of last resort (franc); and where that cannot be done either, the
language is **not covered**, which is said and never taken for an answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from finetune.identify.closed import closed_set
from finetune.identify.labels import LANGUAGES_OF, SCRIPTS, assign, unknown_labels
from finetune.identify.lines import count_letters, other_script, plain
from finetune.identify.models import Model, Scorer, load_models
from finetune.spec.identify import Identify

Kind = Literal[
    "fits", "other-language", "other-script", "unsure", "too-short", "not-covered", "no-letters"
]
ODD: frozenset[Kind] = frozenset({"other-language", "other-script"})
"""Kinds of a line that is not what it is said to be."""
OWN_TEXTS = "own texts"
"""Name of the classifier that was learned from the texts at hand."""
OWN_TEXTS_THRESHOLD = 0.95


class Learned(Protocol):
    """What finetune.identify.ngrams.learn returns, seen from here: nothing heavy is imported."""

    @property
    def languages(self) -> Sequence[str]:
        """The languages that were learned."""

    def scores(self, line: str) -> Mapping[str, float]:
        """Return language -> log-likelihood of a line, up to a constant."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A model, and what its labels stand for in the closed set."""

    model: Model
    labels: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about a line."""

    kind: Kind
    found: str | None = None
    """The language (or languages that share a label: `a/b`), or the script, that it seems to be."""
    confidence: float | None = None
    """Probability of `found` among the languages that were compared."""
    by: str | None = None
    """The model that said so."""


@dataclass(frozen=True, slots=True)
class Voter:
    """A model that is asked about one claimed language, and what it can find."""

    model: str
    threshold: float
    score: Scorer
    labels: Mapping[str, tuple[str, ...]]
    """Label -> languages it stands for; the claimed one, and those only this voter can find."""

    @property
    def finds(self) -> tuple[str, ...]:
        """The languages among which it chooses."""
        return tuple(dict.fromkeys(one for many in self.labels.values() for one in many))


@dataclass(frozen=True, slots=True)
class Coverage:
    """Who is asked about a claimed language, and why."""

    voters: tuple[Voter, ...]
    reason: str
    by_script: bool = False
    """Whether its script is used for it alone, so that no model is needed."""

    @property
    def covered(self) -> bool:
        """Whether anything knows the language and something to tell it from."""
        return self.by_script or bool(self.voters)


@dataclass(frozen=True, slots=True)
class Identifier:
    """Judges lines. Made by `make_identifier`; what it holds is never changed."""

    closed: tuple[str, ...]
    models: tuple[Model, ...]
    coverage: Mapping[str, Coverage]
    """Of every language that may be claimed."""
    min_letters: int
    unknown: Mapping[str, list[str]] = field(default_factory=dict)
    """Labels of models that the table of labels cannot read, by model."""

    def judge(self, line: str, *, claimed: str) -> Verdict:
        """Say what a line is, given the language it is said to be in (one of the closed set).

        Raises KeyError for a language that the identifier was not made for.
        """
        coverage = self.coverage[claimed]
        text = plain(line)
        found = other_script(text, script=claimed.rpartition("_")[2])
        if found:
            return Verdict("other-script", found)
        letters = count_letters(text)
        if not letters:
            return Verdict("no-letters")
        if coverage.by_script:
            return Verdict("fits", claimed, by="script")
        if not coverage.covered:
            return Verdict("not-covered")
        if letters < self.min_letters:
            return Verdict("too-short")
        return _vote(text, claimed=claimed, voters=coverage.voters)

    def distribution(self, line: str, *, claimed: str) -> dict[str, float]:
        """Return what the first model asked about a claim says: language -> probability.

        Empty for a language that is not covered.
        """
        voters = self.coverage[claimed].voters
        return probabilities(plain(line), voters[0]) if voters else {}


def probabilities(text: str, voter: Voter) -> dict[str, float]:
    """Return what a voter thinks of a text: language (or `a/b` of one label) -> probability."""
    scores = voter.score(text)
    known = {label: score for label, score in scores.items() if label in voter.labels}
    if not known:
        return {}
    best = max(known.values())
    weights: dict[str, float] = {}
    for label, score in known.items():
        name = "/".join(voter.labels[label])
        weights[name] = weights.get(name, 0.0) + math.exp(score - best)
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def _vote(text: str, *, claimed: str, voters: Sequence[Voter]) -> Verdict:
    doubt: Verdict | None = None
    agreed: Verdict | None = None
    for voter in voters:
        shares = probabilities(text, voter)
        if not shares:  # it saw nothing in the text that it knows
            continue
        best = max(shares, key=lambda name: (shares[name], name))
        verdict = Verdict("fits", claimed, shares[best], voter.model)
        if claimed in best.split("/"):
            agreed = agreed or verdict
        elif shares[best] >= voter.threshold:
            return Verdict("other-language", best, shares[best], voter.model)
        else:
            doubt = doubt or Verdict("unsure", best, shares[best], voter.model)
    return doubt or agreed or Verdict("unsure")


def make_identifier(
    claimed: Iterable[str], *, settings: Identify, learned: Learned | None = None
) -> Identifier:
    """Return an identifier for texts that claim these languages.

    `learned`: what was learned from the texts at hand (`finetune.identify.ngrams.learn`), if
    anything. Raises DataError if a model cannot be loaded.
    """
    models = load_models(settings)
    closed = closed_set(claimed, contrast=settings.contrast)
    asked = [Asked(model, assign(model.labels, closed)) for model in models]
    if learned is not None:
        own = Asked(learned_model(learned), {one: (one,) for one in learned.languages})
        asked.append(own)
    # what was learned goes before the models of last resort, whose order otherwise stays
    asked.sort(key=lambda one: one.model.last_resort)
    return Identifier(
        closed=closed,
        models=models,
        coverage={x: _coverage(x, asked=asked, settings=settings) for x in closed},
        min_letters=settings.min_letters,
        unknown={m.name: found for m in models if (found := unknown_labels(m.labels))},
    )


def to_learn(claimed: Iterable[str], *, settings: Identify) -> list[str]:
    """Return the claimed languages for which it is worth learning from the texts at hand.

    Those that no model knows, or none but one of last resort, and that no script tells.
    """
    good = [model for model in load_models(settings) if not model.last_resort]
    return [
        language
        for language in dict.fromkeys(claimed)
        if not told_by_script(language)
        and not any(assign(model.labels, [language]) for model in good)
    ]


def learned_model(learned: Learned) -> Model:
    """Return what was learned from the texts at hand as a model like the others."""
    return Model(
        OWN_TEXTS,
        "",
        "that of the texts",
        tuple(learned.languages),
        OWN_TEXTS_THRESHOLD,
        lambda chosen: learned.scores,  # noqa: ARG005, all are scored at once
    )


def told_by_script(language: str) -> bool:
    """Say whether the script of a language is used for it alone.

    >>> told_by_script("sat_Olck"), told_by_script("sat_Deva")
    (True, False)
    """
    code, _, script = language.partition("_")
    return LANGUAGES_OF.get(script) == code


def _coverage(language: str, *, asked: Sequence[Asked], settings: Identify) -> Coverage:
    """Return who is asked about a claimed language."""
    if told_by_script(language):
        return Coverage((), "its script is used for it alone", by_script=True)
    found = {language}
    voters: list[Voter] = []
    reasons: list[str] = []
    knowing: list[str] = []
    for one in asked:
        name = one.model.name
        if not any(language in stands for stands in one.labels.values()):
            reasons.append(f"{name} does not know it")
            continue
        knowing.append(name)
        useful = {
            label: same
            for label, stands in one.labels.items()
            if (same := tuple(x for x in stands if _script(x) == _script(language)))
            and (language in same or not found.issuperset(same))
        }
        new = {x for stands in useful.values() for x in stands} - found
        if not new:
            reasons.append(f"{name} knows nothing more to tell it from")
            continue
        threshold = settings.thresholds.get(language, one.model.threshold)
        voters.append(Voter(name, threshold, one.model.bind(list(useful)), useful))
        reasons.append(f"{name} tells it from {', '.join(sorted(new))}")
        found |= new
    if knowing and not voters:
        reasons = [f"{knowing[0]} knows it, and nothing it is compared with is in its script"]
    return Coverage(tuple(voters), "; ".join(reasons), by_script=bool(knowing) and not voters)


def _script(language: str) -> str:
    script = language.rpartition("_")[2]
    return SCRIPTS.get(script, script)
