"""What the corpus entries of a training are, seen together with their cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from finetune.errors import did_you_mean
from finetune.spec.card import DataCard
from finetune.spec.mix import Mix
from finetune.spec.recipe import Corpus
from finetune.spec.text import Path_
from finetune.spec.vocabulary import Vocabulary


def learned_language(corpus: Corpus, card: DataCard) -> str:
    """Return the language that a corpus entry teaches."""
    if card.corpus.kind == "parallel" and corpus.target is not None:
        return corpus.target
    return card.corpus.languages[0]


def extended_languages(
    settings: Vocabulary, corpora: Iterable[Corpus], cards: Mapping[str, DataCard]
) -> list[str]:
    """Return the languages that get new tokens: those named, or taught and not protected.

    What is only trained on as replay is to stay as it is.
    """
    if settings.languages is not None:
        return list(settings.languages)
    taught = (learned_language(c, cards[c.card]) for c in corpora if not c.replay)
    return [language for language in dict.fromkeys(taught) if language not in settings.protect]


def vocabulary_problems(
    settings: Vocabulary | None, corpora: Sequence[Corpus], cards: Mapping[str, DataCard]
) -> Iterator[tuple[Path_, str]]:
    """Yield (path, what is wrong) for new tokens in languages that no corpus teaches."""
    if settings is None:
        return
    taught = list(dict.fromkeys(learned_language(c, cards[c.card]) for c in corpora))
    for number, language in enumerate(settings.languages or ()):
        if language not in taught:
            yield (
                ("vocabulary", "languages", number),
                f"no corpus teaches {language}; they teach {', '.join(taught)}",
            )
    if not extended_languages(settings, corpora, cards):
        yield (
            ("vocabulary",),
            f"every language that the corpora teach ({', '.join(taught)}) is in `protect` or "
            "replay, so no token would be learned; leave `vocabulary` out, or shorten `protect`",
        )


def mix_problems(
    mix: Mix | None, corpora: Sequence[Corpus], cards: Mapping[str, DataCard]
) -> Iterator[tuple[Path_, str]]:
    """Yield (path from the training on, what is wrong) for a mix that its corpora cannot have."""
    cells = [(learned_language(c, cards[c.card]), c.card) for c in corpora]
    replayed = {cell for cell, c in zip(cells, corpora, strict=True) if c.replay}
    mains = [cell for cell, c in zip(cells, corpora, strict=True) if not c.replay]
    if not mains:
        yield ("corpora",), "every corpus is marked `replay: true`; what is to be learned?"
        return
    for number, (cell, corpus) in enumerate(zip(cells, corpora, strict=True)):
        if corpus.replay and cell in mains:
            yield (
                ("corpora", number, "replay"),
                f"card {corpus.card!r} teaches {cell[0]} here as replay and in another entry not; "
                "its texts cannot be told apart then. Mark both, or none",
            )
    if mix is None:
        return
    for place, part in _parts(mix):
        if not isinstance(part.replay, str) and not replayed and "replay" in _given(mix, place):
            yield (
                ("mix", *place, "replay"),
                f"{part.replay:g} of what is trained on, but no corpus is marked `replay: true`; "
                "mark one, or leave this out",
            )
        if part.method == "fixed":
            for path, why in _weight_problems(part, mains, replayed):
                where = place if "weights" in _given(mix, place) else ()
                yield ("mix", *where, "weights", *path), why


def _parts(mix: Mix) -> Iterator[tuple[Path_, Mix]]:
    for number, (_, part) in enumerate(mix.parts):
        yield (("stages", number) if mix.stages else ()), part


def _given(mix: Mix, place: Path_) -> set[str]:
    """Return the keys that are written at a place, or that hold there because nothing is."""
    if not place:
        return mix.model_fields_set
    own = mix.stages[int(place[1])].model_fields_set
    return own | (mix.model_fields_set & {"replay"})


def _weight_problems(
    mix: Mix, mains: Sequence[tuple[str, str]], replayed: set[tuple[str, str]]
) -> Iterator[tuple[Path_, str]]:
    at = 0 if mix.by == "language" else 1
    known = list(dict.fromkeys(cell[at] for cell in mains))
    only_replayed = {cell[at] for cell in replayed} - set(known)
    for name in mix.weights:
        if name in only_replayed:
            yield (name,), f"{name} is there as replay; its share is `mix.replay`"
        elif name not in known:
            hint = did_you_mean(name, known) or f". There are: {', '.join(known)}"
            yield (name,), f"no {mix.by} {name!r} is learned here{hint}"
    if missing := [name for name in known if name not in mix.weights]:
        yield (), f"no weight for {', '.join(missing)}; 0 leaves a {mix.by} out"
