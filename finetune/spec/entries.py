"""Corpus entries of a recipe checked against their cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from finetune.errors import suggestion
from finetune.messages import Place, Problem, Sentence, problem, sentence
from finetune.output.fields import field_problem, named_fields
from finetune.spec.card import DataCard
from finetune.spec.recipe import Corpus
from finetune.spec.sections.known_language import Forgetting
from finetune.spec.sections.mixture import DataMixture
from finetune.spec.sections.vocabulary import Vocabulary
from finetune.spec.yaml_file import Path_

WELL_KNOWN = ("eng_Latn", "fra_Latn")
"""Languages in which bases are at home."""
PROMPT_FIELDS = ("text", "source_name", "target_name")
"""Fields that a prompt may name in braces."""


def resolved_use(corpus: Corpus, card: DataCard) -> str:
    """Return `use` with `auto` replaced by what the card's kind asks for."""
    if corpus.use != "auto":
        return corpus.use
    return {"text": "text", "parallel": "translation", "chat": "chat"}[card.corpus.kind]


def corpus_problems(corpus: Corpus, card: DataCard) -> list[Problem]:
    """Return what of a corpus entry does not fit its card; places are keys of the entry."""
    block = card.corpus
    use = resolved_use(corpus, card)
    problems = []
    fits = {"text": {"text", "parallel"}, "translation": {"parallel"}, "chat": {"chat"}}[use]
    if block.kind not in fits:
        problems.append(
            problem(
                "use-of-other-kind",
                "{use} does not fit card {card!r}, which is {kind}",
                at=Place(key="use"),
                use=use,
                card=card.name,
                kind=block.kind,
            )
        )
    if block.kind == "parallel":
        needed = {"translation": ("source", "target"), "text": ("target",)}.get(use, ())
        problems += (found for key in needed if (found := _language_problem(corpus, card, key)))
    if use == "translation" and corpus.source == corpus.target and corpus.source:
        problems.append(
            problem("same-language", "the same language as source", at=Place(key="target"))
        )
    if corpus.evaluate_only and corpus.replay:
        problems.append(
            problem(
                "replay-not-trained",
                "replay data is trained on; leave one of `replay` and `evaluate_only` out",
                at=Place(key="evaluate_only"),
            )
        )
    at = Place(key="prompt")
    if unfit := field_problem(corpus.prompt, known=PROMPT_FIELDS):
        problems.append(unfit.at(at))
    elif use == "translation" and "text" not in named_fields(corpus.prompt):
        problems.append(
            problem("prompt-without-text", "must contain {field}", at=at, field="{text}")
        )
    return problems


def _language_problem(corpus: Corpus, card: DataCard, key: str) -> Problem | None:
    """Return what is wrong with `source` or `target` of a parallel card."""
    language, there = getattr(corpus, key), card.corpus.languages
    if language is None:
        return problem(
            "no-language",
            "needed; card {card!r} has {languages}",
            at=Place(key=key),
            card=card.name,
            languages=there,
        )
    if language not in there:
        return problem(
            "language-not-in-card",
            "{language!r} is not in card {card!r}, which has {languages}",
            at=Place(key=key),
            language=language,
            card=card.name,
            languages=there,
        )
    return None


def target_language(corpus: Corpus, card: DataCard) -> str:
    """Return the target language of a corpus entry."""
    if card.corpus.kind == "parallel" and corpus.target is not None:
        return corpus.target
    return card.corpus.languages[0]


def extended_languages(
    settings: Vocabulary, corpora: Iterable[Corpus], cards: Mapping[str, DataCard]
) -> list[str]:
    """Return the languages that get new tokens: those named, or target languages not protected.

    Languages of replay data alone keep their tokenization.
    """
    if settings.languages is not None:
        return list(settings.languages)
    targets = (target_language(c, cards[c.card]) for c in corpora if not c.replay)
    return [language for language in dict.fromkeys(targets) if language not in settings.protect]


def vocabulary_problems(
    settings: Vocabulary | None, corpora: Sequence[Corpus], cards: Mapping[str, DataCard]
) -> Iterator[tuple[Path_, Problem]]:
    """Yield (path, problem) for new tokens in languages that no corpus has as target."""
    if settings is None:
        return
    targets = list(dict.fromkeys(target_language(c, cards[c.card]) for c in corpora))
    for number, language in enumerate(settings.languages or ()):
        if language not in targets:
            yield (
                ("vocabulary", "languages", number),
                problem(
                    "no-target-language",
                    "{language} is the target language of no corpus; they have {targets}",
                    language=language,
                    targets=targets,
                ),
            )
    if not extended_languages(settings, corpora, cards):
        yield (
            ("vocabulary",),
            problem(
                "nothing-to-extend",
                "every target language of the corpora ({targets}) is in `protect` or replay, so "
                "there would be no new token; leave `vocabulary` out, or shorten `protect`",
                targets=targets,
            ),
        )


def forgetting_problems(
    settings: Forgetting | None, corpora: Sequence[Corpus], cards: Mapping[str, DataCard]
) -> Iterator[tuple[Path_, Problem]]:
    """Yield (path, problem) for a card without held-out texts of the language."""
    if settings is None:
        return
    path: Path_ = ("evaluate", "forgetting")
    mine = [corpus for corpus in corpora if corpus.card == settings.card]
    if not mine:
        known = list(dict.fromkeys(corpus.card for corpus in corpora))
        yield (
            (*path, "card"),
            problem(
                "no-such-corpus",
                "{card!r} is no card of the corpora{hint}; add it there with `evaluate_only: "
                "true`, so that none of it is trained on",
                card=settings.card,
                hint=suggestion(settings.card, known, listed=20),
            ),
        )
        return
    block = cards[settings.card].corpus
    if block.test == "none" and not any(corpus.evaluate_only for corpus in mine):
        yield (
            (*path, "card"),
            problem(
                "no-test-texts",
                "card {card!r} has no test texts (`test: none`); choose another card, or add "
                "`evaluate_only: true` to its entry",
                card=settings.card,
            ),
        )
    if found := _unfit_language(settings, corpora, cards):
        yield (*path, "language"), found


def _unfit_language(
    settings: Forgetting, corpora: Sequence[Corpus], cards: Mapping[str, DataCard]
) -> Problem | None:
    """Return what is wrong with the language of forgetting."""
    there = cards[settings.card].corpus.languages
    wanted = WELL_KNOWN if settings.language is None else (settings.language,)
    measured = [language for language in wanted if language in there]
    if not measured:
        return problem(
            "language-not-in-card",
            "{language!r} is not in card {card!r}, which has {languages}",
            language=wanted[0],
            card=settings.card,
            languages=there,
        )
    taught = [corpus for corpus in corpora if not (corpus.replay or corpus.evaluate_only)]
    if set(measured) <= {target_language(corpus, cards[corpus.card]) for corpus in taught}:
        return problem(
            "forgetting-of-trained-language",
            "{language!r} is what this recipe trains, so it is not forgotten; name another "
            "language that the base knows",
            language=measured[0],
        )
    return None


def mixture_problems(
    mixture: DataMixture | None, corpora: Sequence[Corpus], cards: Mapping[str, DataCard]
) -> Iterator[tuple[Path_, Problem]]:
    """Yield (path inside the phase, problem) for a mixture that does not fit its corpora."""
    subsets = [(target_language(c, cards[c.card]), c.card) for c in corpora]
    trained = [(s, c) for s, c in zip(subsets, corpora, strict=True) if not c.evaluate_only]
    replayed = {subset for subset, c in trained if c.replay}
    mains = [subset for subset, c in trained if not c.replay]
    if not mains:
        yield (
            ("corpora",),
            problem(
                "only-replay",
                "every corpus is marked `replay: true` or `evaluate_only: true`; add one that is "
                "neither",
            ),
        )
        return
    for number, (subset, corpus) in enumerate(zip(subsets, corpora, strict=True)):
        if corpus.replay and subset in mains:
            yield (
                ("corpora", number, "replay"),
                problem(
                    "replay-and-not",
                    "card {card!r} is replay for {language} here and not in another entry; mark "
                    "both, or none",
                    card=corpus.card,
                    language=subset[0],
                ),
            )
    if mixture is None:
        return
    for place, part in _parts(mixture):
        if not isinstance(part.replay, str) and not replayed and "replay" in _given(mixture, place):
            yield (
                ("mixture", *place, "replay"),
                problem(
                    "replay-of-nothing",
                    "{fraction:g} of the mixture, but no corpus is marked `replay: true`; mark "
                    "one, or leave this out",
                    fraction=part.replay,
                ),
            )
        if part.method == "fixed":
            for path, why in _weight_problems(part, mains, replayed):
                where = place if "weights" in _given(mixture, place) else ()
                yield ("mixture", *where, "weights", *path), why


def _parts(mixture: DataMixture) -> Iterator[tuple[Path_, DataMixture]]:
    for number, (_, part) in enumerate(mixture.parts):
        yield (("curriculum", number) if mixture.curriculum else ()), part


def _given(mixture: DataMixture, place: Path_) -> set[str]:
    """Return the keys that are written at a place, or that hold there because nothing is."""
    if not place:
        return mixture.model_fields_set
    own = mixture.curriculum[int(place[1])].model_fields_set
    return own | (mixture.model_fields_set & {"replay"})


def _weight_problems(
    mixture: DataMixture, mains: Sequence[tuple[str, str]], replayed: set[tuple[str, str]]
) -> Iterator[tuple[Path_, Problem]]:
    at = 0 if mixture.by == "language" else 1
    known = list(dict.fromkeys(subset[at] for subset in mains))
    only_replayed = {subset[at] for subset in replayed} - set(known)
    for name in mixture.weights:
        if name in only_replayed:
            yield (
                (name,),
                problem(
                    "weight-of-replay",
                    "{name} is replay data; its weight is `mixture.replay`",
                    name=name,
                ),
            )
        elif name not in known:
            yield (
                (name,),
                problem(
                    "weight-of-nothing",
                    "no corpus has the {group} {name!r}{hint}",
                    group=group_word(mixture),
                    name=name,
                    hint=suggestion(name, known, listed=len(known)),
                ),
            )
    if missing := [name for name in known if name not in mixture.weights]:
        yield (
            (),
            problem(
                "weight-missing",
                "no weight for {names}; 0 excludes a {group}",
                names=missing,
                group=group_word(mixture),
            ),
        )


def group_word(mixture: DataMixture) -> Sentence:
    """Return the word for what has a weight in a mixture."""
    return sentence("language") if mixture.by == "language" else sentence("card")
