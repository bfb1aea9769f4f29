"""One interface over all models: comparison of a line with its declared language.

A model is used for a declared language only if it covers it (py3langid labels Wolof as Fula, so it
is not used for lines declared Wolof). The first model of the list that knows the
claimed language chooses among the languages of the closed set that it knows; a later one is asked
too where it knows further languages of the closed set, and can only find those. Where no good
model covers a declared language, a classifier is trained on the cards' texts and used in the
same way, before the models of last resort (franc); and where that cannot be done either, the
language is **unsupported**, which is reported and is no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from finetune.identify.closed import closed_set
from finetune.identify.labels import LANGUAGES_OF, SCRIPTS, assign, unknown_labels
from finetune.identify.lines import ordinary_letters, other_script, plain
from finetune.identify.models import Model, Scorer, load_models
from finetune.spec.sections.identify import Identify
from finetune.text.borrowed import letters_of

Kind = Literal[
    "fits", "other-language", "other-script", "unsure", "too-short", "not-covered", "no-letters"
]
ODD: frozenset[Kind] = frozenset({"other-language", "other-script"})
"""Kinds of a line that is not in its declared language."""
OWN_TEXTS = "own texts"
"""Name of the classifier that is trained on the cards' texts."""
OWN_TEXTS_THRESHOLD = 0.95
SURE_LETTERS = 30
"""Letters in ordinary words from which a model's threshold holds as it is."""
SHORT_DOUBT = 10
"""A shorter line needs this many times less doubt to be called another language. Both were chosen
on Kolibri's messages: 1 of 7 false alarms and 93 % of the English lines are left."""


class Learned(Protocol):
    """Protocol of the result of finetune.identify.ngrams.learn, without heavy imports."""

    @property
    def languages(self) -> Sequence[str]:
        """The languages that it was trained on."""

    def scores(self, line: str) -> Mapping[str, float]:
        """Return language -> log-likelihood of a line, up to a constant."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A model, and what its labels stand for in the closed set."""

    model: Model
    labels: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict on a line."""

    kind: Kind
    found: str | None = None
    """The language (or languages that share a label: `a/b`), or the script, that it seems to be."""
    confidence: float | None = None
    """Probability of `found` among the languages that were compared."""
    by: str | None = None
    """The model of the verdict."""


@dataclass(frozen=True, slots=True)
class Voter:
    """A model for one declared language, with its labels."""

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
    """Models that are asked about a declared language, with reasons."""

    voters: tuple[Voter, ...]
    reason: str
    by_script: bool = False
    """True if its script is used for it alone, so that no model is needed."""

    @property
    def covered(self) -> bool:
        """Return whether anything knows the language and something to tell it from."""
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
        """Judge a line, given its declared language (one of the closed set).

        Raises KeyError for a language that the identifier was not made for.
        """
        coverage = self.coverage[claimed]
        text = plain(line)
        script = claimed.rpartition("_")[2]
        by_script = letters_of(text, script=script)
        if found := other_script(by_script, script=script):
            return Verdict("other-script", found)
        letters = by_script.total()
        if not letters:
            return Verdict("no-letters")
        if coverage.by_script:
            return Verdict("fits", claimed, by="script")
        if not coverage.covered:
            return Verdict("not-covered")
        if letters < self.min_letters:
            return Verdict("too-short")
        return _vote(text, claimed=claimed, voters=coverage.voters, least=self.min_letters)

    def distribution(self, line: str, *, claimed: str) -> dict[str, float]:
        """Return the answer of the first model for a declared language: language -> probability.

        Empty for a language that is not covered.
        """
        voters = self.coverage[claimed].voters
        return probabilities(plain(line), voters[0]) if voters else {}


def probabilities(text: str, voter: Voter) -> dict[str, float]:
    """Return a voter's answer for a text: language (or `a/b` of one label) -> probability."""
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


def _vote(text: str, *, claimed: str, voters: Sequence[Voter], least: int) -> Verdict:
    """Return the verdict; a line with fewer ordinary letters than `least` is not accused."""
    ordinary = ordinary_letters(text)
    doubted = SHORT_DOUBT if ordinary < SURE_LETTERS else 1
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
        elif ordinary >= least and shares[best] >= 1 - (1 - voter.threshold) / doubted:
            return Verdict("other-language", best, shares[best], voter.model)
        else:
            doubt = doubt or Verdict("unsure", best, shares[best], voter.model)
    return doubt or agreed or Verdict("unsure")


def make_identifier(
    claimed: Iterable[str], *, settings: Identify, learned: Learned | None = None
) -> Identifier:
    """Return an identifier for texts that claim these languages.

    `learned`: the classifier trained on the cards' texts (`finetune.identify.ngrams.learn`), if
    anything. Raises DataError if a model cannot be loaded.
    """
    models = load_models(settings)
    closed = closed_set(claimed, contrast=settings.contrast)
    asked = [Asked(model, assign(model.labels, closed)) for model in models]
    if learned is not None:
        own = Asked(learned_model(learned), {one: (one,) for one in learned.languages})
        asked.append(own)
    # the trained classifier goes before the models of last resort, whose order otherwise stays
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

    Those that no model knows, or none but one of last resort, and that no script identifies.
    """
    good = [model for model in load_models(settings) if not model.last_resort]
    return [
        language
        for language in dict.fromkeys(claimed)
        if not told_by_script(language)
        and not any(assign(model.labels, [language]) for model in good)
    ]


def learned_model(learned: Learned) -> Model:
    """Return the trained classifier as a model like the others."""
    return Model(
        OWN_TEXTS,
        "",
        "that of the texts",
        tuple(learned.languages),
        OWN_TEXTS_THRESHOLD,
        lambda chosen: learned.scores,  # noqa: ARG005, all are scored at once
    )


def told_by_script(language: str) -> bool:
    """Return whether the script of a language is used for it alone.

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
        reasons.append(f"{name} separates it from {', '.join(sorted(new))}")
        found |= new
    if knowing and not voters:
        reasons = [f"{knowing[0]} knows it, and nothing it is compared with is in its script"]
    return Coverage(tuple(voters), "; ".join(reasons), by_script=bool(knowing) and not voters)


def _script(language: str) -> str:
    script = language.rpartition("_")[2]
    return SCRIPTS.get(script, script)
