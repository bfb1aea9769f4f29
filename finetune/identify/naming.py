"""The language of texts that may be in any language: what a model wrote.

Corpora are judged against what their cards claim (finetune.identify.identifier). An output claims
nothing, and a wrong language has to be named, so that a model chooses among all languages that it
knows. Where no model knows the language, byte n-gram models of texts at hand choose among theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from finetune.identify.identifier import told_by_script
from finetune.identify.labels import assign, read_label, usual_script
from finetune.identify.lines import main_script, plain
from finetune.identify.models import Model
from finetune.spec.script import fits, scripts_in
from finetune.statistics.byte_ngrams import count, nats_of

NO_WORDS = "zxx"
"""Language of a text without a letter (ISO 639)."""
UNKNOWN = "und"
LEAST_BYTES = 1000
"""Texts of a language with fewer bytes make no model of it."""
MOST_BYTES = 200_000
"""More does not help to tell languages from each other, and would favour the largest corpus."""


@dataclass(frozen=True, slots=True)
class Namer:
    """A way to name the language of texts."""

    how: str
    """For people: `py3langid 0.3, choosing among 140 languages`."""
    name: Callable[[Sequence[str]], list[str]]
    """Texts -> a language each, `NO_WORDS` for a text without a letter."""


def namers(
    language: str,
    *,
    models: Sequence[Model],
    texts: Callable[[], Mapping[str, Sequence[str]]],
) -> Iterator[Namer]:
    """Yield the ways to name the language of texts meant to be in `language`, the best first.

    Models that know it, in their order, then byte n-gram models of the `texts` at hand, by
    language, then models of last resort.
    """
    if told_by_script(language):
        yield Namer("the script, which is used for this language alone", _by_script(language))
        return
    knowing = [model for model in models if assign(model.labels, [language])]
    yield from (by_model(m, language) for m in knowing if not m.last_resort)
    if (found := by_byte_ngrams(texts(), language)) is not None:
        yield found
    yield from (by_model(m, language) for m in knowing if m.last_resort)


def by_model(model: Model, language: str) -> Namer:
    """Return the choice of a model among all its languages."""
    own = set(assign(model.labels, [language]))
    score = model.bind(model.labels)

    def named(text: str) -> str:
        scores = score(text)
        if not scores:
            return UNKNOWN
        best = max(scores, key=lambda label: (scores[label], label))
        return language if best in own else _language_of(best)

    how = f"{model.name} {model.version}, choosing among {len(model.labels)} languages"
    return Namer(how, lambda texts: [_named(text, named, language) for text in texts])


def by_byte_ngrams(texts: Mapping[str, Sequence[str]], language: str) -> Namer | None:
    """Return the choice of byte n-gram models; None without texts in this and another language."""
    used = {name: found for name, many in texts.items() if (found := _bytes_of(many))}
    if language not in used or len(used) < 2:
        return None
    models = {name: count(found) for name, found in sorted(used.items())}
    names = list(models)

    def name(outputs: Sequence[str]) -> list[str]:
        lines = [plain(text).casefold().encode("utf-8", "replace") for text in outputs]
        nats_LN = np.stack([nats_of(model, lines)[:, 0] for model in models.values()])
        best_N = nats_LN.argmin(axis=0)
        return [
            _named(text, lambda _, at=at: names[at], language)  # type: ignore[misc]
            for text, at in zip(outputs, best_N.tolist(), strict=True)
        ]

    return Namer(f"byte n-gram models, choosing among {', '.join(names)}", name)


def _named(text: str, named: Callable[[str], str], language: str) -> str:
    """Return the language of a text: never the one that is meant if it is in another script."""
    bare = plain(text)
    letters = scripts_in(bare)
    if not letters:
        return NO_WORDS
    found = named(bare)
    main = main_script(letters)
    is_other = main and not fits(language.rpartition("_")[2], main)
    return f"{UNKNOWN}_{main}" if found == language and is_other else found


def _by_script(language: str) -> Callable[[Sequence[str]], list[str]]:
    return lambda texts: [_named(text, lambda _: language, language) for text in texts]


def _language_of(label: str) -> str:
    """Return the language of a model's label, as we spell it.

    >>> _language_of("__label__ful_Latn"), _language_of("ln"), _language_of("xx-unk")
    ('ful_Latn', 'lin_Latn', 'und')
    """
    read = read_label(label)
    if read is None:
        return UNKNOWN
    script = read.script or usual_script(read.code)
    return f"{read.code}_{script}" if script else read.code


def _bytes_of(texts: Sequence[str]) -> list[bytes]:
    """Return texts as they are compared, up to `MOST_BYTES`; none if there are too few."""
    found: list[bytes] = []
    size = 0
    for text in texts:
        if size >= MOST_BYTES:
            break
        found.append(plain(text).casefold().encode("utf-8", "replace"))
        size += len(found[-1])
    return found if size >= LEAST_BYTES else []
