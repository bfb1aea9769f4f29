"""New tokens for a base's tokenizer, trained on text, the most useful first.

BPE continues the base's own training (Sennrich et al. 2016): the text is tokenized with the
base, and its tokens are the letters over which `tokenizers` learns further merges. Before that,
characters that the base splits are put together. For a Unigram base (Kudo 2018)
`tokenizers` learns a vocabulary on the words; pieces are taken by the tokens that they save.

Only words of the given scripts are looked at, and every token holds a letter or mark of them.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer, models, trainers

from finetune.spec.script import scripts_of_character
from finetune.tokenizer.definition import Extended, Step, add, algorithm_of, opened
from finetune.tokenizer.marks import belongs
from finetune.tokenizer.vocabulary import kind_of, spelled

Texts = Mapping[str, Sequence[str]]
"""Language -> texts."""
MOST_REPEATS = 16
"""A language with less text counts as if it had up to so many times of it."""
BATCH_TEXTS = 512
_FIRST_CODE, _SURROGATES = 0x100, (0xD800, 0x800)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Limits of the new tokens."""

    scripts: frozenset[str]
    most: int
    """New tokens, at most."""
    min_count: int
    """Minimum occurrences of a token in the text; a rarer embedding row could not be trained."""


def learn(definition: str, texts: Texts, wanted: Wanted) -> list[Step]:
    """Return what to add to a tokenizer, in order; any beginning of it can be added too.

    Raises RecipeError for a tokenizer that is neither BPE nor Unigram.
    """
    if algorithm_of(definition) == "unigram":
        return _pieces(definition, texts, wanted)
    steps = _characters(definition, texts, wanted)
    steps += _merges(add(definition, steps), texts, wanted)
    return _often_enough(definition, steps, texts, wanted)


def beginning(steps: Sequence[Step], *, known: Mapping[str, int], tokens: int) -> list[Step]:
    """Return the first steps, as many as make at most `tokens` new tokens."""
    new: set[str] = set()
    for number, step in enumerate(steps):
        if step.token not in known and step.token not in new:
            if len(new) == tokens:
                return list(steps[:number])
            new.add(step.token)
    return list(steps)


# ---- characters -------------------------------------------------------------------------------


def _characters(definition: str, texts: Texts, wanted: Wanted) -> list[Step]:
    """Return steps that make one token of each frequent character that the base splits."""
    tokenizer = opened(definition)
    byte_level = kind_of(json.loads(definition)) == "bytes"
    found: Counter[str] = Counter()
    spelling: dict[str, tuple[int, ...]] = {}
    for text, ids, offsets, _ in _encoded(tokenizer, _all(texts)):
        for character, group in _alone(text, ids, offsets):
            lacking = len(group) > 1 or not (byte_level or tokenizer.token_to_id(character))
            if lacking and scripts_of_character(character) & wanted.scripts:
                found[character] += 1
                spelling[character] = group
    steps: list[Step] = []
    for character, times in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        if times < wanted.min_count or len({step.token for step in steps}) >= wanted.most:
            break
        group = spelling[character]
        if not byte_level:
            steps.append(Step(character, group))
            continue
        names = [str(tokenizer.id_to_token(number)) for number in group]
        for end in range(1, len(group)):
            pair = ("".join(names[:end]), names[end])
            if all(step.pair != pair for step in steps):
                steps.append(Step("".join(names[: end + 1]), group[: end + 1], pair=pair))
    return steps


def _alone(
    text: str, ids: Sequence[int], offsets: Sequence[tuple[int, int]]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield each character that has tokens to itself, with them."""
    begin = 0
    while begin < len(ids):
        start, end = offsets[begin]
        after = begin + 1
        while after < len(ids) and offsets[after][0] < end:
            end = max(end, offsets[after][1])
            after += 1
        if end == start + 1:
            yield text[start], tuple(ids[begin:after])
        begin = after


# ---- merges -----------------------------------------------------------------------------------


def _merges(extended: Extended, texts: Texts, wanted: Wanted) -> list[Step]:
    """Return merges over the tokens of an extended tokenizer, learned by `tokenizers`."""
    room = wanted.most - len(extended.tokens)
    runs = {language: _runs(extended, part, wanted) for language, part in texts.items()}
    units = sorted({unit for counts in runs.values() for run in counts for unit in run})
    if room <= 0 or not units:
        return []
    code = {unit: _letter(number) for number, unit in enumerate(units)}
    learner = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=len(units) + 2 * room,  # some are rejected afterwards
        min_frequency=max(2, wanted.min_count),
        show_progress=False,
    )
    learner.train_from_iterator(_balanced(runs, code), trainer)
    tokenizer = extended.tokenizer()
    kind = kind_of(json.loads(extended.definition))
    leaves = {new.id: new.parts for new in extended.tokens}
    tokens = {code[u]: (str(tokenizer.id_to_token(u)), leaves.get(u, (u,))) for u in units}
    steps: list[Step] = []
    for left, right in json.loads(learner.to_str())["model"]["merges"]:
        if left not in tokens or right not in tokens:
            continue
        one, other = tokens[left], tokens[right]
        name = one[0] + other[0]
        if _is_of(spelled(name, kind).decode(errors="ignore"), wanted.scripts):
            tokens[left + right] = (name, one[1] + other[1])
            steps.append(Step(name, one[1] + other[1], pair=(one[0], other[0])))
    known = tokenizer.get_vocab(with_added_tokens=True)
    return beginning(steps, known=known, tokens=room)


def _runs(extended: Extended, texts: Sequence[str], wanted: Wanted) -> Counter[tuple[int, ...]]:
    """Count the stretches of tokens that may grow together: words of the scripts."""
    tokenizer = extended.tokenizer()
    counts: Counter[tuple[int, ...]] = Counter()
    for text, ids, offsets, words in _encoded(tokenizer, texts):
        run: list[int] = []
        word: int | None = None
        for number, (start, end), of in zip(ids, offsets, words, strict=True):
            spelling = text[start:end]
            inner = spelling.removeprefix(" ")
            fits = all(belongs(character, wanted.scripts) for character in inner)
            if of != word or spelling[:1] == " " or not fits:
                counts[tuple(run)] += 1
                run = []
            if fits:
                run.append(number)
            word = of
        counts[tuple(run)] += 1
    return Counter({run: times for run, times in counts.items() if len(run) > 1})


def _balanced(
    runs: Mapping[str, Counter[tuple[int, ...]]], code: Mapping[int, str]
) -> Iterator[str]:
    """Yield runs as words for the trainer; languages with less text are repeated."""
    totals = {language: counts.total() for language, counts in runs.items()}
    largest = max(totals.values())
    for language, counts in runs.items():
        repeats = min(MOST_REPEATS, max(1, round(largest / max(1, totals[language]))))
        for run, times in sorted(counts.items()):
            word = "".join(code[unit] for unit in run)
            for _ in range(times * repeats):
                yield word


def _often_enough(
    definition: str, steps: Sequence[Step], texts: Texts, wanted: Wanted
) -> list[Step]:
    """Leave out tokens that seldom stand by themselves, unless others are made from them."""
    extended = add(definition, steps)
    names = {new.id: new.token for new in extended.tokens}
    counts: Counter[str] = Counter()
    for _, ids, _, _ in _encoded(extended.tokenizer(), _all(texts)):
        counts.update(names[number] for number in ids if number in names)
    needed: set[str] = set()
    kept: list[Step] = []
    for step in reversed(steps):
        rare = step.token in names.values() and counts[step.token] < wanted.min_count
        if rare and step.token not in needed:
            counts.update({part: counts[step.token] for part in step.pair or ()})
            continue
        needed |= set(step.pair or ())
        kept.append(step)
    return kept[::-1]


# ---- pieces of a Unigram tokenizer ------------------------------------------------------------


def _pieces(definition: str, texts: Texts, wanted: Wanted) -> list[Step]:
    """Return pieces with their scores, in the order of the tokens that each saves."""
    base = opened(definition)
    words = {language: _words(base, part, wanted) for language, part in texts.items()}
    if not any(words.values()):
        return []
    learner = Tokenizer(models.Unigram())
    trainer = trainers.UnigramTrainer(
        vocab_size=2 * wanted.most + 256,
        unk_token="<unk>",  # noqa: S106, no password
        show_progress=False,
    )
    letters = {c for counts in words.values() for word in counts for c in word}
    code = {ord(letter): letter for letter in letters}
    learner.train_from_iterator(_repeated(words, code), trainer)
    of_base = dict(json.loads(definition)["model"]["vocab"])
    used: Counter[str] = Counter()
    for counts in words.values():
        for word, times in counts.items():
            for token in learner.encode(word).tokens:
                used[token] += times
    steps: list[tuple[int, Step]] = []
    for piece, times in used.items():
        if piece in of_base or times < wanted.min_count or not _is_of(piece, wanted.scripts):
            continue
        # Counted and not the learner's own sums, whose last digits differ from run to run.
        score = math.log(times / used.total())
        parts = base.model.tokenize(piece)
        before = sum(of_base.get(part.value, -100.0) for part in parts)
        if score > before:  # else the base's own segmentation would still win
            step = Step(piece, tuple(part.id for part in parts), score=score)
            steps.append((times * max(1, len(parts) - 1), step))
    steps.sort(key=lambda pair: (-pair[0], pair[1].token))
    return [step for _, step in steps[: wanted.most]]


def _words(base: Any, texts: Sequence[str], wanted: Wanted) -> Counter[str]:
    """Count the words of the scripts as the base's model gets them, with its mark of a space."""
    counts: Counter[str] = Counter()
    for text in texts:
        normal = base.normalizer.normalize_str(text) if base.normalizer else text
        split = base.pre_tokenizer.pre_tokenize_str(normal) if base.pre_tokenizer else [(normal, 0)]
        for piece, _ in split:
            word = ""
            for character in piece:
                if character == "▁" or not belongs(character, wanted.scripts):
                    counts[word] += 1
                    word = "▁" if character == "▁" else ""
                else:
                    word += character
            counts[word] += 1
    return Counter({w: n for w, n in counts.items() if _is_of(w, wanted.scripts)})


def _repeated(words: Mapping[str, Counter[str]], code: Mapping[int, str]) -> Iterator[str]:
    """Yield words as often as they stand in the text; languages with less text more often."""
    as_runs = {
        language: Counter({tuple(map(ord, word)): times for word, times in counts.items()})
        for language, counts in words.items()
    }
    return _balanced(as_runs, code)


# ---- parts ------------------------------------------------------------------------------------


def _is_of(text: str, scripts: frozenset[str]) -> bool:
    """Return whether a letter or mark of the scripts stands in it, whole."""
    return any(scripts_of_character(character) & scripts for character in text)


def _all(texts: Texts) -> Iterator[str]:
    for part in texts.values():
        yield from part


def _encoded(
    tokenizer: Any, texts: Iterable[str]
) -> Iterator[tuple[str, list[int], list[tuple[int, int]], list[int | None]]]:
    """Yield text, ids, characters of each token, and the word of each."""
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH_TEXTS:
            yield from _batch(tokenizer, batch)
            batch = []
    yield from _batch(tokenizer, batch)


def _batch(tokenizer: Any, batch: Sequence[str]) -> Iterator[tuple[str, Any, Any, Any]]:
    for text, one in zip(
        batch, tokenizer.encode_batch(list(batch), add_special_tokens=False), strict=True
    ):
        yield text, one.ids, one.offsets, one.word_ids


def _letter(number: int) -> str:
    """Return a character that stands for a token: any one, but no half of a surrogate pair."""
    code = _FIRST_CODE + number
    first, count = _SURROGATES
    return chr(code if code < first else code + count)
