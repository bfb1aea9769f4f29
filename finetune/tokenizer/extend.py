"""Choice of new tokens by their savings on held-out text.

Three things are measured: what each number of tokens saves; whether words kept whole save enough
to change how the base splits text; and that protected texts are tokenized exactly as before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from finetune.errors import DataError, RecipeError
from finetune.messages import Place, Problem, problem
from finetune.spec.sections.vocabulary import Vocabulary
from finetune.tokenizer.definition import VOCABULARY, Extended, Step, add, algorithm_of, opened
from finetune.tokenizer.learn import BATCH_TEXTS, Texts, Wanted, beginning, learn
from finetune.tokenizer.marks import marked_letters, widen

SMALLEST = 64
"""Tokens of the first point of the curve; each further one has twice as many."""
WHOLE_WORDS_SAVE = 0.1
"""Share of tokens for which the base's way to split text is changed."""
MOST_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts by language; validation texts are not among those learned on."""

    training: Texts
    validation: Texts
    protected: Sequence[str] = ()
    """Texts that stay as they are."""
    held_back: Sequence[str] = ()
    """More of them, on which it is only measured whether they do."""


@dataclass(frozen=True, slots=True)
class Point:
    """Effect of a number of new tokens on the validation texts."""

    size: int
    tokens: int
    bytes_per_token: Mapping[str, float]
    """By language."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Protected texts that were compared: how many tokens, how many texts, how many changed."""

    texts: int
    changed: int
    tokens_before: int
    tokens_after: int


@dataclass(frozen=True, slots=True)
class Found:
    """An extension, and the measurements that chose it."""

    extended: Extended
    curve: tuple[Point, ...]
    """From no new token on; the largest has every token that was found."""
    point: Point
    """The one that was chosen."""
    whole_words: bool
    marks: str
    """Marks and joiners that may follow letters, if words are kept whole."""
    alternative_tokens: int | None
    """Tokens of the validation texts with as many new tokens and words split the other way."""
    left_out: int
    """Additions that would have changed a protected text."""
    protected: Kept
    held_back: Kept


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    definition: str
    """Of the base, with its words split in one way or the other."""
    steps: Sequence[Step]
    left_out: int
    marks: str = ""


def extend(
    definition: str, corpus: Corpus, settings: Vocabulary, *, scripts: frozenset[str]
) -> Found:
    """Return new tokens for the tokenizer of a definition (the content of its tokenizer.json).

    Raises RecipeError for a tokenizer that cannot be extended as asked, DataError if no token is
    worth adding.
    """
    algorithm = algorithm_of(definition)
    if settings.algorithm not in ("auto", algorithm):
        raise RecipeError(
            problem(
                "tokenizer-kind",
                "{asked}, but the base's tokenizer is {kind} and can take no other kind of token; "
                "write auto",
                at=Place(key="vocabulary.algorithm"),
                asked=settings.algorithm,
                kind=algorithm,
            )
        )
    candidates = _candidates(definition, corpus, settings, scripts)
    base = opened(definition)
    full = {c: _point(base, c, _most(settings), corpus) for c in candidates}
    chosen = _whole_or_not(candidates, full, settings)
    curve = _curve(base, chosen, corpus, most=_most(settings))
    point = curve[-1] if settings.size != "auto" else smallest_that_pays(curve, settings.min_gain)
    if point.size == 0:
        raise DataError(_nothing_to_add(curve))
    extended = _extended(chosen, point.size)
    other = next((c for c in candidates if c is not chosen), None)
    return Found(
        extended=extended,
        curve=curve,
        point=point,
        whole_words=chosen.definition != definition,
        marks=chosen.marks,
        alternative_tokens=_point(base, other, point.size, corpus).tokens if other else None,
        left_out=chosen.left_out,
        protected=compare(base, extended.tokenizer(), corpus.protected),
        held_back=compare(base, extended.tokenizer(), corpus.held_back),
    )


def smallest_that_pays(curve: Sequence[Point], min_gain: float) -> Point:
    """Return the point after which the next one no longer saves `min_gain` of the tokens."""
    chosen = curve[0]
    for point in curve[1:]:
        if chosen.tokens - point.tokens < min_gain * chosen.tokens:
            break
        chosen = point
    return chosen


def compare(base: Any, other: Any, texts: Sequence[str]) -> Kept:
    """Count the texts that a second tokenizer tokenizes differently from the first."""
    changed = before = after = 0
    for one, two in _pairs(base, other, texts):
        changed += one != two
        before += len(one)
        after += len(two)
    return Kept(len(texts), changed, before, after)


def protect(base: Any, definition: str, steps: Sequence[Step], texts: Sequence[str]) -> list[Step]:
    """Return the steps without those that change how one of the texts is cut.

    A step goes with all that is made from it. Raises RecipeError if texts differ although no step
    acts on them.
    """
    kept = list(steps)
    for _ in range(MOST_ROUNDS):
        tokenizer = add(definition, kept).tokenizer()
        made = {step.token for step in kept}
        guilty: set[str] = set()
        differ = False
        for one, two in _pairs(base, tokenizer, texts):
            if one != two:
                differ = True
                guilty |= made & {str(tokenizer.id_to_token(number)) for number in two}
        if not differ:
            return kept
        if not guilty:
            break
        kept = _without(kept, guilty)
    raise RecipeError(
        problem(
            "protected-split",
            "protected texts would be tokenized differently; write `words: keep`",
            at=VOCABULARY,
        )
    )


def _without(steps: Sequence[Step], tokens: set[str]) -> list[Step]:
    gone = set(tokens)
    kept = []
    for step in steps:
        if step.token in gone or gone & set(step.pair or ()):
            gone.add(step.token)
        else:
            kept.append(step)
    return kept


def _candidates(
    definition: str, corpus: Corpus, settings: Vocabulary, scripts: frozenset[str]
) -> list[_Candidate]:
    """Return what could be added with words split as the base does, and with words kept whole."""
    wanted = Wanted(scripts, _most(settings), settings.min_count)
    base = opened(definition)
    found = []
    letters, marks = marked_letters((t for part in corpus.training.values() for t in part), scripts)
    whole = widen(definition, letters=letters, marks=marks) if settings.words != "keep" else None
    if whole is not None and compare(base, opened(whole), corpus.protected).changed:
        whole = None
    ways = [] if settings.words == "whole" and whole else [(definition, "")]
    for way, its_marks in [*ways, *([(whole, marks)] if whole else [])]:
        steps = learn(way, corpus.training, wanted)
        kept = protect(base, way, steps, corpus.protected)
        found.append(_Candidate(way, kept, len(steps) - len(kept), its_marks))
    return found


def _whole_or_not(
    candidates: Sequence[_Candidate], full: Mapping[_Candidate, Point], settings: Vocabulary
) -> _Candidate:
    first, last = candidates[0], candidates[-1]
    needed = 0.0 if settings.words == "whole" else WHOLE_WORDS_SAVE
    return last if full[last].tokens <= (1 - needed) * full[first].tokens else first


def _curve(base: Any, chosen: _Candidate, corpus: Corpus, *, most: int) -> tuple[Point, ...]:
    points = [_point(base, chosen, 0, corpus)]
    size = min(SMALLEST, most)
    while size <= most:
        points.append(_point(base, chosen, size, corpus))
        if points[-1].size < size or size == most:  # that is all there is
            break
        size = min(2 * size, most)
    return (points[0], *(after for before, after in pairwise(points) if after.size > before.size))


def _point(base: Any, candidate: _Candidate, size: int, corpus: Corpus) -> Point:
    extended = _extended(candidate, size)
    tokenizer = extended.tokenizer() if size else base
    tokens, costs = 0, {}
    for language, texts in corpus.validation.items():
        of_language = sum(map(len, _ids(tokenizer, texts)))
        tokens += of_language
        if of_language:
            costs[language] = sum(len(text.encode()) for text in texts) / of_language
    return Point(len(extended.tokens), tokens, costs)


def _extended(candidate: _Candidate, size: int) -> Extended:
    known = opened(candidate.definition).get_vocab(with_added_tokens=True)
    return add(candidate.definition, beginning(candidate.steps, known=known, tokens=size))


def _most(settings: Vocabulary) -> int:
    return settings.max_size if settings.size == "auto" else settings.size


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    found: list[list[int]] = []
    for begin in range(0, len(texts), BATCH_TEXTS):
        batch = list(texts[begin : begin + BATCH_TEXTS])
        found += [one.ids for one in tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
    return found


def _pairs(base: Any, other: Any, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
    return list(zip(_ids(base, texts), _ids(other, texts), strict=True))


def _nothing_to_add(curve: Sequence[Point]) -> Problem:
    first, last = curve[0], curve[-1]
    if last.size == 0:
        return problem(
            "no-new-token",
            "no new token to add (a token must occur `min_count` times in the training texts); "
            "remove `vocabulary` from the recipe",
            at=VOCABULARY,
        )
    return problem(
        "no-new-token",
        "nothing to add: the new tokens ({count}) save {share:.1%} of the tokens of the "
        "validation texts; remove `vocabulary` from the recipe",
        at=VOCABULARY,
        count=last.size,
        share=1 - last.tokens / max(1, first.tokens),
    )
